"""Apache Kafka's own producer, consumer, admin client and command line tools: one program, one
JVM (java/src)."""

import hashlib
import subprocess

from harness.server import CACHE, PROJECT
from harness.target import run_program

PROGRAM_SECONDS_MAX = 300
SOURCES = PROJECT / "tests/clients/java/src"


def class_path():
    """Compiles what has changed since the last time; the classes lie beside the other things that
    were fetched."""
    peer = subprocess.run(
        [PROJECT / "tools/peer", "classpath"], capture_output=True, text=True, check=True
    ).stdout.strip()
    sources = sorted(SOURCES.glob("*.java"))
    digest = hashlib.sha256(
        peer.encode() + b"".join(source.read_bytes() for source in sources)
    ).hexdigest()[:16]
    classes = CACHE / "java" / digest
    if not (classes / "Main.class").exists():
        classes.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            [
                "javac",
                "-Xlint:all,-serial,-processing,-path",
                "-Werror",
                "-d",
                classes,
                "-cp",
                peer,
                *sources,
            ],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    return f"{classes}:{peer}"


def command(*arguments):
    path = class_path()
    logging = path.split(":")[1].replace("*", "log4j2.yaml")
    return [
        "java",
        "-Xmx256m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-XX:-UsePerfData",
        f"-Dlog4j2.configurationFile=file:{logging}",
        "-cp",
        path,
        "Main",
        *arguments,
    ]


def run(target, group, report):
    codecs = run_program(command("cases", target.bootstrap), group, report, PROGRAM_SECONDS_MAX)
    target.codecs_written.update(codecs)
