/**
 * pgbench in its three protocols: a script in which each query selects its own tag and the script ends with an error
 * where the answer is another one; pipelines where the protocol has them; TPC-B, after which the books must balance.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { commandPath } from './command-path.ts'
import { testRow } from './lab.ts'
import { runProgram } from './run-program.ts'
import { emptyOutcome, type Load, type Outcome, type Target } from './scenario.ts'

const pgbench = commandPath('pgbench')

// Division by zero ends pgbench, so a mix-up can not pass unseen.
const compare = '\\if :got <> :tag or :client <> :client_id\nselect 1 / 0 as mix_up;\n\\endif'
const tagged = Array.from(
  { length: 5 },
  (_, n) => `\\set tag random(1, 1000000000)\nselect :tag as got, :client_id as client, ${n} as n \\gset\n${compare}`,
).join('\n')

const transaction = `begin;
select set_config('app.tenant', (:client_id)::text, true) as tenant \\gset
${tagged}
select current_setting('app.tenant')::int as client \\gset
\\if :client <> :client_id
select 1 / 0 as mix_up;
\\endif
end;`

const piped = `\\startpipeline
${Array.from({ length: 5 }, (_, n) => `select :client_id as client, ${n} as n;`).join('\n')}
\\endpipeline
${tagged}`

const books = `select sum(abalance) = (select sum(delta) from pgbench_history)
    and sum(abalance) = (select sum(tbalance) from pgbench_tellers)
    and sum(abalance) = (select sum(bbalance) from pgbench_branches) as balanced from pgbench_accounts \\gset
\\if :balanced
\\else
select 1 / 0 as unbalanced;
\\endif`

async function run(target: Target, { workers, rounds }: Load): Promise<Outcome> {
  const outcome = emptyOutcome()
  const dir = mkdtempSync(path.join(os.tmpdir(), 'pgbun-pgbench-'))
  const env = { PGPASSWORD: target.password }
  const to = ['-h', target.host, '-p', String(target.port), '-U', target.user]
  const bench = (...args: string[]) => runProgram(pgbench!, [...to, ...args, target.database], { env })
  const script = (name: string, text: string): string => {
    const file = path.join(dir, `${name}.sql`)
    writeFileSync(file, `${text}\n`)
    return file
  }

  /** pgbench counts what it did itself; every transaction it was told to do must have been done. */
  async function processed(protocol: string, perTransaction: number, ...args: string[]): Promise<void> {
    const each = rounds * 4
    const clients = String(workers)
    // A thread each: pgbench waits for a Parse with the whole thread, which then serves none of its other clients, and
    // with one thread those are in transactions on both servers.
    const output = await bench('-n', '-M', protocol, '-c', clients, '-j', clients, '-t', String(each), ...args)
    const count = Number(/actually processed: (\d+)\//.exec(output)?.[1])
    if (count !== workers * each) outcome.mixUps.push(`pgbench -M ${protocol} ${args}: ${count} of ${workers * each}`)
    outcome.queries += count * perTransaction
  }

  try {
    await bench('-i', '-q', '-s', '1')
    const [taggedFile, transactionFile] = [script('tagged', tagged), script('transaction', transaction)]
    for (const protocol of ['simple', 'extended', 'prepared']) {
      await processed(protocol, 5, '-f', taggedFile)
      await processed(protocol, 9, '-f', transactionFile)
      await processed(protocol, 7, '-b', 'tpcb-like')
      if (protocol !== 'simple') await processed(protocol, 10, '-f', script('piped', piped))
    }
    await bench('-n', '-c', '1', '-t', '1', '-f', script('books', books))
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
  outcome.steps.push('queries', 'prepared', 'pipeline', 'transactions', 'settings', 'copy')
  return outcome
}

testRow({ driver: 'pgbench', version: 'as installed', run, missing: pgbench ? undefined : 'no pgbench in PATH' })
