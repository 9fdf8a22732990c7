import static java.nio.charset.StandardCharsets.UTF_8;

import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;

/**
 * Fills a Kafka node with every kind of transaction, so that its folder can be opened by another
 * broker: committed and aborted ones, interleaved with each other and with records outside any
 * transaction, over several segments, and two that stay open when this process is gone.
 */
final class Transactions {
    static void run(String bootstrap) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            admin
                .createTopics(List.of(new NewTopic("mixed", 1, (short) 1),
                    new NewTopic("rolled", 1, (short) 1)
                        .configs(Map.of("segment.bytes", "1048576")),
                    new NewTopic("spread", 3, (short) 1), new NewTopic("plain", 1, (short) 1)))
                .all()
                .get();
        }
        KafkaProducer<byte[], byte[]> plain = RecordCases.producer(bootstrap, Map.of());
        KafkaProducer<byte[], byte[]> one = transactional(bootstrap, "one");
        KafkaProducer<byte[], byte[]> two = transactional(bootstrap, "two");
        KafkaProducer<byte[], byte[]> open = transactional(bootstrap, "open");

        for (int round = 0; round < 20; round++) {
            one.beginTransaction();
            two.beginTransaction();
            for (int i = 0; i < 5; i++) {
                put(one, "mixed", 0, "one-" + round + "-" + i);
                put(two, "mixed", 0, "two-" + round + "-" + i);
                put(plain, "mixed", 0, "plain-" + round + "-" + i);
                put(one, "spread", i % 3, "one-" + round + "-" + i);
            }
            end(one, round % 3 == 0);
            end(two, round % 4 == 0);
        }
        String kilobytes = "k".repeat(4000);
        for (int round = 0; round < 60; round++) { // about 3 MB: three segments
            one.beginTransaction();
            for (int i = 0; i < 12; i++) {
                put(one, "rolled", 0, round + "-" + i + kilobytes);
            }
            end(one, round % 5 == 0);
        }
        RecordCases.send(plain, "plain", 0, RecordCases.numbers(0, 1000));
        open.beginTransaction();
        put(open, "mixed", 0, "open");
        put(open, "spread", 1, "open");
        put(plain, "mixed", 0, "behind the open one");
        one.beginTransaction();
        put(one, "mixed", 0, "aborted behind the open one");
        end(one, true);
        two.beginTransaction();
        put(two, "rolled", 0, "open too");
        two.flush();
    }

    private static KafkaProducer<byte[], byte[]> transactional(String bootstrap, String id) {
        var made = RecordCases.producer(
            bootstrap, Map.of("transactional.id", id, "transaction.timeout.ms", 900_000));
        made.initTransactions();
        return made;
    }

    private static void put(KafkaProducer<byte[], byte[]> producer, String topic, int partition,
        String value) throws Exception {
        producer.send(new ProducerRecord<>(topic, partition, null, value.getBytes(UTF_8))).get();
    }

    private static void end(KafkaProducer<byte[], byte[]> producer, boolean abort) {
        if (abort) {
            producer.abortTransaction();
        } else {
            producer.commitTransaction();
        }
    }
}
