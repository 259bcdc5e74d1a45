/** The rows of the option table about HTTP: options.ts puts them into it. */

import { HTTP_ADDRESS, HTTP_ADDRESS_EXPECTED } from './http-address.ts'
import { text } from './types.ts'

/** Shorter ones can be guessed. */
const TOKEN = /^(?:[\x21-\x7e]{16,512})?$/

/** The section `http`. */
export const HTTP_ROWS = {
  http_listen: text(
    '',
    'Address and port for metrics and health over HTTP, "127.0.0.1:6433"; a port alone means 127.0.0.1. Empty means none.',
    { pattern: HTTP_ADDRESS, expects: HTTP_ADDRESS_EXPECTED, scope: 'listener', reload: false },
  ),
  http_token: text(
    '',
    'Token that lets HTTP clients see what stats users see ("Authorization: Bearer TOKEN"); at least 16 characters.',
    {
      pattern: TOKEN,
      expects: '16 to 512 printable ASCII characters without spaces, such as those of: openssl rand -hex 32',
      scope: 'client',
      secret: true,
    },
  ),
} as const
