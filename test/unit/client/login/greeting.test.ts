/** What clients are greeted with: the server's parameters, with each client's own values, remembered and yet current. */
import t from 'tap'
import { parameterMessages } from '../../../../lib/client/login/greeting.ts'
import { parameterStatus } from '../../../../lib/protocol/build.ts'
import { ClientSettings } from '../../../../lib/settings/client-settings.ts'
import { SettingValues } from '../../../../lib/settings/setting-values.ts'

const welcome = new Map([
  ['TimeZone', 'UTC'],
  ['application_name', ''],
])

function wanting(values: Record<string, string>): ClientSettings {
  const parameters = new ClientSettings()
  parameters.setStartup(new SettingValues(new Map(Object.entries(values))))
  return parameters
}

function messages(timeZone: string, application: string): Buffer {
  return Buffer.concat([parameterStatus('TimeZone', timeZone), parameterStatus('application_name', application)])
}

t.test('each client sees its own values, however often others were greeted', async (t) => {
  for (let round = 0; round < 2; round++) {
    t.strictSame(parameterMessages(welcome, wanting({})), messages('UTC', ''))
    t.strictSame(parameterMessages(welcome, wanting({ application_name: 'a' })), messages('UTC', 'a'))
    t.strictSame(parameterMessages(welcome, wanting({ timezone: 'a' })), messages('a', ''))
    t.strictSame(parameterMessages(welcome, wanting({ statement_timeout: '5s' })), messages('UTC', ''))
    const both = wanting({ application_name: 'b', timezone: 'Asia/Tokyo' })
    t.strictSame(parameterMessages(welcome, both), messages('Asia/Tokyo', 'b'))
  }
})

t.test('the same greeting is built once, one with long values is not kept', async (t) => {
  const greet = (value: string) => parameterMessages(welcome, wanting({ application_name: value }))
  t.equal(greet('same'), greet('same'))
  const long = 'x'.repeat(1000)
  t.not(greet(long), greet(long))
  t.strictSame(greet(long), greet(long))
})

t.test('another welcome, another greeting', async (t) => {
  const next = new Map(welcome).set('TimeZone', 'Asia/Tokyo')
  t.strictSame(parameterMessages(next, wanting({})), messages('Asia/Tokyo', ''))
})
