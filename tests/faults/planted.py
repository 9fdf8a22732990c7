"""The judge of traces against a broker that is wrong on purpose (tests/faults/CMakeLists.txt)."""

import durability
from faulty import new_faulty
from harness import wire
from harness.target import make_topic


def check_found(target, bug, faults="", value_bytes=0):
    server = new_faulty(
        target,
        settings=["ottla.shards=2"],
        is_traced=True,
        plant=bug,
        faults=faults or "delay sync path=.journal ms=1",
    )
    server.start()
    make_topic(server.bootstrap, "log", durability.PARTITIONS)
    durability.raw(server.bootstrap, "e", -1, size=value_bytes)
    server.kill()
    verdict = durability.judged(server)
    assert verdict.answers and verdict.violations, f"{bug} was not found: {verdict}"


def case_acknowledged_before_sync(target):
    check_found(target, "acknowledged_before_sync")


def case_journal_not_synced(target):
    check_found(target, "journal_not_synced")


def case_journal_name_not_synced(target):
    # The first file's name is synced by the start; a later one is needed.
    check_found(target, "journal_name_not_synced", value_bytes=100_000)


def case_segment_not_synced(target):
    """A bug that this judge must not see: what it breaks comes later than any answer."""
    try:
        check_found(target, "segment_not_synced", value_bytes=100_000)
    except AssertionError as error:
        assert "was not found" in str(error), error
    else:
        raise AssertionError("the judge complains of what it can't know")


def case_failed_sync_ignored(target):
    check_found(target, "failed_sync_ignored", "fail sync path=.journal from=20")
