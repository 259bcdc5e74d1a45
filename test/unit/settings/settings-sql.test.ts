/** The statements that give a server a client's settings. */
import t from 'tap'
import { ClientSettings } from '../../../lib/settings/client-settings.ts'
import { ServerSettings } from '../../../lib/settings/server-settings.ts'
import { freshSettingsSql, settingsSql, withIdentity } from '../../../lib/settings/settings-sql.ts'

const set = (name: string, value: string): string => `pg_catalog.set_config('${name}', '${value}', false)`

function server(applied: Record<string, string>, user = 'alice'): ServerSettings {
  const settings = new ServerSettings(new Map([['session_authorization', 'alice']]))
  settings.report('session_authorization', user)
  for (const [name, value] of Object.entries(applied)) settings.wasSet(name, value)
  return settings
}

t.test('one statement sets, others reset', async (t) => {
  t.equal(
    settingsSql([
      { name: 'timezone', value: 'Asia/Tokyo' },
      { name: 'my.other', value: undefined },
      { name: 'statement_timeout', value: undefined },
      { name: 'my.setting', value: "it's" },
    ]),
    'RESET "statement_timeout"; RESET "my"."other"; ' +
      `SELECT ${set('timezone', 'Asia/Tokyo')}, ${set('my.setting', "it''s")}`,
  )
  t.equal(settingsSql([{ name: 'a', value: undefined }]), 'RESET "a"')
})

t.test('nothing is set under a role that may not', async (t) => {
  const role = { name: 'role', value: undefined }
  t.equal(settingsSql([role]), 'RESET "role"')
  t.equal(
    settingsSql([{ name: 'temp_file_limit', value: undefined }, role]),
    'SET ROLE NONE; RESET "temp_file_limit"; RESET "role"',
  )
  t.equal(
    settingsSql([
      { name: 'role', value: 'bob' },
      { name: 'session_authorization', value: 'carol' },
      { name: 'lock_timeout', value: '1s' },
      { name: 'a', value: 'b' },
    ]),
    `RESET "session_authorization"; SET ROLE NONE; SELECT ${set('a', 'b')}, ${set('lock_timeout', '1s')}, ` +
      `${set('session_authorization', 'carol')}, ${set('role', 'bob')}`,
  )
})

t.test('role and user are set anew with what depends on them', async (t) => {
  const client = new ClientSettings()
  client.set('role', 'bob')
  const settings = [{ name: 'a', value: 'b' }]
  t.equal(withIdentity(settings, client, server({})), settings)
  t.strictSame(withIdentity(settings, client, server({ role: 'bob' })), [...settings, { name: 'role', value: 'bob' }])
  t.strictSame(withIdentity(settings, client, server({}, 'carol')), [
    ...settings,
    { name: 'session_authorization', value: undefined },
    { name: 'role', value: 'bob' },
  ])
})

t.test('everything, the role first', async (t) => {
  t.equal(
    freshSettingsSql([
      { name: 'a', value: 'b' },
      { name: 'role', value: 'bob' },
    ]),
    `RESET "session_authorization"; RESET "role"; RESET ALL; SELECT ${set('role', 'bob')}, ${set('a', 'b')}`,
  )
  t.equal(freshSettingsSql([]), 'RESET "session_authorization"; RESET "role"; RESET ALL')
})

t.test('texts that were written before', async (t) => {
  const texts = new Map<string, string>()
  const cases: Record<string, [string, string | undefined][]> = {
    set: [['work_mem', '1MB']],
    'set to nothing': [['work_mem', '']],
    reset: [['work_mem', undefined]],
    two: [
      ['a', 'b'],
      ['c', 'd'],
    ],
    'one that looks like two': [['a', 'b=c']],
    'the other way round': [
      ['c', 'd'],
      ['a', 'b'],
    ],
    'of an application': [['app.tenant', '7']],
    long: [['search_path', 'x'.repeat(2000)]],
  }
  for (let round = 0; round < 2; round++) {
    for (const [what, pairs] of Object.entries(cases)) {
      const sql = settingsSql(pairs.map(([name, value]) => ({ name, value })))
      t.equal(sql, texts.get(what) ?? sql, what)
      texts.set(what, sql)
    }
  }
  t.equal(new Set(texts.values()).size, texts.size)
  t.match(texts.get('set to nothing'), set('work_mem', ''))
  t.match(texts.get('reset'), 'RESET "work_mem"')
})
