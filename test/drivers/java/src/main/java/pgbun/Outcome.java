package pgbun;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.stream.Collectors;

/** What happened; {@link #json} is what scenario.ts calls an Outcome. */
final class Outcome {
  final List<String> steps = new ArrayList<>();
  final List<String> changes = new ArrayList<>();
  private final List<String> mixUps = new ArrayList<>();
  private final List<String> committed = new ArrayList<>();
  private int queries;
  private int increments;

  synchronized void counted(String mixUp) {
    queries++;
    if (mixUp != null) mixUps.add(mixUp);
  }

  synchronized void committed(String tag) {
    committed.add(tag);
  }

  synchronized void incremented() {
    increments++;
  }

  synchronized String json() {
    return "{\"steps\":" + list(steps) + ",\"queries\":" + queries + ",\"mixUps\":" + list(mixUps) + ",\"committed\":"
        + list(committed) + ",\"increments\":" + increments + ",\"changes\":" + list(changes) + "}";
  }

  private static String list(Collection<String> texts) {
    return texts.stream().map(Outcome::text).collect(Collectors.joining(",", "[", "]"));
  }

  private static String text(String text) {
    StringBuilder out = new StringBuilder("\"");
    for (char c : text.toCharArray()) {
      if (c == '"' || c == '\\') out.append('\\').append(c);
      else if (c < ' ') out.append(String.format("\\u%04x", (int) c));
      else out.append(c);
    }
    return out.append('"').toString();
  }
}
