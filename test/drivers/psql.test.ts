/**
 * psql, several at once, each with a script in which every query selects its own tag; what it prints must be the tags in
 * their order. Meta commands (`\copy`, `\gset`, `\d`), FETCH_COUNT, LISTEN as psql shows it, PREPARE and EXECUTE.
 */
import { commandPath } from './command-path.ts'
import { testRow } from './lab.ts'
import { runProgram } from './run-program.ts'
import { emptyOutcome, type Load, type LoadStep, type Outcome, type Target, Work } from './scenario.ts'

const psql = commandPath('psql')

/** A piece of a script: what goes in, and the lines that must come out. */
interface Piece {
  lines: string[]
  prints: string[]
}

const pieces: Partial<Record<LoadStep, (work: Work) => Piece>> = {
  queries(work) {
    const tags = Array.from({ length: 8 }, () => work.tag())
    return {
      lines: [
        ...tags.map((tag) => `select '${tag}' as tag;`),
        // Two queries in one message, and a result of psql's own queries about the catalogue.
        `select '${tags[0]}' \\; select '${tags[1]}';`,
        `select '${tags[2]}' as kept \\gset`,
        '\\echo :kept',
        '\\dt ledger',
      ],
      prints: [...tags, tags[0]!, tags[1]!, tags[2]!, 'public|ledger|table|app'],
    }
  },
  prepared(work) {
    const [first, second] = [work.tag(), work.tag()]
    return {
      lines: [
        'prepare tagged (text) as select $1 as tag;',
        `execute tagged('${first}');`,
        `execute tagged('${second}');`,
        'deallocate tagged;',
      ],
      prints: [first, second],
    }
  },
  transactions(work) {
    const [kept, undone] = [work.tag(), work.tag()]
    work.outcome.committed.push(kept)
    return {
      lines: [
        'begin;',
        `insert into ledger values ('${kept}') returning tag;`,
        'commit;',
        'begin;',
        `insert into ledger values ('${undone}') returning tag;`,
        '\\set ON_ERROR_STOP off',
        'select 1 / 0;',
        'select 1;',
        '\\echo :LAST_ERROR_SQLSTATE',
        '\\set ON_ERROR_STOP on',
        'rollback;',
        `select count(*) from ledger where tag = '${undone}';`,
      ],
      prints: [kept, undone, '25P02', '0'],
    }
  },
  settings(work) {
    const tenant = work.tag()
    return {
      lines: [`set app.tenant = '${tenant}';`, 'show app.tenant;', 'select 1;', 'show app.tenant;'],
      prints: [tenant, '1', tenant],
    }
  },
  stream(work) {
    const tag = work.tag()
    return {
      lines: [
        '\\set FETCH_COUNT 20',
        `select '${tag}-' || g from generate_series(1, 100) as g;`,
        '\\set FETCH_COUNT 0',
        'begin;',
        `declare here cursor with hold for select '${tag}-' || g from generate_series(1, 100) as g;`,
        'commit;',
        'fetch 2 from here;',
        'fetch 1 from here;',
        'close here;',
      ],
      prints: [...Array.from({ length: 100 }, (_, n) => `${tag}-${n + 1}`), ...[1, 2, 3].map((n) => `${tag}-${n}`)],
    }
  },
  copy(work) {
    const tag = work.tag()
    const rows = Array.from({ length: 50 }, (_, n) => `${tag}\t${n}`)
    return {
      lines: [
        'copy copied (tag, n) from stdin;',
        ...rows,
        '\\.',
        `\\copy (select tag, n from copied where tag = '${tag}' order by n) to stdout`,
      ],
      prints: rows,
    }
  },
  listen(work) {
    const [channel, tag] = [work.tag(), work.tag()]
    return {
      lines: [`listen ${channel};`, `notify ${channel}, '${tag}';`, `unlisten ${channel};`],
      prints: [`Asynchronous notification "${channel}" with payload "${tag}" received from server process.`],
    }
  },
  temporary(work) {
    const tag = work.tag()
    return {
      lines: [
        'create temporary table scratch (tag text);',
        `insert into scratch values ('${tag}');`,
        'select tag from scratch;',
        'drop table scratch;',
      ],
      prints: [tag],
    }
  },
  locks(work) {
    work.outcome.increments++
    return {
      lines: [
        'select pg_advisory_lock(7) as locked \\gset',
        'select n as before from counter \\gset',
        'update counter set n = :before + 1;',
        'select pg_advisory_unlock(7);',
      ],
      prints: ['t'],
    }
  },
}

async function run(target: Target, { workers, rounds }: Load): Promise<Outcome> {
  const outcome = emptyOutcome()
  const names = Object.keys(pieces) as LoadStep[]
  await Promise.all(
    Array.from({ length: workers }, async (_, i) => {
      const work = new Work(target.database, i, outcome)
      const script = Array.from({ length: rounds }, () =>
        names.map((_, at) => pieces[names[(i + at) % names.length]!]!(work)),
      ).flat()
      const input = script.flatMap(({ lines }) => lines).join('\n')
      const output = await runProgram(psql!, ['-X', '-A', '-t', '-q', '-v', 'ON_ERROR_STOP=1', '-d', target.url], {
        input,
      })
      const printed = output
        .split('\n')
        .map((line) => line.replace(/ process with PID \d+/, ' process'))
        .filter((line) => line !== '')
      const wanted = script.flatMap(({ prints }) => prints)
      work.doing = `psql ${i}`
      for (let at = 0; at < Math.max(wanted.length, printed.length); at++) work.check(wanted[at], printed[at])
    }),
  )
  outcome.steps.push(...names)
  return outcome
}

testRow({ driver: 'psql', version: 'as installed', run, missing: psql ? undefined : 'no psql in PATH' })
