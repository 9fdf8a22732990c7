import static java.nio.charset.StandardCharsets.UTF_8;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.apache.kafka.clients.consumer.CloseOptions;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.LogTruncationException;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.utils.Utils;

/**
 * Kafka's own producer and consumer; the consumer has no group and reads assigned partitions from
 * given offsets.
 */
final class RecordCases {
    private static final Duration ANSWER_MAX = Duration.ofSeconds(30);
    private final Cases cases;

    RecordCases(Cases cases) {
        this.cases = cases;
        cases.add("thousands in order, idempotent by default", this::thousandsInOrder);
        cases.add("acks 0, 1 and all without idempotence", this::acks);
        cases.add("partition and offset", this::partitionAndOffset);
        cases.add("auto-creation by the producer", this::autoCreation);
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            cases.add("codec " + codec, () -> codec(codec));
        }
        cases.add("keys, values and headers, empty and null", this::keysValuesHeaders);
        cases.add("create time and offsets for times", this::createTime);
        cases.add("append time", this::appendTime);
        cases.add("big records", this::bigRecords);
        cases.add("keys to four partitions", this::keysToFourPartitions);
        cases.add("offset past the end", this::pastTheEnd);
        cases.add("leader epoch is validated", this::leaderEpoch);
        cases.add("a waiting consumer sees a record at once", this::longPoll);
        cases.add("read_committed reads what has no transaction", this::readCommitted);
        cases.add("two producers", this::twoProducers);
    }

    static KafkaProducer<byte[], byte[]> producer(String bootstrap, Map<String, Object> more) {
        Map<String, Object> config = new HashMap<>(more);
        config.put("bootstrap.servers", bootstrap);
        return new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
    }

    private KafkaProducer<byte[], byte[]> producer(Map<String, Object> more) {
        return producer(cases.bootstrap, more);
    }

    private KafkaConsumer<byte[], byte[]> consumer(
        TopicPartition partition, long offset, Map<String, Object> more) {
        return consumer(cases.bootstrap, partition, offset, more);
    }

    static KafkaConsumer<byte[], byte[]> consumer(
        String bootstrap, TopicPartition partition, long offset, Map<String, Object> more) {
        Map<String, Object> config = new HashMap<>(more);
        config.put("bootstrap.servers", bootstrap);
        config.putIfAbsent("auto.offset.reset", "none");
        KafkaConsumer<byte[], byte[]> made =
            new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        made.assign(List.of(partition));
        made.seek(partition, offset);
        return made;
    }

    /** Exactly count records from the offset on; more than that is an error too. */
    static List<ConsumerRecord<byte[], byte[]>> read(String bootstrap, String topic, int partition,
        long offset, int count, Map<String, Object> more) {
        try (var consumer =
                 consumer(bootstrap, new TopicPartition(topic, partition), offset, more)) {
            List<ConsumerRecord<byte[], byte[]>> found = new ArrayList<>();
            long deadline = System.nanoTime() + ANSWER_MAX.toNanos();
            while (found.size() < count && System.nanoTime() < deadline) {
                consumer.poll(Duration.ofMillis(500)).forEach(found::add);
            }
            consumer.poll(Duration.ofMillis(50)).forEach(found::add);
            Cases.checkEqual(count, found.size());
            return found;
        }
    }

    private List<ConsumerRecord<byte[], byte[]>> read(
        String topic, int partition, long offset, int count) {
        return read(cases.bootstrap, topic, partition, offset, count, Map.of());
    }

    static List<String> values(List<ConsumerRecord<byte[], byte[]>> records) {
        return records.stream().map(record -> new String(record.value(), UTF_8)).toList();
    }

    static List<String> numbers(int from, int to) {
        return IntStream.range(from, to).mapToObj(Integer::toString).toList();
    }

    static List<RecordMetadata> send(KafkaProducer<byte[], byte[]> producer, String topic,
        int partition, List<String> values) throws Exception {
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        for (String value : values) {
            sent.add(
                producer.send(new ProducerRecord<>(topic, partition, null, value.getBytes(UTF_8))));
        }
        producer.flush();
        List<RecordMetadata> answers = new ArrayList<>();
        for (Future<RecordMetadata> one : sent) {
            answers.add(one.get());
        }
        return answers;
    }

    private void thousandsInOrder() throws Exception {
        String topic = cases.topic("many");
        try (var producer = producer(Map.of("batch.size", 2000))) {
            List<RecordMetadata> answers = send(producer, topic, 0, numbers(0, 20000));
            for (int i = 0; i < answers.size(); i++) {
                Cases.checkEqual((long) i, answers.get(i).offset());
            }
        }
        List<ConsumerRecord<byte[], byte[]>> found = read(topic, 0, 0, 20000);
        Cases.checkEqual(numbers(0, 20000), values(found));
        Cases.checkEqual(19999L, found.get(19999).offset());
    }

    private void acks() throws Exception {
        for (String acks : List.of("0", "1", "all")) {
            String topic = cases.topic("acks");
            try (var producer = producer(Map.of("acks", acks, "enable.idempotence", false))) {
                send(producer, topic, 0, numbers(0, 100));
            }
            Cases.checkEqual(numbers(0, 100), values(read(topic, 0, 0, 100)));
        }
    }

    private void partitionAndOffset() throws Exception {
        String topic = cases.topic("offset", 2, Map.of());
        try (var producer = producer(Map.of())) {
            send(producer, topic, 1, numbers(0, 20));
        }
        Cases.checkEqual(numbers(13, 20), values(read(topic, 1, 13, 7)));
        Cases.checkEqual(List.of(), read(topic, 0, 0, 0));
        TopicPartition partition = new TopicPartition(topic, 1);
        try (var consumer = consumer(partition, 0, Map.of())) {
            Cases.checkEqual(Map.of(partition, 20L), consumer.endOffsets(List.of(partition)));
            Cases.checkEqual(Map.of(partition, 0L), consumer.beginningOffsets(List.of(partition)));
            consumer.seekToEnd(List.of(partition));
            Cases.checkEqual(20L, consumer.position(partition));
        }
    }

    private void autoCreation() throws Exception {
        String topic = cases.name("auto");
        try (var producer = producer(Map.of())) {
            send(producer, topic, 0, List.of("v"));
            Cases.checkEqual(1, producer.partitionsFor(topic).size());
        }
        Cases.checkEqual(List.of("v"), values(read(topic, 0, 0, 1)));
    }

    private void codec(String codec) throws Exception {
        String topic = cases.topic("codec-" + codec);
        List<String> sent =
            IntStream.range(0, 500).mapToObj(i -> i + " the same words again".repeat(10)).toList();
        try (var producer = producer(Map.of("compression.type", codec, "linger.ms", 20))) {
            send(producer, topic, 0, sent);
        }
        Cases.checkEqual(sent, values(read(topic, 0, 0, 500)));
        cases.codecsWritten.put(topic, codec);
    }

    private void keysValuesHeaders() throws Exception {
        String topic = cases.topic("headers");
        List<Header> headers =
            List.of(new RecordHeader("a", "1".getBytes(UTF_8)), new RecordHeader("a", new byte[0]),
                new RecordHeader("null", null), new RecordHeader("", new byte[] {0, -1}));
        try (var producer = producer(Map.of())) {
            producer.send(new ProducerRecord<>(topic, 0, new byte[0], new byte[0], headers));
            producer.send(new ProducerRecord<>(topic, 0, null, new byte[] {1}));
            producer.send(new ProducerRecord<>(topic, 0, new byte[] {2}, null));
            producer.send(new ProducerRecord<>(topic, 0, null, null)).get();
        }
        List<ConsumerRecord<byte[], byte[]>> found = read(topic, 0, 0, 4);
        Cases.checkEqual(headers, List.of(found.get(0).headers().toArray()));
        Cases.check(found.get(0).key().length == 0 && found.get(0).value().length == 0,
            "empty stays empty");
        Cases.check(
            found.get(1).key() == null && Arrays.equals(found.get(1).value(), new byte[] {1}),
            "null key");
        Cases.check(
            Arrays.equals(found.get(2).key(), new byte[] {2}) && found.get(2).value() == null,
            "null value");
        Cases.check(found.get(3).key() == null && found.get(3).value() == null, "both null");
        Cases.checkEqual(0, found.get(3).headers().toArray().length);
    }

    private void createTime() throws Exception {
        String topic = cases.topic("create-time");
        long start = System.currentTimeMillis() - 60_000;
        try (var producer = producer(Map.of())) {
            for (int i : new int[] {0, 2, 1}) {
                producer.send(new ProducerRecord<>(topic, 0, start + i * 1000L, null, new byte[0]))
                    .get();
            }
        }
        TopicPartition partition = new TopicPartition(topic, 0);
        Cases.checkEqual(List.of(0L, 2000L, 1000L),
            read(topic, 0, 0, 3).stream().map(record -> record.timestamp() - start).toList());
        try (var consumer = consumer(partition, 0, Map.of())) {
            var found = consumer.offsetsForTimes(Map.of(partition, start + 1)).get(partition);
            Cases.checkEqual(1L, found.offset());
            Cases.checkEqual(start + 2000, found.timestamp());
            Cases.checkEqual(Optional.of(0), found.leaderEpoch());
            Cases.check(
                consumer.offsetsForTimes(Map.of(partition, start + 2001)).get(partition) == null,
                "none as late");
        }
    }

    private void appendTime() throws Exception {
        String topic =
            cases.topic("append-time", 1, Map.of("message.timestamp.type", "LogAppendTime"));
        long before = System.currentTimeMillis();
        RecordMetadata answer;
        try (var producer = producer(Map.of())) {
            answer =
                producer
                    .send(new ProducerRecord<>(topic, 0, before - 3600_000, null, new byte[] {1}))
                    .get();
        }
        ConsumerRecord<byte[], byte[]> found = read(topic, 0, 0, 1).get(0);
        Cases.checkEqual(TimestampType.LOG_APPEND_TIME, found.timestampType());
        Cases.check(found.timestamp() >= before && found.timestamp() <= System.currentTimeMillis(),
            "the broker's time");
        Cases.checkEqual(found.timestamp(), answer.timestamp());
    }

    private void bigRecords() throws Exception {
        String topic = cases.topic("big");
        byte[] big = new byte[1_040_000];
        for (int i = 0; i < big.length; i++) {
            big[i] = (byte) (i * 31);
        }
        try (var producer = producer(Map.of("max.request.size", 3_000_000))) {
            producer.send(new ProducerRecord<>(topic, 0, null, big)).get();
            Cases.refused(RecordTooLargeException.class,
                ()
                    -> producer.send(new ProducerRecord<>(topic, 0, null, new byte[1_100_000]))
                        .get());
        }
        Cases.check(Arrays.equals(big, read(topic, 0, 0, 1).get(0).value()),
            "the big record comes back as it was");
        Cases.checkEqual(1L, cases.endOffset(topic));
    }

    private void keysToFourPartitions() throws Exception {
        String topic = cases.topic("hash", 4, Map.of());
        try (var producer = producer(Map.of())) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (int i = 0; i < 400; i++) {
                byte[] key = ("key" + i).getBytes(UTF_8);
                sent.add(producer.send(
                    new ProducerRecord<>(topic, key, Integer.toString(i).getBytes(UTF_8))));
            }
            for (int i = 0; i < 400; i++) {
                int wanted = Utils.toPositive(Utils.murmur2(("key" + i).getBytes(UTF_8))) % 4;
                Cases.checkEqual(wanted, sent.get(i).get().partition());
            }
        }
        int total = 0;
        for (int partition = 0; partition < 4; partition++) {
            long end = cases.admin
                           .listOffsets(Map.of(new TopicPartition(topic, partition),
                               org.apache.kafka.clients.admin.OffsetSpec.latest()))
                           .all()
                           .get()
                           .values()
                           .iterator()
                           .next()
                           .offset();
            List<String> found = values(read(topic, partition, 0, (int) end));
            Cases.checkEqual(
                found.stream().sorted((a, b) -> Integer.parseInt(a) - Integer.parseInt(b)).toList(),
                found);
            total += found.size();
        }
        Cases.checkEqual(400, total);
    }

    private void pastTheEnd() throws Exception {
        String topic = cases.topic("past");
        try (var producer = producer(Map.of())) {
            send(producer, topic, 0, numbers(0, 3));
        }
        try (var consumer = consumer(new TopicPartition(topic, 0), 50, Map.of())) {
            Cases.refused(OffsetOutOfRangeException.class, () -> {
                for (int i = 0; i < 30; i++) {
                    consumer.poll(Duration.ofSeconds(1));
                }
                return null;
            });
        }
        Cases.checkEqual(numbers(0, 3),
            values(
                read(cases.bootstrap, topic, 0, 50, 3, Map.of("auto.offset.reset", "earliest"))));
    }

    private void leaderEpoch() throws Exception {
        String topic = cases.topic("epoch");
        TopicPartition partition = new TopicPartition(topic, 0);
        try (var producer = producer(Map.of())) {
            send(producer, topic, 0, numbers(0, 10));
        }
        try (var consumer = consumer(partition, 0, Map.of())) {
            consumer.seek(partition, new OffsetAndMetadata(7, Optional.of(0), ""));
            List<ConsumerRecord<byte[], byte[]>> found = new ArrayList<>();
            for (int i = 0; i < 30 && found.size() < 3; i++) {
                consumer.poll(Duration.ofSeconds(1)).forEach(found::add);
            }
            Cases.checkEqual(numbers(7, 10), values(found));
            Cases.checkEqual(Optional.of(0), found.get(0).leaderEpoch());
            consumer.seek(partition, new OffsetAndMetadata(15, Optional.of(0), ""));
            LogTruncationException thrown = Cases.refused(LogTruncationException.class, () -> {
                for (int i = 0; i < 30; i++) {
                    consumer.poll(Duration.ofSeconds(1));
                }
                return null;
            });
            Cases.checkEqual(10L, thrown.divergentOffsets().get(partition).offset());
        }
    }

    private void longPoll() throws Exception {
        String topic = cases.topic("wait");
        var consumer =
            consumer(new TopicPartition(topic, 0), 0, Map.of("fetch.max.wait.ms", 20_000));
        try (var producer = producer(Map.of())) {
            consumer.poll(Duration.ofSeconds(1)); // leaves a Fetch waiting at the broker
            producer.send(new ProducerRecord<>(topic, 0, null, new byte[] {1})).get();
            long produced = System.nanoTime();
            int found = 0;
            while (found == 0 && System.nanoTime() - produced < 15e9) {
                found = consumer.poll(Duration.ofSeconds(1)).count();
            }
            Cases.checkEqual(1, found);
            Cases.check(System.nanoTime() - produced < 5e9, "the Fetch waited for its time-out");
        } finally {
            consumer.close(
                CloseOptions.timeout(Duration.ofMillis(100))); // its next Fetch waits for 20 s
        }
    }

    private void readCommitted() throws Exception {
        String topic = cases.topic("committed");
        try (var producer = producer(Map.of())) {
            send(producer, topic, 0, numbers(0, 100));
        }
        Cases.checkEqual(numbers(0, 100),
            values(read(
                cases.bootstrap, topic, 0, 0, 100, Map.of("isolation.level", "read_committed"))));
    }

    private void twoProducers() throws Exception {
        String topic = cases.topic("two");
        try (var one = producer(Map.of("linger.ms", 1));
            var other = producer(Map.of("linger.ms", 1))) {
            for (int i = 0; i < 3000; i++) {
                one.send(new ProducerRecord<>(topic, 0, null, ("a" + i).getBytes(UTF_8)));
                other.send(new ProducerRecord<>(topic, 0, null, ("b" + i).getBytes(UTF_8)));
            }
        }
        List<String> found = values(read(topic, 0, 0, 6000));
        for (String who : List.of("a", "b")) {
            Cases.checkEqual(IntStream.range(0, 3000).mapToObj(i -> who + i).toList(),
                found.stream().filter(value -> value.startsWith(who)).toList());
        }
    }
}
