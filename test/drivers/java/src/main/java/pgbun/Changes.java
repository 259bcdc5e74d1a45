package pgbun;

import java.util.List;
import java.util.stream.Collectors;

/**
 * Two connections run statements they know while a third changes the table below them. What the two are answered is
 * written down, because it must be what a direct connection answers. See schema-changes.ts.
 */
final class Changes {
  private record Statement(String text, Object... values) {}

  private record Change(String ddl, List<Statement> texts) {}

  private static final Statement BY_ID = new Statement("select * from changing where id = ?", 1);
  private static final Statement ADD_N = new Statement("insert into changing (id, n) values (2, ?)", 5);
  private static final List<Change> ALL = List.of(
      new Change("alter table changing drop column b, add column c text default '555'", List.of(BY_ID)),
      new Change("alter table changing add column d text default 'd'", List.of(BY_ID)),
      new Change("alter table changing alter n type bigint",
          List.of(BY_ID, new Statement("select n from changing where id = ?", 1))),
      new Change("alter table changing alter n type real", List.of(ADD_N)),
      new Change("alter table changing alter n type bigint", List.of(ADD_N)),
      new Change("alter table changing rename column b to bb", List.of(BY_ID)));

  private final Outcome outcome;
  private Driver.Query first;
  private Driver.Query second;
  private Driver.Query blocker;

  Changes(Outcome outcome) {
    this.outcome = outcome;
  }

  void run(Driver driver) throws Exception {
    driver.session(one -> driver.session(other -> driver.session(third -> driver.session(owner -> {
      first = one;
      second = other;
      blocker = third;
      for (Change change : ALL) apply(change, owner);
    }))));
  }

  private void apply(Change change, Driver.Query owner) throws Exception {
    owner.run("drop table if exists changing");
    owner.run("create table changing (id int, a text, b text, n int, at timestamp)");
    owner.run("insert into changing values (1, 'a', 'b', 7, '2024-01-02 03:04:05')");
    // From the sixth time on the driver has a named statement, from the seventh on its description as well.
    for (Statement statement : change.texts()) both(statement, 8);
    owner.run(change.ddl());
    outcome.changes.add(change.ddl());
    for (Statement statement : change.texts()) both(statement, 3);
    for (var row : owner.run("select changing::text as row from changing order by 1")) {
      outcome.changes.add(String.valueOf(row.get("row")));
    }
  }

  private void both(Statement statement, int times) throws Exception {
    for (int i = 0; i < times; i++) {
      // Whoever is in a transaction has one of the two servers, so that the others meet both.
      boolean blocked = i % 2 == 1;
      if (blocked) {
        blocker.run("begin");
        blocker.run("select 1 as one");
      }
      note("first", first, statement);
      note("second", second, statement);
      if (blocked) blocker.run("commit");
    }
  }

  private void note(String who, Driver.Query query, Statement statement) {
    String told;
    try {
      // Names and values: mixed up columns would show.
      told = query.run(statement.text(), statement.values()).stream().map(String::valueOf)
          .collect(Collectors.joining("; "));
    } catch (Exception error) {
      String state = Work.sqlstateOf(error);
      told = state == null ? error.toString() : state;
    }
    outcome.changes.add(who + ": " + told);
  }
}
