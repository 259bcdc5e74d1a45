/** Session settings: what a client wants, what a server has, and the statements between. */
import t from 'tap'
import { ProtocolError } from '../../../lib/protocol/reader.ts'
import { ClientSettings, isMemorable, isReadable, parseOptions } from '../../../lib/settings/client-settings.ts'
import { ServerSettings, UNKNOWN } from '../../../lib/settings/server-settings.ts'
import { SettingValues } from '../../../lib/settings/setting-values.ts'
import { quoteLiteral } from '../../../lib/sql/quote.ts'

function server(
  parameters: Record<string, string>,
  baseline: Record<string, string> = parameters,
  applied: Record<string, string> = {},
): ServerSettings {
  const settings = new ServerSettings(new Map(Object.entries(baseline)))
  for (const [name, value] of Object.entries(parameters)) settings.report(name, value)
  for (const [name, value] of Object.entries(applied)) settings.wasSet(name, value)
  return settings
}

const defaults = { TimeZone: 'UTC', DateStyle: 'ISO, MDY', server_version: '18', in_hot_standby: 'off' }

function wanting(settings: Record<string, string>): ClientSettings {
  const client = new ClientSettings()
  for (const [name, value] of Object.entries(settings)) client.set(name, value)
  return client
}

t.test('a client without wanted needs nothing on a fresh server', async (t) => {
  t.strictSame(new ClientSettings().difference(server(defaults)), [])
})

t.test('what another client left reported is reset', async (t) => {
  const used = server({ ...defaults, TimeZone: 'Asia/Tokyo' }, defaults)
  t.strictSame(new ClientSettings().difference(used), [{ name: 'timezone', value: undefined }])
})

t.test('what a client wants is set where it differs, names without case', async (t) => {
  const client = wanting({ TIMEZONE: 'Asia/Tokyo', statement_timeout: '5s' })
  t.strictSame(client.difference(server(defaults)), [
    { name: 'timezone', value: 'Asia/Tokyo' },
    { name: 'statement_timeout', value: '5s' },
  ])
  const same = server({ ...defaults, TimeZone: 'Asia/Tokyo' }, defaults, { statement_timeout: '5s' })
  t.strictSame(client.difference(same), [])
  t.equal(client.get('TimeZone'), 'Asia/Tokyo')
})

t.test('what was applied for another client and is not reported is reset', async (t) => {
  const used = server(defaults, defaults, { statement_timeout: '5s' })
  t.strictSame(new ClientSettings().difference(used), [{ name: 'statement_timeout', value: undefined }])
  t.strictSame(wanting({ statement_timeout: '7s' }).difference(used), [{ name: 'statement_timeout', value: '7s' }])
})

t.test('a value nobody knows is set again, or reset', async (t) => {
  const doubtful = server(defaults, defaults, { statement_timeout: UNKNOWN })
  t.strictSame(wanting({ statement_timeout: '5s' }).difference(doubtful), [{ name: 'statement_timeout', value: '5s' }])
  t.strictSame(new ClientSettings().difference(doubtful), [{ name: 'statement_timeout', value: undefined }])
})

t.test('facts about the server are never copied to another', async (t) => {
  const promoted = server({ ...defaults, in_hot_standby: 'on', server_version: '17' }, defaults)
  const client = new ClientSettings()
  t.strictSame(client.difference(promoted), [])
  client.absorb(promoted)
  t.equal(client.wanted.values.size, 0)
})

t.test('a client wants from now on what its statements changed', async (t) => {
  const client = new ClientSettings()
  client.absorb(server({ ...defaults, TimeZone: 'Asia/Tokyo' }, defaults))
  t.equal(client.get('timezone'), 'Asia/Tokyo')
  t.equal(client.get('datestyle'), undefined, 'what stands as it was is no wish')
  client.absorb(server(defaults))
  t.equal(client.get('timezone'), 'UTC', 'and what it sets back')
  t.strictSame(client.difference(server(defaults)), [])
})

t.test("the server's spelling is taken over, so that it is set once", async (t) => {
  const client = wanting({ client_encoding: "'utf-8'" })
  const one = server({ ...defaults, client_encoding: 'SQL_ASCII' })
  t.equal(client.difference(one).length, 1)
  client.absorb(server({ ...defaults, client_encoding: 'UTF8' }, { ...defaults, client_encoding: 'SQL_ASCII' }))
  t.strictSame(client.difference(server({ ...defaults, client_encoding: 'UTF8' })), [])
})

t.test('names that cannot be names', async (t) => {
  for (const name of ['', 'a b', 'a;b', "a'b", 'a"b', '1a', '.a', 'a.', 'a..b', 'a-b', 'ä']) {
    t.throws(() => new ClientSettings().set(name, 'x'), ProtocolError, name)
  }
  for (const name of ['a', 'A', '_a1', 'my.setting', 'my.own.setting', 'a$b']) {
    t.doesNotThrow(() => new ClientSettings().set(name, 'x'), name)
  }
})

t.test('the fingerprint tells apart what gives a statement another meaning', async (t) => {
  t.equal(new ClientSettings().wanted.fingerprint, '')
  t.equal(wanting({ application_name: 'x', statement_timeout: '1' }).wanted.fingerprint, '')
  const one = wanting({ DateStyle: 'German', TimeZone: 'UTC' })
  t.equal(one.wanted.fingerprint, wanting({ timezone: 'UTC', datestyle: 'German' }).wanted.fingerprint, 'in any order')
  const before = one.wanted.fingerprint
  one.set('timezone', 'Asia/Tokyo')
  t.not(one.wanted.fingerprint, before)
})

t.test('what was wanted once stays what it was for who keeps it', async (t) => {
  const parameters = new ClientSettings()
  parameters.set('DateStyle', 'SQL, DMY')
  const { wanted } = parameters
  parameters.set('DateStyle', 'ISO, MDY')
  parameters.set('TimeZone', 'UTC')
  t.same([...wanted.values], [['datestyle', 'SQL, DMY']])
  t.equal(wanted.fingerprint, 'datestyle=SQL, DMY')
  parameters.unset('datestyle')
  t.same([...parameters.wanted.values], [['timezone', 'UTC']])
})

t.test('the fingerprint leaves out what neither parsing nor the planner’s constants depend on', async (t) => {
  for (const name of [
    'work_mem',
    'lock_timeout',
    'enable_seqscan',
    'random_page_cost',
    'jit',
    'geqo_seed',
    'log_statement',
  ]) {
    t.equal(wanting({ [name]: '1' }).wanted.fingerprint, '', name)
  }
  const kept = 'search_path role session_authorization intervalstyle lc_monetary client_encoding array_nulls xmloption'
  for (const name of `${kept} extra_float_digits bytea_output default_text_search_config unknown_to_us`.split(' ')) {
    t.not(wanting({ [name]: '1' }).wanted.fingerprint, '', name)
  }
})

t.test('a value is one string constant whatever is in it', async (t) => {
  t.equal(quoteLiteral('plain'), "'plain'")
  t.equal(quoteLiteral(''), "''")
  t.equal(quoteLiteral("'; drop table t; --"), "'''; drop table t; --'")
  t.equal(quoteLiteral("\\'; drop table t; --"), "E'\\\\''; drop table t; --'")
  t.equal(quoteLiteral('"$user", public'), '\'"$user", public\'')
  t.equal(quoteLiteral('a\0b'), "'ab'")
})

t.test('a value survives any client_encoding the server may still have', async (t) => {
  // As UTF-8 in GBK, the last byte of the euro sign would take a backslash behind it along.
  t.equal(quoteLiteral("€\\'x"), "E'\\U000020ac\\\\''x'")
  t.equal(quoteLiteral('José 🐘'), "E'Jos\\U000000e9 \\U0001f418'")
  for (const value of ['ä', '\u0080', '\uffff', '🐘', "'é\\"]) {
    const sql = quoteLiteral(value)
    t.notOk(
      [...sql].some((char) => char > '\x7f'),
      sql,
    )
  }
})

t.test('the options parameter', async (t) => {
  t.strictSame(parseOptions('-c a=b -cc=d --statement-timeout=5s'), [
    { name: 'a', value: 'b' },
    { name: 'c', value: 'd' },
    { name: 'statement_timeout', value: '5s' },
  ])
  t.strictSame(parseOptions('-c search_path=a\\ b\\\\c'), [{ name: 'search_path', value: 'a b\\c' }])
  t.strictSame(parseOptions('  '), [])
  t.strictSame(parseOptions('-c a='), [{ name: 'a', value: '' }])
  t.strictSame(parseOptions('-c a=b=c'), [{ name: 'a', value: 'b=c' }])
  for (const space of ['\u00a0', '\u0085', '\u1680', '\u2003', '\u2028', '\u3000', '\ufeff']) {
    const value = `b${space}--role=c`
    t.strictSame(parseOptions(`-c a=${value}`), [{ name: 'a', value }], 'no space to PostgreSQL, which ends a value')
  }
  t.strictSame(parseOptions('-c a=b\\'), [{ name: 'a', value: 'b' }], 'a backslash before nothing')
})

t.test('options that are not understood are named', async (t) => {
  t.throws(() => parseOptions('-d 5'), { name: 'ProtocolError', message: /-d/ })
  t.throws(() => parseOptions('-c'), ProtocolError)
  t.throws(() => parseOptions('-c a'), { message: /without a value.*a/ })
  t.throws(() => parseOptions('-c =b'), ProtocolError)
})

t.test('what may be remembered of values for all clients', async (t) => {
  t.ok(isMemorable('work_mem', '64MB'))
  t.notOk(isMemorable('default_text_search_config', 'english'), 'depends on the search_path')
  t.notOk(isMemorable('role', 'bob'))
  t.notOk(isMemorable('app.a', 'x'.repeat(201)), 'would take too much memory')
})

t.test('what can be given to another server', async (t) => {
  const utf8 = server({ client_encoding: 'UTF8', server_encoding: 'UTF8' })
  const latin1 = server({ client_encoding: 'LATIN1', server_encoding: 'UTF8' })
  t.ok(isReadable(utf8, 'ä'))
  t.ok(isReadable(latin1, 'a'))
  t.notOk(isReadable(latin1, 'ä'))
  t.notOk(isReadable(server({ client_encoding: 'UTF8', server_encoding: 'SQL_ASCII' }), 'ä'))
  const client = wanting({ search_path: 'a' })
  const changed = server({ ...Object.fromEntries(latin1.reported), search_path: 'ä' })
  t.ok(client.absorb(changed), 'what pgbun has set itself')
  t.equal(client.get('search_path'), 'a')
  t.notOk(client.absorb(changed, true), 'what the client has')
  client.forgetUnreadable()
  t.equal(client.get('search_path'), undefined)
})

t.test('the spelling of the server is that of the startup packet', async (t) => {
  const client = new ClientSettings()
  client.setStartup(new SettingValues(new Map([['client_encoding', 'latin1']])))
  client.absorb(server({ client_encoding: 'LATIN1' }, { client_encoding: 'UTF8' }))
  client.setStartup(new SettingValues(new Map([['client_encoding', 'LATIN1']])))
  t.strictSame([...client.startup], [['client_encoding', 'LATIN1']])
  client.set('client_encoding', 'UTF8')
  t.strictSame([...client.startup], [['client_encoding', 'LATIN1']])
})

t.test('a match holds until something changes on the server, or in what is wanted', async (t) => {
  const used = server({ ...defaults, TimeZone: 'Asia/Tokyo' }, defaults)
  const client = wanting({ timezone: 'Asia/Tokyo' })
  t.notOk(client.matches(used))
  client.noteMatch(used)
  t.ok(client.matches(used))
  t.ok(wanting({ timezone: 'Asia/Tokyo' }).matches(used), 'another client that wants the same')
  t.notOk(wanting({ timezone: 'UTC' }).matches(used))
  client.set('timezone', 'UTC')
  t.notOk(client.matches(used))
  client.set('timezone', 'Asia/Tokyo')
  const changes = {
    'a report': () => used.report('DateStyle', 'ISO, DMY'),
    'another default': () => used.defaultBecame('DateStyle', 'ISO, DMY'),
    'a parameter that does not show': () => used.wasSet('statement_timeout', '5s'),
    'one that shows': () => used.wasSet('timezone', 'Asia/Tokyo'),
    'one about to be set': () => used.doubt('statement_timeout'),
    'a reset': () => used.wereReset(),
    'a reset of nobody knows what': () => used.doubtAll(),
  }
  for (const [what, change] of Object.entries(changes)) {
    client.noteMatch(used)
    change()
    t.notOk(client.matches(used), what)
  }
})
