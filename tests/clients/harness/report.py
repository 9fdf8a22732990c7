"""Runs cases, prints a line for each, and sums up. A case that did not run is a failure, never a
pass."""

import os
import signal
import sys
import time
import traceback

CASE_SECONDS_MAX = 300  # some start five nodes, on a busy machine


class TooLong(Exception):
    pass


def raise_too_long(*_):
    raise TooLong(f"still running after {CASE_SECONDS_MAX} s")


class Report:
    def __init__(self, wanted):
        self.wanted = wanted
        self.target = ""
        self.passed = 0
        self.failed = []
        self.started = time.monotonic()
        signal.signal(signal.SIGALRM, raise_too_long)

    def wants_group(self, group):
        return not self.wanted or any(one.split(".")[0] == group for one in self.wanted)

    def wants_case(self, group, case):
        return not self.wanted or group in self.wanted or f"{group}.{case}" in self.wanted

    def note(self, text):
        print(f"     {text}", flush=True)

    def run_group(self, group, module, target):
        """A module has either case_* functions, each taking the target, or one run(target, group,
        report). What begins with ottla_case_ has no counterpart in Kafka and runs on our broker
        alone."""
        if not self.wants_group(group):
            return
        if hasattr(module, "run"):
            self.guard(group, lambda: module.run(target, group, self))
            return
        for name, case in list(vars(module).items()):
            if (
                name.startswith("case_")
                or name.startswith("ottla_case_")
                and target.kind == "ottla"
            ):
                case_name = name.removeprefix("ottla_").removeprefix("case_")
                if self.wants_case(group, case_name):
                    self.run_one(group, case_name, lambda case=case: case(target))

    def guard(self, group, run):
        try:
            run()
        except Exception:
            self.failure(group, "the group itself", 0, traceback.format_exc())

    def run_one(self, group, case, function):
        started = time.monotonic()
        signal.alarm(CASE_SECONDS_MAX)
        try:
            function()
        except Exception as error:
            signal.alarm(0)
            self.failure(group, case, time.monotonic() - started, describe(error))
        else:
            signal.alarm(0)
            self.success(group, case, time.monotonic() - started)

    def success(self, group, case, seconds):
        self.passed += 1
        print(f"ok   {self.target} {group}.{case} {seconds:.2f} s", flush=True)

    def failure(self, group, case, seconds, text):
        self.failed.append(f"{self.target} {group}.{case}")
        print(f"FAIL {self.target} {group}.{case} {seconds:.2f} s", flush=True)
        print(
            "".join(f"       {line}\n" for line in text.rstrip().splitlines()), end="", flush=True
        )

    def fail_setup(self, text):
        self.failure("node", "starts", 0, text)

    def finish(self):
        for name in self.failed:
            print(f"failed: {name}")
        if not self.passed and not self.failed:
            self.failed.append("nothing ran")
            print("failed: no case of that name")
        print(f"clients: {time.monotonic() - self.started:.0f} s")
        print(f"{self.passed} passed, {len(self.failed)} failed", flush=True)
        return 1 if self.failed else 0


def describe(error):
    """The place in the cases and the message; the rest of the stack only for what is not an
    assertion."""
    frames = traceback.extract_tb(sys.exc_info()[2])
    ours = [frame for frame in frames if f"{os.sep}clients{os.sep}" in frame.filename]
    places = " < ".join(
        f"{os.path.basename(frame.filename)}:{frame.lineno}" for frame in reversed(ours[-4:])
    )
    line = ours[-1].line if ours else ""
    return f"{type(error).__name__}: {error}\nat {places}\n{line}"
