package pgbun;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.io.StringReader;
import java.io.StringWriter;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.postgresql.PGConnection;

/** pgjdbc in a pool of HikariCP. It names a statement when it is run for the fifth time. */
final class Jdbc implements Driver {
  private final HikariDataSource pool;

  Jdbc(String url, String user, String password, int size) {
    HikariConfig config = new HikariConfig();
    config.setJdbcUrl(url);
    config.setUsername(user);
    config.setPassword(password);
    config.setMaximumPoolSize(size);
    config.setMinimumIdle(size);
    pool = new HikariDataSource(config);
  }

  @Override
  public void close() {
    pool.close();
  }

  static Query queryOn(Connection connection) {
    return (text, values) -> {
      try (PreparedStatement statement = connection.prepareStatement(text)) {
        for (int i = 0; i < values.length; i++) statement.setObject(i + 1, values[i]);
        List<LinkedHashMap<String, Object>> rows = new ArrayList<>();
        if (!statement.execute()) return rows;
        try (ResultSet found = statement.getResultSet()) {
          while (found.next()) rows.add(row(found));
        }
        return rows;
      }
    };
  }

  private static LinkedHashMap<String, Object> row(ResultSet found) throws SQLException {
    LinkedHashMap<String, Object> row = new LinkedHashMap<>();
    for (int i = 1; i <= found.getMetaData().getColumnCount(); i++) {
      row.put(found.getMetaData().getColumnLabel(i), found.getObject(i));
    }
    return row;
  }

  @Override
  public void session(Use use) throws Exception {
    try (Connection connection = pool.getConnection()) {
      use.with(queryOn(connection));
    }
  }

  @Override
  public void transaction(Use use) throws Exception {
    try (Connection connection = pool.getConnection()) {
      connection.setAutoCommit(false);
      try {
        use.with(queryOn(connection));
        connection.commit();
      } catch (Exception error) {
        connection.rollback();
        throw error;
      } finally {
        connection.setAutoCommit(true);
      }
    }
  }

  @Override
  public Map<String, Step> more() {
    Map<String, Step> steps = new LinkedHashMap<>();
    steps.put("pipeline", (driver, work) -> batch(work));
    steps.put("stream", (driver, work) -> stream(work));
    steps.put("copy", (driver, work) -> copy(work));
    return steps;
  }

  /** A batch leaves in one go. */
  private void batch(Work work) throws Exception {
    String tag = work.tag();
    try (Connection connection = pool.getConnection()) {
      try (PreparedStatement add = connection.prepareStatement("insert into copied values (?, ?)")) {
        for (int n = 0; n < 30; n++) {
          add.setString(1, tag);
          add.setInt(2, n);
          add.addBatch();
        }
        add.executeBatch();
      }
      work.check(30, queryOn(connection).run("select count(*) as n from copied where tag = ?", tag).get(0).get("n"));
    }
  }

  /** Rows by portions, from a portal that is left open between them. */
  private void stream(Work work) throws Exception {
    String tag = work.tag();
    try (Connection connection = pool.getConnection()) {
      connection.setAutoCommit(false);
      String text = "select ?::text || '-' || g as tag from generate_series(1, 250) as g";
      try (PreparedStatement statement = connection.prepareStatement(text)) {
        statement.setFetchSize(40);
        statement.setString(1, tag);
        int seen = 0;
        try (ResultSet found = statement.executeQuery()) {
          while (found.next()) if (found.getString(1).equals(tag + "-" + (seen + 1))) seen++;
        }
        work.check(250, seen);
      }
      connection.commit();
      connection.setAutoCommit(true);
    }
  }

  private void copy(Work work) throws Exception {
    String tag = work.tag();
    StringBuilder lines = new StringBuilder();
    for (int n = 0; n < 200; n++) lines.append(tag).append('\t').append(n).append('\n');
    try (Connection connection = pool.getConnection()) {
      var copy = connection.unwrap(PGConnection.class).getCopyAPI();
      work.check(200, copy.copyIn("copy copied (tag, n) from stdin", new StringReader(lines.toString())));
      StringWriter out = new StringWriter();
      copy.copyOut("copy (select tag, n from copied where tag = '" + tag + "' order by n) to stdout", out);
      work.check(lines, out);
    }
  }
}
