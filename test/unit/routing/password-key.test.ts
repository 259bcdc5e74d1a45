/** Under which key a password is remembered: it holds where PostgreSQL has judged it. */
import t from 'tap'
import { resolveConfig } from '../../../lib/config/load.ts'
import { passthroughKey } from '../../../lib/routing/password-proof.ts'
import { Routes } from '../../../lib/routing/routes.ts'

t.test('a password of one server proves nothing for another', async (t) => {
  const databases = {
    a: { host: 'one', dbname: 'shop' },
    alias: { host: 'one', dbname: 'shop' },
    elsewhere: { host: 'two', dbname: 'shop' },
    other: { host: 'one', dbname: 'other' },
  }
  const routes = new Routes(resolveConfig({ options: { databases } }).config)
  const key = (database: string, user = 'app', replicates = false): string => {
    return passthroughKey({ target: routes.target(database), user }, replicates)
  }
  t.equal(key('a'), key('alias'), 'the same database of the same server')
  const keys = [key('a'), key('elsewhere'), key('other'), key('a', 'eve'), key('a', 'app', true)]
  t.equal(new Set(keys).size, keys.length)
  t.equal(key('a', 'app', true), key('other', 'app', true), 'a walsender has no database')
  t.not(key('a', 'app', true), key('elsewhere', 'app', true))
  t.equal(key('a').slice(key('a').indexOf('\0') + 1), 'app')
})
