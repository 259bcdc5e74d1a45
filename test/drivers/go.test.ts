/** pgx and GORM, in a process each. */
import { testPrograms } from './lab.ts'

testPrograms('go', [
  { driver: 'pgx', program: 'pgx', packages: ['pgx/v5'] },
  { driver: 'GORM on pgx', program: 'gorm', packages: ['gorm.io/gorm', 'pgx/v5'] },
])
