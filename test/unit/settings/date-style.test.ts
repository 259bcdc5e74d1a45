/** The half of a DateStyle that a startup packet leaves out. */
import t from 'tap'
import { completeDateStyle } from '../../../lib/settings/date-style.ts'

t.test('the other half is that of the session default', async (t) => {
  for (const [value, whole] of [
    ['ISO', 'ISO, DMY'],
    ['iso', 'iso, DMY'],
    ['Postgres', 'Postgres, DMY'],
    ['postgresql', 'postgresql, DMY'],
    ['MDY', 'SQL, MDY'],
    ['European', 'SQL, European'],
    ['NonEuropean', 'SQL, NonEuropean'],
    // Whole, or for PostgreSQL alone to judge.
    ['ISO, YMD', 'ISO, YMD'],
    ['US,iso', 'US,iso'],
    ['German', 'German'],
    ['german', 'german'],
    ['DEFAULT', 'DEFAULT'],
    ['ISO, nonsense', 'ISO, nonsense'],
    ['', ''],
  ] as const) {
    t.equal(completeDateStyle(value, 'SQL, DMY'), whole, value)
  }
  t.equal(completeDateStyle('ISO', 'odd'), 'ISO')
})
