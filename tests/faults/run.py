"""Runs the groups of cases and prints one line a case. See README.md beside this file."""

import argparse
import pathlib
import shutil
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "clients"))  # for harness

import bad_input
import connections
import damage
import disk
import durability
import judging
import planted
from harness.report import Report
from harness.server import Ottla
from harness.target import Target

GROUPS = {
    "judging": judging,
    "durability": durability,
    "planted": planted,
    "disk": disk,
    "damage": damage,
    "bad_input": bad_input,
    "connections": connections,
}


def main():
    arguments = argparse.ArgumentParser(prog="tests/faults/run")
    arguments.add_argument("--binary", help="the broker to test", default=Ottla.binary)
    arguments.add_argument("--faulty", help="the same with faults and traces")
    arguments.add_argument(
        "--keep", action="store_true", help="leave the nodes' folders and print their place"
    )
    arguments.add_argument("wanted", nargs="*", metavar="GROUP[.CASE]")
    options = arguments.parse_args()
    Ottla.binary = pathlib.Path(options.binary).resolve()
    Ottla.faulty = pathlib.Path(options.faulty or f"{Ottla.binary}-faulty").resolve()
    for wanted in options.wanted:
        if wanted.split(".")[0] not in GROUPS:
            arguments.error(f"no group {wanted}; there are {', '.join(GROUPS)}")
    report = Report(options.wanted)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ottla-faults-"))
    target = Target(Ottla, folder, {})
    report.target = target.kind
    try:
        for binary in (Ottla.binary, Ottla.faulty, f"{Ottla.faulty}-planted"):
            if not pathlib.Path(binary).exists():
                report.fail_setup(f"there is no {binary}; build the preset release first")
                return report.finish()
        for name, module in GROUPS.items():
            report.run_group(name, module, target)
    finally:
        target.close()
        if options.keep:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
