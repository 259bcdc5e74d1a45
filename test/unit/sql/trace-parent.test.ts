import t from 'tap'
import { traceParentOf } from '../../../lib/sql/trace-parent.ts'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const SPAN = 'b7ad6b7169203331'
const parent = (flags = '01', version = '00'): string => `${version}-${TRACE}-${SPAN}-${flags}`
const COMMENT = `/*traceparent='${parent()}'*/`
const found = { traceId: TRACE, spanId: SPAN, state: '' }
const read = (text: string) => traceParentOf(Buffer.from(text))

t.test('a comment says to which span a statement belongs, wherever it stands', async (t) => {
  t.strictSame(read(`select 1 ${COMMENT}`), found)
  t.strictSame(read(`${COMMENT} select 1`), found)
  t.strictSame(read(`select /* hint */ 'a' || "b", $1, $q$ it's $q$, 1/2-3 ${COMMENT};`), found)
  t.strictSame(read(`select e'it\\'s' -- it's\n ${COMMENT}`), found)
  t.strictSame(read(`select 1 /* action='%2Fa',framework='x:1' , traceparent='${parent('03')}' */`), found)
  t.strictSame(read(`select 1 /* app='it\\'s',traceparent='${parent()}'*/`), found, 'an escaped quote')
  t.strictSame(read(`select 1 /*traceparent='${parent().replaceAll('-', '%2D')}'*/`), found, 'percent code')
  t.strictSame(read(`select 1 /*traceparent='${parent('01', '01')}-more'*/`), found, 'a later version')
})

t.test('what vendors have to say is passed on', async (t) => {
  const state = (text: string) => read(`select 1 /*traceparent='${parent()}',tracestate='${text}'*/`)?.state
  t.equal(state('congo%3Dt61rcWkgMzE%2Crojo%3D00f067'), 'congo=t61rcWkgMzE,rojo=00f067')
  t.equal(state('rojo=1'), 'rojo=1')
  t.equal(state('%zz'), '', 'no percent code')
  t.equal(state('a%0Ab'), '', 'not printable')
  t.equal(state('a'.repeat(513)), '', 'too long')
})

t.test('what is no comment of the text, or no span, does not count', async (t) => {
  for (const text of [
    'select 1',
    'select traceparent from spans',
    `select '${COMMENT.replaceAll("'", "''")}'`,
    `select '${COMMENT}'`,
    `select e'\\'${COMMENT.replaceAll("'", "\\'")}'`,
    `select "${COMMENT}"`,
    `select $$${COMMENT}$$`,
    `select $x$${COMMENT}$x$`,
    `select 1 -- ${COMMENT}`,
    `select 1 -- traceparent='${parent()}'`,
    `select 1 /*traceparent="${parent()}"*/`,
    `select 1 /*x_traceparent='${parent()}'*/`,
    `select 1 /*a='traceparent=\\'${parent()}\\''*/`,
    `select 1 /*traceparent='${parent()}`,
    `select 1 /*traceparent=*/`,
    `select 1 /*traceparent='${parent('01', 'ff')}'*/`,
    `select 1 /*traceparent='${parent()}-more'*/`,
    `select 1 /*traceparent='${parent().toUpperCase()}'*/`,
    `select 1 /*traceparent='00-${'0'.repeat(32)}-${SPAN}-01'*/`,
    `select 1 /*traceparent='00-${TRACE}-${'0'.repeat(16)}-01'*/`,
    `select 1 /*traceparent='00-${TRACE}-${SPAN}-1'*/`,
    `select 1 /*traceparent='%zz'*/`,
    // Where the string ends depends on standard_conforming_strings.
    `select '\\' ${COMMENT} '`,
    `/*/ traceparent='${parent()}'`,
  ]) {
    t.equal(read(text), undefined, text)
  }
})

t.test('a trace that is not recorded has no spans, whatever a later comment says', async (t) => {
  t.equal(read(`select 1 /*traceparent='${parent('00')}'*/`), undefined)
  t.equal(read(`select 1 /*traceparent='${parent('02')}'*/ ${COMMENT}`), undefined)
})

t.test('only the part that is asked for is read', async (t) => {
  const bytes = Buffer.from(`${COMMENT}select 1${COMMENT}`)
  t.equal(traceParentOf(bytes, COMMENT.length, bytes.length - COMMENT.length), undefined)
  t.strictSame(traceParentOf(bytes, COMMENT.length), found)
})

t.test('comments within comments belong to the outer one', async (t) => {
  t.strictSame(read(`select 1 /* /* x='1' */ traceparent='${parent()}' */`), found)
  t.strictSame(read(`select 1 /* /* ' */ */ ${COMMENT}`), found)
})
