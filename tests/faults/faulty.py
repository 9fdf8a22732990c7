"""Nodes of `ottla-faulty`: the shipped command over a disk that fails by rule, with a trace of what
it does (src/apps/ottla_faulty_main.cc)."""

from harness.server import Ottla

MARKER = "@mark:"


class Faulty(Ottla):
    """`faults`: rules of src/io/fault/fault_rules.h. With `is_traced`, `trace` is the file."""

    def __init__(self, folder, faults="", is_traced=False, plant="", **options):
        super().__init__(folder, **options)
        self.binary = f"{Ottla.faulty}-planted" if plant else Ottla.faulty
        self.trace = self.folder / "trace"
        if faults:
            self.environment["OTTLA_FAULTS"] = faults
        if is_traced:
            self.environment["OTTLA_TRACE"] = str(self.trace)
            self.environment["OTTLA_TRACE_MARKER"] = MARKER
        if plant:
            self.environment["OTTLA_PLANT"] = plant


def new_faulty(target, **options):
    """A node of its own for one case; the target ends what the case leaves running."""
    server = Faulty(target.folder / f"faulty-{next(target.numbers)}", **options)
    target.others.append(server)
    return server
