import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.producer.RecordMetadata;

/**
 * An idempotent producer with five requests in flight, meant to run through a proxy that drops
 * answers.
 */
final class Lossy {
    /**
     * arguments: topic, how many records. Ends with exit code 0 when every record was acknowledged
     * in its place.
     */
    static void run(String bootstrap, String[] arguments) throws Exception {
        int count = Integer.parseInt(arguments[1]);
        Map<String, Object> config = Map.of("enable.idempotence", true, "acks", "all",
            "max.in.flight.requests.per.connection", 5, "batch.size", 1000, "linger.ms", 0,
            "request.timeout.ms", 2000, "delivery.timeout.ms", 100_000, "reconnect.backoff.max.ms",
            100, "retry.backoff.max.ms", 100);
        try (var producer = RecordCases.producer(bootstrap, config)) {
            List<RecordMetadata> answers =
                RecordCases.send(producer, arguments[0], 0, RecordCases.numbers(0, count));
            for (int i = 0; i < count; i++) {
                long offset =
                    answers.get(i)
                        .offset(); // -1: a duplicate whose offset the broker no longer knew
                Cases.check(offset == i || offset == -1,
                    "record " + i + " was acknowledged with offset " + offset);
            }
        }
    }
}
