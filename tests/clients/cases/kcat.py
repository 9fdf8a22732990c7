"""kcat 1.7.1 with Debian 12's librdkafka 2.0.2: the older of the two librdkafkas here. It infers
from the ranges in ApiVersions (Produce from 0, FindCoordinator at all) which codecs a broker
knows; see the codec cases."""

import json
import subprocess
import time
import zlib

from harness import records, wire
from harness.target import output_of

LINES = 5000


def kcat(target, *arguments, input_bytes=b"", ok=(0,)):
    return output_of(["kcat", "-b", target.bootstrap, *arguments], input_bytes, ok=ok)


def end_of_kcat(target, *arguments, text=True):
    """Its end, whatever that is, with what it said."""
    command = ["kcat", "-b", target.bootstrap, *arguments]
    return subprocess.run(command, capture_output=True, text=text, timeout=60)


def produce(target, topic, lines, *arguments):
    kcat(
        target,
        "-P",
        "-t",
        topic,
        *arguments,
        input_bytes="".join(f"{line}\n" for line in lines).encode(),
    )


def consume(target, topic, *arguments):
    # 50 ms: the last Fetch of each call waits in vain, as there is nothing more to come.
    return kcat(
        target, "-C", "-q", "-e", "-X", "fetch.wait.max.ms=50", "-t", topic, *arguments
    ).splitlines()


def consume_json(target, topic, *arguments):
    return [json.loads(line) for line in consume(target, topic, "-J", *arguments)]


def case_list_brokers_and_topics(target):
    topic = target.topic("kcat-list", partitions=3)
    found = json.loads(kcat(target, "-L", "-J"))
    assert [broker["name"] for broker in found["brokers"]] == [target.bootstrap], found["brokers"]
    assert found["controllerid"] == found["brokers"][0]["id"]
    partitions = {one["topic"]: one["partitions"] for one in found["topics"]}[topic]
    assert [one["partition"] for one in partitions] == [0, 1, 2]
    for one in partitions:
        assert one["leader"] == found["brokers"][0]["id"]
        assert (
            [replica["id"] for replica in one["replicas"]]
            == [one["leader"]]
            == [r["id"] for r in one["isrs"]]
        )


def case_unknown_topic_is_not_made_by_a_question(target):
    name = target.name("kcat-unknown")
    out = kcat(target, "-L", "-J", "-t", name, "-X", "allow.auto.create.topics=false")
    assert json.loads(out)["topics"][0].get("error", "").startswith("Broker: Unknown topic"), out
    assert name not in {one.name for one in wire.metadata(target.bootstrap).topics}


def case_produce_makes_an_unknown_topic(target):
    name = target.name("kcat-auto")
    produce(target, name, ["first"])
    assert consume(target, name, "-p", "0", "-o", "beginning") == ["first"]
    assert len(wire.metadata(target.bootstrap, [name]).topics[0].partitions) == 1


def case_partition_and_offset(target):
    topic = target.topic("kcat-offset", partitions=2)
    produce(target, topic, range(10), "-p", "1")
    assert consume(target, topic, "-p", "1", "-o", "beginning") == [str(i) for i in range(10)]
    assert consume(target, topic, "-p", "1", "-o", "7") == ["7", "8", "9"]
    assert consume(target, topic, "-p", "1", "-o", "3", "-c", "2") == ["3", "4"]
    assert consume(target, topic, "-p", "1", "-o", "-2") == ["8", "9"]
    assert consume(target, topic, "-p", "1", "-o", "end") == []
    assert consume(target, topic, "-p", "0", "-o", "beginning") == []


def case_thousands_in_order(target):
    topic = target.topic("kcat-many")
    produce(target, topic, range(LINES))
    assert consume(target, topic, "-p", "0", "-o", "beginning") == [str(i) for i in range(LINES)]
    offsets = [int(line) for line in consume(target, topic, "-o", "beginning", "-f", "%o\n")]
    assert offsets == list(range(LINES))


def case_idempotent(target):
    topic = target.topic("kcat-idempotent")
    produce(target, topic, range(LINES), "-X", "enable.idempotence=true")
    assert consume(target, topic, "-p", "0", "-o", "beginning") == [str(i) for i in range(LINES)]
    batch = records.read_batches(wire.read_log(target.bootstrap, topic, 0))[0]
    assert batch.producer_id >= 0 and batch.base_sequence == 0


def case_acks(target):
    for acks in ("0", "1", "all"):
        topic = target.topic("kcat-acks")
        produce(target, topic, range(50), "-X", f"acks={acks}")
        deadline = time.monotonic() + 10  # acks=0 leaves before the broker has it
        while (
            len(found := consume(target, topic, "-o", "beginning")) < 50
            and time.monotonic() < deadline
        ):
            pass
        assert found == [str(i) for i in range(50)], f"acks={acks}: {len(found)} records"


def check_codec(target, codec):
    topic = target.topic(f"kcat-{codec}")
    lines = [f"{i} " + "the same words again " * 10 for i in range(300)]
    produce(target, topic, lines, "-z", codec)
    assert consume(target, topic, "-p", "0", "-o", "beginning") == lines
    found = records.codecs_of(wire.read_log(target.bootstrap, topic, 0))
    assert found == {codec}, f"asked for {codec}, the broker has {found}"
    target.codecs_written[topic] = codec


def case_codec_none(target):
    check_codec(target, "none")


def case_codec_gzip(target):
    check_codec(target, "gzip")


def case_codec_snappy(target):
    check_codec(target, "snappy")


def case_codec_lz4(target):
    check_codec(target, "lz4")


def case_codec_zstd(target):
    check_codec(target, "zstd")


def case_keys_values_headers(target):
    topic = target.topic("kcat-keys")
    kcat(
        target,
        "-P",
        "-t",
        topic,
        "-K",
        ":",
        "-H",
        "one=1",
        "-H",
        "empty=",
        "-H",
        "one=2",
        input_bytes=b"k:v\n:v\nk:\n",
    )
    kcat(target, "-P", "-t", topic, "-K", ":", "-Z", input_bytes=b":v\nk:\n")
    found = consume_json(target, topic, "-o", "beginning")
    assert [(one["key"], one["payload"]) for one in found] == [
        ("k", "v"),
        ("", "v"),
        ("k", ""),
        (None, "v"),
        ("k", None),
    ]
    assert found[0]["headers"] == ["one", "1", "empty", "", "one", "2"]
    assert "headers" not in found[4]


def case_timestamps_and_offsets_for_times(target):
    topic = target.topic("kcat-times")
    marks = []
    for i in range(3):
        marks.append(int(time.time() * 1000))
        produce(target, topic, [i])
        time.sleep(0.02)
    stamps = [one["ts"] for one in consume_json(target, topic, "-o", "beginning")]
    assert all(mark <= stamp <= mark + 15000 for mark, stamp in zip(marks, stamps)), (marks, stamps)
    assert kcat(target, "-Q", "-t", f"{topic}:0:{stamps[1]}").split() == [
        topic,
        "[0]",
        "offset",
        "1",
    ]
    assert kcat(target, "-Q", "-t", f"{topic}:0:{stamps[1] + 1}").split() == [
        topic,
        "[0]",
        "offset",
        "2",
    ]
    assert kcat(target, "-Q", "-t", f"{topic}:0:-1").split() == [topic, "[0]", "offset", "3"]
    assert kcat(target, "-Q", "-t", f"{topic}:0:-2").split() == [topic, "[0]", "offset", "0"]
    assert consume(target, topic, "-p", "0", "-o", f"s@{stamps[2]}") == ["2"]


def case_big_record(target):
    topic = target.topic("kcat-big")
    content = (
        bytes(range(256)) * 4090
    )  # 1,047,040 bytes, under Kafka's default limit of 1,048,588 with its batch
    kcat(target, "-P", "-t", topic, "-X", "message.max.bytes=3000000", target.scratch_file(content))
    done = end_of_kcat(
        target, "-C", "-q", "-e", "-t", topic, "-o", "beginning", "-D", "", text=False
    )
    assert done.returncode == 0 and done.stdout == content


def case_too_big_a_record(target):
    topic = target.topic("kcat-too-big")
    file = str(target.scratch_file(b"x" * 1_200_000))
    done = end_of_kcat(target, "-P", "-t", topic, "-X", "message.max.bytes=3000000", file)
    assert "Message size too large" in done.stderr, done.stderr
    assert wire.list_offset(target.bootstrap, topic, 0, wire.LATEST).offset == 0


def case_offset_past_the_end(target):
    topic = target.topic("kcat-past")
    produce(target, topic, range(5))
    past = ["-p", "0", "-o", "100", "-X", "auto.offset.reset=error"]
    done = end_of_kcat(target, "-C", "-q", "-e", "-t", topic, *past)
    assert done.returncode != 0 and "ffset out of range" in done.stderr, (
        done.returncode,
        done.stderr,
    )


def case_waiting_consumer_sees_a_record_at_once(target):
    topic = target.topic("kcat-wait")
    with subprocess.Popen(
        [
            "kcat",
            "-b",
            target.bootstrap,
            "-C",
            "-u",
            "-q",
            "-t",
            topic,
            "-p",
            "0",
            "-o",
            "beginning",
            "-X",
            "fetch.wait.max.ms=20000",
            "-c",
            "1",
        ],
        stdout=subprocess.PIPE,
    ) as consumer:
        time.sleep(1.5)  # it waits inside a Fetch by now
        produced = time.monotonic()
        produce(target, topic, ["now"])
        out = consumer.communicate(timeout=30)[0]
    assert out == b"now\n"
    waited = time.monotonic() - produced
    assert waited < 5, f"seen after {waited:.1f} s: the Fetch waited for its time-out"


def case_keys_to_four_partitions(target):
    topic = target.topic("kcat-hash", partitions=4)
    kcat(
        target,
        "-P",
        "-t",
        topic,
        "-K",
        ":",
        "-X",
        "partitioner=consistent",
        input_bytes="".join(f"key{i}:{i}\n" for i in range(400)).encode(),
    )
    found = consume_json(target, topic, "-o", "beginning")
    assert len(found) == 400
    for one in found:
        assert one["partition"] == zlib.crc32(one["key"].encode()) % 4, one
    for partition in range(4):
        values = [int(one["payload"]) for one in found if one["partition"] == partition]
        assert values == sorted(values) and values


def case_two_producers(target):
    topic = target.topic("kcat-two")
    commands = [
        subprocess.Popen(
            ["kcat", "-b", target.bootstrap, "-P", "-t", topic, "-p", "0", "-X", "linger.ms=1"],
            stdin=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    for i in range(2000):
        for who, command in enumerate(commands):
            command.stdin.write(f"{who}-{i}\n".encode())
    for command in commands:
        command.stdin.close()
        assert command.wait(60) == 0
    found = consume(target, topic, "-o", "beginning")
    for who in range(2):
        assert [line for line in found if line.startswith(f"{who}-")] == [
            f"{who}-{i}" for i in range(2000)
        ]
    assert len(found) == 4000
