package pgbun;

import jakarta.persistence.Entity;
import jakarta.persistence.Id;
import jakarta.persistence.Table;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.hibernate.Session;
import org.hibernate.SessionFactory;
import org.hibernate.cfg.Configuration;

/** Hibernate with its own pool. Rows of the ledger are its entities; other texts go to its connection. */
final class Hibernate implements Driver {
  @Entity
  @Table(name = "ledger")
  static class Entry {
    @Id
    String tag;

    Entry() {}

    Entry(String tag) {
      this.tag = tag;
    }
  }

  private final SessionFactory factory;

  Hibernate(String url, String user, String password, int size) {
    Logger.getLogger("org.hibernate").setLevel(Level.OFF);
    factory = new Configuration().addAnnotatedClass(Entry.class).setProperty("hibernate.connection.url", url)
        .setProperty("hibernate.connection.username", user).setProperty("hibernate.connection.password", password)
        .setProperty("hibernate.connection.pool_size", String.valueOf(size))
        .setProperty("hibernate.connection.autocommit", "true").buildSessionFactory();
  }

  @Override
  public void close() {
    factory.close();
  }

  private static Query queryOn(Session session) {
    return (text, values) -> {
      if (text.startsWith("insert into ledger")) {
        session.persist(new Entry((String) values[0]));
        session.flush();
        return List.of();
      }
      if (text.startsWith("select tag from ledger")) {
        session.clear();
        Entry entry = session.find(Entry.class, values[0]);
        LinkedHashMap<String, Object> row = new LinkedHashMap<>();
        if (entry != null) row.put("tag", entry.tag);
        return entry == null ? List.of() : List.of(row);
      }
      return session.doReturningWork(connection -> {
        try {
          return Jdbc.queryOn(connection).run(text, values);
        } catch (java.sql.SQLException error) {
          throw error;
        } catch (Exception error) {
          throw new IllegalStateException(error);
        }
      });
    };
  }

  @Override
  public void session(Use use) throws Exception {
    try (Session session = factory.openSession()) {
      use.with(queryOn(session));
    }
  }

  @Override
  public void transaction(Use use) throws Exception {
    try (Session session = factory.openSession()) {
      var transaction = session.beginTransaction();
      try {
        use.with(queryOn(session));
        transaction.commit();
      } catch (Exception error) {
        transaction.rollback();
        throw error;
      }
    }
  }
}
