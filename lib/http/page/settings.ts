/** The section of the process itself: certificates, memory, databases, and the configuration for admins. */

import type { OptionView } from '../../admin/view.ts'
import type { Overview } from '../page-data.ts'
import { element } from './elements.ts'
import { ask } from './feed.ts'
import { bytes } from './format.ts'
import type { Section } from './sections.ts'
import { optionTable } from './tables.ts'

/** A certificate that is valid for less should be renewed. */
const SOON_DAYS = 21

/** Shows it. */
export class Settings implements Section {
  readonly root = element('div')
  readonly title = 'Settings'
  readonly periodMs = 10_000
  /** The configuration is shown, too. */
  admin = false
  readonly #options = optionTable()

  async refresh(): Promise<void> {
    const { certificates, memory, databases } = await ask<Overview>('api/overview')
    const list = (items: readonly HTMLElement[], none: string): HTMLElement =>
      items.length === 0 ? element('p', { class: 'note' }, none) : element('ul', {}, ...items)
    const options = this.admin ? await ask<OptionView[]>('api/config') : undefined
    if (options !== undefined) this.#options.show(options)
    this.root.replaceChildren(
      element('h2', {}, 'Certificates'),
      list(
        certificates.map(({ side, subject, notAfter, daysLeft }) => {
          const until = new Date(notAfter).toISOString().slice(0, 10)
          const text = `${side}: ${subject || 'no subject'}, ${daysLeft} days left (until ${until})`
          return element('li', daysLeft < SOON_DAYS ? { class: 'failed' } : {}, text)
        }),
        'None is used.',
      ),
      element('h2', {}, 'Memory'),
      list(
        memory.map(({ name, bytes: size }) => element('li', {}, `${name.replaceAll('_', ' ')}: ${bytes(size)}`)),
        'Unknown.',
      ),
      element('h2', {}, 'Databases'),
      list(
        databases.map(({ name, paused, disabled }) => {
          const state = [paused && 'paused', disabled && 'disabled'].filter(Boolean).join(', ') || 'active'
          return element('li', {}, `${name}: ${state}`)
        }),
        'None is known yet.',
      ),
      element('h2', {}, 'Configuration'),
      options === undefined ? element('p', { class: 'note' }, 'Shown to admins.') : this.#options.root,
    )
  }
}
