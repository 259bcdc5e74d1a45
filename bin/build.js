/**
 * `npm run build`: makes dist/, which is what npm ships. Plain JavaScript, for it runs before anything is built.
 *
 * The program, the library and the live page are bundled: of some 300 small files Node needs nearly twice as long to start.
 * What only some commands need stays in chunks of their own. Packages are not bundled; npm brings those.
 *
 * `node bin/build.js [--no-declarations] [DIRECTORY]`; default dist/, which is emptied first. Exit code 1 where the types
 * have errors, which do not keep the files from being made. Without declarations, which only a library needs, the compiler
 * need not be installed.
 */

import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))
const { values, positionals } = parseArgs({
  options: { 'no-declarations': { type: 'boolean' } },
  allowPositionals: true,
})
const outdir = path.resolve(positionals[0] ?? path.join(root, 'dist'))
const inLib = (...names) => names.map((name) => path.join(root, 'lib', name))
const common = { bundle: true, format: 'esm', outbase: path.join(root, 'lib'), outdir, logLevel: 'warning' }

rmSync(outdir, { recursive: true, force: true })

// Entries are where their sources are in lib/. A reference from a module to another file goes through `..`, because the module
// may be in chunks/.
await build({
  ...common,
  entryPoints: inLib('index.ts', 'cli/main.ts', 'cli/signals.ts'),
  splitting: true,
  chunkNames: 'chunks/[name]-[hash]',
  platform: 'node',
  target: 'node20.19',
  packages: 'external',
})
await build({ ...common, entryPoints: inLib('http/page/main.ts'), platform: 'browser', target: 'es2022' })

const copies = ['config/pgbun.schema.json', 'http/page/index.html', 'http/page/page.css', 'http/page/icon.svg']
for (const name of copies) {
  mkdirSync(path.join(outdir, path.dirname(name)), { recursive: true })
  copyFileSync(path.join(root, 'lib', name), path.join(outdir, name))
}

// For those who import the library.
if (!values['no-declarations']) {
  const typescript = path.dirname(createRequire(import.meta.url).resolve('typescript-7/package.json'))
  const args = [path.join(typescript, 'bin/tsc'), '-p', path.join(root, 'tsconfig.build.json'), '--outDir', outdir]
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' })
  process.exitCode = status === 0 ? 0 : 1
}
