"""Connections that misbehave: slow, idle, too many, half closed, gone in the middle, and what a
stop does to those that are in flight."""

import contextlib
import os
import pathlib
import resource
import socket
import struct
import threading
import time

import durability
from faulty import new_faulty
from harness import records, wire
from harness.target import make_topic
from ledger import Ledger

MIB = 1 << 20


def started(target, *settings, **options):
    server = target.new_server(settings=["ottla.shards=1", *settings], **options)
    server.start()
    make_topic(server.bootstrap, "log", 2)
    return server


def resident_bytes(server):
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


def open_sockets(server):
    folder = pathlib.Path(f"/proc/{server.process.pid}/fd")
    return sum("socket:" in link for link in map(read_link, folder.iterdir()))


def read_link(path):
    try:
        return os.readlink(path)
    except FileNotFoundError:
        return ""


def await_true(what, condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not in {seconds} s: {what}"
        time.sleep(0.02)


def check_serves(server):
    began = time.monotonic()
    assert Ledger().produce(server.bootstrap, 4)
    assert time.monotonic() - began < 2, "others wait for it"


def small_receive_buffer(bootstrap):
    """A connection whose peer can have little on the way to it."""
    connection = wire.Connection.__new__(wire.Connection)
    connection.socket = socket.socket()
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.socket.settimeout(15)
    host, port = bootstrap.rsplit(":", 1)
    connection.socket.connect((host, int(port)))
    connection.correlation_id = 0
    return connection


def send_what_fits(connection, data, seconds=1.0):
    """Sends until the peer reads no more for that long. Gives the number of bytes sent."""
    connection.socket.settimeout(seconds)
    sent = 0
    with contextlib.suppress(TimeoutError, ConnectionError):
        while sent < len(data):
            sent += connection.socket.send(data[sent : sent + MIB])
    return sent


def frame_of(connection, request, version):
    payload = connection.encode(request, version)
    return struct.pack(">i", len(payload)) + payload


def case_slow_reader(target):
    """It asks for 20 TB and reads nothing: soon it is not read from any more, others are served,
    memory stays, and at last it is closed for being idle."""
    server = started(target, "connections.max.idle.ms=4000")
    ledger = Ledger(value_bytes=500_000)
    assert ledger.produce(server.bootstrap, 80), ledger.errors
    before = resident_bytes(server)
    with small_receive_buffer(server.bootstrap) as connection:
        asked = frame_of(connection, wire.fetch_request("log", 0, 0), 11) * 500_000
        sent = send_what_fits(connection, asked)
        sent += send_what_fits(connection, asked[sent:])  # was it only slow?
        # The first answers stop it; the kernel's buffers on the way take some MB more.
        assert sent < 16 * MIB, f"it has read {sent / MIB:.0f} MiB of requests"
        grown = resident_bytes(server) - before
        assert grown < 120 * MIB, f"{grown / MIB:.0f} MiB more"
        check_serves(server)
        sockets = open_sockets(server)
        await_true("it is closed", lambda: open_sockets(server) < sockets, 15)
    check_serves(server)
    server.stop()


def case_answers_of_small_requests_that_nobody_reads(target):
    server = started(target)
    before = resident_bytes(server)
    with small_receive_buffer(server.bootstrap) as connection:
        request = frame_of(connection, wire.ApiVersionsRequest(), 0)
        sent = send_what_fits(connection, request * 2_000_000)
        assert sent < len(request) * 2_000_000, "it reads requests without end"
        grown = resident_bytes(server) - before
        assert grown < 30 * MIB, f"{grown / MIB:.0f} MiB more"
        check_serves(server)
    server.stop()


def case_many_slow_readers(target):
    """Each leaves some MB of records unread: together more than there may be, so those that hang for
    longest are closed."""
    server = started(target, "queued.max.request.bytes=33554432")
    ledger = Ledger(value_bytes=500_000)
    assert ledger.produce(server.bootstrap, 40), ledger.errors
    before = resident_bytes(server)
    with contextlib.ExitStack() as all_open:
        for _ in range(60):
            connection = all_open.enter_context(small_receive_buffer(server.bootstrap))
            connection.send(wire.fetch_request("log", 0, 0), 11)
        await_true("some are closed", lambda: "does not read its answers" in server.output())
        time.sleep(1)
        check_serves(server)
        grown = resident_bytes(server) - before
        assert grown < 120 * MIB, f"{grown / MIB:.0f} MiB more"
    server.stop()


def case_idle_connections_are_closed(target):
    server = started(target, "connections.max.idle.ms=1000")
    with wire.Connection(server.bootstrap) as idle, wire.Connection(server.bootstrap) as busy:
        wire.metadata(idle, [])
        began = time.monotonic()
        while time.monotonic() - began < 3:
            wire.metadata(busy, [])
            time.sleep(0.1)
        assert idle.is_closed_by_peer(0.1), "it is open after three times its time"
        wire.metadata(busy, [])
    with wire.Connection(server.bootstrap) as waiting:  # not idle: it has asked for something
        waiting.send(wire.fetch_request("log", 0, 0, max_wait_ms=2500), 11)
        assert waiting.read_answer(wire.FetchRequest, 11).error_code == wire.NONE
    server.stop()


def case_more_connections_than_allowed(target):
    server = started(target, "max.connections=20")
    await_true("what made the topic is gone", lambda: open_sockets(server) == 1)  # listens
    with contextlib.ExitStack() as all_open:
        connections = [
            all_open.enter_context(wire.Connection(server.bootstrap)) for _ in range(20)
        ]
        for connection in connections:
            wire.metadata(connection, [])
        for _ in range(30):
            with wire.Connection(server.bootstrap) as refused:
                assert refused.is_closed_by_peer(5), "the 21st connection is served"
        for connection in connections:
            wire.metadata(connection, [])
    lines = [line for line in server.output().splitlines() if "refusing 127.0.0.1" in line]
    assert 1 <= len(lines) <= 10 and "raise max.connections" in lines[0], lines
    await_true("there is room again", lambda: is_served(server.bootstrap))
    server.stop()


def is_served(bootstrap):
    with wire.Connection(bootstrap) as connection:
        try:
            return bool(wire.metadata(connection, []).brokers)
        except (wire.Closed, OSError):
            return False


def case_thousands_of_connections(target):
    count = 3000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20_000), hard))
    try:
        server = started(target)
        before = resident_bytes(server)
        with contextlib.ExitStack() as all_open:
            for _ in range(count):
                connection = all_open.enter_context(wire.Connection(server.bootstrap))
                wire.metadata(connection, [])
            each = (resident_bytes(server) - before) / count
            assert each < 8192, f"{each:.0f} bytes for an idle connection"
            check_serves(server)
        await_true("they are gone", lambda: open_sockets(server) < 50)
        server.stop()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def case_memory_under_many_large_requests(target):
    """40 connections send 8 requests of 1 MB each at once, and the disk is slow: what is read in
    stays within queued.max.request.bytes, and all are answered."""
    server = new_faulty(
        target,
        faults="delay sync path=.journal ms=30",
        settings=["ottla.shards=1", "queued.max.request.bytes=33554432"],
    )
    server.start()
    make_topic(server.bootstrap, "log", 2)
    before = resident_bytes(server)
    batch = records.batch([os.urandom(1_000_000)])
    peak, done = [before], threading.Event()

    def watch():
        while not done.wait(0.02):
            peak[0] = max(peak[0], resident_bytes(server))

    def send(i):
        with wire.Connection(server.bootstrap, timeout_seconds=100) as connection:
            for _ in range(8):
                connection.send(wire.produce_request("log", i % 2, batch), 7)
            for _ in range(8):
                part = connection.read_answer(wire.ProduceRequest, 7).responses[0]
                assert part.partition_responses[0].error_code == wire.NONE, part

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        durability.run_together(*(lambda i=i: send(i) for i in range(40)))
    finally:
        done.set()
        watcher.join()
    grown = (peak[0] - before) / MIB
    # 32 for requests; the journal's staging memory, which is the tail cache; what malloc keeps
    assert grown < 32 + 96, f"{grown:.0f} MiB more"
    server.stop()


def case_large_requests_whose_rest_does_not_come(target):
    """Each announces all that there may be, sends most of it and stops. What is held is bounded, and
    they don't keep others out for long."""
    server = started(target, "queued.max.request.bytes=33554432")
    before = resident_bytes(server)
    start = struct.pack(">i", 24 * MIB) + struct.pack(">hhi", 0, 7, 1) + bytes(20 * MIB)
    with contextlib.ExitStack() as all_open:
        connections = [
            all_open.enter_context(wire.Connection(server.bootstrap)) for _ in range(4)
        ]
        threads = [
            threading.Thread(target=send_what_fits, args=[connection, start])
            for connection in connections
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        grown = (resident_bytes(server) - before) / MIB
        assert grown < 64, f"{grown:.0f} MiB more"
        check_serves(server)  # small requests find room
        large = records.batch([bytes(1_000_000)])
        with wire.Connection(server.bootstrap, timeout_seconds=300) as connection:
            began = time.monotonic()
            assert wire.produce(connection, "log", 0, large).error_code == wire.NONE
            assert time.monotonic() - began < 30, "it waited behind all of them"
    lines = [line for line in server.output().splitlines() if "sends no more of it" in line]
    assert lines, "no line says why they were closed"
    server.stop()


def case_half_closed_connection_is_let_go(target):
    server = started(target)
    with wire.Connection(server.bootstrap) as connection:
        wire.metadata(connection, [])
        sockets = open_sockets(server)
        connection.socket.shutdown(socket.SHUT_WR)
        await_true("the node closes its half", lambda: open_sockets(server) < sockets)
    check_serves(server)
    server.stop()


def case_clients_that_go_while_they_wait(target):
    """The node lets go of a long poll at once: of the connection, and of what waits behind it. That
    shows in its memory only, some 6 KB for each, and only while nothing is written to what they wait
    for: a record would wake them too."""
    server = started(target)
    make_topic(server.bootstrap, "quiet")
    before, memory_before = open_sockets(server), resident_bytes(server)
    for _ in range(40):
        with contextlib.ExitStack() as all_open:
            for _ in range(100):
                connection = all_open.enter_context(wire.Connection(server.bootstrap))
                request = wire.fetch_request("quiet", 0, 0, max_wait_ms=60_000, min_bytes=1000)
                connection.send(request, 11)
            check_serves(server)
        await_true("their sockets are closed", lambda: open_sockets(server) <= before + 2, 3)
    grown = (resident_bytes(server) - memory_before) / MIB
    assert grown < 12, f"{grown:.0f} MiB more"
    server.stop()


def case_stop_under_load(target):
    """SIGTERM while clients produce: each request gets its answer or a closed connection, all that
    was acknowledged is durable before (the trace says) and there after a restart; long polls don't
    hold the node up."""
    server = new_faulty(target, settings=["ottla.shards=2"], is_traced=True)
    server.start()
    make_topic(server.bootstrap, "log", 8)
    ledgers = [OnePartition(i) for i in range(8)]
    waiting = [wire.Connection(server.bootstrap) for _ in range(20)]
    for connection in waiting:
        connection.send(wire.fetch_request("log", 0, 0, max_wait_ms=60_000, min_bytes=10**8), 11)

    threads = [
        threading.Thread(target=ledger.produce_for_ever, args=[server.bootstrap])
        for ledger in ledgers
    ]
    for thread in threads:
        thread.start()
    await_true("they produce", lambda: min(len(one.acknowledged) for one in ledgers) > 50)
    began = time.monotonic()
    server.stop()  # exit code 0
    assert time.monotonic() - began < 4, "it took too long"
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive(), "a client waits for an answer that does not come"
    for connection in waiting:
        connection.close()
    verdict = durability.judged(server)
    assert not verdict.violations and verdict.answers > 400, verdict
    again = target.new_server(adopt=server.log_dir)
    again.start()
    for ledger in ledgers:
        ledger.check_kept(again.bootstrap)
    again.stop()


class OnePartition:
    """Produces numbers to one partition, with acks=all, until the connection ends."""

    def __init__(self, partition):
        self.partition = partition
        self.acknowledged = {}  # offset -> value
        self.ending = None

    def produce_for_ever(self, bootstrap):
        number = 0
        try:
            with wire.Connection(bootstrap) as connection:
                while True:
                    value = durability.value("abcdefgh"[self.partition], number)
                    answer = wire.produce(
                        connection, "log", self.partition, records.batch([value])
                    )
                    if answer.error_code != wire.NONE:
                        self.ending = answer.error_code
                        return
                    self.acknowledged[answer.base_offset] = value
                    number += 1
        except (OSError, wire.Closed) as error:
            self.ending = error

    def check_kept(self, bootstrap):
        found = {}
        for batch in records.read_batches(wire.read_log(bootstrap, "log", self.partition)):
            found[batch.base_offset] = records.values_of(batch)[0]
        lost = [offset for offset, one in self.acknowledged.items() if found.get(offset) != one]
        assert not lost, f"partition {self.partition}: lost {lost[:5]}"
        # One more may be there: its answer did not come.
        assert len(found) <= len(self.acknowledged) + 1, f"{len(found)} records"


def case_second_signal_ends_it_at_once(target):
    """While the first one's stop waits for a disk that takes a minute."""
    server = new_faulty(
        target, faults="delay sync path=log-0/ ms=60000", settings=["ottla.shards=1"]
    )
    server.start()
    make_topic(server.bootstrap, "log", 2)
    ledger = Ledger()
    assert ledger.produce(server.bootstrap, 40)
    server.process.terminate()
    time.sleep(1)
    assert server.process.poll() is None, "it did not wait for the disk"
    server.process.terminate()
    server.process.wait(5)
    again = target.new_server(adopt=server.log_dir)
    again.start()
    ledger.check_kept(again.bootstrap)
    again.stop()
