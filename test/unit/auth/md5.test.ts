import t from 'tap'
import { md5Available, md5Response, md5Secret, verifyMd5Response } from '../../../lib/auth/md5.ts'

t.test('the stored secret is the one PostgreSQL makes', (t) => {
  t.equal(md5Available(), true)
  t.equal(md5Secret('foo', 'secret'), 'md54ab2c5d00339c4b2a4e921d2dc4edec7')
  t.equal(md5Secret('jürgen', 'pässwort'), 'md5d3301b881261e0aaea3ff78be8a95e5d')
  t.end()
})

t.test('response and check agree, and nothing else passes', (t) => {
  const salt = Buffer.from([1, 2, 3, 4])
  const secret = md5Secret('foo', 'secret')
  const response = md5Response(secret, salt)
  t.equal(response, 'md59cd65cda7bfce93ed5190dc74c6f233f')
  t.equal(verifyMd5Response(secret, salt, Buffer.from(response)), true)
  t.equal(verifyMd5Response(secret, Buffer.from([1, 2, 3, 5]), Buffer.from(response)), false)
  t.equal(verifyMd5Response(md5Secret('bar', 'secret'), salt, Buffer.from(response)), false)
  t.equal(verifyMd5Response(secret, salt, Buffer.from(response.slice(0, -1))), false)
  t.equal(verifyMd5Response(secret, salt, Buffer.from('')), false)
  t.end()
})
