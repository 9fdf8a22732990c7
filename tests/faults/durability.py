"""No Produce answer precedes the end of the flush that covers its records: clients of several
kinds produce at once, and the trace is judged (judge_trace.py)."""

import contextlib
import itertools
import random
import threading

from kafka import KafkaProducer

import judge_trace
from faulty import MARKER, new_faulty
from harness import records, wire
from harness.target import make_topic, output_of

PARTITIONS = 4
RECORDS_OF_KCAT = 3000
RECORDS_OF_KAFKA_PYTHON = 500
REQUESTS_OF_RAW = 60
THREADS_OF_RAW = 4
MOVED_ANSWERS = 40


def value(name, number, size=0):
    """A record's value with a mark of its own: a letter that names the producer, and a number."""
    return f"{MARKER}{name}{number:07d}".encode().ljust(size, b".")


def run_together(*jobs):
    """Runs all jobs at once; the first exception of any is raised when all have ended."""
    failures = []

    def guarded(job):
        try:
            job()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=[job]) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def kcat(bootstrap, name, acks):
    lines = b"".join(value(name, i) + b"\n" for i in range(RECORDS_OF_KCAT))
    options = [f"acks={acks}", "linger.ms=1", "batch.num.messages=20"]
    options += ["topic.partitioner=random", "sticky.partitioning.linger.ms=0"]
    command = ["kcat", "-P", "-b", bootstrap, "-t", "log"]
    for option in options:
        command += ["-X", option]
    output_of(command, input_bytes=lines)


def kafka_python(bootstrap, name, acks):
    with contextlib.closing(
        KafkaProducer(bootstrap_servers=bootstrap, acks=acks, linger_ms=0, batch_size=300)
    ) as producer:
        sent = [
            producer.send("log", value(name, i), partition=i % PARTITIONS)
            for i in range(RECORDS_OF_KAFKA_PYTHON)
        ]
        for future in sent:
            future.get(60)


def raw(bootstrap, name, acks, requests=REQUESTS_OF_RAW, size=0):
    """One request in flight, each with a batch for every partition, so that each has parts on
    all shards."""
    numbers = itertools.count()
    data = wire.ProduceRequest.TopicProduceData
    with wire.Connection(bootstrap) as connection:
        for _ in range(requests):
            parts = [
                data.PartitionProduceData(
                    index=i, records=records.batch([value(name, next(numbers), size)])
                )
                for i in range(PARTITIONS)
            ]
            request = wire.ProduceRequest(
                transactional_id=None,
                acks=acks,
                timeout_ms=10000,
                topic_data=[data(name="log", partition_data=parts)],
            )
            answer = connection.ask(request, 7)
            for part in answer.responses[0].partition_responses:
                assert part.error_code == wire.NONE, part


def produce_by_all(bootstrap):
    run_together(
        lambda: kcat(bootstrap, "a", 1),
        lambda: kcat(bootstrap, "b", -1),
        lambda: kafka_python(bootstrap, "c", 1),
        lambda: kafka_python(bootstrap, "d", "all"),
        *(
            lambda i=i: raw(bootstrap, "efghijkl"[i], 1 if i % 2 else -1)
            for i in range(THREADS_OF_RAW)
        ),
    )


MARKS_OF_ALL = (
    2 * RECORDS_OF_KCAT
    + 2 * RECORDS_OF_KAFKA_PYTHON
    + THREADS_OF_RAW * REQUESTS_OF_RAW * PARTITIONS
)


def judged(server):
    with open(server.trace) as trace:
        return judge_trace.judge(trace)


def check_proved(target, *settings, faults=""):
    """Produces by all clients, judges, and gives the trace."""
    server = new_faulty(target, settings=settings, faults=faults, is_traced=True)
    server.start()
    make_topic(server.bootstrap, "log", PARTITIONS)
    produce_by_all(server.bootstrap)
    server.stop()
    verdict = judged(server)
    assert not verdict.violations, verdict.violations[:3]
    assert verdict.refusals == 0, verdict
    assert verdict.marks == MARKS_OF_ALL, verdict
    assert verdict.answers > 200 and verdict.flushes > 50, verdict
    return server.trace.read_text().splitlines()


def case_one_shard_direct(target):
    check_proved(target, "ottla.shards=1")


def case_one_shard_buffered_by_threads(target):
    check_proved(
        target, "ottla.shards=1", "ottla.disk.backend=threads", "ottla.disk.direct=false"
    )


def case_two_shards_direct(target):
    check_proved(target, "ottla.shards=2")


def case_two_shards_buffered_by_threads(target):
    check_proved(
        target, "ottla.shards=2", "ottla.disk.backend=threads", "ottla.disk.direct=false"
    )


def case_two_shards_and_a_slow_flush(target):
    check_proved(target, "ottla.shards=2", faults="delay sync path=.journal ms=3")


def case_an_answer_that_is_moved_before_its_flush_is_noticed(target):
    lines = check_proved(target, "ottla.shards=2")
    flush_ends = ends_of_flushes(lines)
    for i, marks in random.Random(1).sample(acknowledging(lines), MOVED_ANSWERS):
        moved = lines[:i] + lines[i + 1 :]
        moved.insert(max(flush_ends[mark] for mark in marks), lines[i])
        assert judge_trace.judge(moved).violations, f"line {lines[i].split()[0]} was moved unseen"


def acknowledging(lines):
    """The lines that answer one Produce and nothing else, as (index, marks)."""
    found = []

    class Recorder(judge_trace.Judge):
        def acknowledged(self, line, request):
            if len(judge_trace.listed(line.fields, "frames")) == 1:
                found.append((line.number - 1, request.marks))

    recorder = Recorder()
    for text in lines:
        recorder.take(judge_trace.parse(text))
    return found


def ends_of_flushes(lines):
    """For each mark the index of the line that ends its flush."""
    ends, begun = {}, {}
    for i, line in enumerate(map(judge_trace.parse, lines)):
        if line.kind == "file" and line.event == "write_synced" and line.phase == "begin":
            begun[line.fields["op"]] = judge_trace.listed(line.fields, "marks")
        elif line.phase == "ok":
            ends.update(dict.fromkeys(begun.pop(line.fields.get("op"), []), i))
    return ends


def case_journal_files_that_are_used_again(target):
    server = new_faulty(target, settings=["ottla.shards=1"], is_traced=True)
    server.start()
    make_topic(server.bootstrap, "log", PARTITIONS)
    run_together(*(lambda n=n: raw(server.bootstrap, n, -1, 25, 250_000) for n in "efgh"))
    server.stop()
    verdict = judged(server)
    assert not verdict.violations, verdict.violations[:3]
    assert verdict.marks == 400 and verdict.answers == 100, verdict
    assert " file rename begin" in server.trace.read_text(), "no journal file was used again"
