/**
 * The ladder: lib/ is layered, and a file imports only from its own folder and from folders above it in this list.
 * Where an earlier folder needs what a later one owns, it declares an interface and daemon/ passes the implementation.
 */
import path from 'node:path'
import t from 'tap'
import { type Import, importsOf, readSources, type SourceFile, withoutComments } from './source-files.ts'

const ladder = [
  'errors.ts',
  'util',
  'protocol',
  'config',
  'sql',
  'settings',
  'statements',
  'replies',
  'auth',
  'net',
  'server',
  'pool',
  'routing',
  'client',
  'observe',
  'admin',
  'http',
  'otel',
  'daemon',
  'cluster',
  'cli',
]

/** The steps within client/, by the same rule. */
const clientLadder = [
  'lifecycle',
  'console',
  'state',
  'statements',
  'requests',
  'link',
  'login',
  'session.ts',
  'timeouts.ts',
]

/** Folders that the library's entry may use; types it may take from anywhere, since it hands them on. */
const entryImports = ['util', 'config', 'daemon']

/** What is wrong with one import, or undefined. */
function breach(from: string, { specifier, typeOnly }: Import): string | undefined {
  if (!specifier.startsWith('.')) return undefined
  const target = path.posix.join(path.posix.dirname(from), specifier)
  if (!target.startsWith('lib/'))
    return target === 'package.json' ? undefined : `${from} imports ${target} outside lib/`
  if (target === 'lib/index.ts') return `${from} imports the library's entry`
  const [, fromRung = ''] = from.split('/')
  const [, toRung = ''] = target.split('/')
  if (from === 'lib/index.ts') {
    return typeOnly || entryImports.includes(toRung)
      ? undefined
      : `${from} imports ${target}; it may use ${entryImports.join(', ')}`
  }
  const fromStep = ladder.indexOf(fromRung)
  const toStep = ladder.indexOf(toRung)
  if (fromStep === -1) return `${from} is in a folder that the ladder does not know`
  if (toStep === -1) return `${from} imports ${target}, a folder that the ladder does not know`
  if (toStep > fromStep) return `${from} imports ${target}, which is below it on the ladder`
  return fromRung === 'client' && toRung === 'client' ? clientBreach(from, target) : undefined
}

function clientBreach(from: string, target: string): string | undefined {
  const [fromStep = -1, toStep = -1] = [from, target].map((file) => clientLadder.indexOf(file.split('/')[2] ?? ''))
  if (fromStep === -1 || toStep === -1) return `${from} imports ${target}: one of them is no step of client/`
  return toStep <= fromStep ? undefined : `${from} imports ${target}, which is below it within client/`
}

t.test('every import goes up the ladder', async (t) => {
  const files = readSources('lib')
  t.ok(files.length > 5, 'there are files to look at')
  t.same(
    files.flatMap((file) => file.imports.map((line) => breach(file.path, line)).filter(Boolean)),
    [],
  )
})

/** Circles of imports, types included, as lists of files: what imports each other cannot be read one after the other. */
function circles(files: SourceFile[]): string[][] {
  const targets = new Map(
    files.map(({ path: from, imports }) => [
      from,
      imports
        .filter(({ specifier }) => specifier.startsWith('.'))
        .map(({ specifier }) => path.posix.join(path.posix.dirname(from), specifier)),
    ]),
  )
  const reached = (start: string): Set<string> => {
    const found = new Set<string>()
    const queue = [start]
    for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
      for (const target of targets.get(file) ?? []) if (!found.has(target)) queue.push(found.add(target) && target)
    }
    return found
  }
  const reach = new Map([...targets.keys()].map((file) => [file, reached(file)]))
  const seen = new Set<string>()
  const all: string[][] = []
  for (const file of targets.keys()) {
    if (seen.has(file) || !reach.get(file)!.has(file)) continue
    const circle = [...targets.keys()].filter((other) => reach.get(file)!.has(other) && reach.get(other)?.has(file))
    for (const member of circle) seen.add(member)
    all.push(circle)
  }
  return all
}

t.test('no files import each other in a circle, types included', async (t) => {
  t.same(circles(readSources('lib')), [])
})

t.test('hardly anything takes the whole session of a client: a narrow interface says what is needed', async (t) => {
  const takers = readSources('lib').flatMap(({ path: file, text }) =>
    [...withoutComments(text).matchAll(/[(,]\s*\w+: ClientSession\b/g)].map(() => file),
  )
  t.ok(takers.length <= 5, `${takers.length} functions: ${takers.join(', ')}`)
})

t.test('every relative import names its file with the extension', async (t) => {
  const wrong = [...readSources('lib'), ...readSources('test')].flatMap((file) =>
    file.imports
      .filter(({ specifier }) => specifier.startsWith('.') && !/\.(ts|m?js|json)$/.test(specifier))
      .map(({ specifier }) => `${file.path}: ${specifier}`),
  )
  t.same(wrong, [])
})

t.test('no file grows past 500 lines, and one of more than 400 is worth a thought', async (t) => {
  const long = [...readSources('lib'), ...readSources('test'), ...readSources('bin')]
    .map((file) => ({ path: file.path, lines: file.text.split('\n').length - 1 }))
    .filter(({ lines }) => lines > 400)
  for (const { path, lines } of long) t.comment(`${path} has ${lines} lines: does it own one thing?`)
  t.same(
    long.filter(({ lines }) => lines > 500),
    [],
  )
})

t.test('the test itself notices a breach', async (t) => {
  const check = (from: string, specifier: string) => breach(from, { specifier, typeOnly: false })
  t.match(check('lib/pool/pool.ts', '../client/session.ts'), /below it/)
  t.match(check('lib/daemon/daemon.ts', '../index.ts'), /entry/)
  t.match(check('lib/new/thing.ts', '../util/clock.ts'), /does not know/)
  t.match(check('lib/errors.ts', './util/clock.ts'), /below it/)
  t.match(check('lib/index.ts', './net/dial.ts'), /may use/)
  t.equal(breach('lib/index.ts', { specifier: './net/dial.ts', typeOnly: true }), undefined)
  t.match(check('lib/cli/main.ts', '../../test/x.ts'), /outside lib/)
  t.equal(check('lib/client/session.ts', '../pool/pool.ts'), undefined)
  t.equal(check('lib/client/session.ts', './login/login.ts'), undefined)
  t.match(check('lib/client/state/pins.ts', '../link/release.ts'), /below it within client/)
  t.match(check('lib/client/other.ts', './session.ts'), /no step of client/)
  const file = (name: string, ...specifiers: string[]): SourceFile => ({
    path: `lib/${name}`,
    text: '',
    imports: specifiers.map((specifier) => ({ specifier, typeOnly: true })),
  })
  t.same(circles([file('a.ts', './b.ts'), file('b.ts', './c.ts'), file('c.ts', './b.ts'), file('d.ts', './a.ts')]), [
    ['lib/b.ts', 'lib/c.ts'],
  ])
  const text = `import a, {\n  b,\n} from './one.ts'\nimport type { C } from './two.ts'\nimport './three.ts'\nexport { d } from './four.ts'\nconst e = await import('./five.ts')\n// import('./six.ts')\n`
  t.same(
    importsOf(text).map(({ specifier, typeOnly }) => (typeOnly ? `type ${specifier}` : specifier)),
    ['./one.ts', 'type ./two.ts', './three.ts', './four.ts', './five.ts'],
  )
})
