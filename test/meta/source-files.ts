/**
 * The source files as the meta tests see them: path, text, and what each imports. Read by a scanner of import lines and
 * not by a compiler, since the house style keeps an import on lines of its own.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { rootDir } from '../fixtures/postgres.ts'

export interface Import {
  specifier: string
  /** `import type …` or `export type … from`: gone when the program runs. */
  typeOnly: boolean
}

export interface SourceFile {
  /** Relative to the repository, with slashes. */
  path: string
  text: string
  imports: Import[]
}

/** Files below `dir` with one of the extensions, without what is built or installed. */
export function listFiles(dir: string, extensions: string[]): string[] {
  const found: string[] = []
  const full = path.join(rootDir, dir)
  if (!existsSync(full)) return found
  for (const entry of readdirSync(full, { withFileTypes: true })) {
    if (entry.name === 'node_modules' || entry.name === 'dist' || entry.name.startsWith('.')) continue
    const relative = path.posix.join(dir, entry.name)
    if (entry.isDirectory()) found.push(...listFiles(relative, extensions))
    else if (extensions.includes(path.extname(entry.name))) found.push(relative)
  }
  return found.sort()
}

/** All TypeScript files below `dir`. */
export function readSources(dir: string): SourceFile[] {
  return listFiles(dir, ['.ts', '.js', '.mjs']).map((file) => {
    const text = readFileSync(path.join(rootDir, file), 'utf8')
    return { path: file, text, imports: importsOf(text) }
  })
}

const staticImport = /^(?:import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?'([^']+)'/gm
const dynamicImport = /\bimport\(\s*'([^']+)'/g

export function importsOf(text: string): Import[] {
  const imports: Import[] = []
  for (const match of text.matchAll(staticImport)) {
    imports.push({ specifier: match[2]!, typeOnly: match[1] !== undefined })
  }
  for (const match of withoutComments(text).matchAll(dynamicImport)) {
    imports.push({ specifier: match[1]!, typeOnly: false })
  }
  return imports
}

/** The text with comments blanked out, line numbers kept; a comment may speak of what the code must not do. */
export function withoutComments(text: string): string {
  return text
    .replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ' '))
    .replace(/(^|[\s;{}(,])\/\/[^\n]*/g, '$1')
}
