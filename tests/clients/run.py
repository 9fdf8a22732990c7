"""Runs the groups of cases against one target or both and prints one line a case. See README.md
beside this file."""

import argparse
import faulthandler
import pathlib
import shutil
import signal
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from cases import (
    compaction,
    admin,
    confluent,
    controller,
    folders,
    franz,
    consumer_groups,
    groups,
    java,
    kafka_python,
    kcat,
    lossy,
    restart,
    retention,
    startup,
    versions,
    wire,
)  # noqa: E402
from harness.report import Report  # noqa: E402
from harness.server import Kafka, Ottla  # noqa: E402
from harness.target import Target  # noqa: E402

# Groups that share one running node, in this order; what they leave on its disk is judged by
# `folders` at the end.
SHARED = {
    "kcat": kcat,
    "kafka_python": kafka_python,
    "confluent": confluent,
    "java": java,
    "franz": franz,
    "wire": wire,
    "versions": versions,
}
# Groups that start, stop and kill nodes of their own.
OWN = {
    "startup": startup,
    "controller": controller,
    "admin": admin,
    "groups": groups,
    "consumer_groups": consumer_groups,
    "lossy": lossy,
    "restart": restart,
    "retention": retention,
    "compaction": compaction,
    "folders": folders,
}
SERVERS = {"ottla": Ottla, "kafka": Kafka}


def main():
    faulthandler.register(signal.SIGUSR1)
    arguments = argparse.ArgumentParser(prog="tests/clients/run")
    arguments.add_argument("--target", choices=[*SERVERS, "both"], default="both")
    arguments.add_argument("--ottla", help="the binary to test", default=Ottla.binary)
    arguments.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a setting for every ottla node, such as its number of shards",
    )
    arguments.add_argument(
        "--keep", action="store_true", help="leave the nodes' folders and print their place"
    )
    arguments.add_argument("wanted", nargs="*", metavar="GROUP[.CASE]")
    options = arguments.parse_args()
    Ottla.binary = pathlib.Path(options.ottla).resolve()
    Ottla.settings_for_all = options.set
    known = {**SHARED, **OWN}
    for wanted in options.wanted:
        if wanted.split(".")[0] not in known:
            arguments.error(f"no group {wanted}; there are {', '.join(known)}")
    report = Report(options.wanted)
    common = {}
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ottla-clients-"))
    targets = list(SERVERS) if options.target == "both" else [options.target]
    try:
        for kind in targets:
            run_target(SERVERS[kind], folder / kind, report, common)
    finally:
        if options.keep:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return report.finish()


def run_target(server_class, folder, report, common):
    target = Target(server_class, folder, common)
    report.target = target.kind
    if target.kind == "ottla" and not Ottla.binary.exists():
        report.fail_setup(f"there is no {Ottla.binary}; build the preset release first")
        return
    try:
        if any(report.wants_group(name) for name in [*SHARED, "folders"]):
            started = time.monotonic()
            try:
                target.start()
            except Exception as error:  # this target has failed; the other one still runs
                report.fail_setup(str(error))
                return
            seconds = time.monotonic() - started
            report.note(f"{target.kind} serves on {target.bootstrap} after {seconds:.1f} s")
            for name, module in SHARED.items():
                report.run_group(name, module, target)
            report.run_one("node", "is alive after all of it", lambda: target.check_alive())
            report.run_one("node", "stops cleanly", target.server.stop)
        for name, module in OWN.items():
            report.run_group(name, module, target)
    finally:
        target.close()


if __name__ == "__main__":
    sys.exit(main())
