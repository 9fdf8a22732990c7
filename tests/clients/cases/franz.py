"""franz-go: a Go program with all its cases (go/), as a client of a third family besides Java's
and librdkafka."""

import os
import subprocess

from harness.server import CACHE, PROJECT
from harness.target import run_program

PROGRAM_SECONDS_MAX = 300
BUILD_SECONDS_MAX = 600


def command(*arguments):
    """Builds what has changed; Go's own cache, kept with the other things that were fetched,
    makes that quick."""
    environment = {
        **os.environ,
        "GOPATH": str(CACHE / "go"),
        "GOCACHE": str(CACHE / "go-build"),
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-modcacherw -mod=readonly",
        "CGO_ENABLED": "0",
    }
    program = CACHE / "franz-clients"
    done = subprocess.run(
        [CACHE / "venv/bin/go", "build", "-o", program, "."],
        cwd=PROJECT / "tests/clients/go",
        env=environment,
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS_MAX,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [program, *arguments]


def run(target, group, report):
    codecs = run_program(command("cases", target.bootstrap), group, report, PROGRAM_SECONDS_MAX)
    target.codecs_written.update(codecs)
