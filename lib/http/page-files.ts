/**
 * The files of the live page, which lie beside the built program. A compiled program has none: whoever compiles it hands the
 * texts over (bin/compiled.ts).
 */

import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'

/** By name: the module of npm they come from, where they are not pgbun's own, and their type. */
export const PAGE_FILES = {
  'index.html': { type: 'text/html; charset=utf-8' },
  'page.css': { type: 'text/css; charset=utf-8' },
  'icon.svg': { type: 'image/svg+xml' },
  'main.js': { type: 'text/javascript; charset=utf-8' },
  'uplot.js': { type: 'text/javascript; charset=utf-8', module: 'uplot/dist/uPlot.iife.min.js' },
  'uplot.css': { type: 'text/css; charset=utf-8', module: 'uplot/dist/uPlot.min.css' },
} as const satisfies Record<string, { readonly type: string; readonly module?: string }>

export type PageFileName = keyof typeof PAGE_FILES

/** Everything comes from pgbun, nothing is written into the page, and no page may frame it. */
export const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const texts = new Map<string, string>()

/** Use `files` instead of those on the disk. */
export function embedPageFiles(files: Readonly<Record<PageFileName, string>>): void {
  for (const [name, text] of Object.entries(files)) texts.set(name, text)
}

/** Read all files that are not there yet. Those that cannot be read are missed when they are asked for. */
export async function loadPage(): Promise<void> {
  const missing = (Object.keys(PAGE_FILES) as PageFileName[]).filter((name) => !texts.has(name))
  await Promise.allSettled(missing.map(async (name) => texts.set(name, await readFile(placeOf(name), 'utf8'))))
}

/** The text of a file; undefined where it could not be read. */
export function pageText(name: PageFileName): string | undefined {
  return texts.get(name)
}

function placeOf(name: PageFileName): string | URL {
  const { module } = PAGE_FILES[name] as { readonly module?: string }
  if (module !== undefined) return createRequire(import.meta.url).resolve(module)
  // Run from its sources, pgbun shows what was built of them. Built, this file is in a bundle, which is in a folder of dist/.
  const built = import.meta.url.endsWith('.ts') ? '../../dist/http/page/' : '../http/page/'
  return new URL(built + name, import.meta.url)
}
