// Writes one batch a codec with Kafka's own producer; and, with MemoryRecords, what a producer does not write by itself.
//   java -cp KAFKA_LIBS/* MakeVectors.java BOOTSTRAP
// The broker's segments then hold the batches (make_vectors.py cuts them out).
import java.util.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public class MakeVectors {
  static byte[] bytes(String text) { return text == null ? null : text.getBytes(); }

  public static void main(String[] args) throws Exception {
    for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
      Properties p = new Properties();
      p.put("bootstrap.servers", args[0]);
      p.put("compression.type", codec);
      p.put("linger.ms", "500");
      p.put("batch.size", "1000000");
      p.put("key.serializer", ByteArraySerializer.class.getName());
      p.put("value.serializer", ByteArraySerializer.class.getName());
      String topic = "java-" + codec;
      try (Producer<byte[], byte[]> producer = new KafkaProducer<>(p)) {
        producer.partitionsFor(topic);
        for (int i = 0; i < 20; i++) {
          ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(topic, 0, 1700000000000L + i * 7,
              i % 5 == 4 ? null : bytes("key-" + i),
              i % 7 == 6 ? null : i == 3 ? new byte[0] : bytes("value " + i + " " + "abc".repeat(i)));
          if (i % 3 == 0) record.headers().add(new RecordHeader("h", bytes("header " + i)));
          if (i % 6 == 0) record.headers().add(new RecordHeader("null", null)).add(new RecordHeader("", bytes("")));
          producer.send(record);
        }
      }
    }
    Properties p = new Properties();
    p.put("bootstrap.servers", args[0]);
    p.put("key.serializer", ByteArraySerializer.class.getName());
    p.put("value.serializer", ByteArraySerializer.class.getName());
    p.put("transactional.id", "vectors");
    try (Producer<byte[], byte[]> producer = new KafkaProducer<>(p)) {
      producer.initTransactions();
      producer.beginTransaction();
      producer.send(new ProducerRecord<>("java-transactions", 0, 1700000000000L, bytes("a"), bytes("committed")));
      producer.commitTransaction();
      producer.beginTransaction();
      producer.send(new ProducerRecord<>("java-transactions", 0, 1700000000001L, bytes("b"), bytes("aborted")));
      producer.flush();
      producer.abortTransaction();
    }
  }
}
