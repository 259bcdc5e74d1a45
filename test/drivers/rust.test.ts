/** tokio-postgres in deadpool and Diesel, in a process each. */
import { testPrograms } from './lab.ts'

testPrograms('rust', [
  {
    driver: 'tokio-postgres in deadpool',
    program: 'tokio-postgres',
    packages: ['tokio-postgres', 'deadpool-postgres'],
  },
  { driver: 'Diesel on diesel-async', program: 'diesel', packages: ['diesel', 'diesel-async', 'tokio-postgres'] },
])
