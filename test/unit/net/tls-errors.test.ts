import t from 'tap'
import { describeTlsError } from '../../../lib/net/starttls.ts'

// As OpenSSL, BoringSSL (on Bun) and Node itself word them.
for (const [code, message, text] of [
  [
    'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA',
    '80:error:0A000418:SSL routines:ssl3_read_bytes:tlsv1 alert unknown ca:a.c:1:',
    /does not trust our certificate/,
  ],
  [
    'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA',
    'error:10000418:SSL routines:OPENSSL_internal:TLSV1_ALERT_UNKNOWN_CA',
    /does not trust our certificate/,
  ],
  [
    'ERR_SSL_UNSUPPORTED_PROTOCOL',
    '80:error:0A000102:SSL routines::unsupported protocol:a.c:1:',
    /^no TLS version in common$/,
  ],
  ['ERR_SSL_NO_SHARED_CIPHER', '80:error:0A0000C1:SSL routines::no shared cipher:a.c:1:', /^no cipher in common$/],
  ['ERR_SSL_BAD_PACKET_LENGTH', 'error:1000006f:SSL routines:OPENSSL_internal:BAD_PACKET_LENGTH', /does it trust/],
  [
    'ECONNRESET',
    'Client network socket disconnected before secure TLS connection was established',
    /closed the connection/,
  ],
  ['ERR_SSL_SOMETHING_NEW', '80:error:0A0000FF:SSL routines:some_function:something new:a.c:1:', /^something new$/],
  ['ERR_SSL_SOMETHING_NEW', 'error:100000ff:SSL routines:OPENSSL_internal:SOMETHING_NEW', /^something new$/],
] as const) {
  t.match(describeTlsError(Object.assign(new Error(message), { code })), text, message)
}

t.equal(describeTlsError(Object.assign(new Error('x'), { reason: 'BAD_THING' })), 'bad thing')
