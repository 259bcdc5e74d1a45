/** The table of session state (lib/sql/state-kinds.ts): rows are whole, and samples and pages know each of them. */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { KEEP_STATEMENTS } from '../../lib/settings/reset.ts'
import { stateQuery } from '../../lib/settings/state-query.ts'
import { lastingState } from '../../lib/sql/lasting-state.ts'
import * as effects from '../../lib/sql/state-effects.ts'
import {
  createPinCounts,
  PIN_KIND_ROWS,
  type PinKind,
  STATE_KIND_ROWS,
  STATE_KINDS,
} from '../../lib/sql/state-kinds.ts'
import { rootDir } from '../fixtures/postgres.ts'
import { pinFeatures, sequenceFeatures } from '../fixtures/session-features.ts'
import { NOT_SAMPLED, STATE_SAMPLES } from '../fixtures/session-state.ts'
import { stateKinds } from '../fixtures/state-kinds.ts'

const { effectsOf } = effects
/** Kinds that few have use for: TRANSACTION-MODE.md has them. */
const RARE = new Set<PinKind>(['replicationSlot', 'other'])
const PIN_KINDS = PIN_KIND_ROWS.map(([kind]) => kind)
const page = (name: string): string => readFileSync(path.join(rootDir, name), 'utf8')
const sorted = (names: Iterable<string>): string[] => [...new Set(names)].sort()

t.test('each kind has a bit of its own, beside those of what else a statement does', async (t) => {
  const { DISCARD, NEXTVAL, EXECUTES, RESHAPES, KEEPS_BEFORE_18 } = effects
  const bits = [
    ...STATE_KIND_ROWS.map(([, { effect }]) => effect),
    DISCARD,
    NEXTVAL,
    EXECUTES,
    RESHAPES,
    KEEPS_BEFORE_18,
  ]
  t.equal(new Set(bits).size, bits.length)
  for (const bit of bits) t.equal(Math.log2(bit) % 1, 0, `${bit} is one bit`)
})

t.test('each word of a kind has a text suspected of it', async (t) => {
  for (const [kind, { words, calls = [], effect }] of STATE_KIND_ROWS) {
    t.not(words.length, 0, kind)
    for (const word of [...words, ...calls]) t.ok(effectsOf(`${word} x`) & effect, `${kind}: ${word}`)
  }
})

t.test('each kind can be asked about, or is kept in mind for good', async (t) => {
  for (const [kind, { effect, there, follows }] of STATE_KIND_ROWS) {
    const asked = stateQuery(effect, [], true)
    t.equal(asked.includes(`'pin', '${kind}'`), there !== undefined, kind)
    if (follows) t.not(asked, '', kind)
  }
})

t.test('the reset does away with each kind that can be', async (t) => {
  for (const [kind, { cleanedBy }] of STATE_KIND_ROWS) {
    for (const sql of cleanedBy)
      t.ok(sql === 'DISCARD ALL' || KEEP_STATEMENTS.split('; ').includes(sql), `${kind}: ${sql}`)
  }
  t.match(
    KEEP_STATEMENTS,
    /^SET SESSION AUTHORIZATION DEFAULT; RESET ROLE; RESET ALL; /,
    'who the session is goes first',
  )
})

t.test('each kind has a sample, of which its row is true', async (t) => {
  t.strictSame(sorted([...STATE_SAMPLES.map(({ kind }) => kind), ...Object.keys(NOT_SAMPLED)]), sorted(PIN_KINDS))
  t.strictSame(Object.keys(createPinCounts()), PIN_KINDS)
  for (const { kind, create, refused } of STATE_SAMPLES) {
    t.ok(effectsOf(create) & STATE_KINDS[kind].effect, `${create} is suspected`)
    t.match(lastingState(create), { kind, statement: refused })
  }
})

t.test('each kind is looked for in the next session', async (t) => {
  const looked = stateKinds.flatMap(({ kind }) => kind ?? [])
  t.strictSame(sorted([...looked, ...Object.keys(NOT_SAMPLED)]), sorted(Object.keys(STATE_KINDS)))
})

t.test('each kind has a row on the page about transaction mode', async (t) => {
  const features = [...pinFeatures, ...sequenceFeatures]
  const text = page('TRANSACTION-MODE.md')
  for (const { feature, kept } of features) t.ok(text.includes(`\n| ${feature} | ${kept} |\n`), feature)
  // Functions that keep something for themselves are listed below that table.
  t.strictSame(sorted(features.flatMap(({ kind }) => kind ?? [])), sorted(PIN_KINDS.filter((kind) => kind !== 'other')))
})

t.test('README.md names the kinds', async (t) => {
  const [, sentence = ''] =
    /\n- (Temporary tables[^.]*) keep the\s+client on its server connection/.exec(page('README.md')) ?? []
  for (const kind of PIN_KINDS) {
    if (RARE.has(kind)) continue
    const { label, words } = STATE_KINDS[kind]
    const names = [label, ...words]
    t.ok(
      names.some((name) => sentence.toLowerCase().includes(name.toLowerCase())),
      `${kind} in: ${sentence}`,
    )
  }
})
