/**
 * The spans of a statement: `query`, and in front of it `wait` where its client waited for a server. Both are children of the
 * span that the statement's comment names. Attributes follow the stable conventions for databases; no literal of a text is
 * among them. Pure, but for the numbers of the spans, which are random.
 */

import type { TracedStatement } from '../client/lifecycle/span-sink.ts'
import {
  type Attributes,
  CLIENT,
  ERROR,
  hrTime,
  INTERNAL,
  type ReadableSpan,
  type Resource,
  SAMPLED,
  type Scope,
  type SpanContext,
  UNSET,
} from './exporter-data.ts'

/** What all spans of the process share. */
export interface SpanFrame {
  readonly resource: Resource
  readonly scope: Scope
  /** 16 hexadecimal digits, never the same and never all zero. */
  newSpanId(): string
}

/** An error that has no SQLSTATE, as the conventions call it. */
const UNKNOWN_ERROR = '_OTHER'

/**
 * Those of `statement`.
 * @param epoch what is added to its times for milliseconds since 1970
 */
export function spansOf(statement: TracedStatement, epoch: number, frame: SpanFrame): ReadableSpan[] {
  const { trace, fingerprint, client, host, sentAt, startedAt, endedAt, wait, rows, failure } = statement
  const own: Attributes = { 'db.system.name': 'postgresql', 'pgbun.user': client.user }
  if (client.applicationName !== '') own['pgbun.application_name'] = client.applicationName
  own['db.namespace'] = client.database
  const query: Attributes = {
    ...own,
    'db.query.text': fingerprint.text,
    'db.response.returned_rows': rows,
    'server.address': host.host,
    'server.port': host.port,
    'pgbun.query_id': fingerprint.id,
  }
  if (failure !== undefined) {
    query['error.type'] = failure || UNKNOWN_ERROR
    if (failure !== '') query['db.response.status_code'] = failure
  }
  const { traceId } = trace
  const inherited = {
    traceId,
    traceFlags: SAMPLED,
    ...(trace.state !== '' && { traceState: { serialize: () => trace.state } }),
  } as const
  type Part = Pick<ReadableSpan, 'name' | 'kind' | 'attributes' | 'status'>
  const make = (part: Part, from: number, to: number): ReadableSpan => {
    const context: SpanContext = { ...inherited, spanId: frame.newSpanId() }
    return {
      ...part,
      spanContext: () => context,
      parentSpanContext: { ...inherited, spanId: trace.spanId, isRemote: true },
      startTime: hrTime(from + epoch),
      endTime: hrTime(to + epoch),
      duration: hrTime(to - from),
      ended: true,
      links: [],
      events: [],
      droppedAttributesCount: 0,
      droppedLinksCount: 0,
      droppedEventsCount: 0,
      resource: frame.resource,
      instrumentationScope: frame.scope,
    }
  }
  const status: ReadableSpan['status'] =
    failure === undefined ? { code: UNSET } : { code: ERROR, message: `SQLSTATE ${failure || 'unknown'}` }
  const spans = [make({ name: 'query', kind: CLIENT, attributes: query, status }, startedAt, endedAt)]
  if (wait > 0) {
    const part: Part = { name: 'wait', kind: INTERNAL, attributes: own, status: { code: UNSET } }
    spans.unshift(make(part, sentAt - wait, sentAt))
  }
  return spans
}
