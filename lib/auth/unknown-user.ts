/**
 * What a user that is not in auth_file is treated as: like most that are. Whoever asks then sees the same kind of
 * exchange, and as many iterations, for names that exist and names that do not. Pure.
 *
 * A list of several kinds cannot hide all: a user of a rare kind is asked in its own way, and shows by that that it exists.
 */
import type { Secret } from '../config/userlist.ts'

/** The most common kind of user of a list. */
export interface UnknownUser {
  /** How auth_type md5 asks. */
  kind: 'md5' | 'scram'
  /** Of the SCRAM secret that is shown. */
  iterations: number
  /** Bytes of its salt. */
  saltLength: number
  /** Somebody has a SCRAM secret: with auth_type plain all passwords then take the time of one. */
  derives: boolean
}

/** PostgreSQL's SCRAM_DEFAULT_SALT_LEN. */
export const SALT_BYTES = 16

/**
 * What is most common among `secrets`.
 * @param ownIterations of the SCRAM secrets that are made of plain passwords
 */
export function unknownUserOf(secrets: ReadonlyMap<string, Secret> | undefined, ownIterations: number): UnknownUser {
  const kinds = { md5: 0, scram: 0 }
  const shapes = new Map<string, { iterations: number; saltLength: number; count: number }>()
  for (const secret of secrets?.values() ?? []) {
    kinds[secret.kind === 'scram' ? 'scram' : 'md5']++
    // An md5 hash shows no SCRAM secret of its own.
    if (secret.kind === 'md5') continue
    const iterations = secret.kind === 'scram' ? secret.iterations : ownIterations
    const saltLength = secret.kind === 'scram' ? secret.salt.length : SALT_BYTES
    const shape = shapes.get(`${iterations} ${saltLength}`) ?? { iterations, saltLength, count: 0 }
    shape.count++
    shapes.set(`${iterations} ${saltLength}`, shape)
  }
  let { iterations, saltLength, count } = { iterations: ownIterations, saltLength: SALT_BYTES, count: 0 }
  for (const shape of shapes.values()) if (shape.count > count) ({ iterations, saltLength, count } = shape)
  return { kind: kinds.scram > kinds.md5 ? 'scram' : 'md5', iterations, saltLength, derives: kinds.scram > 0 }
}
