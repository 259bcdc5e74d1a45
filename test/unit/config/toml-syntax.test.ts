/** What is said of a file that is no TOML 1.0: where, and what to write instead. */
import t from 'tap'
import { readToml } from '../../../lib/config/toml.ts'
import { atOnce } from '../../../lib/util/steps.ts'

function problem(text: string, path = 'f.toml'): string {
  const { problems } = atOnce(readToml(text, path))
  return problems.map(({ where, message }) => `${where}: ${message}`).join('\n')
}

t.test('TOML 1.1 is refused by its name', async (t) => {
  const remedy = 'Write it on one line, or as a section of its own: [name]'
  t.match(
    problem('\na = {\n b = 1 }'),
    /^f\.toml:2: Not valid TOML: pgbun reads TOML 1\.0.*no line breaks.*\(column 6\)$/,
  )
  t.match(problem('a = { b = 1\n}'), remedy)
  t.match(problem('a = { b = 1, # comment\n c = 2 }'), remedy)
  t.match(problem('[users]\na = { b = 1, }'), /^f\.toml:2: .*no comma at its end.*TOML 1\.1/)
  t.match(problem('[users]\na = { b = 1, }'), remedy)
  t.equal(
    problem('\r\na = "\\e[0m"\r\n'),
    'f.toml:2: Not valid TOML: pgbun reads TOML 1.0, which has no \\e (TOML 1.1 has). Write \\u001B (column 7)',
  )
  t.match(problem('a = "\\x7f"'), /^f\.toml:1: .*no \\x \(TOML 1\.1 has\)\. Write \\u007f \(column 7\)$/)
})

t.test('the files of other programs', async (t) => {
  const pgbouncer = /^f\.(toml|ini): This looks like a configuration file of PgBouncer, .*CONFIG\.md/
  t.match(problem('; PgBouncer\n[databases]\n', 'f.ini'), pgbouncer)
  t.match(problem('[databases]\n* = host=localhost\n[pgbouncer]\nlisten_addr = *\n'), pgbouncer)
  t.match(problem('[pgbouncer]\nlisten_port = 6432\n'), pgbouncer, 'one that is TOML by chance')
  t.match(problem('[databases]\napp = host=db port=5432\n'), pgbouncer)
  t.match(problem('[pool]\npool_size = 5\n', 'f.ini'), /^$/, 'TOML under that name is read')
  t.match(problem('; comment'), "f.toml:1: Not valid TOML: Unexpected character ';'. Comments begin with #")
  t.match(problem('{ "pool_size": 5 }'), 'looks like JSON')
  t.match(problem('pool_size: 5'), /^f\.toml:1: .*with = instead of : \(column 10\)$/)
  t.match(problem('\uFFFD\uFFFDa\0=\0'), 'not UTF-8')
})

t.test('texts without quotes, and values that are none', async (t) => {
  t.match(problem('[server]\nserver_host = db'), /^f\.toml:2: .*Texts need quotes: server_host = "text" \(column 15\)$/)
  t.match(problem('server_lifetime = 15s'), /duration or size with a unit: server_lifetime = "15s" \(/)
  t.match(problem('unix_socket_mode = 0777'), /does not begin with 0, and a text needs quotes/)
  t.match(problem('a = True'), 'Switches are true or false: a = true')
  t.match(problem('a = off'), 'Switches are true or false')
  t.match(problem('a = \u201cx\u201d'), 'Quotes are straight')
  t.match(problem('a = "C:\\q"'), 'Unknown escape \\q. Write \\\\ for a backslash')
  t.match(problem('a = 1\na = 2'), /^f\.toml:2: .*it is there twice/)
  for (const text of [
    'a',
    'a =',
    '[a',
    '= 1',
    'a = "x',
    'a = [1',
    'a = tru',
    'a = 1.',
    'a = 12:3',
    'a = \x01',
    'é = 1',
  ]) {
    t.match(problem(text), /^f\.toml:1: Not valid TOML: [\x20-\x7e]+ \(column \d+\)$/, text)
    t.notMatch(problem(text), /character "?\d+/, text)
  }
})

t.test('a long file is read in pieces, and nothing is lost between them', async (t) => {
  const sections = Array.from({ length: 3000 }, (_, i) => `[databases.d${i}]\ndbname = "😀${'x'.repeat(i % 7)}"\n`)
  const { problems, scopes = [] } = atOnce(readToml(sections.join(''), 'long.toml'))
  t.same(problems, [])
  t.equal(scopes.length, 3000)
  scopes.forEach(({ target, values, source }, i) => {
    if (
      target !== `d${i}` ||
      values[0]?.value !== `😀${'x'.repeat(i % 7)}` ||
      source.where !== `long.toml:${2 * i + 1}`
    )
      t.fail(`section ${i}: ${JSON.stringify({ target, values, source })}`)
  })
  const broken = atOnce(readToml(`${sections.join('')}oops`, 'long.toml'))
  t.match(broken.problems, [{ where: 'long.toml:6001' }])
})
