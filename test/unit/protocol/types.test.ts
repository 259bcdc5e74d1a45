/** The tables know every message of the protocol, and name it. */
import t from 'tap'
import {
  BACKEND,
  BACKEND_TABLE,
  backendName,
  FRONTEND,
  FRONTEND_TABLE,
  frontendName,
} from '../../../lib/protocol/types.ts'

t.test('each type has a rule and a name', async (t) => {
  for (const [name, type] of Object.entries(FRONTEND)) {
    t.ok(FRONTEND_TABLE[type], name)
    t.equal(frontendName(type), name)
  }
  for (const [name, type] of Object.entries(BACKEND)) {
    t.ok(BACKEND_TABLE[type], name)
    t.equal(backendName(type), name)
  }
  t.equal(backendName(1), 'message type 1')
  t.equal(frontendName(1), 'message type 1')
})

t.test('what is shown in one piece never exceeds what is taken at all', async (t) => {
  for (const rule of [...FRONTEND_TABLE, ...BACKEND_TABLE]) if (rule) t.ok(rule.need <= rule.cap)
})

t.test('what passes unseen is not waited for', async (t) => {
  for (const rule of [...FRONTEND_TABLE, ...BACKEND_TABLE]) if (rule?.pass) t.equal(rule.need, 0)
})
