/**
 * Startup packets that ask for more than their user may have: roles, superusers' parameters, another user, the same
 * parameter twice. They get what they get on a direct connection, and no value is applied with greater rights.
 */
import t, { type Test } from 'tap'
import { cstring, frontend, int32, type Message, untyped } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { type Address, connectRaw, errorOf, rowsOf } from '../fixtures/raw-client.ts'

type Pairs = [name: string, value: string][]

const NAMES = [
  'role',
  'is_superuser',
  'log_statement',
  'session_replication_role',
  'application_name',
  'a.b',
  'work_mem',
]
const STATE = `SELECT current_user, session_user, current_database(), ${NAMES.map((name) => `NULLIF(current_setting('${name}', true), '')`)}`

const as = (user: string, ...more: Pairs): Pairs => [['user', user], ['database', 'postgres'], ...more]
const options = (...settings: string[]): [string, string] => ['options', settings.map((text) => `-c ${text}`).join(' ')]

const CASES: Record<string, Pairs> = {
  'nothing special': as('alice'),
  'a library to be loaded': as('alice', options('session_preload_libraries=auto_explain')),
  'the same, not in options': as('alice', ['session_preload_libraries', 'auto_explain']),
  'a role of which it is a member': as('alice', options('role=staff')),
  'the role, not in options': as('alice', ['role', 'staff']),
  'a role of which it is none': as('alice', options('role=postgres')),
  'none of which it is one': as('alice', ['role', 'none']),
  'a role that is not there': as('alice', ['role', 'nobody']),
  'a superuser of which it is a member': as('alice', ['role', 'boss']),
  'and what only superusers set': as('alice', ['role', 'boss'], ['log_statement', 'all']),
  'the other way round': as('alice', ['log_statement', 'all'], ['role', 'boss']),
  'in options': as('alice', options('role=boss', 'log_statement=all')),
  'another user': as('alice', options('session_authorization=postgres')),
  'another user, not in options': as('alice', ['session_authorization', 'postgres']),
  'another user of which it is a member': as('alice', ['session_authorization', 'staff']),
  'no such user': as('alice', ['session_authorization', 'nobody']),
  'a superuser as another user': as('postgres', ['session_authorization', 'alice']),
  'a superuser as another user, in options': as('postgres', options('session_authorization=alice')),
  'a superuser as another role': as('postgres', ['role', 'alice']),
  'as another role, with what only superusers set': as('postgres', ['role', 'alice'], ['log_statement', 'all']),
  'with what only superusers set, as another role': as('postgres', ['log_statement', 'all'], ['role', 'alice']),
  log_statement: as('alice', ['log_statement', 'all']),
  'log_statement in options': as('alice', options('log_statement=all')),
  'log_statement in another spelling': as('alice', ['LOG_Statement', 'all']),
  'with dashes': as('alice', ['options', '--log-statement=all']),
  'its default': as('alice', ['log_statement', 'none']),
  'of a superuser': as('postgres', ['log_statement', 'all']),
  'triggers off': as('alice', options('session_replication_role=replica')),
  'triggers off, a superuser': as('postgres', options('session_replication_role=replica')),
  'a fact': as('alice', ['is_superuser', 'on']),
  'another fact': as('alice', options('server_version=1')),
  'what the file sets': as('alice', ['shared_buffers', '1GB']),
  'what a reload sets': as('alice', ['log_min_messages', 'panic']),
  'what needs SIGHUP': as('alice', ['hba_file', '/tmp/x']),
  'what is not there': as('alice', ['no_such_parameter', '1']),
  'of an application': as('alice', ['a.b', 'c']),
  'a value that is none': as('alice', ['work_mem', 'much']),
  'the user twice, a superuser last': as('alice', ['user', 'postgres']),
  'the user twice, a superuser first': as('postgres', ['user', 'alice']),
  'the database twice': as('alice', ['database', 'template1']),
  'no database': [['user', 'alice']],
  'an empty database': [
    ['user', 'postgres'],
    ['database', ''],
  ],
  'an empty user': [['user', '']],
  'no user': [['database', 'postgres']],
  'a parameter twice': as('alice', ['application_name', 'one'], ['application_name', 'two']),
  'a parameter twice in options': as('alice', options('work_mem=1MB', 'work_mem=2MB')),
  'a space that is none to PostgreSQL, and an option behind it': as('alice', options('a.b=x\u00a0--work_mem=2MB')),
  'a byte order mark at the end of a value': as('alice', options('a.b=x\ufeff')),
  'a backslash at the end': as('alice', options('a.b=x\\')),
  'options twice': as('alice', options('work_mem=1MB'), options('a.b=x')),
  'options, then the parameter': as('alice', options('work_mem=1MB'), ['work_mem', '2MB']),
  'the parameter, then options': as('alice', ['work_mem', '2MB'], options('work_mem=1MB')),
  'role twice': as('alice', ['role', 'boss'], ['role', 'staff']),
  'role in another spelling': as('alice', ['ROLE', 'postgres']),
  'a zero byte in a value': as('alice', ['application_name', 'a\0log_statement\0all']),
  'a zero byte before a privileged value': as('alice', ['application_name', 'a\0role\0postgres']),
}

/** What is behind the pairs of a packet. */
const ENDS: Record<string, Buffer> = {
  'no terminator': Buffer.alloc(0),
  'something behind the terminator': Buffer.concat([
    Buffer.alloc(1),
    cstring('user'),
    cstring('postgres'),
    Buffer.alloc(1),
  ]),
  'a name without a value': Buffer.concat([cstring('role'), Buffer.alloc(1)]),
}

/** What a packet gets: PostgreSQL's words, or the session it makes. */
async function outcome(t: Test, address: Address, pairs: Pairs, end: Buffer = Buffer.alloc(1)): Promise<string> {
  const client = await connectRaw(t, address)
  const body = pairs.map(([name, value]) => Buffer.concat([cstring(name), cstring(value)]))
  client.send(untyped(int32(0x30000), ...body, end))
  try {
    for (;;) {
      const message = await client.readMessage()
      if (message.type === 'E') {
        const { S, C, M } = errorOf([message])
        return `${S} ${C} ${M}`
      }
      if (message.type === 'Z') break
    }
    client.send(frontend.query(STATE))
    const answer: Message[] = []
    do answer.push(await client.readMessage())
    while (!['E', 'Z'].includes(answer.at(-1)!.type))
    return JSON.stringify(errorOf(answer).M ?? rowsOf(answer))
  } catch (error) {
    return String(error)
  } finally {
    client.destroy()
  }
}

t.test('startup packets', async (t) => {
  const target = await startPostgres(t, {
    hba: ['host all all 127.0.0.1/32 trust', 'local all all trust'],
    bootstrapSql: [
      'CREATE ROLE alice LOGIN',
      'CREATE ROLE staff',
      'CREATE ROLE boss SUPERUSER',
      'GRANT staff, boss TO alice',
      'CREATE DATABASE alice',
    ],
  })
  for (const mode of ['session', 'transaction'] as const) {
    for (const authType of ['passthrough', 'trust']) {
      await t.test(`${mode}, ${authType}`, async (t) => {
        const args = ['--auth-type', authType]
        const pgbun = await startPgbun(t, { target, poolMode: mode, args })
        // Twice: what was accepted once is not asked for again.
        for (const time of ['first', 'again']) {
          for (const [what, pairs] of Object.entries(CASES)) {
            t.equal(await outcome(t, pgbun, pairs), await outcome(t, target, pairs), `${what}, ${time}`)
          }
        }
        for (const [what, end] of Object.entries(ENDS)) {
          t.equal(await outcome(t, pgbun, as('alice'), end), await outcome(t, target, as('alice'), end), what)
        }
        const clean = await outcome(t, pgbun, as('alice'))
        t.equal(clean, await outcome(t, target, as('alice')), 'and nothing of it is left')
        t.equal(await outcome(t, pgbun, as('postgres')), await outcome(t, target, as('postgres')))
      })
    }
  }
})
