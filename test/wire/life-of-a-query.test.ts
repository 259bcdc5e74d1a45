/** The way of a query that lib/README.md describes is the one that `select 1` takes: measured by what runs. */
import { readFileSync } from 'node:fs'
import { Session } from 'node:inspector/promises'
import path from 'node:path'
import t from 'tap'
import { rootDir } from '../fixtures/postgres.ts'
import { startLab } from './lab.ts'

/** Files of lib/ of which functions run during `work`. */
async function filesOf(work: () => Promise<unknown>): Promise<Set<string>> {
  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false })
  // What has run so far is not asked for again.
  await session.post('Profiler.takePreciseCoverage')
  await work()
  const { result } = await session.post('Profiler.takePreciseCoverage')
  session.disconnect()
  const ran = result.filter(({ functions }) =>
    functions.some(({ functionName, ranges }) => functionName !== '' && ranges[0]!.count > 0),
  )
  return new Set(ran.flatMap(({ url }) => /\/lib\/(.*\.ts)$/.exec(url)?.[1] ?? []))
}

/** Runs at each sweep, and never otherwise. */
const SWEPT = 'daemon/crowd.ts'

t.test('select 1 in transaction mode', async (t) => {
  const lab = await startLab(t, { poolSize: 1 })
  // Where there is a second client, somebody may be sent behind the first; and a text that was the last one is not read again.
  const [client] = [await lab.client(), await lab.client()]
  let number = 0
  const select = (): Promise<unknown> => client.query(`select ${number++}`)
  for (let i = 0; i < 3; i++) await select()
  // What the janitor's sweep does meanwhile is no part of the way: it does not come with each of them.
  let ran = await filesOf(select)
  for (let i = 0; i < 5 || ran.has(SWEPT); i++) {
    const again = await filesOf(select)
    ran = new Set([...ran].filter((file) => again.has(file)))
  }
  const [way = '', asked = ''] = readFileSync(path.join(rootDir, 'lib/README.md'), 'utf8')
    .split('**Before the first query**')[0]!
    .split('<!--')
  const stops = [...way.matchAll(/^\d+\. .*?\]\(([^)]+\.ts)\)/gms)].map(([, file]) => file!)
  const linked = new Set([...way.matchAll(/\]\(([^)]+\.ts)\)/g)].map(([, file]) => file!))
  const named = new Set([...asked.matchAll(/`([\w/-]+\.ts)`/g)].map(([, file]) => file!))
  t.ok(stops.length >= 15 && stops.length <= 20, `${stops.length} stops`)
  for (const stop of stops) t.ok(ran.has(stop), `${stop} is on the way`)
  const unknown = [...ran].filter((file) => !linked.has(file) && !named.has(file) && !file.startsWith('util/'))
  t.same(unknown, [], 'lib/README.md names all that runs')
  for (const file of named) t.ok(ran.has(file), `${file} is asked`)
})
