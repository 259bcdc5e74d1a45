package pgbun;

import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;

/** pgjdbc at pgbun's console: what it has found is printed as JSON; see console.test.ts. */
final class Console {
  private static final String ROWS = "SELECT id, user FROM clients WHERE user = ? AND id > ? ORDER BY id LIMIT ?";

  private Console() {}

  static void read(String url, String user, String password) throws SQLException {
    try (Connection connection = DriverManager.getConnection(url, user, password)) {
      if (!connection.isValid(10)) throw new SQLException("the connection is not valid");
      try (Statement statement = connection.createStatement()) {
        int columns;
        try (ResultSet rows = statement.executeQuery("SHOW POOLS")) {
          columns = rows.getMetaData().getColumnCount();
        }
        String found = "";
        // From the fifth time on it has a statement under a name, and wants binary results.
        for (int i = 0; i < 8; i++) found = user(connection);
        boolean counts;
        try (ResultSet rows = statement.executeQuery("SHOW STATS (total_query_count) WHERE database = 'pgbouncer'")) {
          rows.next();
          counts = rows.getBigDecimal(1).signum() > 0;
        }
        String error = "";
        try {
          statement.executeQuery("SELECT nonsense");
        } catch (SQLException refused) {
          error = refused.getSQLState();
        }
        connection.setAutoCommit(false);
        statement.execute("PAUSE");
        String paused;
        try (ResultSet rows = statement.executeQuery("SHOW STATE (value) WHERE key = 'paused'")) {
          rows.next();
          paused = rows.getString(1);
        }
        statement.execute("RESUME");
        connection.commit();
        System.out.printf(
            "{\"pgjdbc\":{\"columns\":%d,\"user\":\"%s\",\"counts\":%b,\"error\":\"%s\",\"paused\":\"%s\"}}%n",
            columns, found, counts, error, paused);
      }
    }
  }

  private static String user(Connection connection) throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement(ROWS)) {
      statement.setString(1, "postgres");
      statement.setInt(2, 0);
      statement.setInt(3, 1);
      try (ResultSet rows = statement.executeQuery()) {
        rows.next();
        return rows.getString("user");
      }
    }
  }
}
