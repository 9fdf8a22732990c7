"""Disks that fail under a running node: it says so, acknowledges nothing that it may lose, ends or
waits as the docs say, and a restart has all that was acknowledged and nothing else."""

import time

import durability
from faulty import new_faulty
from harness import records, wire
from harness.target import make_topic
from ledger import Ledger, read_each

END_SECONDS_MAX = 15
FAILED = 1  # src/cli/exit_code.h
JOURNAL = "path=.journal"
SEGMENT = "path=log-0/00000"  # of topic log, partition 0


def started(target, faults, *settings, adopt=None):
    server = new_faulty(
        target,
        faults=faults,
        is_traced=True,
        settings=["ottla.shards=1", *settings],
        adopt=adopt,
    )
    server.start()
    return server


def check_ends(server, *words):
    """It ends by itself, soon, and says why in few lines."""
    code = server.process.wait(END_SECONDS_MAX)
    assert code == FAILED, f"exit code {code}:\n{server.output_tail()}"
    check_says(server, *words)


def check_says(server, *words):
    faults = [line for line in server.output().splitlines() if " error " in line]
    assert 1 <= len(faults) <= 3, faults
    for word in words:
        assert word in "\n".join(faults), f"no word of {word!r} in: {faults}"


def check_restart(target, server, ledger):
    """On a disk that works again the folder is served as if nothing had been."""
    again = target.new_server(adopt=server.log_dir)
    again.start()
    ledger.check_kept(again.bootstrap)
    assert ledger.produce(again.bootstrap, 4), ledger.errors
    ledger.check_kept(again.bootstrap)
    again.stop()


def check_stops(target, faults, *words, value_bytes=0):
    """The node fails while it takes records."""
    server = started(target, faults)
    make_topic(server.bootstrap, "log", 2)
    ledger = Ledger(value_bytes=value_bytes)
    assert not ledger.produce(server.bootstrap, 400), "no fault was felt"
    check_ends(server, *words)
    verdict = durability.judged(server)
    assert not verdict.violations and verdict.answers == len(ledger.acknowledged) > 0, verdict
    check_restart(target, server, ledger)


REMEDY_OF_FAULT = "look at the disk"
REMEDY_OF_SPACE = "free some space"


def case_failing_flush_of_the_journal(target):
    check_stops(target, f"fail sync {JOURNAL} from=30", "sync of", ".journal", REMEDY_OF_FAULT)


def case_failing_write_of_the_journal(target):
    check_stops(target, f"fail write {JOURNAL} from=30", "write of", ".journal", REMEDY_OF_FAULT)


def case_short_write_of_the_journal(target):
    check_stops(target, f"short write {JOURNAL} from=30", "write of", ".journal", REMEDY_OF_FAULT)


def case_full_disk_under_the_journal(target):
    faults = f"fail write {JOURNAL} from=30 error=no_space"
    check_stops(target, faults, "no space left", ".journal", REMEDY_OF_SPACE)


def case_full_disk_under_a_segment(target):
    faults = f"fail write {SEGMENT} error=no_space"
    check_stops(
        target, faults, "no space left", "log-0/", REMEDY_OF_SPACE, value_bytes=100_000
    )


def case_failing_write_of_a_segment(target):
    check_stops(target, f"fail write {SEGMENT}", "log-0/", REMEDY_OF_FAULT, value_bytes=100_000)


def case_short_write_of_a_segment(target):
    check_stops(target, f"short write {SEGMENT}", "log-0/", REMEDY_OF_FAULT, value_bytes=100_000)


def case_segment_that_cannot_be_opened(target):
    check_stops(target, f"fail open {SEGMENT}", "log-0/", REMEDY_OF_FAULT, value_bytes=100_000)


def case_failing_flush_of_a_segment_at_the_stop(target):
    server = started(target, f"fail sync {SEGMENT}")
    make_topic(server.bootstrap, "log", 2)
    ledger = Ledger()
    assert ledger.produce(server.bootstrap, 20), ledger.errors
    server.process.terminate()
    check_ends(server, "log-0/", REMEDY_OF_FAULT)
    check_restart(target, server, ledger)


def case_full_disk_under_the_metadata_log(target):
    server = started(target, "fail write path=__cluster_metadata-0/00 error=no_space from=3")
    make_topic(server.bootstrap, "log", 2)
    ledger = Ledger()
    ledger.produce(server.bootstrap, 20)
    time.sleep(0.2)
    server.process.terminate()  # if its segment was not written in the background, it is now
    check_ends(server, "no space left", "__cluster_metadata-0", REMEDY_OF_SPACE)
    check_restart(target, server, ledger)


def case_full_disk_when_a_topic_is_made(target):
    server = started(target, "fail write path=log-0/partition.metadata error=no_space")
    began = time.monotonic()
    try:
        code = wire.create_topic(server.bootstrap, "log", 2).error_code
        assert code != wire.NONE, "it says that the topic is there"
    except (OSError, wire.Closed):
        pass
    check_ends(server, "no space left", "log-0/", REMEDY_OF_SPACE)
    assert time.monotonic() - began < 5, "the request that waits for the topic keeps it alive"
    again = target.new_server(adopt=server.log_dir)
    again.start()
    if wire.metadata(again.bootstrap, ["log"]).topics[0].error_code != wire.NONE:
        make_topic(again.bootstrap, "log", 2)
    assert Ledger().produce(again.bootstrap, 4)
    again.stop()


def case_full_disk_at_the_start(target):
    for faults, word in (
        ("fail write error=no_space", "meta.properties"),
        ("fail write path=quorum-state error=no_space", "quorum-state"),
        (f"fail write {JOURNAL} error=no_space", ".journal"),
    ):
        server = new_faulty(target, faults=faults)
        try:
            server.start()
        except RuntimeError:
            pass
        assert server.process.wait(END_SECONDS_MAX) == FAILED
        check_says(server, "can't start", "no space left", REMEDY_OF_SPACE)
        again = target.new_server(adopt=server.log_dir)
        again.start()
        make_topic(again.bootstrap, "log", 2)
        assert Ledger().produce(again.bootstrap, 2), word
        again.stop()


# There is no room for a second file of the journal.
NO_SECOND_JOURNAL = "fail write path=shard-0-2.journal error=no_space"


def case_full_disk_before_the_next_journal_file(target):
    """Producers wait, until their time is over; readers don't, and SIGTERM still ends it."""
    server = started(target, NO_SECOND_JOURNAL)
    make_topic(server.bootstrap, "log", 2)
    ledger = Ledger(value_bytes=100_000)
    began = time.monotonic()
    assert not ledger.produce(server.bootstrap, 100), "no fault was felt"
    assert ledger.errors == [7], ledger.errors  # REQUEST_TIMED_OUT
    assert 9 < time.monotonic() - began < 14, "the request's timeout is 10 s"
    ledger.check_kept(server.bootstrap)
    check_says(server, "no space", "producers wait", REMEDY_OF_SPACE)
    server.stop()
    check_restart(target, server, ledger)


def case_topic_that_is_deleted_while_its_producers_wait(target):
    server = started(target, NO_SECOND_JOURNAL)
    make_topic(server.bootstrap, "log", 1)
    batch = records.batch([bytes(100_000)])
    with wire.Connection(server.bootstrap) as connection:
        for _ in range(20):  # more than a file holds: the last ones wait
            connection.send(wire.produce_request("log", 0, batch), 7)
        time.sleep(1)
        began = time.monotonic()
        deletion = wire.DeleteTopicsRequest(topic_names=["log"], timeout_ms=5000)
        assert wire.ask(server.bootstrap, deletion, 4).responses[0].error_code == wire.NONE
        codes = [
            connection.read_answer(wire.ProduceRequest, 7).responses[0].partition_responses[0]
            for _ in range(20)
        ]
        codes = [one.error_code for one in codes]
    assert time.monotonic() - began < 5 and codes[0] == wire.NONE, codes
    assert codes[-1] == wire.UNKNOWN_TOPIC_OR_PARTITION, codes
    server.stop()


def case_space_that_comes_back(target):
    server = started(target, f"{NO_SECOND_JOURNAL} count=3")
    make_topic(server.bootstrap, "log", 2)
    ledger = Ledger(value_bytes=100_000)
    assert ledger.produce(server.bootstrap, 60), ledger.errors
    check_says(server, "no space", REMEDY_OF_SPACE)
    assert "there is space again" in server.output()
    ledger.check_kept(server.bootstrap)
    server.stop()
    check_restart(target, server, ledger)


def stopped_with_records(target, count=40):
    server = target.new_server(settings=["ottla.shards=1"])
    server.start()
    make_topic(server.bootstrap, "log", 2)
    ledger = Ledger()
    assert ledger.produce(server.bootstrap, count), ledger.errors
    server.stop()
    return server, ledger


def case_segment_that_cannot_be_read(target):
    """One partition fails, with one line however often it is asked; the other one is served."""
    stopped, ledger = stopped_with_records(target)
    faults = "fail open path=log-0/00000000000000000000.log from=2"
    server = started(target, faults, adopt=stopped.log_dir)
    answers = read_each(server.bootstrap, "log", 0, range(20))
    assert set(answers.values()) == {56}, answers  # KAFKA_STORAGE_ERROR
    others = read_each(server.bootstrap, "log", 1, range(20))
    assert not any(isinstance(one, int) for one in others.values()), others
    check_says(server, "log-0: segment 0 can't be read", "ottla log verify")
    server.kill()
    check_restart(target, server, ledger)


def case_read_error_of_the_device(target):
    """One read fails, the first, the second ...: at the start the node refuses, later that one fetch
    gets an error."""
    stopped, ledger = stopped_with_records(target, 4000)
    felt_at_start, felt_by_a_fetch = 0, 0
    for nth in range(1, 12):
        server = new_faulty(
            target, faults=f"fail read {SEGMENT} from={nth} count=1", adopt=stopped.log_dir
        )
        try:
            server.start()
        except RuntimeError:
            assert server.process.wait() == FAILED
            check_says(server, "can't start", "log-0/", REMEDY_OF_FAULT)
            felt_at_start += 1
            continue
        answers = read_each(server.bootstrap, "log", 0, range(0, 2000, 40))
        refused = [offset for offset, one in answers.items() if isinstance(one, int)]
        assert len(refused) <= 1, f"{len(refused)} fetches failed, with {answers[refused[0]]}"
        felt_by_a_fetch += len(refused)
        server.kill()
    assert felt_at_start and felt_by_a_fetch, (felt_at_start, felt_by_a_fetch)
    check_restart(target, server, ledger)


def case_one_slow_flush_delays_and_loses_nothing(target):
    server = started(target, f"delay sync {JOURNAL} ms=300 from=20 count=2")
    make_topic(server.bootstrap, "log", 2)
    ledger = Ledger()
    assert ledger.produce(server.bootstrap, 40), ledger.errors
    server.stop()
    verdict = durability.judged(server)
    assert not verdict.violations and verdict.answers == 40, verdict
    check_restart(target, server, ledger)


def case_idempotent_producer_across_a_failed_disk(target):
    """The batch whose flush failed is sent again after the restart: it is there once."""
    server = started(target, f"fail sync {JOURNAL} from=30")
    make_topic(server.bootstrap, "log", 2)
    identity = wire.init_producer_id(server.bootstrap)
    sequence = 0

    def send(bootstrap):
        batch = records.batch([b"%d" % sequence], producer=(identity, 0, sequence))
        return wire.produce(bootstrap, "log", 0, batch).error_code

    try:
        while send(server.bootstrap) == wire.NONE:
            sequence += 1
    except (OSError, wire.Closed):
        pass
    check_ends(server, ".journal")
    again = target.new_server(adopt=server.log_dir)
    again.start()
    for _ in range(3):
        assert send(again.bootstrap) == wire.NONE, sequence
        sequence += 1
    found = records.read_batches(wire.read_log(again.bootstrap, "log", 0))
    assert [records.values_of(one) for one in found] == [[b"%d" % i] for i in range(sequence)]
    again.stop()
