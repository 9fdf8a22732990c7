"""Folders that rotted, were cut or lost files between two runs: what is damaged is named, answers
CORRUPT_MESSAGE or keeps the node from starting, and is never taken for a shorter or another log;
other partitions are served."""

import os
import shutil
import subprocess

from faulty import MARKER
from harness import records, wire
from harness.server import Ottla
from harness.target import make_topic, output_of
from ledger import Ledger, number_in, read_each

FAILED, IN_USE = 1, 3  # src/cli/exit_code.h
RECORDS = 100  # half of them in each partition
SEALED_SEGMENTS = "log.segment.bytes=1048576"


class Folder:
    """What a node left that served `log` with two partitions."""

    def __init__(self, target, is_killed=False, value_bytes=20_000, settings=()):
        self.target, self.settings = target, ["ottla.shards=1", *settings]
        server = target.new_server(settings=self.settings)
        server.start()
        make_topic(server.bootstrap, "log", 2)
        self.ledger = Ledger(value_bytes=value_bytes)
        assert self.ledger.produce(server.bootstrap, RECORDS), self.ledger.errors
        server.kill() if is_killed else server.stop()
        self.path = server.log_dir

    def file(self, pattern):
        found = sorted(self.path.glob(pattern))
        assert found, f"no {pattern} in {self.path}"
        return found[0]

    def start(self):
        self.server = self.target.new_server(adopt=self.path, settings=self.settings)
        self.server.start()
        return self.server

    def check_refuses(self, *words, exit_code=FAILED):
        """It does not start, says why, and changes nothing that a second look would need."""
        try:
            self.start()
        except RuntimeError:
            code = self.server.process.wait()
            assert code == exit_code, f"exit code {code}:\n{self.server.output_tail()}"
            self.check_says("can't start", *words)
            return
        raise AssertionError(f"it starts:\n{self.server.output_tail()}")

    def check_says(self, *words):
        said = self.server.output()
        for word in words:
            assert str(word) in said, f"no word of {word!r} in:\n{said}"

    def check_whole(self):
        """All is there, and the node goes on."""
        self.start()
        self.ledger.check_kept(self.server.bootstrap)
        self.check_goes_on()

    def check_goes_on(self):
        for partition in range(2):
            part = wire.produce(self.server.bootstrap, "log", partition, records.batch([b"more"]))
            assert part.error_code == wire.NONE, part
            # No offset is given out twice.
            assert part.base_offset >= RECORDS // 2, f"offset {part.base_offset} was given already"
        self.server.stop()

    def check_damaged(self, first, last, *words):
        """Of partition 0 the offsets from `first` to `last`, and no others, answer
        CORRUPT_MESSAGE."""
        server = self.start()
        answers = read_each(server.bootstrap, "log", 0, range(RECORDS // 2))
        damaged = [offset for offset, one in answers.items() if one == wire.CORRUPT_MESSAGE]
        assert damaged and first <= damaged[0] and damaged[-1] <= last, damaged
        for offset, one in answers.items():
            if offset not in damaged:
                assert not isinstance(one, int), f"error {one} at {offset}"
                assert number_in(one) == 2 * offset, f"another record at {offset}"
        others = read_each(server.bootstrap, "log", 1, range(RECORDS // 2))
        assert [number_in(one) for one in others.values()] == list(range(1, RECORDS, 2))
        self.check_says("log-0", *words)
        self.check_goes_on()


def flip(path, position, bit=0):
    with open(path, "r+b") as file:
        file.seek(position)
        (byte,) = file.read(1)
        file.seek(position)
        file.write(bytes([byte ^ 1 << bit]))


def position_of(path, number):
    """Of the record's mark in a journal."""
    mark = path.read_bytes().find(f"{MARKER}z{number:07d}".encode())
    assert mark > 0, f"record {number} is not in {path}"
    return mark


def batches_of(segment):
    """The positions of its batches."""
    data, positions, at = segment.read_bytes(), [], 0
    while at + 61 <= len(data):
        size = int.from_bytes(data[at + 8 : at + 12], "big")
        if size <= 0:
            break
        positions.append(at)
        at += 12 + size
    return positions


def verify(path):
    """`ottla log verify`: exit code and what it says."""
    done = subprocess.run(
        [Ottla.binary, "log", "verify", path], capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stdout + done.stderr


# Segments


def case_flipped_bits_in_segments_of_a_killed_node(target):
    """Of headers, which a start compares: the journal has what they held, so nothing is lost and no
    start fails."""
    for position in (7, 11, 15, 16, 20, 22, 60):
        folder = Folder(target, is_killed=True, settings=[SEALED_SEGMENTS], value_bytes=60_000)
        segment = folder.file("log-0/*.log")
        flip(segment, batches_of(segment)[5] + position)
        code, said = verify(folder.path)
        assert code == FAILED and "log-0" in said, said
        folder.check_whole()


def case_flipped_bits_after_a_clean_stop_are_found_by_verify(target):
    """Of a batch: base offset, length, epoch, magic, CRC, attributes, count, body."""
    folder = Folder(target, settings=[SEALED_SEGMENTS], value_bytes=30_000)
    for segment in sorted(folder.path.glob("log-0/*.log")):
        begin = batches_of(segment)[1]
        for position in (7, 11, 15, 16, 20, 22, 60, 9000):
            flip(segment, begin + position)
            code, said = verify(folder.path)
            assert code == FAILED and "log-0" in said, f"byte {position}: {code}, {said}"
            flip(segment, begin + position)
    code, said = verify(folder.path)
    assert code == 0, said


def case_flipped_bit_in_a_body_is_never_served_as_good(target):
    """After a clean stop segments are not read at the start. A batch that rotted is refused, or
    comes with its CRC, which consumers check."""
    folder = Folder(target)
    segment = folder.file("log-0/*.log")
    for position in (22, 60, 9000):
        flip(segment, batches_of(segment)[10] + position)
    server = folder.start()
    answers = read_each(server.bootstrap, "log", 0, range(RECORDS // 2))
    for offset, one in answers.items():
        if offset == 10:
            assert one == wire.CORRUPT_MESSAGE or not one.crc_ok, one
        elif not isinstance(one, int):
            assert one.base_offset != offset or number_in(one) == 2 * offset
    assert output_of(
        ["kcat", "-C", "-b", server.bootstrap, "-t", "log", "-p", "1", "-o", "beginning", "-e", "-q"]
    ), "the other partition is not served"
    server.stop()


def case_damaged_indexes_are_made_anew(target):
    entry_bytes = {"index": 8, "timeindex": 12}
    for name, size in entry_bytes.items():
        for what, damage in {
            "garbage": lambda path: path.write_bytes(b"garbage!" * 3),
            "gone": lambda path: path.unlink(),
            "bits": lambda path: [
                flip(path, at, 4) for at in range(size - 1, path.stat().st_size, size)
            ],
        }.items():
            folder = Folder(target, settings=[SEALED_SEGMENTS], value_bytes=60_000)
            index = folder.file(f"log-0/*.{name}")  # of a sealed segment
            assert index.stat().st_size > 20
            damage(index)
            server = folder.start()
            folder.ledger.check_kept(server.bootstrap)
            each = read_each(server.bootstrap, "log", 0, range(RECORDS // 2))
            assert [number_in(one) for one in each.values()] == list(range(0, RECORDS, 2))
            found = wire.list_offset(server.bootstrap, "log", 0, 1)  # by timestamp
            assert (found.error_code, found.offset) == (wire.NONE, 0), found
            if (name, what) != ("timeindex", "bits"):  # found only when a timestamp needs it
                assert "of segment 0" in server.output(), (name, what)
                folder.check_says("anew")
            folder.check_goes_on()


# Journals


def case_flipped_bit_in_a_batch_of_the_journal(target):
    folder = Folder(target, is_killed=True, value_bytes=3000)
    journal = folder.file("*.journal.ottla")
    flip(journal, position_of(journal, 20) + 500)
    mark = f"{MARKER}z{20:07d}".encode()
    if any(mark in segment.read_bytes() for segment in folder.path.glob("log-0/*.log")):
        folder.check_whole()  # the node had come that far with its segments
    else:
        folder.check_damaged(10, 10, "offsets 10 to 10", "CORRUPT_MESSAGE")


def case_flipped_bit_in_a_frame_of_the_journal(target):
    """Nobody knows whose records stood there: the node does not start without them."""
    folder = Folder(target, is_killed=True, value_bytes=3000)
    journal = folder.file("*.journal.ottla")
    mark = position_of(journal, 20)
    flip(journal, mark - 130)
    before = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    for _ in range(2):
        folder.check_refuses(journal.name, "is damaged at byte", "Restore the folder")
    flip(journal, mark - 130)
    after = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    assert before.keys() <= after.keys(), "a start that fails removes something"
    folder.check_whole()


def case_journal_that_is_gone(target):
    folder = Folder(target, is_killed=True, value_bytes=3000)
    journal = folder.file("*.journal.ottla")
    aside = journal.rename(folder.path.parent / journal.name)
    folder.check_refuses("journal of shard 0", "Put its files")
    aside.rename(journal)
    folder.check_whole()


def case_journal_list_that_rotted(target):
    folder = Folder(target, is_killed=True, value_bytes=3000)
    flip(folder.path / "journals.ottla", 30)
    folder.check_refuses("journals.ottla")
    flip(folder.path / "journals.ottla", 30)
    folder.check_whole()


def check_torn(target, tear):
    """What `tear` does to the last write is no damage: that write had not ended."""
    folder = Folder(target, is_killed=True, value_bytes=3000)
    journal = folder.file("*.journal.ottla")
    tear(journal, position_of(journal, RECORDS - 1))
    del folder.ledger.acknowledged[RECORDS - 1]
    server = folder.start()
    folder.ledger.check_kept(server.bootstrap)
    assert "damaged" not in server.output(), server.output()
    assert folder.ledger.produce(server.bootstrap, 4)
    folder.ledger.check_kept(server.bootstrap)
    server.stop()


def case_torn_tail_of_zeros(target):
    def tear(journal, mark):
        with open(journal, "r+b") as file:
            file.seek(mark // 512 * 512)
            file.write(bytes(4096))

    check_torn(target, tear)


def case_torn_tail_of_garbage(target):
    def tear(journal, mark):
        with open(journal, "r+b") as file:
            file.seek(mark // 512 * 512)
            file.write(os.urandom(4096))

    check_torn(target, tear)


def case_torn_tail_inside_a_batch(target):
    """The frame around it came through, so only the batch's own checksum tells."""

    def tear(journal, mark):
        with open(journal, "r+b") as file:
            file.seek(mark // 512 * 512 + 1024)
            file.write(bytes(1024))

    check_torn(target, tear)


def case_journal_cut_by_hand(target):
    check_torn(target, lambda journal, mark: os.truncate(journal, mark + 100))


# The metadata log


def metadata_log(folder):
    return folder.file("__cluster_metadata-0/*.log")


def case_flipped_bit_in_the_metadata_log(target):
    for position in (7, 11, 16, 30, 80):
        folder = Folder(target, value_bytes=100)
        log = metadata_log(folder)
        flip(log, batches_of(log)[2] + position)
        before = sorted(path.name for path in folder.path.iterdir())
        folder.check_refuses("__cluster_metadata-0")
        now = sorted(path.name for path in folder.path.iterdir())
        assert not [name for name in now if "stray" in name], now
        assert [name for name in before if name.startswith("log-")] == [
            name for name in now if name.startswith("log-")
        ]
        code, said = verify(folder.path)
        assert code == FAILED and "__cluster_metadata-0" in said, said


def case_metadata_log_cut_by_hand(target):
    folder = Folder(target, value_bytes=100)
    log = metadata_log(folder)
    os.truncate(log, log.stat().st_size - 50)
    folder.check_refuses("__cluster_metadata-0")


def case_files_beside_the_metadata_log(target):
    for name in ("quorum-state", "*.checkpoint"):
        folder = Folder(target, value_bytes=100)
        path = sorted(folder.path.glob(f"__cluster_metadata-0/{name}"))[-1]
        flip(path, path.stat().st_size // 2)
        flip(path, 1, 7)
        folder.check_refuses(path.name)


# What a clean stop had written and is not there any more


def case_segment_cut_after_a_clean_stop(target):
    """Inside the last batch, inside the one before, and where the last one begins: that one is so
    small that no index names it."""
    for cut, first in ((50, 49), (30_000, 48), (None, 49)):
        folder = Folder(target, value_bytes=20_000 if cut else 100)
        segment = folder.file("log-0/*.log")
        end = segment.stat().st_size - cut if cut else batches_of(segment)[-1]
        os.truncate(segment, end)
        folder.check_damaged(first, 49, "CORRUPT_MESSAGE")


def case_segment_that_is_gone_after_a_clean_stop(target):
    folder = Folder(target)
    folder.file("log-0/*.log").unlink()
    server = folder.start()
    answers = read_each(server.bootstrap, "log", 0, range(RECORDS // 2))
    assert set(answers.values()) == {wire.OFFSET_OUT_OF_RANGE}, answers
    folder.check_says("log-0", "offsets 0 to 49", "is gone")
    folder.check_goes_on()


def case_folder_that_is_gone_after_a_clean_stop(target):
    folder = Folder(target)
    shutil.rmtree(folder.path / "log-0")
    folder.start()
    folder.check_says("log-0: the folder is gone, with records up to offset 49", "put it back")
    others = read_each(folder.server.bootstrap, "log", 1, range(RECORDS // 2))
    assert [number_in(one) for one in others.values()] == list(range(1, RECORDS, 2))
    folder.server.stop()


# Whose folder it is


def case_folder_of_another_cluster(target):
    folder = Folder(target, value_bytes=100)
    folder.settings.append("ottla.cluster.id=AAAAAAAAAAAAAAAAAAAAAA")
    folder.check_refuses("belongs to cluster", "AAAAAAAAAAAAAAAAAAAAAA", "own folder")


def case_folder_in_use(target):
    folder = Folder(target, value_bytes=100)
    running = folder.start()
    folder.check_refuses("another process", "stop that one", exit_code=IN_USE)
    assert folder.ledger.produce(running.bootstrap, 2)
    running.stop()


def case_identity_that_is_gone(target):
    """An empty folder is formatted; one that has logs and no identity is not."""
    folder = Folder(target, value_bytes=100)
    (folder.path / "meta.properties").unlink()
    folder.check_refuses("meta.properties")


def case_file_in_place_of_the_folder(target):
    folder = Folder(target, value_bytes=100)
    shutil.rmtree(folder.path)
    folder.path.write_text("not a folder")
    folder.check_refuses("is a file", "log.dirs")


def as_nobody(target, folder, *settings):
    """Starts the node as a user without rights, if we are root (who may do all)."""
    binary = target.folder / "ottla-of-nobody"
    if not binary.exists():
        shutil.copy(Ottla.binary, binary)
        binary.chmod(0o755)
    target.folder.chmod(0o755)
    target.folder.parent.chmod(0o755)
    command = [binary, "serve", "--set", f"log.dirs={folder.path}"]
    command += ["--set", "listeners=PLAINTEXT://127.0.0.1:0"]
    user = {"user": 65534} if os.geteuid() == 0 else {}
    return subprocess.run(command, capture_output=True, text=True, timeout=20, cwd="/", **user)


def case_missing_permissions(target):
    """A folder that may not be written, one that may not be read, a file that may not be read."""
    for what, mode in ((".", 0o555), (".", 0o000), ("log-0", 0o000), ("log-0/*.log", 0o000)):
        folder = Folder(target, value_bytes=100)
        folder.path.parent.chmod(0o755)
        everything = [folder.path, *folder.path.rglob("*")]
        for path in everything:
            path.chmod(0o777 if path.is_dir() else 0o666)
        folder.path.chmod(0o777)
        concerned = folder.path if what == "." else folder.file(what)
        concerned.chmod(mode)
        if what == ".":
            (folder.path / ".lock").chmod(0o444) if mode else None
        done = as_nobody(target, folder)
        concerned.chmod(0o777)
        assert done.returncode == FAILED, f"{what}: {done.returncode} {done.stderr}"
        for word in ("can't start", "ermission denied", "log.dirs"):
            assert word in done.stderr, done.stderr
        folder.check_whole()
