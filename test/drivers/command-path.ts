/** Where a program of the system is, for tools that the matrix uses where they are installed. */
import { accessSync, constants } from 'node:fs'
import path from 'node:path'

/** The path of a program in PATH, or undefined. */
export function commandPath(name: string): string | undefined {
  return (process.env.PATH ?? '')
    .split(path.delimiter)
    .map((dir) => path.join(dir, name))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK)
        return true
      } catch {
        return false
      }
    })
}
