import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Base64;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.message.FetchRequestData;
import org.apache.kafka.common.message.FetchResponseData;
import org.apache.kafka.common.message.RequestHeaderData;
import org.apache.kafka.common.metadata.MetadataJsonConverters;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.Record;
import org.apache.kafka.common.record.internal.RecordBatch;
import org.apache.kafka.metadata.MetadataRecordSerde;
import org.apache.kafka.server.common.ApiMessageAndVersion;

/**
 * Speaks any API with one port, in Kafka's own JSON form, for programs that lack a codec for it. A
 * command a line on stdin, an answer a line on stdout:
 *
 *   {"ask": KEY, "version": V, "body": {...}}      {"answer": {...}} or {"closed": true}
 *   {"encode": KEY, "version": V, "body": {...}}   {"bytes": BASE64}: header and body
 *   {"decode": KEY, "version": V, "bytes": BASE64} {"answer": {...}}: header and body of an answer
 *   {"frame": BASE64}                              {"closed": true} or {"bytes": BASE64}
 *   {"records": OFFSET}                            the metadata log from there on, as
 *                                                  {"records": [{...}], "next": OFFSET, "epoch": E}
 *
 * Of a body's outermost fields those that are missing get their defaults.
 */
final class Talk {
    private static final int ANSWER_MS_MAX = 30_000;
    private static final ObjectMapper MAPPER = new ObjectMapper();
    private final String host;
    private final int port;
    private Socket socket;
    private int correlation;
    private int epoch;

    private Talk(String address) {
        int colon = address.lastIndexOf(':');
        host = address.substring(0, colon);
        port = Integer.parseInt(address.substring(colon + 1));
    }

    static void run(String address) throws Exception {
        Talk talk = new Talk(address);
        BufferedReader in =
            new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = in.readLine()) != null;) {
            System.out.println(MAPPER.writeValueAsString(talk.obey(MAPPER.readTree(line))));
            System.out.flush();
        }
    }

    private JsonNode obey(JsonNode command) throws Exception {
        ObjectNode result = MAPPER.createObjectNode();
        short version = (short) command.path("version").asInt();
        if (command.has("records")) {
            long offset = command.get("records").asLong();
            try {
                return news(offset);
            } catch (IOException end) { // the connection had ended without our noticing
                close();
                return news(offset);
            }
        }
        try {
            if (command.has("frame")) {
                byte[] answer = exchange(Base64.getDecoder().decode(command.get("frame").asText()));
                return result.put("bytes", Base64.getEncoder().encodeToString(answer));
            }
            ApiKeys key = key(command);
            if (command.has("decode")) {
                byte[] bytes = Base64.getDecoder().decode(command.get("bytes").asText());
                return result.set("answer", json(parse(key, version, bytes), version));
            }
            byte[] frame = frame(key, version, request(key, version, command.get("body")));
            if (command.has("encode")) {
                return result.put("bytes", Base64.getEncoder().encodeToString(frame));
            }
            return result.set("answer", json(parse(key, version, exchange(frame)), version));
        } catch (SocketTimeoutException silence) {
            close();
            return result.put("silent", true);
        } catch (IOException end) {
            close();
            return result.put("closed", true);
        }
    }

    private static ApiKeys key(JsonNode command) {
        for (String verb : new String[] {"ask", "encode", "decode"}) {
            if (command.has(verb)) {
                return ApiKeys.forId(command.get(verb).asInt());
            }
        }
        throw new IllegalArgumentException(command.toString());
    }

    private static ApiMessage request(ApiKeys key, short version, JsonNode body) throws Exception {
        ApiMessage empty = key.messageType.newRequest();
        ObjectNode whole = (ObjectNode) json(empty, version);
        whole.setAll((ObjectNode) body);
        Class<?> converter = Class.forName(empty.getClass().getName() + "JsonConverter");
        return (ApiMessage) converter.getMethod("read", JsonNode.class, short.class)
            .invoke(null, whole, version);
    }

    private static JsonNode json(Message message, short version) throws Exception {
        Class<?> converter = Class.forName(message.getClass().getName() + "JsonConverter");
        return (JsonNode) converter
            .getMethod("write", message.getClass(), short.class, boolean.class)
            .invoke(null, message, version, false); // of record batches the size only
    }

    private byte[] frame(ApiKeys key, short version, ApiMessage body) {
        RequestHeaderData header = new RequestHeaderData().setRequestApiKey(key.id)
            .setRequestApiVersion(version)
            .setCorrelationId(++correlation)
            .setClientId("talk");
        short headerVersion = key.requestHeaderVersion(version);
        ObjectSerializationCache cache = new ObjectSerializationCache();
        int size = header.size(cache, headerVersion) + body.size(cache, version);
        ByteBuffer buffer = ByteBuffer.allocate(size);
        ByteBufferAccessor out = new ByteBufferAccessor(buffer);
        header.write(out, cache, headerVersion);
        body.write(out, cache, version);
        return buffer.array();
    }

    private static ApiMessage parse(ApiKeys key, short version, byte[] answer) {
        ByteBuffer buffer = ByteBuffer.wrap(answer);
        buffer.getInt(); // the correlation id
        if (key.responseHeaderVersion(version) > 0) {
            buffer.get(); // no tagged fields
        }
        ApiMessage response = key.messageType.newResponse();
        response.read(new ByteBufferAccessor(buffer), version);
        return response;
    }

    private byte[] exchange(byte[] frame) throws IOException {
        if (socket == null) {
            socket = new Socket(host, port);
            socket.setTcpNoDelay(true);
            socket.setSoTimeout(ANSWER_MS_MAX);
        }
        DataOutputStream out = new DataOutputStream(socket.getOutputStream());
        ByteBuffer whole = ByteBuffer.allocate(4 + frame.length);
        out.write(whole.putInt(frame.length).put(frame).array());
        DataInputStream in = new DataInputStream(socket.getInputStream());
        byte[] answer = new byte[in.readInt()];
        in.readFully(answer);
        return answer;
    }

    private void close() throws IOException {
        if (socket != null) {
            socket.close();
            socket = null;
        }
    }

    private JsonNode news(long offset) throws Exception {
        ObjectNode result = MAPPER.createObjectNode();
        ArrayNode records = result.putArray("records");
        long next = offset;
        while (true) {
            FetchResponseData.PartitionData part = fetch(next);
            if (part.currentLeader().leaderEpoch() > epoch) {
                epoch = part.currentLeader().leaderEpoch();
                continue;
            }
            MemoryRecords batches = (MemoryRecords) part.records();
            long before = next;
            for (RecordBatch batch : batches.batches()) {
                next = batch.nextOffset();
                if (batch.isControlBatch()) {
                    continue;
                }
                for (Record record : batch) {
                    if (record.offset() < before) {
                        continue;
                    }
                    ApiMessageAndVersion read = MetadataRecordSerde.INSTANCE.read(
                        new ByteBufferAccessor(record.value()), record.valueSize());
                    ObjectNode one = records.addObject();
                    one.put("type", read.message().getClass().getSimpleName());
                    one.put("version", read.version());
                    one.put("offset", record.offset());
                    one.set("data",
                        MetadataJsonConverters.writeJson(read.message(), read.version()));
                }
            }
            if (next >= part.highWatermark() || next == before) {
                break;
            }
        }
        result.put("epoch", epoch);
        return result.put("next", next);
    }

    private FetchResponseData.PartitionData fetch(long offset) throws Exception {
        FetchRequestData request = new FetchRequestData().setMaxBytes(8 << 20);
        request.replicaState().setReplicaId(900);
        FetchRequestData.FetchPartition partition = new FetchRequestData.FetchPartition()
            .setCurrentLeaderEpoch(epoch)
            .setFetchOffset(offset)
            .setLastFetchedEpoch(offset == 0 ? 0 : epoch)
            .setReplicaDirectoryId(new Uuid(9, 9));
        request.setTopics(Arrays.asList(new FetchRequestData.FetchTopic()
            .setTopicId(Uuid.METADATA_TOPIC_ID)
            .setPartitions(Arrays.asList(partition))));
        short version = 17;
        byte[] answer = exchange(frame(ApiKeys.FETCH, version, request));
        FetchResponseData response = (FetchResponseData) parse(ApiKeys.FETCH, version, answer);
        return response.responses().get(0).partitions().get(0);
    }
}
