"""The judge of traces (judge_trace.py) against traces made by hand: right ones and wrong ones."""

import struct

import judge_trace

REQUEST = struct.pack(">hhi", 0, 7, 5).hex()  # Produce version 7, correlation id 5
JOURNAL = "d/shard-0-1.journal.ottla"
READY = [
    f"file open begin path={JOURNAL} op=1",
    "file open ok op=1",
    "file sync_directory begin path=d op=2",
    "file sync_directory ok op=2",
    "net accept ok connection=3 local=h:1 peer=h:2",
]
ASKED = [f"net read ok connection=3 bytes=99 frames=95:{REQUEST} marks=aaaaaaaa@1,bbbbbbbb@1"]
FLUSH_BEGIN = f"file write_synced begin path={JOURNAL} at=0 bytes=9 marks=aaaaaaaa,bbbbbbbb op=4"
FLUSH_END = "file write_synced ok op=4"


def answer(*errors, correlation_id=5, connection=3):
    parts = b"".join(struct.pack(">ihqqq", i, error, 0, -1, 0) for i, error in enumerate(errors))
    body = struct.pack(">iih", correlation_id, 1, 1) + b"t" + struct.pack(">i", len(errors))
    body += parts + struct.pack(">i", 0)
    frame = f"{len(body)}:{body.hex()}"
    return f"net write begin connection={connection} bytes={len(body) + 4} frames={frame} op=9"


def verdict_of(*lines):
    return judge_trace.judge(f"{i + 1} 0 0 {line}" for i, line in enumerate([*READY, *lines]))


def check_good(*lines, answers=1, refusals=0, flushes=1):
    verdict = verdict_of(*lines)
    found = verdict.answers, verdict.refusals, verdict.flushes, verdict.violations
    assert found == (answers, refusals, flushes, []), verdict


def check_wrong(*lines, word="before they are durable"):
    verdict = verdict_of(*lines)
    assert len(verdict.violations) == 1 and word in verdict.violations[0], verdict


def case_an_answer_after_its_flush_is_right(target):
    check_good(*ASKED, FLUSH_BEGIN, FLUSH_END, answer(0, 0))


def case_an_answer_before_its_flush_is_wrong(target):
    check_wrong(*ASKED, answer(0, 0), FLUSH_BEGIN, FLUSH_END)
    check_wrong(*ASKED, FLUSH_BEGIN, answer(0, 0), FLUSH_END)
    check_wrong(*ASKED, answer(0, 0))


def case_a_write_without_a_flush_is_wrong(target):
    write = FLUSH_BEGIN.replace("write_synced", "write"), "file write ok op=4"
    check_wrong(*ASKED, *write, answer(0, 0))
    sync = f"file sync begin path={JOURNAL} op=5", "file sync ok op=5"
    check_good(*ASKED, *write, *sync, answer(0, 0))
    check_wrong(*ASKED, *write, sync[0], answer(0, 0), sync[1])
    check_wrong(*ASKED, write[0], sync[0], write[1], sync[1], answer(0, 0))
    other = sync[0].replace("shard-0", "shard-1"), sync[1]
    check_wrong(*ASKED, *write, *other, answer(0, 0))


def case_what_a_failed_flush_covered_stays_in_doubt(target):
    write = FLUSH_BEGIN.replace("write_synced", "write"), "file write ok op=4"
    failed = f"file sync begin path={JOURNAL} op=5", "file sync failed op=5"
    again = f"file sync begin path={JOURNAL} op=6", "file sync ok op=6"
    check_wrong(*ASKED, *write, *failed, answer(0, 0))
    check_wrong(*ASKED, *write, *failed, *again, answer(0, 0))
    check_wrong(*ASKED, FLUSH_BEGIN, "file write_synced failed op=4", *again, answer(0, 0))


def case_one_record_without_a_flush_is_wrong(target):
    half = FLUSH_BEGIN.replace(",bbbbbbbb", "")
    check_wrong(*ASKED, half, FLUSH_END, answer(0, 0))


def case_a_flush_of_another_file_is_wrong(target):
    segment = FLUSH_BEGIN.replace(JOURNAL, "d/t-0/00000000000000000000.log")
    check_wrong(*ASKED, segment, FLUSH_END, answer(0, 0))


def case_a_journal_without_a_durable_name_is_wrong(target):
    new = "d/shard-0-2.journal.ottla"
    begin = FLUSH_BEGIN.replace(JOURNAL, new)
    made = f"file open begin path={new} op=5", "file open ok op=5"
    named = "file sync_directory begin path=d op=6", "file sync_directory ok op=6"
    check_wrong(*ASKED, *made, begin, FLUSH_END, answer(0, 0))
    check_wrong(*ASKED, *named, *made, begin, FLUSH_END, answer(0, 0))
    check_good(*ASKED, *made, *named, begin, FLUSH_END, answer(0, 0))
    check_good(*ASKED, *made, begin, FLUSH_END, *named, answer(0, 0))
    # A renamed file is written under its old path by whoever has it open.
    renamed = f"file rename begin path={JOURNAL} to={new} op=7", "file rename ok op=7"
    check_wrong(*ASKED, *renamed, FLUSH_BEGIN, FLUSH_END, answer(0, 0))
    check_good(*ASKED, *renamed, *named, FLUSH_BEGIN, FLUSH_END, answer(0, 0))


def case_an_error_acknowledges_nothing(target):
    check_good(*ASKED, answer(0, 56), answers=0, refusals=1, flushes=0)
    check_good(*ASKED, FLUSH_BEGIN, FLUSH_END, answer(56, 56), answers=0, refusals=1)


def case_answers_belong_to_requests_by_connection_and_correlation_id(target):
    check_good(*ASKED, answer(0, 0, correlation_id=6), answers=0, flushes=0)
    check_good(*ASKED, answer(0, 0, connection=4), answers=0, flushes=0)
    second = struct.pack(">hhi", 0, 7, 6).hex()
    asked = f"net read ok connection=3 bytes=9 frames=95:{second} marks=bbbbbbbb@1,cccccccc@2"
    first = ASKED[0].replace(",bbbbbbbb@1", "")
    check_wrong(first, asked, FLUSH_BEGIN, FLUSH_END, answer(0), answer(0, correlation_id=6))
    check_good(first, asked, FLUSH_BEGIN, FLUSH_END, answer(0))


def case_what_cannot_be_judged_is_wrong(target):
    bare = f"net read ok connection=3 bytes=99 frames=95:{REQUEST}"
    check_wrong(bare, FLUSH_BEGIN, FLUSH_END, answer(0), word="no mark")
    cut = answer(0, 0).replace(" op=9", "")[:-10] + " op=9"
    check_wrong(*ASKED, FLUSH_BEGIN, FLUSH_END, cut, word="in part")
