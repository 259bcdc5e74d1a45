/** What the operating system says about a file, in words with its code: "permission denied (EACCES)". Pure. */

const WORDS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EISDIR: 'it is a directory',
  ELOOP: 'too many symbolic links',
  EMFILE: 'too many open files',
  ENOENT: 'there is no such file or directory',
  ENOSPC: 'the disk is full',
  ENOTDIR: 'part of the path is not a directory',
  EPERM: 'not permitted',
  EROFS: 'the file system is read-only',
}

/** The words for `error`; its message where it is none of the operating system. */
export function systemErrorText(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  if (code === undefined) return message
  const words = WORDS[code]
  return words === undefined ? code : `${words} (${code})`
}
