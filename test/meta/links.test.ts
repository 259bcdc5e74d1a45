/** Links between the documents, and from them into the source, lead somewhere; so do the anchors. */
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { rootDir } from '../fixtures/postgres.ts'
import { listFiles } from './source-files.ts'

/** The anchor that a heading gets where Markdown is rendered: lower case, punctuation dropped, spaces to hyphens. */
function anchorOf(heading: string): string {
  return heading
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/[`*]/g, '')
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replace(/\s/g, '-')
}

function anchorsOf(markdown: string): Set<string> {
  const anchors = new Set<string>()
  for (const match of withoutCode(markdown).matchAll(/^#{1,6}\s+(.+?)\s*#*$/gm)) {
    const anchor = anchorOf(match[1]!)
    let unique = anchor
    for (let count = 1; anchors.has(unique); count++) unique = `${anchor}-${count}`
    anchors.add(unique)
  }
  for (const match of markdown.matchAll(/<a\s+(?:id|name)="([^"]+)"/g)) anchors.add(match[1]!)
  return anchors
}

function withoutCode(markdown: string): string {
  return markdown.replace(/^(```|~~~)[\s\S]*?^\1/gm, '')
}

/** What is wrong with the relative links of one document. */
function brokenLinks(file: string, markdown: string): string[] {
  const broken: string[] = []
  const text = withoutCode(markdown).replace(/`[^`\n]*`/g, '')
  const links = [...text.matchAll(/\]\(\s*<?([^)\s>]+)>?[^)]*\)/g), ...text.matchAll(/^\[[^\]]+\]:\s+(\S+)/gm)]
  for (const [, link = ''] of links) {
    if (/^[a-z][a-z0-9+.-]*:/i.test(link)) continue
    const [target = '', anchor] = decodeURI(link).split('#')
    const full = target === '' ? path.join(rootDir, file) : path.resolve(rootDir, path.dirname(file), target)
    if (target !== '' && !existsSync(full)) broken.push(`${file}: ${link}`)
    else if (anchor && full.endsWith('.md')) {
      const there = target === '' ? markdown : readFileSync(full, 'utf8')
      if (!anchorsOf(there).has(anchor)) broken.push(`${file}: ${link} (no such heading)`)
    }
  }
  return broken
}

t.test('every relative link resolves', async (t) => {
  const files = listFiles('.', ['.md'])
  t.ok(files.includes('CHANGELOG.md'), 'documents are found')
  t.same(
    files.flatMap((file) => brokenLinks(file, readFileSync(path.join(rootDir, file), 'utf8'))),
    [],
  )
})

t.test('the test itself notices a broken link', async (t) => {
  const text = '# A `b` & c\n[ok](#a-b--c) [no](#d) [web](https://x.y/z) [gone](gone.md)\n```\n[code](x.md)\n```\n'
  t.same(brokenLinks('x.md', text), ['x.md: #d (no such heading)', 'x.md: gone.md'])
})
