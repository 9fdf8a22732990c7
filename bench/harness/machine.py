"""The machine in one line: what matters to the figures, nothing that names it."""

import os
import pathlib
import re
import subprocess


def cores():
    return os.sched_getaffinity(0)


def describe():
    info = pathlib.Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*:\s*(.*)$", info, re.M)
    is_virtual = re.search(r"^flags.*\bhypervisor\b", info, re.M) is not None
    gib = int(re.search(r"MemTotal:\s*(\d+)", pathlib.Path("/proc/meminfo").read_text()).group(1)) / (1 << 20)
    kernel = ".".join(os.uname().release.split(".")[:2])
    java = subprocess.run(["java", "-version"], capture_output=True, text=True).stderr.split("\n")[0]
    return (f"{len(cores())} {'virtual ' if is_virtual else ''}cores of {model.group(1) if model else 'unknown'}, "
            f"{gib:.0f} GiB, Linux {kernel}, {java}")
