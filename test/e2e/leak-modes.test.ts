/** The leak test of leak.test.ts for the modes in which there is less to come to an end in: session and statement. */
import { checkLeaks } from '../fixtures/leak-check.ts'

checkLeaks('session')
checkLeaks('statement')
