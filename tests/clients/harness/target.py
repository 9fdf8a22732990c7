"""What a case sees of the system under test: an address, fresh topics, and a ledger for the disk
checks at the end."""

import itertools
import json
import os
import pathlib
import subprocess
import tempfile
import time

from harness import wire
from harness.server import PROJECT

TOPIC_READY_SECONDS_MAX = 15


class Target:
    def __init__(self, server_class, folder, common):
        self.kind = server_class.kind
        self.server_class = server_class
        self.folder = pathlib.Path(folder)
        self.server = server_class(self.folder / "node")
        self.numbers = itertools.count(1)
        self.codecs_written = (
            {}
        )  # topic -> codec: what must be found in the segments once the node has stopped
        self.others = []
        self.common = common  # what is made once and used by both targets

    def start(self):
        self.server.start()

    def close(self):
        for server in [*self.others, self.server]:
            server.kill()

    def new_server(self, **options):
        """A node of its own for one case; close() ends what the case left running."""
        server = self.server_class(self.folder / f"node-{next(self.numbers)}", **options)
        self.others.append(server)
        return server

    @property
    def bootstrap(self):
        return self.server.bootstrap

    @property
    def log_dir(self):
        return self.server.log_dir

    def check_alive(self):
        assert (
            self.server.is_alive()
        ), f"nobody listens; the node's last words:\n{self.server.output_tail()}"

    def scratch_file(self, content=b""):
        handle, name = tempfile.mkstemp(dir=self.folder)
        os.write(handle, content)
        os.close(handle)
        return pathlib.Path(name)

    def name(self, word="topic"):
        return f"{word}-{next(self.numbers)}"

    def topic(self, word="topic", partitions=1, **configs):
        """A new topic that is ready for use; configs with '_' for '.'."""
        name = self.name(word)
        make_topic(
            self.bootstrap,
            name,
            partitions,
            {key.replace("_", "."): str(v) for key, v in configs.items()},
        )
        return name


def make_topic(bootstrap, name, partitions=1, configs=None):
    made = wire.create_topic(bootstrap, name, partitions, configs)
    assert (
        made.error_code == wire.NONE
    ), f"create {name}: error {made.error_code} {made.error_message}"
    await_leaders(bootstrap, name, partitions)


def await_leaders(bootstrap, name, partitions=1):
    """Kafka answers CreateTopics before its broker has applied the new topic; a client sees that as
    a retriable error."""
    deadline = time.monotonic() + TOPIC_READY_SECONDS_MAX
    with wire.Connection(bootstrap) as connection:
        while not has_leaders(connection, name, partitions):
            assert (
                time.monotonic() < deadline
            ), f"topic {name} is not ready after {TOPIC_READY_SECONDS_MAX} s"
            time.sleep(0.02)


def has_leaders(connection, name, partitions):
    found = wire.metadata(connection, [name]).topics[0]
    if found.error_code != wire.NONE or len(found.partitions) != partitions:
        return False
    return all(
        wire.list_offset(connection, name, i, wire.LATEST).error_code == wire.NONE
        for i in range(partitions)
    )


def output_of(command, input_bytes=None, timeout_seconds=60, ok=(0,)):
    """Runs a command, returns its stdout as text; a wrong exit code is an assertion with what it
    printed."""
    done = subprocess.run(
        [str(part) for part in command],
        input=input_bytes,
        capture_output=True,
        timeout=timeout_seconds,
    )
    shown = " ".join(str(part) for part in command)[:300]
    assert done.returncode in ok, (
        f"`{shown}` ended with {done.returncode}\n{done.stdout.decode(errors='replace')[-1500:]}"
        f"{done.stderr.decode(errors='replace')[-1500:]}"
    )
    return done.stdout.decode(errors="replace")


def run_program(command, group, report, timeout_seconds):
    """Runs a program that has many cases and prints a JSON object a line: first {"plan":
    [names]}, then for each case {"case", "ok", "seconds", "text"}, last {"codecs": {topic:
    codec}}, which is returned. What was planned and never reported has failed."""
    try:
        done = subprocess.run(
            [str(part) for part in command], capture_output=True, text=True, timeout=timeout_seconds
        )
        out, err, ending = done.stdout, done.stderr, f"exit {done.returncode}"
        failed = done.returncode != 0
    except subprocess.TimeoutExpired as late:
        out, err = ((data or b"").decode(errors="replace") for data in (late.stdout, late.stderr))
        ending, failed = f"it did not end in {timeout_seconds} s", True
    planned, codecs = [], {}
    for entry in (
        json.loads(line) for line in out.splitlines() if line.startswith("{") and line.endswith("}")
    ):
        if "plan" in entry:
            planned = entry["plan"]
        elif "codecs" in entry:
            codecs = entry["codecs"]
        else:
            planned.remove(entry["case"])
            if entry["ok"]:
                report.success(group, entry["case"], entry["seconds"])
            else:
                report.failure(group, entry["case"], entry["seconds"], entry["text"])
    for name in planned:
        report.failure(group, name, 0, "the program ended without a word on this case")
    if failed or not out:
        report.failure(group, "the program", 0, f"{ending}\n{err[-3000:]}")
    return codecs


__all__ = ["PROJECT", "Target", "await_leaders", "make_topic", "output_of", "run_program"]
