package pgbun;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What each driver's file implements. Texts have `?` for parameters; rows are in the order of their columns. */
interface Driver extends AutoCloseable {
  interface Query {
    List<LinkedHashMap<String, Object>> run(String text, Object... values) throws Exception;
  }

  interface Use {
    void with(Query query) throws Exception;
  }

  interface Step {
    void run(Driver driver, Work work) throws Exception;
  }

  /** All queries on one connection, each committed by itself. */
  void session(Use use) throws Exception;

  /** The driver's own transaction: committed where `use` returns, rolled back where it throws. */
  void transaction(Use use) throws Exception;

  /** Steps that only this driver has, by the names that scenario.ts has for them. */
  default Map<String, Step> more() {
    return Map.of();
  }
}
