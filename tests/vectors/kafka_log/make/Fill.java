import java.util.*;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.serialization.*;

// Fills three topics. Argument: bootstrap servers, phase (1 or 2; the broker is restarted in between).
public class Fill {
  static String servers;
  static KafkaProducer<byte[], byte[]> producer(String id, String codec) {
    Properties p = new Properties();
    p.put("bootstrap.servers", servers);
    p.put("key.serializer", ByteArraySerializer.class.getName());
    p.put("value.serializer", ByteArraySerializer.class.getName());
    p.put("compression.type", codec);
    p.put("linger.ms", "0");
    p.put("enable.idempotence", "true");
    if (id != null) { p.put("transactional.id", id); p.put("transaction.timeout.ms", "900000"); }
    KafkaProducer<byte[], byte[]> made = new KafkaProducer<>(p);
    if (id != null) made.initTransactions();
    return made;
  }
  static long time = 1_700_000_000_000L;
  static void send(KafkaProducer<byte[], byte[]> p, String topic, int count, int size, long shift) throws Exception {
    List<java.util.concurrent.Future<RecordMetadata>> all = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      byte[] value = new byte[size];
      Arrays.fill(value, (byte) ('a' + i % 26));
      time += 7;
      all.add(p.send(new ProducerRecord<>(topic, 0, time + shift, ("k" + i).getBytes(), value)));
    }
    p.flush();
    for (var f : all) f.get();
  }
  public static void main(String[] a) throws Exception {
    servers = a[0];
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", servers))) {
      if (a[1].equals("1")) {
        List<NewTopic> topics = List.of(
          new NewTopic("plain", 1, (short) 1).configs(Map.of("retention.ms", "-1", "segment.ms", "1000000000000", "internal.segment.bytes", "8192", "index.interval.bytes", "512")),
          new NewTopic("txn", 1, (short) 1).configs(Map.of("retention.ms", "-1", "segment.ms", "1000000000000", "internal.segment.bytes", "6000", "index.interval.bytes", "400")),
          new NewTopic("txn1", 1, (short) 1).configs(Map.of("retention.ms", "-1", "segment.ms", "1000000000000", "index.interval.bytes", "300")));
        admin.createTopics(topics).all().get();
      }
    }
    if (a[1].equals("2")) time += 1_000_000;
    KafkaProducer<byte[], byte[]> one = producer(null, "none");
    // timestamps go forth and back
    for (int i = 0; i < 12; i++) send(one, "plain", 3, 120 + 13 * i, i % 3 == 2 ? -50_000 : 0);
    for (String codec : List.of("gzip", "snappy", "lz4", "zstd")) {
      KafkaProducer<byte[], byte[]> p = producer(null, codec);
      send(p, "plain", 10, 300, 0);
      p.close();
    }
    for (int i = 0; i < 20; i++) send(one, "plain", 1, 300, 0);
    one.close();

    KafkaProducer<byte[], byte[]> p1 = producer("p1", "none"), p2 = producer("p2", "none"), p3 = producer("p3", "none");
    KafkaProducer<byte[], byte[]> n = producer(null, "none");
    for (int round = 0; round < 4; round++) {
      p1.beginTransaction(); send(p1, "txn", 2, 150, 0);
      p2.beginTransaction(); send(p2, "txn", 2, 150, 0);
      send(n, "txn", 1, 100, 0);
      send(p1, "txn", 1, 150, 0);
      p2.abortTransaction();
      send(n, "txn", 1, 100, 0);
      if (round % 2 == 0) p1.commitTransaction(); else p1.abortTransaction();
      p2.beginTransaction(); send(p2, "txn", 1, 90, 0); p2.abortTransaction();
    }
    p1.beginTransaction(); send(p1, "txn", 2, 100, 0); p1.commitTransaction();
    if (a[1].equals("2")) {
      p3.beginTransaction(); send(p3, "txn", 2, 100, 0);
      send(n, "txn", 2, 100, 0);
      p2.beginTransaction(); send(p2, "txn", 2, 100, 0); p2.abortTransaction();
      p1.beginTransaction(); send(p1, "txn", 1, 100, 0); p1.commitTransaction();
    }
    System.out.println("phase " + a[1] + " done");
    System.out.flush();
    Runtime.getRuntime().halt(0);  // an open transaction stays open
  }
}
