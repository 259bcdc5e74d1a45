/** What SRV names stand for. */
import t from 'tap'
import { resolveConfig } from '../../../lib/config/load.ts'
import type { SrvRecord } from '../../../lib/net/resolve-srv.ts'
import { SrvNames } from '../../../lib/routing/srv-names.ts'

const NAME = '_postgresql._tcp.example.com'
const record = (host: string, priority = 0, weight = 0): SrvRecord => ({ host, port: 5433, priority, weight })

t.test('hosts by their priority, with their weights; what was found stays while nobody answers', async (t) => {
  const { config } = resolveConfig({ options: { serverHost: `db.example.com,${NAME}` } })
  const answers: (SrvRecord[] | Error)[] = [
    new Error('nobody answers'),
    new Error('nobody answers'),
    [record('b', 10), record('c', 0, 5), record('a', 0, 1)],
    [record('a', 0, 1), record('c', 0, 5), record('b', 10)],
    new Error('again'),
    [],
    [record('a', 0, 1)],
  ]
  const asked: string[] = []
  const names = new SrvNames(async (name) => {
    asked.push(name)
    const answer = answers.shift()!
    if (answer instanceof Error) throw answer
    return answer
  })
  const failed: string[] = []
  const refresh = async () =>
    names.use(await names.ask(config, (name, { message }) => failed.push(`${name}: ${message}`)))
  const written = [
    { host: 'db.example.com', port: 5432 },
    { host: NAME, port: 5432 },
  ]
  const listed = () =>
    names
      .expand(written, [2, 3])
      .map(({ address, priority, weight }) => `${address.host}:${address.port} ${priority} ${weight}`)

  t.notOk(await refresh())
  t.same(listed(), ['db.example.com:5432 0 2', `${NAME}:5432 0 3`], 'it stands for itself')
  await refresh()
  t.same(failed, [`${NAME}: nobody answers`], 'once')
  t.ok(await refresh())
  t.same(listed(), ['db.example.com:5432 0 2', 'a:5433 0 3', 'c:5433 0 15', 'b:5433 10 3'])
  t.notOk(await refresh(), 'the same in another order')
  t.notOk(await refresh())
  t.notOk(await refresh(), 'no records are no answer')
  t.equal(listed().length, 4)
  t.ok(await refresh())
  t.same(listed(), ['db.example.com:5432 0 2', 'a:5433 0 3'])
  t.same(new Set(asked), new Set([NAME]))
})
