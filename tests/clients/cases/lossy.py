"""Idempotent producers with five requests in flight through a proxy that loses answers
(harness/proxy.py).

Each node advertises the proxy's port, so that the clients never find another way. What must come
out: every record once, in its order, whatever was retried."""

import contextlib

from confluent_kafka import Producer
from kafka import KafkaProducer

from cases import franz, java
from harness import records, wire
from harness.proxy import LossyProxy
from harness.server import free_port
from harness.target import make_topic, output_of

COUNT = 4000
LOSS = 0.08
SEED = 20261121
DELIVERY_SECONDS_MAX = 100


def run(target, group, report):
    port = free_port()
    server = target.new_server(advertised_port=port)
    server.start()
    proxy = LossyProxy(port, server.port, SEED, LOSS)
    proxy.start()
    try:
        for name, produce in (
            ("librdkafka", with_confluent),
            ("kafka_python", with_kafka_python),
            ("java", with_java),
            ("franz", with_franz),
        ):
            if report.wants_case(group, name):
                report.run_one(
                    group,
                    name,
                    lambda name=name, produce=produce: check(target, server, proxy, name, produce),
                )
    finally:
        proxy.stop()
        server.stop()


def check(target, server, proxy, name, produce):
    topic = f"lossy-{name}"
    make_topic(server.bootstrap, topic)
    requests, lost = proxy.requests, proxy.lost_answers
    produce(f"127.0.0.1:{proxy.port}", topic)
    requests, lost = proxy.requests - requests, proxy.lost_answers - lost
    assert lost >= 3, f"only {lost} of {requests} answers were lost: the case proves nothing"
    batches = records.read_batches(wire.read_log(server.bootstrap, topic, 0))
    found = [value for batch in batches for value in records.values_of(batch)]
    wanted = [b"%d" % i for i in range(COUNT)]
    if found != wanted:
        twice = len(found) - len(set(found))
        missing = len(set(wanted) - set(found))
        at = next(
            (i for i, pair in enumerate(zip(found, wanted)) if pair[0] != pair[1]),
            min(len(found), len(wanted)),
        )
        raise AssertionError(
            f"{len(found)} records, {twice} twice, {missing} missing, first difference at {at}; "
            f"{lost} of {requests} answers lost, seed {SEED}"
        )
    assert all(
        batch.producer_id == batches[0].producer_id >= 0 for batch in batches
    ), "not one idempotent producer"


def with_confluent(bootstrap, topic):
    errors = []
    sink = Producer(
        {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "batch.num.messages": 20,
            "linger.ms": 1,
            "max.in.flight.requests.per.connection": 5,
            "request.timeout.ms": 2000,
            "socket.timeout.ms": 2000,
            "reconnect.backoff.max.ms": 100,
            "retry.backoff.max.ms": 100,
            "message.timeout.ms": DELIVERY_SECONDS_MAX * 1000,
            "log_level": 0,
        }
    )
    for i in range(COUNT):
        sink.produce(
            topic,
            b"%d" % i,
            partition=0,
            on_delivery=lambda error, _: error and errors.append(error),
        )
        sink.poll(0)
    assert sink.flush(DELIVERY_SECONDS_MAX) == 0, "not delivered in time"
    assert not errors, errors[0]


def with_kafka_python(bootstrap, topic):
    with contextlib.closing(
        KafkaProducer(
            bootstrap_servers=bootstrap,
            enable_idempotence=True,
            batch_size=400,
            linger_ms=1,
            request_timeout_ms=2000,
            max_in_flight_requests_per_connection=5,
            reconnect_backoff_max_ms=100,
            delivery_timeout_ms=DELIVERY_SECONDS_MAX * 1000,
        )
    ) as sink:
        futures = [sink.send(topic, b"%d" % i, partition=0) for i in range(COUNT)]
        sink.flush(DELIVERY_SECONDS_MAX)
        for future in futures:
            future.get(DELIVERY_SECONDS_MAX)


def with_java(bootstrap, topic):
    output_of(
        java.command("lossy", bootstrap, topic, str(COUNT)),
        timeout_seconds=DELIVERY_SECONDS_MAX + 20,
    )


def with_franz(bootstrap, topic):
    output_of(
        franz.command("lossy", bootstrap, topic, str(COUNT)),
        timeout_seconds=DELIVERY_SECONDS_MAX + 20,
    )
