package pgbun;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The steps that every driver can do with a session and a transaction. */
final class Steps {
  private static final String INSERT = "insert into ledger values (?)";
  private static final String READ = "select tag from ledger where tag = ?";

  /** Thrown inside of a transaction to have it rolled back. */
  private static final class Rollback extends Exception {}

  private Steps() {}

  static Map<String, Driver.Step> common() {
    Map<String, Driver.Step> steps = new LinkedHashMap<>();
    steps.put("queries", Steps::queries);
    steps.put("prepared", Steps::prepared);
    steps.put("transactions", Steps::transactions);
    steps.put("settings", Steps::settings);
    steps.put("temporary", Steps::temporary);
    steps.put("locks", Steps::locks);
    return steps;
  }

  private static void queries(Driver driver, Work work) throws Exception {
    for (int round = 0; round < 3; round++) {
      for (int n = 0; n < 3; n++) {
        String tag = work.tag();
        int wanted = n;
        driver.session(query -> work.check("{tag=" + tag + ", n=" + wanted + "}",
            query.run("select ?::text as tag, ?::int as n", tag, wanted).get(0)));
      }
      String tag = work.tag();
      driver.session(query -> work.check(tag, query.run("select '" + tag + "' as tag").get(0).get("tag")));
      driver.session(query -> work.fails("22012", () -> query.run("select 1 / ?::int as n", 0)));
    }
    String tag = work.tag();
    driver.session(query -> {
      var rows = query.run("select ?::text || '-' || g as tag from generate_series(1, 300) as g", tag);
      work.check(tag + "-300 300", rows.get(299).get("tag") + " " + rows.size());
    });
  }

  /** Often enough on one connection for the driver to have made a named statement of it. */
  private static void prepared(Driver driver, Work work) throws Exception {
    driver.session(query -> {
      for (int i = 0; i < 24; i++) {
        String tag = work.tag();
        work.check("{tag=" + tag + ", n=" + i % 3 + "}",
            query.run("select ?::text as tag, " + i % 3 + " as n", tag).get(0));
      }
    });
  }

  private static void transactions(Driver driver, Work work) throws Exception {
    String kept = work.tag();
    String undone = work.tag();
    driver.transaction(query -> {
      query.run(INSERT, kept);
      work.check(kept, query.run(READ, kept).get(0).get("tag"));
    });
    work.outcome.committed(kept);
    rolledBack(driver, query -> {
      query.run(INSERT, undone);
      work.check(undone, query.run(READ, undone).get(0).get("tag"));
      throw new Rollback();
    });
    rolledBack(driver, query -> {
      query.run(INSERT, undone);
      work.fails("22012", () -> query.run("select 1 / ?::int as n", 0));
      work.fails("25P02", () -> query.run(INSERT, undone + "b"));
      throw new Rollback();
    });
    driver.session(query -> work.check(0, query.run(READ, undone).size()));
  }

  private static void rolledBack(Driver driver, Driver.Use use) throws Exception {
    try {
      driver.transaction(use);
    } catch (Rollback wanted) {
      return;
    }
    throw new Exception("a transaction that was to be rolled back was not");
  }

  private static void settings(Driver driver, Work work) throws Exception {
    String tenant = work.tag();
    String other = work.tag();
    driver.session(query -> {
      query.run("select set_config('app.tenant', ?::text, false) as tag", tenant);
      for (int i = 0; i < 3; i++) shows(query, work, tenant);
      query.run("begin");
      query.run("set local app.tenant = '" + other + "'");
      shows(query, work, other);
      query.run("commit");
      shows(query, work, tenant);
      query.run("begin");
      query.run("set app.tenant = '" + other + "'");
      shows(query, work, other);
      query.run("rollback");
      shows(query, work, tenant);
    });
  }

  private static void shows(Driver.Query query, Work work, String wanted) throws Exception {
    work.check(wanted, query.run("select current_setting('app.tenant') as tag").get(0).get("tag"));
  }

  private static void temporary(Driver driver, Work work) throws Exception {
    List<String> tags = List.of(work.tag(), work.tag(), work.tag());
    driver.session(query -> {
      // The same name for all: another one's table would bring another one's tags.
      query.run("create temporary table scratch (tag text)");
      for (String tag : tags) query.run("insert into scratch values (?)", tag);
      for (int i = 0; i < 3; i++) {
        List<String> found = new ArrayList<>();
        for (var row : query.run("select tag from scratch order by tag")) found.add((String) row.get("tag"));
        work.check(tags.stream().sorted().toList(), found.stream().sorted().toList());
      }
      query.run("drop table scratch");
    });
  }

  private static void locks(Driver driver, Work work) throws Exception {
    driver.session(query -> {
      query.run("select pg_advisory_lock(7)::text as locked");
      // Read here and written there, so that two at once would lose one of the two.
      int value = ((Number) query.run("select n from counter").get(0).get("n")).intValue();
      query.run("update counter set n = ?::int", value + 1);
      work.outcome.incremented();
      work.check(true, query.run("select pg_advisory_unlock(7) as unlocked").get(0).get("unlocked"));
    });
  }
}
