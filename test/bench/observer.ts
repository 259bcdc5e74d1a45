/** Those who look at a pgbun while it is measured: a live page that is open, and a Prometheus that is in a hurry. */
import http, { type ClientRequest } from 'node:http'
import type { Owner } from './owner.ts'

/** Between two scrapes in ms; Prometheus takes 15 s where nobody asks for anything else. */
const SCRAPE_MS = 1000

/** Look at the pgbun with this `http_listen` port until `owner` ends. Rejects where there is nothing to be seen. */
export async function observe(owner: Owner, port: number): Promise<void> {
  const open = new Set<ClientRequest>()
  const get = (path: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const request = http.get({ host: '127.0.0.1', port, path }, (response) => {
        if (response.statusCode !== 200) reject(new Error(`${path}: ${response.statusCode}`))
        response.once('data', () => resolve())
        response.resume()
      })
      open.add(request)
      request.on('error', reject).once('close', () => open.delete(request))
    })
  const scrapes = setInterval(() => void get('/metrics').catch(() => {}), SCRAPE_MS)
  owner.teardown(() => {
    clearInterval(scrapes)
    for (const request of open) request.destroy()
  })
  await Promise.all([get('/metrics'), get('/api/stream')])
}
