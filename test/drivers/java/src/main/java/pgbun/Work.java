package pgbun;

import java.sql.SQLException;
import java.util.Objects;

/** One worker's view of the load: its tags, and where it reports what came back. */
final class Work {
  /** Something that may fail in the words of the database. */
  interface Task {
    void run() throws Exception;
  }

  final int worker;
  final Outcome outcome;
  String doing = "nothing yet";
  private final String prefix;
  private int count;

  Work(String prefix, int worker, Outcome outcome) {
    this.prefix = prefix;
    this.worker = worker;
    this.outcome = outcome;
  }

  /** A text that no other query of this run has. */
  String tag() {
    count++;
    return prefix + "_w" + worker + "_" + count;
  }

  /** Counts one query and compares what it brought with what it must have brought. */
  void check(Object wanted, Object got) {
    outcome.counted(Objects.equals(String.valueOf(wanted), String.valueOf(got)) ? null
        : doing + ": wanted " + wanted + ", got " + got);
  }

  /** Counts one query that must fail with this SQLSTATE. */
  void fails(String sqlstate, Task task) throws Exception {
    try {
      task.run();
    } catch (Exception error) {
      if (sqlstate.equals(sqlstateOf(error))) {
        outcome.counted(null);
        return;
      }
      throw new Exception(doing + ": SQLSTATE " + sqlstate + " expected", error);
    }
    outcome.counted(doing + ": SQLSTATE " + sqlstate + " expected, but the query succeeded");
  }

  /** The SQLSTATE of the driver's error below all that wraps it, or null. */
  static String sqlstateOf(Throwable error) {
    for (Throwable at = error; at != null; at = at.getCause()) {
      if (at instanceof SQLException refused && refused.getSQLState() != null) return refused.getSQLState();
    }
    return null;
  }
}
