"""What is measured. A scenario notes figures: (row, unit, broker, value), one a repetition; table.py takes medians."""

import os
import pathlib
import time

from .brokers import Faulty, Failed, Kafka, Null, Ours

GIB = 1 << 30
BUSY_MAX = 0.95         # of the generator's core; beyond it the generator may be what is measured
LATE_MS_MAX = 1.0       # p99 of the generator's own lateness in an open loop
LATENCY_RATE = 10_000   # requests a second
LATENCY_WARM_SECONDS = 2  # not counted: the topic is new, and the broker was woken just before
FETCH_MB_A_SECOND = 1000  # at full speed the reader's core would be what is measured


class Bench:
    """One comparison: its folder, its brokers and the figures noted so far."""

    def __init__(self, build, folder, generator, quick, only, say):
        self.build, self.folder, self.generator, self.quick, self.say = build, folder, generator, quick, say
        self.kinds = [kind for kind in (Ours, Kafka) if only in (None, kind.name.lower())]
        self.figures = []
        self.invalid = []
        self.brokers = []

    def note(self, row, unit, broker, value):
        self.figures.append((row, unit, broker, value))

    def new(self, kind, *arguments):
        broker = kind(self.build, self.folder / f"{len(self.brokers)}", *arguments)
        self.brokers.append(broker)
        return broker

    def close(self):
        for broker in self.brokers:
            broker.remove()

    def load(self, command, broker, prepare=lambda: None, **options):
        """A run, once more if it was no good; None if it was bad twice."""
        for attempt in range(2):
            prepare()
            try:
                report = self.generator.run(command, broker, **options)
                why = "; ".join(report["errors"])
                if not why and "late_ms" in report and report["late_ms"]["p99"] > LATE_MS_MAX:
                    why = f"the generator was late, p99 {report['late_ms']['p99']:.1f} ms"
                if not why and "late_ms" not in report and report.get("generator_busy", 0) > BUSY_MAX:
                    why = f"the generator's core was busy to {report['generator_busy']:.0%}"
            except Failed as failure:
                why = str(failure)
            if not why:
                return report
            self.invalid.append(f"{broker.name}, {command}: {why}")
            self.say(f"  invalid: {self.invalid[-1]}")
        return None

    def running(self, *more):
        """One broker of each kind, with a topic in it; the others pause while one is measured."""
        brokers = [self.new(kind) for kind in (*self.kinds, *more)]
        for broker in brokers:
            broker.start(self.generator, topic="first", partitions=1)
            broker.pause()
        return brokers


def warm_up(bench, broker, seconds_max, **options):
    """So long because Kafka's virtual machine compiles what it runs often; ours needs its journal files."""
    seconds = seconds_max if isinstance(broker, Kafka) else min(2, seconds_max)
    report = bench.load("produce", broker, seconds=seconds, settle_seconds=0, **options)
    if report:
        cpu = report["broker_cpu_seconds"] / report["requests"] * 1e6
        bench.say(f"  {broker.name}: warmed up for {seconds} s: {cpu:.1f} us of CPU a request, compiling included")


def alone(brokers, broker):
    for other in brokers:
        if other is not broker:
            other.pause()
    os.sync()
    broker.go_on()


PRODUCE = {
    "1 KiB records in 16 KiB batches": dict(record_bytes=1024, batch_bytes=16384, connections=32, depth=5),
    "100 B records in 16 KiB batches": dict(record_bytes=100, batch_bytes=16384, connections=32, depth=5),
    "1 KiB record a request, 5 in flight": dict(record_bytes=1024, batch_bytes=1, connections=64, depth=5),
    "1 KiB record a request": dict(record_bytes=1024, batch_bytes=1, connections=64, depth=1),
}


def produce(bench):
    """As fast as answers come, 16 partitions, acks=all."""
    rounds, seconds, warm = (1, 1.5, 4) if bench.quick else (3, 2.5, 25)
    brokers = bench.running(Null)
    for broker in brokers:
        alone(brokers, broker)
        for i, shape in enumerate(PRODUCE.values()):
            warm_up(bench, broker, warm, topic=f"warm{i}", **shape)
            bench.load("delete", broker, topic=f"warm{i}")
    for turn in range(rounds):
        for i, (name, shape) in enumerate(PRODUCE.items()):
            for broker in brokers:
                alone(brokers, broker)
                topic = f"produce{turn}{i}"
                report = bench.load("produce", broker, topic=topic, seconds=seconds, **shape)
                bench.load("delete", broker, topic=topic)
                if not report:
                    continue
                row = f"produce, {name}"
                cpu = report["broker_cpu_seconds"]
                if shape["batch_bytes"] == 1:
                    bench.note(row, "us of CPU a request", broker.name, cpu / report["requests"] * 1e6)
                    bench.note(row, "requests/s", broker.name, report["requests"] / report["seconds"])
                else:
                    bench.note(row, "CPU-s/GB", broker.name, cpu / report["bytes"] * 1e9)
                    bench.note(row, "MB/s", broker.name, report["bytes"] / report["seconds"] / 1e6)
                bench.say(f"  {broker.name}: {row}: {cpu / report['bytes'] * 1e9:.3f} CPU-s/GB, "
                          f"{cpu / report['requests'] * 1e6:.1f} us/request, "
                          f"{report['bytes'] / report['seconds'] / 1e6:.0f} MB/s, "
                          f"generator {report['generator_busy']:.0%} busy")
    for broker in brokers:
        broker.remove()


def latency_of(bench, broker, seconds, topic):
    return bench.load("produce", broker, topic=topic, rate=LATENCY_RATE, seconds=seconds + LATENCY_WARM_SECONDS,
                      warm_seconds=LATENCY_WARM_SECONDS, record_bytes=1024, batch_bytes=1, connections=16, settle_seconds=0.2)


def latency(bench):
    """One record of 1 KiB a request by a schedule; from when a request was due to its acknowledgement."""
    rounds, seconds, warm = (1, 2, 4) if bench.quick else (3, 4, 10)
    row = f"latency at {LATENCY_RATE:,} requests/s"

    def note(broker, where, report):
        for part in ("p50", "p99", "p99.9"):
            bench.note(where, f"{part}, ms", broker, report["latency_ms"][part])
        bench.note(where, "us of CPU a request", broker, report["broker_cpu_seconds"] / report["requests"] * 1e6)
        figures = report["latency_ms"]
        bench.say(f"  {broker}: {where}: p50 {figures['p50']:.3f}, p99 {figures['p99']:.3f}, "
                  f"p99.9 {figures['p99.9']:.3f} ms, generator late by {report['late_ms']['p99']:.3f} ms at p99")

    brokers = bench.running(Null)
    for broker in brokers:
        alone(brokers, broker)
        warm_up(bench, broker, warm, topic="warm", connections=16, depth=4, record_bytes=1024, batch_bytes=1)
        if isinstance(broker, Kafka):
            latency_of(bench, broker, 2, "warm")
    for turn in range(rounds):
        for broker in brokers:
            alone(brokers, broker)
            report = latency_of(bench, broker, seconds, f"latency{turn}")
            if report:
                note(broker.name, row, report)
    for broker in brokers:
        broker.remove()
    if Ours not in bench.kinds:
        return
    for ms in (0, 0.1, 1, 3):
        faults = f"delay sync ms={ms}" if ms else "delay sync path=none ms=1"
        broker = bench.new(Faulty, faults)
        broker.start(bench.generator, topic="first", partitions=1)
        for turn in range(1 if bench.quick else 2):
            report = latency_of(bench, broker, seconds / 2, f"latency{turn}")
            if report:
                note("ours", f"{row}, each flush {ms} ms longer", report)
        broker.remove()


def fetch(bench):
    """From offset 0 to the end: 4 connections, 1 MiB an answer, 16 partitions, at most 1 GB/s."""
    size, passes = (GIB // 2, 1) if bench.quick else (3 * GIB // 2, 3)
    shape = dict(topic="fetch", connections=4, depth=2, megabytes_per_second=FETCH_MB_A_SECOND)
    brokers = bench.running()
    for broker in brokers:
        alone(brokers, broker)
        bench.load("produce", broker, topic="fetch", bytes_max=size, seconds=60, **PRODUCE["1 KiB records in 16 KiB batches"])
    for turn in range(1 if bench.quick else 2):
        for state in ("cold", "warm"):
            for broker in brokers:
                alone(brokers, broker)
                for _ in range(1 if state == "cold" else passes):
                    prepare = broker.forget_cache if state == "cold" else lambda: None
                    report = bench.load("fetch", broker, prepare, **shape)
                    if not report:
                        continue
                    row = f"catch-up fetch, {state}"
                    cpu = report["broker_cpu_seconds"] / report["bytes"] * 1e9
                    bench.note(row, "CPU-s/GB", broker.name, cpu)
                    bench.note(row, "MB/s", broker.name, report["bytes"] / report["seconds"] / 1e6)
                    bench.say(f"  {broker.name}: {row}: {cpu:.3f} CPU-s/GB, "
                              f"{report['bytes'] / report['seconds'] / 1e6:.0f} MB/s, "
                              f"generator {report['generator_busy']:.0%} busy")
    for broker in brokers:
        broker.remove()


def memory(bench):
    """Resident, three seconds after the port opened, no topics."""
    for kind in bench.kinds:
        broker = bench.new(kind)
        broker.start_idle()
        time.sleep(3)
        fields = pathlib.Path(f"/proc/{broker.pid}/status").read_text().split()
        mib = int(fields[fields.index("VmRSS:") + 1]) / 1024
        bench.note("idle memory", "MiB", broker.name, mib)
        bench.say(f"  {broker.name}: idle memory {mib:.1f} MiB")
        broker.remove()


def start(bench):
    """From exec to the first acknowledged record, which wants a topic made first. Formatting Kafka's folder is not counted."""
    for kind in bench.kinds:
        for _ in range(1 if bench.quick or kind is Kafka else 5):
            broker = bench.new(kind)
            os.sync()
            report = broker.start(bench.generator, topic="first", partitions=1)
            bench.note("first record, empty folder", "ms", broker.name, report["first_ack_ms"])
            bench.say(f"  {broker.name}: first record on an empty folder after {report['first_ack_ms']:.1f} ms "
                      f"(port open after {report['listens_ms']:.1f})")
            broker.remove()


def restart(bench):
    """The same after kill -9 with 1 GiB in the log; and with nothing of it in the page cache, as after a loss of power."""
    shape = PRODUCE["1 KiB records in 16 KiB batches"]
    size = GIB // 4 if bench.quick else GIB
    for kind in bench.kinds:
        for what, partitions, bytes_max in (("16 partitions", 16, size), ("one active segment", 1, size - (24 << 20))):
            killed = bench.new(kind, *([False] if kind is Kafka else []))
            killed.start(bench.generator, topic="first", partitions=1)
            report = bench.load("produce", killed, topic="much", partitions=partitions, bytes_max=bytes_max,
                                seconds=90, settle_seconds=0, **shape)
            killed.end()
            if not report:
                continue
            for is_cold in (False, True):
                row = f"first record after kill -9, {size / GIB:g} GiB, {what}{', not cached' if is_cold else ''}"
                for turn in range(1 if bench.quick or kind is Kafka else 3):
                    again = killed
                    if kind is Ours:
                        again = bench.new(kind)
                        again.copy_of(killed)
                    if is_cold:
                        again.forget_cache()
                    os.sync()
                    report = again.start(bench.generator, topic="much", all_partitions=1)
                    bench.note(row, "ms", again.name, report["first_ack_ms"])
                    bench.say(f"  {again.name}: {row}: {report['first_ack_ms']:.1f} ms "
                              f"(all partitions {report['all_acked_ms']:.1f}, CPU {report['broker_cpu_seconds'] * 1e3:.0f} ms)")
                    again.end()
                    if again is not killed:
                        again.remove()
            killed.remove()


SCENARIOS = {"memory": memory, "start": start, "produce": produce, "latency": latency, "fetch": fetch, "restart": restart}
