import t from 'tap'
import { simulateQueue } from '../../bench/trials/queue-model.ts'

t.test('with a server for each client nobody waits', async (t) => {
  t.same(simulateQueue(2, 2, [3, 5, 4, 1]), [3, 5, 1, 4], 'in the order in which they end')
})

t.test('one server: each waits for all the others', async (t) => {
  t.same(simulateQueue(3, 1, [1, 1, 1, 1, 1, 1]), [1, 2, 3, 3, 3, 3])
  t.same(simulateQueue(2, 1, [1, 10, 1]), [1, 11, 11])
})

t.test('who asks first is served first, whoever ends first', async (t) => {
  // The long request occupies one server; the other one serves the clients in turn.
  t.same(simulateQueue(3, 2, [10, 1, 1, 1]), [1, 2, 2, 10])
})

t.test('more clients than requests', async (t) => {
  t.same(simulateQueue(5, 2, [1, 1]), [1, 1])
  t.same(simulateQueue(5, 2, []), [])
})
