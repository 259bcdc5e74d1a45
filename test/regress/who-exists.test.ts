/**
 * auth_file and names that are not in it: the exchange showed which names exist, by the kind of request, by the
 * iterations of the secret, and by salts that changed with a restart.
 */
import { createHash, createHmac } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import t, { type Test } from 'tap'
import { frontend, parse } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { connectRaw, typesOf } from '../fixtures/raw-client.ts'

/** A verifier of a password nobody knows. */
function verifierOf(name: string, iterations: number, saltLength = 16): string {
  const key = (what: string): string => createHmac('sha256', name).update(what).digest('base64')
  const salt = createHash('sha512').update(name).digest().subarray(0, saltLength).toString('base64')
  return `SCRAM-SHA-256$${iterations}:${salt}$${key('stored')}:${key('server')}`
}

const ALICE = verifierOf('alice', 9000, 20)
const LISTS: Record<string, string> = {
  verifiers: `"alice" "${ALICE}"\n"bob" "${verifierOf('bob', 9000, 20)}"\n"carol" "${verifierOf('carol', 4096)}"\n`,
  passwords: '"alice" "secret"\n"bob" "other"\n',
}

t.test('names that exist and names that do not look alike', async (t) => {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'pgbun-names-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  const authFile = path.join(dir, 'users.txt')
  const args = (authType: string): string[] => ['--auth-type', authType, '--auth-file', authFile]
  // Nobody gets as far as to need a server.
  const start = (t: Test, authType: string) =>
    startPgbun(t, { target: { host: '127.0.0.1', port: 1 }, args: args(authType) })

  /** What is shown to `user` on its way to a refusal, without what is random, and the salt of its secret. */
  async function shown(t: Test, port: number, user: string): Promise<{ shape: string; salt: string }> {
    const client = await connectRaw(t, { port })
    client.send(frontend.startup({ user, database: 'postgres' }))
    const request = (await client.readMessage()).body
    const code = request.readInt32BE(0)
    let salt = ''
    let shape = `${code} ${code === 10 ? parse.strings(request.subarray(4)) : request.length}`
    if (code === 10) {
      client.send(frontend.saslInitial('SCRAM-SHA-256', 'n,,n=,r=abcdefghijklmnopqrstuvwx'))
      const challenge = (await client.readMessage()).body.toString('latin1', 4)
      const [, nonce = '', found = '', iterations] = /^r=([^,]+),s=([^,]+),i=(\d+)$/.exec(challenge) ?? []
      salt = found
      shape += ` ${nonce.length} ${Buffer.from(found, 'base64').length} ${iterations}`
      client.send(frontend.saslResponse(`c=biws,r=${nonce},p=${Buffer.alloc(32).toString('base64')}`))
    } else client.send(frontend.password('wrong'))
    const rest = await client.expectClosed()
    const { M, ...fields } = parse.fields(rest.at(-1)!.body)
    return { shape: `${shape} ${typesOf(rest)} ${JSON.stringify({ ...fields, M: M!.replace(user, 'USER') })}`, salt }
  }

  for (const [kind, list] of Object.entries(LISTS)) {
    for (const authType of ['plain', 'md5', 'scram-sha-256']) {
      await t.test(`${kind}, ${authType}`, async (t) => {
        writeFileSync(authFile, list, { mode: 0o600 })
        const salts: string[] = []
        for (const run of ['first', 'after a restart']) {
          const pgbun = await start(t, authType)
          const alice = await shown(t, pgbun.port, 'alice')
          const [nobody, somebody] = [await shown(t, pgbun.port, 'nobody'), await shown(t, pgbun.port, 'somebody')]
          t.equal(nobody.shape, alice.shape, run)
          t.equal(somebody.shape, alice.shape)
          if (alice.salt !== '') {
            t.equal(new Set([alice.salt, nobody.salt, somebody.salt]).size, 3)
            t.equal((await shown(t, pgbun.port, 'nobody')).salt, nobody.salt, 'the same each time')
          }
          salts.push(`${alice.salt} ${nobody.salt} ${somebody.salt}`)
          writeFileSync(authFile, `${list}"dora" "new"\n`, { mode: 0o600 })
          pgbun.signal('SIGHUP')
          await pgbun.waitForLog(/configuration reloaded/)
          t.equal((await shown(t, pgbun.port, 'nobody')).salt, nobody.salt, 'and after another user was added')
          await pgbun.stop()
        }
        t.equal(salts[1], salts[0], 'salts do not tell who exists, over a restart either')
      })
    }
  }

  await t.test('salts are made of scram_salt_secret where it is set', async (t) => {
    writeFileSync(authFile, LISTS.passwords!, { mode: 0o600 })
    const saltWith = async (secret: string): Promise<string> => {
      const env = { PGBUN_SCRAM_SALT_SECRET: secret }
      const pgbun = await startPgbun(t, { target: { host: '127.0.0.1', port: 1 }, args: args('scram-sha-256'), env })
      const { salt } = await shown(t, pgbun.port, 'nobody')
      t.notMatch(pgbun.logs(), /one secret|another/)
      await pgbun.stop()
      return salt
    }
    t.equal(await saltWith('one secret'), await saltWith('one secret'))
    t.not(await saltWith('one secret'), await saltWith('another'))
  })
})
