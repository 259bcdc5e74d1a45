import { importUnits } from './fixtures/units.ts'

await importUnits(false)
