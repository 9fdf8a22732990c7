import java.io.PrintStream;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

/**
 * Named cases in one process, as each JVM start costs seconds: runs them in order and prints one
 * JSON object a line, the plan first (harness/target.py reads it). Also what the cases share:
 * checks, fresh topics, the address.
 */
final class Cases {
    interface Body {
        void run() throws Exception;
    }

    final String bootstrap;
    final Admin admin;
    /** Topic to codec: what the segments must hold when the node has stopped. */
    final Map<String, String> codecsWritten = new LinkedHashMap<>();
    private final Map<String, Body> bodies = new LinkedHashMap<>();
    private final AtomicInteger topics = new AtomicInteger();
    private final String run = Long.toString(System.nanoTime(), 36);
    private final PrintStream out = System.out;

    Cases(String bootstrap) {
        this.bootstrap = bootstrap;
        this.admin = Admin.create(Map.of("bootstrap.servers", bootstrap));
    }

    void add(String name, Body body) {
        bodies.put(name, body);
    }

    void runAll() {
        List<String> names = new ArrayList<>();
        for (String name : bodies.keySet()) {
            names.add(quoted(name));
        }
        out.println("{\"plan\": [" + String.join(", ", names) + "]}");
        bodies.forEach((name, body) -> {
            long start = System.nanoTime();
            String failure = null;
            try {
                body.run();
            } catch (Throwable thrown) {
                failure = described(thrown);
            }
            out.printf("{\"case\": %s, \"ok\": %s, \"seconds\": %.3f, \"text\": %s}%n",
                quoted(name), failure == null, (System.nanoTime() - start) / 1e9,
                quoted(failure == null ? "" : failure));
            out.flush();
        });
        List<String> codecs = new ArrayList<>();
        codecsWritten.forEach((topic, codec) -> codecs.add(quoted(topic) + ": " + quoted(codec)));
        out.println("{\"codecs\": {" + String.join(", ", codecs) + "}}");
        out.flush();
    }

    String name(String word) {
        return "java-" + word + "-" + run + "-" + topics.incrementAndGet();
    }

    /** A new topic whose leaders answer. */
    String topic(String word, int partitions, Map<String, String> configs) throws Exception {
        String name = name(word);
        admin.createTopics(List.of(new NewTopic(name, partitions, (short) 1).configs(configs)))
            .all()
            .get();
        for (int i = 0; i < partitions; i++) {
            awaitLeader(new TopicPartition(name, i));
        }
        return name;
    }

    /** Kafka answers CreateTopics before its broker has applied the new topic. */
    private void awaitLeader(TopicPartition partition) throws Exception {
        for (int i = 0;; i++) {
            try {
                admin.listOffsets(Map.of(partition, OffsetSpec.latest())).all().get();
                return;
            } catch (ExecutionException thrown) {
                if (i == 500 || !(thrown.getCause() instanceof UnknownTopicOrPartitionException)) {
                    throw thrown;
                }
                Thread.sleep(20);
            }
        }
    }

    String topic(String word) throws Exception {
        return topic(word, 1, Map.of());
    }

    long endOffset(String topic) throws Exception {
        TopicPartition partition = new TopicPartition(topic, 0);
        return admin.listOffsets(Map.of(partition, OffsetSpec.latest()))
            .partitionResult(partition)
            .get()
            .offset();
    }

    static void check(boolean holds, String otherwise) {
        if (!holds) {
            throw new AssertionError(otherwise);
        }
    }

    static void checkEqual(Object wanted, Object found) {
        if (!wanted.equals(found)) {
            throw new AssertionError(
                "wanted " + shortened(wanted) + " but found " + shortened(found));
        }
    }

    /** Runs what must fail with this exception, bare or as the cause of an ExecutionException. */
    static <T extends Throwable> T refused(Class<T> kind, Callable<?> action) throws Exception {
        try {
            action.call();
        } catch (Throwable thrown) {
            Throwable cause = thrown instanceof ExecutionException ? thrown.getCause() : thrown;
            if (kind.isInstance(cause)) {
                return kind.cast(cause);
            }
            throw new AssertionError("wanted " + kind.getSimpleName() + " but got " + cause, cause);
        }
        throw new AssertionError("wanted " + kind.getSimpleName() + " but it was accepted");
    }

    private static String shortened(Object value) {
        String text = String.valueOf(value);
        return text.length() <= 300 ? text : text.substring(0, 300) + "...";
    }

    private static String described(Throwable thrown) {
        StringBuilder text = new StringBuilder(thrown.toString());
        for (StackTraceElement frame : thrown.getStackTrace()) {
            if (frame.getClassName().endsWith("Cases")) {
                text.append("\nat ")
                    .append(frame.getFileName())
                    .append(':')
                    .append(frame.getLineNumber());
            }
        }
        return text.toString();
    }

    static String quoted(String text) {
        StringBuilder json = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\') {
                json.append('\\').append(c);
            } else if (c < 0x20 || c > 0x7e) {
                json.append(String.format("\\u%04x", (int) c));
            } else {
                json.append(c);
            }
        }
        return json.append('"').toString();
    }
}
