/** All metrics of one moment, whoever they are told: a scrape (scrape.ts) or a collector (otel/). Pure. */

import type { View } from '../admin/view.ts'
import type { MetricFamily } from '../observe/metric.ts'
import { ownMetrics, type ProcessView } from '../observe/own-metrics.ts'
import { pgbouncerMetrics } from './pgbouncer-metrics.ts'

/** All families, each made when it is its turn. */
export function* familiesOf(view: View, process: ProcessView): Generator<MetricFamily> {
  yield* pgbouncerMetrics(view)
  yield* ownMetrics(view.snapshot, process)
}
