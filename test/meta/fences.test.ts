/**
 * The fences: what only certain folders of lib/ may touch, so that the rest stays testable without sockets, clocks or an
 * environment. An entry of `allowed` is a folder or a file.
 */
import t from 'tap'
import { readSources, type SourceFile, withoutComments } from './source-files.ts'

interface Fence {
  what: string
  allowed: string[]
  /** Import specifiers that the fence keeps in. Type-only imports are free. */
  modules?: string[]
  /** Code that the fence keeps in. */
  pattern?: RegExp
}

const ioModules = [
  'child_process',
  'cluster',
  'dgram',
  'dns',
  'dns/promises',
  'fs',
  'fs/promises',
  'http',
  'https',
  'http2',
  'net',
  'readline',
  'tls',
  'worker_threads',
].map((name) => `node:${name}`)

const pure = ['protocol', 'sql', 'settings', 'statements', 'replies', 'auth', 'observe']
const everyFolder = [...new Set(readSources('lib').map((file) => file.path.split('/')[1]!))]

const fences: Fence[] = [
  {
    what: `no input or output in ${pure.join(', ')}`,
    modules: ioModules,
    allowed: everyFolder.filter((folder) => !pure.includes(folder)),
  },
  { what: 'node:net and node:tls belong to net/', modules: ['node:net', 'node:tls'], allowed: ['net'] },
  { what: 'node:http belongs to http/', modules: ['node:http', 'node:https', 'node:http2'], allowed: ['http'] },
  { what: 'the environment is read in config/ and cli/', pattern: /\bprocess\.env\b/, allowed: ['config', 'cli'] },
  {
    what: 'timers belong to the clock, net/, the janitor, cluster/ and cli/',
    pattern: /(?<![.\w])(?:setTimeout|setInterval|setImmediate)\s*\(|['"]node:timers/,
    // The live page runs in a browser.
    allowed: ['util/clock.ts', 'net', 'daemon/janitor.ts', 'cluster', 'cli', 'http/page'],
  },
  { what: 'only cli/ ends the process', pattern: /\bprocess\s*\.\s*(?:exit|abort|reallyExit)\b/, allowed: ['cli'] },
  {
    what: 'no private API of a runtime',
    pattern: /\bprocess\.binding\b|\._handle\b|\bprocess\._\w|\bBun\.(?!version)|['"]bun:/,
    allowed: ['util/runtime.ts'],
  },
]

function breaches(fence: Fence, files: SourceFile[]): string[] {
  return files
    .filter((file) => {
      const inside = file.path.replace(/^lib\//, '')
      return !fence.allowed.some((place) => inside === place || inside.startsWith(`${place}/`))
    })
    .filter((file) => {
      const imports = file.imports.some(({ specifier, typeOnly }) => !typeOnly && fence.modules?.includes(specifier))
      return imports || (fence.pattern?.test(withoutComments(file.text)) ?? false)
    })
    .map((file) => file.path)
}

for (const fence of fences) {
  t.test(fence.what, async (t) => {
    t.same(breaches(fence, readSources('lib')), [])
  })
}

t.test('builtin modules are named with their scheme', async (t) => {
  const bare = new RegExp(
    `^(?:${[...ioModules.map((name) => name.slice(5)), 'crypto', 'path', 'os', 'events'].join('|')})$`,
  )
  const wrong = readSources('lib').flatMap((file) =>
    file.imports.filter(({ specifier }) => bare.test(specifier)).map(({ specifier }) => `${file.path}: ${specifier}`),
  )
  t.same(wrong, [])
})

t.test('the test itself notices a breach', async (t) => {
  const file = (path: string, text: string, specifier = 'node:path', typeOnly = false): SourceFile => ({
    path,
    text,
    imports: [{ specifier, typeOnly }],
  })
  const files = [
    file('lib/sql/a.ts', 'process.env.HOME'),
    file('lib/sql/b.ts', '// process.env is read elsewhere'),
    file('lib/pool/c.ts', 'setTimeout(go, 5)'),
    file('lib/pool/d.ts', 'socket.setTimeout(5)'),
    file('lib/auth/e.ts', '', 'node:fs'),
    file('lib/auth/f.ts', '', 'node:net', true),
    file('lib/daemon/g.ts', 'process.exit(1)'),
    file('lib/cli/h.ts', 'process.exit(1)'),
    file('lib/daemon/i.ts', '', 'node:http'),
    file('lib/http/j.ts', '', 'node:https'),
  ]
  t.same(
    fences.map((fence) => breaches(fence, files)),
    [['lib/auth/e.ts'], [], ['lib/daemon/i.ts'], ['lib/sql/a.ts'], ['lib/pool/c.ts'], ['lib/daemon/g.ts'], []],
  )
})
