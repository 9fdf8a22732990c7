"""The brokers that are compared, each a process on the broker's core, and the generator on the other one."""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

PROJECT = pathlib.Path(__file__).resolve().parents[2]
BROKER_CORE, GENERATOR_CORE = 0, 1
KAFKA_HEAP = "1g"


class Failed(Exception):
    pass


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def on_core(core, command):
    return ["taskset", "-c", str(core), *map(str, command)]


class Generator:
    def __init__(self, build):
        self.program = build / "ottla-load"

    def run(self, command, broker, timeout=180, **options):
        """One scenario of ottla-load against a broker; its report."""
        words = [self.program, command, "--port", broker.port]
        if broker.pid:
            words += ["--pid", broker.pid]
        behind = []
        for name, value in options.items():
            if name == "start":
                behind = ["--", *value]
            else:
                words += ["--" + name.replace("_", "-"), value]
        done = subprocess.run(on_core(GENERATOR_CORE, words + behind), capture_output=True, text=True, timeout=timeout)
        if done.returncode != 0:
            raise Failed(f"{broker.name}: {done.stderr.strip()}")
        return json.loads(done.stdout)


class Broker:
    """A folder, and perhaps a process on it. Both live as long as the comparison's temporary folder at most."""

    name = ""

    def __init__(self, build, folder):
        self.build = build
        self.folder = folder
        self.port = free_port()
        self.pid = 0
        folder.mkdir(parents=True)

    def command(self):
        raise NotImplementedError

    def data(self):
        raise NotImplementedError

    def start(self, generator, **options):
        """Until the first acknowledged record; the generator's report of it."""
        command = on_core(BROKER_CORE, self.command())
        self.pid = 0
        report = generator.run("first-ack", self, broker_log=self.folder / "log", start=command, **options)
        self.pid = report["pid"]
        return report

    def start_idle(self):
        """Without any client but one that knocks."""
        command = on_core(BROKER_CORE, self.command())
        log = open(self.folder / "log", "ab")
        self.pid = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                    start_new_session=True).pid
        for _ in range(1200):
            with socket.socket() as knock:
                if knock.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise Failed(f"{self.name} does not listen")

    def end(self, how=signal.SIGKILL):
        if not self.pid:
            return
        pid, self.pid = self.pid, 0
        for number in (signal.SIGCONT, how):
            os.kill(pid, number)
        while True:  # a child of ours, or of a generator that has ended
            try:
                if os.waitpid(pid, os.WNOHANG)[0] == pid:
                    return
            except ChildProcessError:
                if not pathlib.Path(f"/proc/{pid}").exists():
                    return
            time.sleep(0.01)

    def pause(self):
        if self.pid:
            os.kill(self.pid, signal.SIGSTOP)

    def go_on(self):
        if self.pid:
            os.kill(self.pid, signal.SIGCONT)

    def remove(self):
        self.end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def copy_of(self, other):
        """Takes over the data of a broker that was killed."""
        shutil.rmtree(self.data(), ignore_errors=True)
        subprocess.run(["cp", "-a", str(other.data()), str(self.data())], check=True)

    def forget_cache(self):
        """Lets go of the page cache of all its files, so that reading them reads the disk."""
        os.sync()
        for path in self.data().rglob("*"):
            if path.is_file():
                with open(path, "rb") as file:
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class Ours(Broker):
    name = "ours"
    program = "ottla"

    def data(self):
        return self.folder / "data"

    def command(self):
        return [self.build / self.program, "serve", "--listen", f"PLAINTEXT://127.0.0.1:{self.port}",
                "--data-dir", self.data(), "--set", "ottla.shards=1"]


class Null(Broker):
    """Receives and answers, and keeps nothing: what any broker pays on this machine (bench/load/null_broker.h)."""

    name = "null"

    def data(self):
        return self.folder

    def command(self):
        return [self.build / "ottla-load", "null-broker", "--port", self.port]


class Faulty(Ours):
    """Ours over a disk whose flushes take longer; the rule is one of src/io/fault/fault_rules.h."""

    name = "ours, slow flush"
    program = "ottla-faulty"

    def command(self):
        return ["env", f"OTTLA_FAULTS={self.faults}", *super().command()]

    def __init__(self, build, folder, faults):
        self.faults = faults
        super().__init__(build, folder)


class Kafka(Broker):
    """Apache Kafka with its defaults (nothing is flushed before it is acknowledged). A node that is paused while the other
    one is measured must not lose its session; one that is killed must not wait for its end before it registers again."""

    name = "Kafka"

    def __init__(self, build, folder, is_paused=True):
        super().__init__(build, folder)
        session = ["--set", "broker.session.timeout.ms=600000"] if is_paused else []
        words = subprocess.run(
            on_core(BROKER_CORE, [PROJECT / "tools/peer", "prepare", folder, "--port", self.port, "--heap", KAFKA_HEAP,
                                  *session]),
            capture_output=True, text=True)
        if words.returncode != 0:
            raise Failed(f"tools/peer: {words.stderr.strip()}")
        self.words = words.stdout.splitlines()

    def data(self):
        return self.folder / "node1" / "data"

    def command(self):
        return self.words
