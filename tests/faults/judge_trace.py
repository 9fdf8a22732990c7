"""Judges a trace of `ottla-faulty` (OTTLA_TRACE; src/io/fault/trace.h): no Produce answer may be
sent before the end of the flush that covers its records.

    judge_trace.py TRACE

Every record must carry the trace's marker and 8 characters of its own, a mark. A mark is durable
once a flush of the journal file that holds it has ended, and the file's name with it: a flush
that began after the write ended, or the write's own (write_synced). What a failed flush covered
stays in doubt for ever, also if a later flush of the file succeeds.

Only what the trace says is used: the order of its lines is the order of events over all shards, a
flush's `ok` line is written after it has ended, an answer's `begin` line before its first byte
leaves."""

import collections
import pathlib
import posixpath
import struct
import sys

if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "clients"))

from harness import wire

PRODUCE = 0
JOURNAL_SUFFIX = ".journal.ottla"
VIOLATIONS_SHOWN_MAX = 20

Line = collections.namedtuple("Line", "number kind event phase fields")
Verdict = collections.namedtuple("Verdict", "answers refusals flushes marks violations")


def parse(text):
    """A line of the trace. Paths of the tests have no spaces."""
    number, _, _, kind, event, phase, *rest = text.split()
    return Line(int(number), kind, event, phase, dict(word.split("=", 1) for word in rest))


def listed(fields, name):
    return fields[name].split(",") if name in fields else []


class Journals:
    """Which marks are on the disk."""

    def __init__(self):
        self.durable = set()
        self.flushes = 0  # that ended well and covered a mark
        self.begun = {}  # operation -> its begin line, or for a sync what it covers
        self.written = collections.defaultdict(set)  # path -> marks written and not flushed
        self.known = set()  # journals opened or renamed before
        self.nameless = set()  # of these, those whose directory was not synced since
        self.later_names = {}  # path at opening -> path after a rename
        self.waiting_for_name = collections.defaultdict(set)  # path -> marks flushed before it

    def name_of(self, path):
        while path in self.later_names:
            path = self.later_names[path]
        return path

    def take(self, line):
        if line.phase == "begin":
            self.begun[line.fields["op"]] = line, self.covered_by(line)
            return
        begin, covered = self.begun.pop(line.fields["op"])
        path = begin.fields.get("path", "")
        if line.phase == "ok":
            self.ended(begin, path, covered)
        elif line.event in ("sync", "write_synced"):
            self.written[path] -= covered

    def covered_by(self, begin):
        if begin.event == "sync":
            return set(self.written[begin.fields["path"]])
        if begin.event == "sync_directory":
            folder = begin.fields["path"].rstrip("/")
            return {path for path in self.nameless if posixpath.dirname(path) == folder}
        return set(listed(begin.fields, "marks"))

    def ended(self, begin, path, covered):
        if begin.event == "write":
            self.written[path] |= covered
        elif begin.event == "sync_directory":
            self.nameless -= covered
            for name in covered:
                self.durable |= self.waiting_for_name.pop(name, set())
        elif begin.event == "open" and path.endswith(JOURNAL_SUFFIX):
            self.later_names.pop(path, None)
            self.named(path)
        elif begin.event == "rename" and path.endswith(JOURNAL_SUFFIX):
            self.later_names[path] = begin.fields["to"]
            self.known.discard(path)
            self.named(begin.fields["to"])
        elif begin.event in ("sync", "write_synced") and path.endswith(JOURNAL_SUFFIX) and covered:
            self.flushes += 1
            self.written[path] -= covered
            name = self.name_of(path)
            (self.waiting_for_name[name] if name in self.nameless else self.durable).update(covered)


    def named(self, path):
        if path not in self.known:
            self.known.add(path)
            self.nameless.add(path)


Request = collections.namedtuple("Request", "version marks")


class Judge:
    def __init__(self):
        self.journals = Journals()
        self.connections = {}  # connection -> its requests, in order
        self.unanswered = {}  # (connection, correlation id) -> Produce request
        self.answers = 0  # that acknowledge something
        self.refusals = 0  # with an error for each partition, or for some
        self.marks = 0  # in what was acknowledged
        self.violations = []

    def take(self, line):
        if line.kind == "file":
            self.journals.take(line)
        elif line.event == "read" and line.phase == "ok":
            self.received(line)
        elif line.event == "write" and line.phase == "begin":
            for frame in listed(line.fields, "frames"):
                self.sent(line, frame)

    def received(self, line):
        connection = line.fields["connection"]
        requests = self.connections.setdefault(connection, [])
        for frame in listed(line.fields, "frames"):
            head = bytes.fromhex(frame.split(":")[1])
            key, version, correlation_id = struct.unpack(">hhi", head[:8].ljust(8, b"\0"))
            requests.append(Request(version, set()))
            if key == PRODUCE:
                self.unanswered[connection, correlation_id] = requests[-1]
        for mark in listed(line.fields, "marks"):
            name, number = mark.rsplit("@", 1)
            requests[int(number) - 1].marks.add(name)

    def sent(self, line, frame):
        length, head = frame.split(":")
        answer = bytes.fromhex(head)
        (correlation_id,) = struct.unpack(">i", answer[:4])
        request = self.unanswered.pop((line.fields["connection"], correlation_id), None)
        if request is None:
            return
        if len(answer) < int(length):
            self.complain(line, f"an answer of {length} bytes is shown in part only")
        elif errors_of(answer, request.version) != {wire.NONE}:
            self.refusals += 1
        else:
            self.acknowledged(line, request)

    def acknowledged(self, line, request):
        self.answers += 1
        self.marks += len(request.marks)
        if not request.marks:
            self.complain(line, "an acknowledged request carries no mark")
        early = sorted(request.marks - self.journals.durable)
        if early:
            self.complain(line, f"acknowledged before they are durable: {', '.join(early[:5])}")

    def complain(self, line, what):
        self.violations.append(
            f"line {line.number}, connection {line.fields['connection']}: {what}"
        )

    def verdict(self):
        return Verdict(
            self.answers, self.refusals, self.journals.flushes, self.marks, self.violations
        )


def errors_of(answer, version):
    decoded = wire.answer_class(wire.ProduceRequest)[version].decode(answer, header=True)
    return {
        part.error_code for topic in decoded.responses for part in topic.partition_responses
    }


def judge(lines):
    judge = Judge()
    for text in lines:
        judge.take(parse(text))
    return judge.verdict()


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    with open(sys.argv[1]) as trace:
        verdict = judge(trace)
    for violation in verdict.violations[:VIOLATIONS_SHOWN_MAX]:
        print(violation)
    print(
        f"{verdict.answers} answers that acknowledge {verdict.marks} marks, {verdict.refusals} that"
        f" refuse, {verdict.flushes} flushes, {len(verdict.violations)} violations"
    )
    return 0 if verdict.answers and verdict.flushes and not verdict.violations else 1


if __name__ == "__main__":
    sys.exit(main())
