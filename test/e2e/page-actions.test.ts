/** What an admin has done by HTTP and by the buttons of the live page, and who cannot. */
import http from 'node:http'
import path from 'node:path'
import t from 'tap'
import type { Snapshot } from '../../lib/observe/snapshot.ts'
import { noChromium, openPage } from '../fixtures/browser.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { waitFor } from '../fixtures/wait.ts'

const BOSS = `Basic ${Buffer.from('boss:of-the-tests').toString('base64')}`
const WRONG = `Basic ${Buffer.from('boss:guessed').toString('base64')}`
const EYE = `Basic ${Buffer.from('eye:sees-all').toString('base64')}`

interface Reply {
  status: number
  headers: http.IncomingHttpHeaders
  body: string
}

function request(url: string, method: string, headers: http.OutgoingHttpHeaders, body = ''): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const sent = http.request(url, { method, agent: false, headers }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part) => (text += part))
      response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, body: text }))
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

t.test('actions', async (t) => {
  const server = await startPostgres(t)
  const dir = t.testdir({ 'userlist.txt': '"boss" "of-the-tests"\n"eye" "sees-all"\n"postgres" "postgres"\n' })
  const file = path.join(dir, 'userlist.txt')
  const args = ['--http-listen', '0', '--auth-file', file, '--admin-users', 'boss', '--stats-users', 'eye']
  const pgbun = await startPgbun(t, {
    target: server,
    poolMode: 'transaction',
    args,
  })
  const [, url] = await pgbun.waitForLog(/metrics and health at (\S+)/)
  const { database } = pgbun
  const allowed = { authorization: BOSS, 'x-pgbun-action': '1', 'content-type': 'application/json' }
  const act = (value: unknown, headers: http.OutgoingHttpHeaders = {}): Promise<Reply> =>
    request(`${url}/api/control`, 'POST', { ...allowed, ...headers }, JSON.stringify(value))
  const snapshot = async (): Promise<Snapshot> => JSON.parse((await request(`${url}/api/snapshot`, 'GET', {})).body)
  const paused = async () => (await snapshot()).databases.find(({ name }) => name === database)?.paused
  const client = await pgbun.connect()
  await client.query('select 1')

  await t.test('who cannot, and what is no request', async (t) => {
    const pause = { action: 'pause', database }
    t.equal((await act(pause, { authorization: '' })).status, 403, 'who may look only')
    t.equal((await act(pause, { authorization: EYE })).status, 403, 'one of stats_users')
    t.equal((await act(pause, { authorization: WRONG })).status, 401)
    t.equal((await act(pause, { 'x-pgbun-action': '' })).status, 403, 'a form has no such header')
    t.equal((await act(pause, { 'content-type': 'text/plain' })).status, 403, 'a form can send this type')
    t.equal((await act(pause, { origin: 'https://evil.example.com' })).status, 403)
    t.equal((await act(pause, { origin: 'null' })).status, 403)
    t.equal((await act(pause, { 'sec-fetch-site': 'cross-site' })).status, 403)
    t.equal((await request(`${url}/api/control`, 'GET', allowed)).status, 405)
    t.equal((await request(`${url}/api/control`, 'OPTIONS', allowed)).status, 405, 'no other site is given leave')
    t.equal((await act({ action: 'pause' })).status, 400, 'all databases are paused by saying so alone')
    t.equal((await act({ action: 'shutdown', database: null })).status, 400)
    t.equal((await act({ action: 'cancel', client: '1; x' })).status, 400)
    t.equal((await act([])).status, 400)
    t.equal((await act({ action: 'pause', database: 'x'.repeat(5000) })).status, 413)
    t.match(await act({ action: 'pause', database: 'pgbouncer' }), { status: 409, body: /cannot pause admin db/ })
    t.match(await act({ action: 'disconnect', client: 999_999 }), { status: 409, body: /client not found/ })
    t.match(await act({ action: 'cancel', client: 999_999 }), { status: 409, body: /client not found/ })
    t.equal(await paused(), false)
    t.equal((await client.query('select 2 as two')).rows[0].two, 2)
  })

  await t.test('pause and resume', async (t) => {
    t.match(await act({ action: 'pause', database }), { status: 200, body: '{"done":"pause"}\n' })
    t.equal(await paused(), true)
    const waiting = client.query('select 3 as three')
    await waitFor(async () => (await snapshot()).pools.some(({ waiting }) => waiting === 1))
    t.match(await act({ action: 'resume', database }), { status: 200 })
    t.equal((await waiting).rows[0].three, 3)
    t.match(await act({ action: 'resume', database }), { status: 409, body: /is not paused/ })
    t.match(pgbun.logs(), /HTTP: pause.*database=/)
  })

  await t.test('a pause that takes long is not taken back when its visitor leaves', async (t) => {
    await client.query('begin')
    t.match(await act({ action: 'pause', database }), { status: 202, body: /transactions under way/ })
    t.equal(await paused(), true)
    await client.query('commit')
    t.match(await act({ action: 'resume', database }), { status: 200 })
  })

  await t.test('reconnect, cancel, disconnect', async (t) => {
    const pidOf = async () => (await client.query('select pg_backend_pid() as pid')).rows[0].pid
    const before = await pidOf()
    t.match(await act({ action: 'reconnect', database }), { status: 200 })
    await waitFor(async () => (await pidOf()) !== before, { what: 'another server' })
    const { id } = (await snapshot()).clients[0]!
    const sleeping = client.query('select pg_sleep(600)').catch((error: Error) => error)
    await waitFor(async () => (await snapshot()).clients[0]!.running)
    t.match(await act({ action: 'cancel', client: id }), { status: 200 })
    t.match(await sleeping, { code: '57014' })
    t.match(await act({ action: 'disconnect', client: id }), { status: 200 })
    await waitFor(async () => (await snapshot()).clients.length === 0)
  })

  await t.test('the configuration is for admins, says where it is from, and keeps secrets', async (t) => {
    t.equal((await request(`${url}/api/config`, 'GET', { authorization: EYE })).status, 403)
    const { body } = await request(`${url}/api/config`, 'GET', { authorization: BOSS })
    const options = JSON.parse(body) as { name: string; value: string; source: string }[]
    const of = (name: string) => options.find((option) => option.name === name)
    t.match(of('pool_mode'), { value: 'transaction', source: 'command line --pool-mode' })
    t.match(of('pool_size'), { source: 'default' })
    t.notMatch(body, /of-the-tests/)
  })

  await t.test('the page asks first', { skip: noChromium }, async (t) => {
    const anonymous = await request(`${url}/login`, 'GET', { authorization: EYE })
    t.match(anonymous, { status: 401, headers: { 'www-authenticate': /^Basic/ } })
    t.match(await request(`${url}/login`, 'GET', { authorization: BOSS }), { status: 303, headers: { location: './' } })
    const httpCredentials = { username: 'boss', password: 'of-the-tests' }
    const { page, complaints } = await openPage(t, `${url}/login`, { httpCredentials })
    const asked = page.locator('dialog[open]')
    const done = page.locator('#done')
    await page.click('nav a[href="#pools"]')
    await page.selectOption('select[aria-label="Database to act on"]', database)
    await page.click('text=Pause…')
    t.match(await asked.textContent(), new RegExp(`Pause ${database}\\?Clients wait`))
    if (process.env.PGBUN_TEST_PICTURES)
      await page.screenshot({ path: `${process.env.PGBUN_TEST_PICTURES}/question.png` })
    await page.keyboard.press('Enter')
    await asked.waitFor({ state: 'hidden' })
    t.equal(await paused(), false, 'a key that was meant for something else leaves it')
    await page.click('text=Pause…')
    await page.click('dialog button.sure')
    await waitFor(async () => (await done.textContent()) === 'pause: done')
    t.equal(await paused(), true)
    await page.click('text=Resume…')
    await page.click('dialog button.sure')
    await waitFor(async () => (await done.textContent()) === 'resume: done')
    t.equal(await paused(), false)

    const victim = await pgbun.connect({ application_name: 'victim' })
    await victim.query('begin')
    await page.click('nav a[href="#clients"]')
    await page.click('[aria-label="Clients"] .rows button:text("Disconnect…")')
    t.match(await asked.textContent(), /Disconnect client \d+\?/)
    await page.click('dialog button.sure')
    await waitFor(async () => (await snapshot()).clients.length === 0)
    await page.click('nav a[href="#settings"]')
    await page.locator('[aria-label="Configuration"] .rows [role=row]').first().waitFor()
    t.same(complaints, [])
  })
})
