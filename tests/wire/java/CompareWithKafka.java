import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStreamWriter;
import java.io.PrintStream;
import java.lang.reflect.Method;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.jar.JarFile;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Field;
import org.apache.kafka.common.protocol.types.RawTaggedField;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.Struct;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;
import org.apache.kafka.common.record.internal.MemoryRecords;

/**
 * Kafka's half of the comparison of our codecs with Kafka's own (tests/wire/run; our half is wire_tool).
 *
 *   errors            every error code, as wire_tool prints it
 *   apis              every API, likewise
 *   compare COUNT     reads the lines of wire_tool generate, checks each with Kafka's classes, and writes for each what
 *                     Kafka makes of it; then COUNT messages a pair that Kafka's own schema made up. For wire_tool verify.
 *
 * The exit code is 1 if anything differed; the first differences go to stderr, and at the end "N passed, M failed".
 */
public class CompareWithKafka {
    static final ObjectMapper MAPPER = new ObjectMapper();
    static final int FAILURES_SHOWN = 20;

    /** One message class of Kafka's with its JSON converter. */
    record Kind(Class<?> message, Method fromJson, Method toJson) {
        static Kind of(String converterName) throws Exception {
            Class<?> converter = Class.forName(converterName);
            Class<?> message = Class.forName(converterName.replaceFirst("JsonConverter$", ""));
            return new Kind(message, converter.getMethod("read", JsonNode.class, short.class),
                converter.getMethod("write", message, short.class));
        }

        Message parse(byte[] bytes, short version) throws Exception {
            Message result = (Message) message.getConstructor().newInstance();
            ByteBuffer buffer = ByteBuffer.wrap(bytes);
            result.read(new ByteBufferAccessor(buffer), version);
            if (buffer.hasRemaining()) throw new IOException("Kafka leaves " + buffer.remaining() + " bytes unread");
            return result;
        }

        boolean hasJson() {
            return toJson != null;
        }

        Message fromJson(JsonNode json, short version) throws Exception {
            return (Message) fromJson.invoke(null, json, version);
        }

        JsonNode toJson(Message value, short version) throws Exception {
            // Through text, so that numbers have the type that a parser gives them.
            return MAPPER.readTree(MAPPER.writeValueAsString(toJson.invoke(null, value, version)));
        }
    }

    static String hex(Message message, short version) {
        ByteBuffer bytes = MessageUtil.toByteBufferAccessor(message, version).buffer();
        byte[] array = new byte[bytes.remaining()];
        bytes.get(array);
        return HexFormat.of().formatHex(array);
    }

    /** By Kafka's name of the message: "FetchRequest" for FetchRequestData, "TopicRecord" for TopicRecord. */
    static Map<String, Kind> kinds() throws Exception {
        Map<String, Kind> kinds = new TreeMap<>();
        for (String path : System.getProperty("java.class.path").split(File.pathSeparator)) {
            if (!path.endsWith(".jar")) continue;
            try (JarFile jar = new JarFile(path)) {
                for (var entries = jar.entries(); entries.hasMoreElements(); ) {
                    String name = entries.nextElement().getName();
                    if (!name.matches("org/apache/kafka/[\\w/]+JsonConverter\\.class")) continue;
                    name = name.replaceFirst("\\.class$", "").replace('/', '.');
                    Kind kind;
                    try {
                        kind = Kind.of(name);
                    } catch (ReflectiveOperationException notOfAMessage) {
                        continue;
                    }
                    kinds.put(kind.message.getSimpleName().replaceFirst("(Request|Response|Header)Data$", "$1"), kind);
                }
            }
        }
        // The only one that Kafka publishes without a converter.
        Class<?> subscription = Class.forName("org.apache.kafka.streams.internals.generated.SubscriptionInfoData");
        kinds.put(subscription.getSimpleName(), new Kind(subscription, null, null));
        return kinds;
    }

    static void errors() {
        for (Errors error : Errors.values()) {
            System.out.println(error.code() + "\t" + error.name() + "\t" + (error.exception() instanceof RetriableException));
        }
    }

    static void apis() {
        for (ApiKeys api : ApiKeys.values()) {
            StringBuilder line = new StringBuilder(api.id + "\t" + api.name);
            line.append("\t").append(api.messageType.lowestSupportedVersion());
            line.append("\t").append(api.messageType.highestSupportedVersion(true)).append("\t");
            for (var listener : api.messageType.listeners()) line.append(listener.name().charAt(0));
            line.append("\t").append(api.messageType.latestVersionUnstable() ? "unstable" : "stable").append("\t");
            for (int v = api.messageType.lowestSupportedVersion(); v <= api.messageType.highestSupportedVersion(true); v++) {
                line.append(api.requestHeaderVersion((short) v)).append(api.responseHeaderVersion((short) v)).append(",");
            }
            System.out.println(line);
        }
    }

    // ---- comparing what we made ----

    /** Kafka's converters write no record bytes into JSON; takes them from ours. */
    static void restoreRecords(JsonNode kafka, JsonNode ours) {
        if (kafka instanceof ArrayNode array && ours.size() == array.size()) {
            for (int i = 0; i < array.size(); i++) restoreRecords(array.get(i), ours.get(i));
        } else if (kafka instanceof ObjectNode object && ours instanceof ObjectNode) {
            for (String name : (Iterable<String>) object::fieldNames) {
                JsonNode other = ours.get(name);
                if (other == null) continue;
                boolean isRecords = name.equals("records") || name.equals("unalignedRecords");
                if (isRecords && object.get(name).isTextual() && other.isTextual()) {
                    object.set(name, other);
                } else {
                    restoreRecords(object.get(name), other);
                }
            }
        }
    }

    static void same(String what, Object kafka, Object ours) throws IOException {
        if (!kafka.equals(ours)) throw new IOException(what + "\n  Kafka: " + kafka + "\n  ours:  " + ours);
    }

    /** What Kafka makes of a line of ours, as a line for wire_tool verify. */
    static String compare(Kind kind, short version, String[] line) throws Exception {
        JsonNode ourJson = MAPPER.readTree(line[2]);
        String bytes = kind.hasJson() ? hex(kind.fromJson(ourJson, version), version) : line[3];
        same("bytes from the same JSON", bytes, line[3]);
        Message parsed = kind.parse(HexFormat.of().parseHex(line[3]), version);
        same("bytes after Kafka's reading and writing", hex(parsed, version), line[3]);
        String json = "-";
        if (kind.hasJson()) {
            JsonNode tree = kind.toJson(parsed, version);
            restoreRecords(tree, ourJson);
            same("JSON", tree, ourJson);
            json = MAPPER.writeValueAsString(tree);
        }
        if (!line[4].equals("-")) {
            Message tagged = kind.parse(HexFormat.of().parseHex(line[4]), version);
            same("bytes with unknown tagged fields", hex(tagged, version), line[4]);
        }
        return line[0] + "\t" + version + "\t" + json + "\t" + bytes;
    }

    // ---- messages that Kafka's own schema makes up ----

    record Inventor(Random random, boolean unknownTags) {
        String text() {
            StringBuilder text = new StringBuilder();
            for (int i = random.nextInt(12); i > 0; i--) text.appendCodePoint(new int[] {'a', 'Z', '0', '"', 0xe9, 0x20ac, 0x1f600}[random.nextInt(7)]);
            return text.toString();
        }

        byte[] bytes() {
            byte[] bytes = new byte[random.nextInt(random.nextInt(10) == 0 ? 300 : 10)];
            random.nextBytes(bytes);
            return bytes;
        }

        long number() {
            // Defaults are among -2, -1 and 0.
            return random.nextInt(3) == 0 ? random.nextInt(8) - 4 : random.nextLong() >> random.nextInt(64);
        }

        Object value(Type type) {
            if (type.isNullable() && random.nextInt(3) == 0) return null;
            if (type instanceof TaggedFields tagged) return tags(tagged);
            if (type instanceof Schema schema) return struct(schema);
            if (type.isArray()) {
                Object[] elements = new Object[random.nextInt(4)];
                for (int i = 0; i < elements.length; i++) elements[i] = value(type.arrayElementType().get());
                return elements;
            }
            String name = ((Type.DocumentedType) type).typeName();
            return switch (name) {
                case "BOOLEAN" -> random.nextBoolean();
                case "INT8" -> (byte) number();
                case "INT16" -> (short) number();
                case "UINT16" -> (int) (number() & 0xffff);
                case "INT32" -> (int) number();
                case "UINT32" -> number() & 0xffffffffL;
                case "INT64" -> number();
                case "FLOAT64" -> number() / 64.0;
                case "UUID" -> new Uuid(random.nextLong(), random.nextLong());
                case "RECORDS", "COMPACT_RECORDS" -> MemoryRecords.readableRecords(ByteBuffer.wrap(bytes()));
                default -> {
                    if (name.contains("STRING")) yield text();
                    if (name.contains("RECORDS")) yield MemoryRecords.readableRecords(ByteBuffer.wrap(bytes()));
                    if (name.contains("BYTES")) yield ByteBuffer.wrap(bytes());
                    throw new IllegalStateException("a type that is not known here: " + name);
                }
            };
        }

        Struct struct(Schema schema) {
            Struct struct = new Struct(schema);
            for (BoundField field : schema.fields()) struct.set(field, value(field.def.type));
            return struct;
        }

        TreeMap<Integer, Object> tags(TaggedFields tagged) {
            TreeMap<Integer, Object> tags = new TreeMap<>();
            for (Map.Entry<Integer, Field> known : tagged.fields().entrySet()) {
                if (random.nextBoolean()) tags.put(known.getKey(), value(known.getValue().type));
            }
            if (unknownTags && random.nextInt(4) == 0) {
                int tag = 100 + random.nextInt(1000);
                tags.put(tag, new RawTaggedField(tag, bytes()));
            }
            return tags;
        }
    }

    /** JSON says nothing of unknown tags, and nothing of the bytes of records: then there is a "-" in its place. */
    static String invent(String name, Kind kind, int version, Schema schema, Random random, boolean unknownTags)
        throws Exception {
        Struct struct = new Inventor(random, unknownTags).struct(schema);
        ByteBuffer buffer = ByteBuffer.allocate(schema.sizeOf(struct));
        schema.write(buffer, struct);
        // A tagged field at its default is written by the schema, not by the class; what the class writes counts.
        Message message = kind.parse(buffer.array(), (short) version);
        String text = "-";
        if (kind.hasJson() && !unknownTags) {
            JsonNode json = kind.toJson(message, (short) version);
            if (!hasRecords(json)) text = MAPPER.writeValueAsString(json);
        }
        return name + "\t" + version + "\t" + text + "\t" + hex(message, (short) version);
    }

    static boolean hasRecords(JsonNode json) {
        return !json.findValues("records").isEmpty() || !json.findValues("unalignedRecords").isEmpty();
    }

    static int compareAll(int invented) throws Exception {
        Map<String, Kind> kinds = kinds();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        BufferedWriter out = new BufferedWriter(new OutputStreamWriter(System.out, StandardCharsets.UTF_8));
        List<String> failures = new ArrayList<>();
        Map<String, Integer> vectors = new TreeMap<>();
        Map<String, Short> pairs = new TreeMap<>();
        int passed = 0;
        for (String text; (text = in.readLine()) != null; ) {
            String[] line = text.split("\t");
            short version = Short.parseShort(line[1]);
            Kind kind = kinds.get(line[0]);
            pairs.put(line[0] + "\t" + line[1], version);
            try {
                if (kind == null) throw new IOException("Kafka has no such message");
                out.write(compare(kind, version, line));
                out.newLine();
                passed++;
                vectors.merge(line[0] + "\t" + line[1], 1, Integer::sum);
            } catch (Exception | LinkageError e) {
                Throwable cause = e.getCause() == null ? e : e.getCause();
                failures.add(line[0] + " version " + line[1] + ": " + cause + "\n  " + line[2] + "\n  " + line[3]);
            }
        }
        int inventions = 0;
        int unreadable = 0;
        for (String pair : pairs.keySet()) {
            String name = pair.split("\t")[0];
            Kind kind = kinds.get(name);
            if (kind == null) continue;
            Schema[] schemas = (Schema[]) kind.message.getField("SCHEMAS").get(null);
            int version = pairs.get(pair);
            for (int i = 0; i < invented; i++) {
                try {
                    out.write(invent(name, kind, version, schemas[version], new Random(31L * pair.hashCode() + i), i % 2 == 1));
                    out.newLine();
                    inventions++;
                } catch (RuntimeException e) {
                    // A tagged struct that may be null is marked by a varint in Kafka's class and by a byte in Kafka's
                    // schema of that class, so the one cannot read all that the other writes.
                    if (!name.equals("ConsumerGroupMemberMetadataValue")) throw e;
                    unreadable++;
                }
            }
        }
        out.flush();
        PrintStream err = new PrintStream(System.err, true, StandardCharsets.UTF_8);
        failures.stream().limit(FAILURES_SHOWN).forEach(f -> err.println("FAILED " + f));
        int least = vectors.values().stream().min(Integer::compare).orElse(0);
        err.println("Kafka's classes: " + vectors.size() + " pairs, at least " + least + " vectors each; " + inventions
            + " messages of Kafka's own (" + unreadable + " more that Kafka cannot read); " + passed + " passed, " + failures.size() + " failed");
        return failures.isEmpty() ? 0 : 1;
    }

    public static void main(String[] args) throws Exception {
        switch (args[0]) {
            case "errors" -> errors();
            case "apis" -> apis();
            case "compare" -> System.exit(compareAll(Integer.parseInt(args[1])));
            default -> throw new IllegalArgumentException(args[0]);
        }
    }
}
