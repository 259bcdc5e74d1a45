import t from 'tap'
import { parseStraceSummary } from '../../bench/system-calls.ts'

t.test('the summary of strace', async (t) => {
  const text = `strace: Process 4242 attached with 11 threads
strace: Process 4242 detached
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 61.20    0.034567           6      5432           sendto
 38.80    0.021915           4      5001        17 epoll_pwait2
------ ----------- ----------- --------- --------- ----------------
100.00    0.056482           5     10433        17 total
`
  t.same(
    [...parseStraceSummary(text)],
    [
      ['sendto', 5432],
      ['epoll_pwait2', 5001],
    ],
  )
  t.equal(parseStraceSummary('strace: attach: ptrace(PTRACE_SEIZE, 1): Operation not permitted').size, 0)
})
