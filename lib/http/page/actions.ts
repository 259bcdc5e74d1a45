/** What an admin can have done from the page. Each is asked about first, in words that say what it does. */

import type { ActionRequest } from '../actions.ts'
import { button, byId, element } from './elements.ts'
import type { ClientActions } from './tables.ts'

/** What a question says. */
interface Question {
  readonly title: string
  readonly what: string
  readonly sure: string
  readonly request: ActionRequest
}

/** Has pgbun act, and says how that went. */
export class Actions implements ClientActions {
  readonly #tell: (text: string, failed: boolean) => void

  constructor(tell: (text: string, failed: boolean) => void) {
    this.#tell = tell
  }

  cancel({ id, user, database }: Parameters<ClientActions['cancel']>[0]): void {
    this.#ask({
      title: `Cancel what client ${id} runs?`,
      what: `The request of ${user} in ${database} ends with an error; the client stays connected.`,
      sure: 'Cancel the request',
      request: { action: 'cancel', client: id },
    })
  }

  disconnect({ id, user, database }: Parameters<ClientActions['disconnect']>[0]): void {
    this.#ask({
      title: `Disconnect client ${id}?`,
      what: `The connection of ${user} to ${database} is closed, and its transaction is rolled back.`,
      sure: 'Disconnect',
      request: { action: 'disconnect', client: id },
    })
  }

  /** Buttons for a database that is chosen. */
  databaseControls(): { readonly elements: readonly HTMLElement[]; offer(databases: readonly string[]): void } {
    const all = element('option', { value: '' }, 'all databases')
    const select = element('select', { 'aria-label': 'Database to act on' }, all)
    const act = (action: 'pause' | 'resume' | 'reconnect', sure: string, what: string): HTMLButtonElement =>
      button(`${sure}…`, () => {
        const database = select.selectedIndex <= 0 ? null : select.value
        const shown = database ?? 'all databases'
        this.#ask({ title: `${sure} ${shown}?`, what, sure, request: { action, database } })
      })
    const elements = [
      select,
      act('pause', 'Pause', 'Clients wait until it is resumed. Transactions under way come to their end first.'),
      act('resume', 'Resume', 'Clients that wait get servers again.'),
      act('reconnect', 'Reconnect', 'Server connections are renewed as they become free.'),
    ]
    return {
      elements,
      offer(databases) {
        const { selectedIndex, value } = select
        const options = databases.map((name) => element('option', {}, name))
        for (const [at, option] of options.entries()) option.value = databases[at]!
        select.replaceChildren(all, ...options)
        select.selectedIndex = selectedIndex <= 0 ? 0 : databases.indexOf(value) + 1
      },
    }
  }

  #ask({ title, what, sure, request }: Question): void {
    const dialog = byId('question') as HTMLDialogElement
    const no = button('Leave it', () => dialog.close())
    const yes = button(
      sure,
      () => {
        dialog.close()
        send(request).then(
          (text) => this.#tell(text, false),
          (error: Error) => this.#tell(`${title} ${error.message}`, true),
        )
      },
      { class: 'sure' },
    )
    dialog.replaceChildren(
      element('h2', { id: 'question-title' }, title),
      element('p', {}, what),
      element('div', { class: 'bar' }, element('span', { class: 'gap' }), no, yes),
    )
    dialog.showModal()
    // Nothing happens by a key that was meant for something else.
    no.focus()
  }
}

async function send(request: ActionRequest): Promise<string> {
  const response = await fetch('api/control', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'X-Pgbun-Action': '1' },
    body: JSON.stringify(request),
  })
  const answer = (await response.json()) as { error?: string; goesOn?: string }
  if (!response.ok) throw new Error(answer.error ?? `HTTP ${response.status}`)
  return answer.goesOn ?? `${request.action}: done`
}
