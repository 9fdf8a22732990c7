import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.common.utils.Exit;

/**
 * Kafka's command line tools, by their own main() and with their own arguments, but in this
 * process.
 */
final class ToolCases {
    private static final class Exited extends RuntimeException {}

    private record Result(int status, String out) {
        List<String> lines() {
            return out.lines().filter(line -> !line.isBlank()).toList();
        }
    }

    private final Cases cases;

    ToolCases(Cases cases) {
        this.cases = cases;
        cases.add("tool TopicCommand", this::topics);
        cases.add("tool ConsoleProducer and ConsoleConsumer", this::console);
        cases.add("tool ConfigCommand --describe", this::configs);
        cases.add("tool GetOffsetShell", this::offsets);
        cases.add("tool BrokerApiVersionsCommand", this::versions);
    }

    private Result tool(String name, String input, String... arguments) throws Exception {
        String[] all = Arrays.copyOf(arguments, arguments.length + 2);
        all[arguments.length] = "--bootstrap-server";
        all[arguments.length + 1] = cases.bootstrap;
        PrintStream out = System.out;
        PrintStream err = System.err;
        InputStream in = System.in;
        ByteArrayOutputStream captured = new ByteArrayOutputStream();
        // The first call counts: some tools catch what is thrown here and exit once more.
        AtomicReference<Integer> status = new AtomicReference<>();
        Exit.Procedure leave = (code, message) -> {
            status.compareAndSet(null, code);
            throw new Exited();
        };
        Exit.setExitProcedure(leave);
        Exit.setHaltProcedure(leave);
        List<Runnable> hooks = new ArrayList<>(); // ConsoleProducer flushes in one
        Exit.setShutdownHookAdder((hook, action) -> hooks.add(action));
        try (PrintStream stream = new PrintStream(captured, true, UTF_8)) {
            System.setOut(stream);
            System.setErr(stream);
            System.setIn(new ByteArrayInputStream(input.getBytes(UTF_8)));
            Class.forName(name).getMethod("main", String[].class).invoke(null, (Object) all);
        } catch (java.lang.reflect.InvocationTargetException thrown) {
            if (!(thrown.getCause() instanceof Exited)) {
                throw thrown;
            }
        } finally {
            hooks.forEach(Runnable::run);
            System.setOut(out);
            System.setErr(err);
            System.setIn(in);
            Exit.resetExitProcedure();
            Exit.resetHaltProcedure();
            Exit.resetShutdownHookAdder();
        }
        return new Result(status.get() == null ? 0 : status.get(), captured.toString(UTF_8));
    }

    private Result works(String name, String input, String... arguments) throws Exception {
        Result result = tool(name, input, arguments);
        Cases.check(result.status == 0, name + " ended with " + result.status + ": " + result.out);
        return result;
    }

    private void topics() throws Exception {
        String command = "org.apache.kafka.tools.TopicCommand";
        String name = cases.name("tool");
        Cases.check(works(command, "", "--create", "--topic", name, "--partitions", "2", "--config",
                        "retention.ms=77777777")
                        .out.contains("Created topic " + name),
            "says that it made the topic");
        Cases.check(tool(command, "", "--create", "--topic", name).status != 0, "twice is refused");
        works(command, "", "--create", "--if-not-exists", "--topic", name);
        Cases.check(works(command, "", "--list").lines().contains(name), "is listed");
        Result described = works(command, "", "--describe", "--topic", name);
        Cases.check(described.out.contains("PartitionCount: 2")
                && described.out.contains("ReplicationFactor: 1")
                && described.out.contains("retention.ms=77777777"),
            described.out);
        Cases.checkEqual(3L,
            described.lines()
                .stream()
                .filter(line -> line.strip().startsWith("Topic: " + name))
                .count());
        works(command, "", "--delete", "--topic", name);
        for (int i = 0; works(command, "", "--list").lines().contains(name); i++) {
            Cases.check(i < 100, "the deleted topic is still listed");
        }
        Cases.check(
            tool(command, "", "--describe", "--topic", name).status != 0, "describes what is gone");
    }

    private void console() throws Exception {
        String topic = cases.topic("console", 2, Map.of());
        StringBuilder lines = new StringBuilder();
        for (int i = 0; i < 100; i++) {
            lines.append("h:").append(i).append("\tk\t").append(i).append('\n');
        }
        works("org.apache.kafka.tools.ConsoleProducer", lines.toString(), "--topic", topic,
            "--reader-property", "parse.key=true", "--reader-property", "parse.headers=true");
        int partition = org.apache.kafka.common.utils.Utils.toPositive(
                            org.apache.kafka.common.utils.Utils.murmur2("k".getBytes(UTF_8)))
            % 2;
        Result found = works("org.apache.kafka.tools.consumer.ConsoleConsumer", "", "--topic",
            topic, "--partition", Integer.toString(partition), "--offset", "90", "--max-messages",
            "10", "--timeout-ms", "20000", "--formatter-property", "print.key=true",
            "--formatter-property", "print.headers=true", "--formatter-property",
            "print.offset=true");
        List<String> records =
            found.lines().stream().filter(line -> line.startsWith("Offset:")).toList();
        Cases.checkEqual(10, records.size());
        Cases.checkEqual("Offset:90\th:90\tk\t90", records.get(0));
        Cases.checkEqual("Offset:99\th:99\tk\t99", records.get(9));
    }

    private void configs() throws Exception {
        String topic = cases.topic("config-command", 1, Map.of("max.message.bytes", "54321"));
        Result found = works("kafka.admin.ConfigCommand", "", "--describe", "--entity-type",
            "topics", "--entity-name", topic);
        Cases.check(found.out.contains("max.message.bytes=54321"), found.out);
        String node = cases.admin.describeCluster().nodes().get().iterator().next().idString();
        Result all = works("kafka.admin.ConfigCommand", "", "--describe", "--all", "--entity-type",
            "brokers", "--entity-name", node);
        Cases.check(all.out.contains("log.dirs=") && all.out.contains("listeners="), all.out);
    }

    private void offsets() throws Exception {
        String topic = cases.topic("offset-shell", 2, Map.of());
        try (var producer = RecordCases.producer(cases.bootstrap, Map.of())) {
            RecordCases.send(producer, topic, 1, RecordCases.numbers(0, 42));
        }
        String shell = "org.apache.kafka.tools.GetOffsetShell";
        Cases.checkEqual(
            List.of(topic + ":0:0", topic + ":1:42"), works(shell, "", "--topic", topic).lines());
        Cases.checkEqual(List.of(topic + ":0:0", topic + ":1:0"),
            works(shell, "", "--topic", topic, "--time", "earliest").lines());
        List<String> newest =
            works(shell, "", "--topic-partitions", topic + ":1", "--time", "max-timestamp").lines();
        Cases.check(
            newest.size() == 1 && newest.get(0).startsWith(topic + ":1:"), newest.toString());
    }

    private void versions() throws Exception {
        Result found = works("org.apache.kafka.tools.BrokerApiVersionsCommand", "");
        Cases.check(found.out.contains("Produce(0): 0 to 13 [usable: 13]"), found.out);
        Cases.check(found.out.contains("Fetch(1): 4 to 18 [usable: 18]"), found.out);
        Cases.check(found.out.contains("Metadata(3): 0 to 13 [usable: 13]"), found.out);
    }
}
