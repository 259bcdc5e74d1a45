package pgbun;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;

/**
 * The load of the matrix for drivers of Java: what scenario.ts, common-steps.ts and schema-changes.ts are for Node.
 * Arguments: driver, host, port, user, password, database, workers, rounds. Prints the outcome as JSON.
 */
public final class Main {
  /** Longest time one load may take, in seconds. Only one that hangs gets there. */
  private static final int DEADLINE = 60;

  private Main() {}

  public static void main(String[] args) throws Exception {
    String url = "jdbc:postgresql://" + args[1] + ":" + args[2] + "/" + args[5];
    if (args[0].equals("console")) {
      Console.read(url, args[3], args[4]);
      System.exit(0);
    }
    int workers = Integer.parseInt(args[6]);
    Outcome outcome;
    try (Driver driver = args[0].equals("hibernate") ? new Hibernate(url, args[3], args[4], workers)
        : new Jdbc(url, args[3], args[4], workers)) {
      outcome = run(driver, args[5], workers, Integer.parseInt(args[7]));
    }
    System.out.println(outcome.json());
    System.exit(0);
  }

  private static Outcome run(Driver driver, String database, int workers, int rounds) throws Exception {
    Outcome outcome = new Outcome();
    Map<String, Driver.Step> steps = new LinkedHashMap<>(Steps.common());
    steps.putAll(driver.more());
    var threads = Executors.newFixedThreadPool(workers);
    List<Future<?>> done = new ArrayList<>();
    for (int i = 0; i < workers; i++) {
      Work work = new Work(database, i, outcome);
      done.add(threads.submit(() -> {
        work(driver, work, steps, rounds);
        return null;
      }));
    }
    for (Future<?> future : done) future.get(DEADLINE, TimeUnit.SECONDS);
    threads.shutdown();
    outcome.steps.addAll(steps.keySet());
    new Changes(outcome).run(driver);
    outcome.steps.add("changes");
    return outcome;
  }

  private static void work(Driver driver, Work work, Map<String, Driver.Step> steps, int rounds) throws Exception {
    List<String> names = List.copyOf(steps.keySet());
    for (int round = 0; round < rounds; round++) {
      for (int i = 0; i < names.size(); i++) {
        String name = names.get((work.worker + i) % names.size());
        work.doing = "worker " + work.worker + ", round " + round + ", " + name;
        try {
          steps.get(name).run(driver, work);
        } catch (Exception error) {
          throw new Exception(work.doing + " failed", error);
        }
      }
    }
  }
}
