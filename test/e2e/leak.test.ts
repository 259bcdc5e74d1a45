/**
 * Nothing of one client's session reaches the next client on the same server, in transaction mode: each kind of state,
 * set in and out of transactions, ended in each way.
 */
import { checkLeaks } from '../fixtures/leak-check.ts'

checkLeaks('transaction')
