/** The key of salts: the same each time, from what is there. */
import { join } from 'node:path'
import t from 'tap'
import { saltKeyOf } from '../../../lib/daemon/salt-key.ts'

t.test('the configured secret, the first identity of the machine that is one, or chance', async (t) => {
  const id = '0123456789abcdef0123456789abcdef'
  const dir = t.testdir({ empty: '\n', uninitialized: 'uninitialized\n', id: `${id}\n`, other: `f${id.slice(1)}` })
  const files = (...names: string[]): string[] => names.map((name) => join(dir, name))
  const hex = (secret: string, names: string[]): string => saltKeyOf(secret, names).toString('hex')
  t.equal(hex('secret', files('id')), hex('secret', files('other')))
  t.not(hex('secret', []), hex('another', []))
  t.equal(hex('', files('none', 'empty', 'uninitialized', 'id')), hex('', files('id', 'other')))
  t.not(hex('', files('id')), hex('', files('other')))
  t.not(hex('', []), hex('', []))
  t.notMatch(hex('', files('id')), id, 'which is not shown')
})
