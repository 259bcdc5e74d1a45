import t from 'tap'
import { Resolver } from '../../../lib/net/resolve.ts'

/** A resolver whose clock and answers are the test's. */
function scripted(answers: (string[] | Error)[]) {
  let time = 0
  const asked: string[] = []
  const resolver = new Resolver(
    async (host) => {
      asked.push(host)
      const answer = answers.shift()
      if (!answer) throw new Error('asked too often')
      if (answer instanceof Error) throw answer
      return answer
    },
    () => time,
  )
  return { resolver, asked, pass: (ms: number) => (time += ms) }
}

t.test('addresses are their own answer', async (t) => {
  const { resolver, asked } = scripted([])
  for (const address of ['10.0.0.1', '::1', 'fe80::1%eth0']) {
    t.strictSame(await resolver.resolve(address), [address])
  }
  t.strictSame(asked, [])
})

t.test('an answer is kept for a while, and simultaneous questions are one', async (t) => {
  const { resolver, asked, pass } = scripted([['10.0.0.1', '10.0.0.2'], ['10.0.0.3']])
  const [first, second] = await Promise.all([resolver.resolve('db'), resolver.resolve('db')])
  t.strictSame(first, ['10.0.0.1', '10.0.0.2'])
  t.strictSame(second, first)
  pass(14_999)
  t.strictSame(await resolver.resolve('db'), first)
  t.strictSame(asked, ['db'])
  pass(1)
  t.strictSame(await resolver.resolve('db'), ['10.0.0.3'])
})

t.test('an expired answer is asked for anew, and stays where that fails', async (t) => {
  const { resolver, asked } = scripted([['10.0.0.1'], new Error('SERVFAIL'), ['10.0.0.2']])
  await resolver.resolve('db')
  resolver.expire('db')
  t.strictSame(await resolver.resolve('db'), ['10.0.0.1'])
  t.equal(asked.length, 2)
  t.strictSame(await resolver.resolve('db'), ['10.0.0.1'], 'and for a moment nobody asks again')
  t.equal(asked.length, 2)
  resolver.expire('db')
  t.strictSame(await resolver.resolve('db'), ['10.0.0.2'])
})

t.test('a failure is kept for a while', async (t) => {
  const { resolver, asked, pass } = scripted([new Error('no such host'), ['10.0.0.1']])
  await t.rejects(resolver.resolve('db'), { message: 'no such host' })
  pass(14_999)
  resolver.expire('db')
  await t.rejects(resolver.resolve('db'), { message: 'no such host' })
  t.equal(asked.length, 1)
  pass(1)
  t.strictSame(await resolver.resolve('db'), ['10.0.0.1'])
})

t.test('names do not pile up', async (t) => {
  const { resolver, asked } = scripted(Array.from({ length: 1002 }, () => ['10.0.0.1']))
  for (let i = 0; i < 1001; i++) await resolver.resolve(`db${i}`)
  await resolver.resolve('db1000')
  t.equal(asked.length, 1001)
  await resolver.resolve('db0')
  t.equal(asked.length, 1002, 'the oldest was forgotten')
})
