/** `pgbun hash-password`: asks for a password and makes its SCRAM verifier, for auth_file or ALTER ROLE ... PASSWORD. */
import { decodePassword } from '../auth/password-text.ts'
import { makeVerifier } from '../auth/scram-verifier.ts'
import { passwordFault, userlistLine } from '../config/userlist.ts'
import { askPassword } from './ask-password.ts'

/**
 * The verifier of a password that is asked for; with a user, the line of auth_file.
 * @throws Error where the password cannot be used
 */
export async function hashPassword(user: string | undefined, iterations: number): Promise<string> {
  const password = decodePassword(await askPassword())
  const fault = passwordFault(password)
  if (fault !== undefined) throw new Error(fault)
  const verifier = await makeVerifier(password, iterations)
  return user === undefined ? verifier : userlistLine(user, verifier)
}
