/** psycopg 3, asyncpg and SQLAlchemy, in a process each. */
import { testPrograms } from './lab.ts'

testPrograms('python', [
  { driver: 'psycopg 3', program: 'psycopg', packages: ['psycopg', 'psycopg-pool'] },
  { driver: 'asyncpg', program: 'asyncpg', packages: ['asyncpg'] },
  { driver: 'SQLAlchemy on asyncpg', program: 'sqlalchemy', packages: ['SQLAlchemy', 'asyncpg'] },
])
