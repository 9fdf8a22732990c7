"""What a restart keeps, clean or by SIGKILL: every record that was acknowledged, topics, ids,
sequences.

(SIGKILL leaves the page cache alive, so it proves recovery, not durability; that is proved
elsewhere.)"""

import threading
import time

from confluent_kafka import Producer

from harness import records, wire
from harness.target import await_leaders, make_topic

DELIVERY_SECONDS_MAX = 90
KILLS = 2


def started(target, **options):
    server = target.new_server(**options)
    server.start()
    return server


def case_kill_loses_nothing_acknowledged(target):
    server = started(target)
    make_topic(server.bootstrap, "log")
    acknowledged, errors, stop = {}, [], threading.Event()
    sink = Producer(
        {
            "bootstrap.servers": server.bootstrap,
            "enable.idempotence": True,
            "linger.ms": 1,
            "batch.num.messages": 50,
            "message.timeout.ms": DELIVERY_SECONDS_MAX * 1000,
            "reconnect.backoff.max.ms": 100,
            "retry.backoff.max.ms": 100,
            "log_level": 0,
        }
    )

    def delivered(error, message):
        if error:
            errors.append(error)
        else:
            acknowledged[int(message.value())] = message.offset()

    def produce():
        number = 0
        while not stop.is_set():
            if len(sink) > 2000:  # the node is down, do not pile up records meanwhile
                sink.poll(0.01)
                continue
            sink.produce("log", b"%d" % number, partition=0, on_delivery=delivered)
            number += 1
            sink.poll(0)
            if number % 20 == 0:
                time.sleep(0.002)

    thread = threading.Thread(target=produce)
    thread.start()
    try:
        for _ in range(KILLS):
            before = len(acknowledged)
            deadline = time.monotonic() + 30
            while len(acknowledged) < before + 1000:
                assert (
                    time.monotonic() < deadline
                ), f"only {len(acknowledged) - before} records in 30 s"
                time.sleep(0.01)
            server.kill()
            server.start()
        time.sleep(0.5)
    finally:
        stop.set()
        thread.join()
    assert sink.flush(DELIVERY_SECONDS_MAX) == 0 and not errors, errors[:1]
    values = []
    for batch in records.read_batches(wire.read_log(server.bootstrap, "log", 0)):
        assert batch.base_offset == len(values), "a gap in the offsets"
        values += records.values_of(batch)
    server.stop()
    assert values == [b"%d" % i for i in range(len(values))], "a gap, a duplicate or a disorder"
    assert len(values) == len(acknowledged)
    lost = [number for number, offset in acknowledged.items() if offset not in (number, -1)]
    assert not lost, f"acknowledged at another place: {lost[:5]}"


def facts(bootstrap):
    """All that must be the same after a restart."""
    everything = wire.metadata(bootstrap)
    topics = {}
    for topic in everything.topics:
        if topic.name.startswith("__"):
            continue
        await_leaders(bootstrap, topic.name, len(topic.partitions))
        logs = {
            part.partition_index: wire.read_log(bootstrap, topic.name, part.partition_index)
            for part in topic.partitions
        }
        topics[topic.name] = (topic.topic_id, logs)
    return everything.cluster_id, [broker.node_id for broker in everything.brokers], topics


def check_restart(target, end):
    server = started(target)
    make_topic(server.bootstrap, "kept", 3, {"max.message.bytes": "54321"})
    make_topic(server.bootstrap, "deleted")
    identity = wire.init_producer_id(server.bootstrap)
    for sequence in range(7):
        batch = records.batch([b"%d" % sequence], producer=(identity, 0, sequence))
        assert wire.produce(server.bootstrap, "kept", 1, batch).base_offset == sequence
    wire.produce(server.bootstrap, "deleted", 0, records.batch([b"gone"]))
    wire.ask(
        server.bootstrap, wire.DeleteTopicsRequest(topic_names=["deleted"], timeout_ms=10000), 4
    )
    time.sleep(0.3)
    before = facts(server.bootstrap)
    end(server)
    server.start()
    assert facts(server.bootstrap) == before
    resource = wire.DescribeConfigsRequest.DescribeConfigsResource
    config = wire.ask(
        server.bootstrap,
        wire.DescribeConfigsRequest(
            resources=[
                resource(
                    resource_type=2, resource_name="kept", configuration_keys=["max.message.bytes"]
                )
            ],
            include_synonyms=False,
        ),
        2,
    )
    assert config.results[0].configs[0].value == "54321"
    again = wire.produce(
        server.bootstrap, "kept", 1, records.batch([b"6"], producer=(identity, 0, 6))
    )
    assert (again.error_code, again.base_offset) == (
        wire.NONE,
        6,
    ), "the last batch is still known as a duplicate"
    gap = wire.produce(
        server.bootstrap, "kept", 1, records.batch([b"9"], producer=(identity, 0, 9))
    )
    assert gap.error_code == wire.OUT_OF_ORDER_SEQUENCE_NUMBER
    onward = wire.produce(
        server.bootstrap, "kept", 1, records.batch([b"7"], producer=(identity, 0, 7))
    )
    assert (onward.error_code, onward.base_offset) == (wire.NONE, 7)
    assert (
        wire.init_producer_id(server.bootstrap) > identity
    ), "an id is given once, also across restarts"
    made_again = wire.create_topic(server.bootstrap, "deleted", replication_factor=1)
    assert made_again.error_code == wire.NONE
    await_leaders(server.bootstrap, "deleted")
    assert (
        wire.read_log(server.bootstrap, "deleted", 0) == b""
    ), "a new topic of an old name has old records"
    server.stop()


def case_clean_restart_keeps_everything(target):
    check_restart(target, lambda server: server.stop())


def case_restart_after_kill_keeps_everything(target):
    check_restart(target, lambda server: server.kill())


def ottla_case_two_nodes_on_one_folder(target):
    """A combined node of Kafka does not pass this: the second one truncates the metadata log of
    the first, which dies."""
    server = started(target)
    check_second_is_refused(target, server)
    make_topic(server.bootstrap, "still-works")
    server.stop()


def check_second_is_refused(target, server):
    try:
        target.new_server(adopt=server.log_dir).start()
    except RuntimeError as error:
        assert "another process" in str(error), f"it does not name the cause: {error}"
    else:
        raise AssertionError("two nodes opened the same folder")
