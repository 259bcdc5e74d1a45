/** pgjdbc in HikariCP and Hibernate, in a process each. */
import { testPrograms } from './lab.ts'

testPrograms('java', [
  { driver: 'pgjdbc in HikariCP', program: 'jdbc', packages: ['postgresql', 'HikariCP'] },
  { driver: 'Hibernate on pgjdbc', program: 'hibernate', packages: ['hibernate-core', 'postgresql'] },
])
