"""A server under test: ours or Apache Kafka's, with the same few verbs.

Both are started as a user would start them, by their own command, on 127.0.0.1 and on a folder of
their own. Cases get a Server and must not care which of the two it is."""

import fcntl
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

PROJECT = pathlib.Path(__file__).resolve().parents[3]
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "ottla"
START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 30


def free_port():
    """A port below the range of outgoing connections, free with its neighbour 1000 above (Kafka's
    controller), and ours until this program ends: others that run beside it get other ones."""
    for candidate in range(20100 + os.getpid() % 5000, 31000):
        claimed = []
        try:
            for port in (candidate, candidate + 1000):
                claimed.append(claim(port))
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(("127.0.0.1", port))
        except OSError:
            for file in claimed:
                file.close()
            continue
        free_port.claimed += claimed
        return candidate
    raise RuntimeError("no free port between 20100 and 31000")


free_port.claimed = []


def claim(port):
    """A lock on a file of the port's name, of this user's tests; OSError if it is taken."""
    folder = pathlib.Path(tempfile.gettempdir()) / f"ottla-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    file = open(folder / str(port), "w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise
    return file


class Server:
    """One node. `log_dir` is the folder with meta.properties in it."""

    kind = ""

    def __init__(self, folder, advertised_port=None, settings=()):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.advertised_port = advertised_port
        self.settings = list(settings)
        self.log_dir = None
        self.log = None

    @property
    def bootstrap(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        raise NotImplementedError

    def stop(self):
        """Ends the node cleanly: SIGTERM, and everything is on disk when it returns."""
        raise NotImplementedError

    def kill(self):
        """SIGKILL: what is not on its way to the disk is lost with the process."""
        raise NotImplementedError

    def is_alive(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5):
                return True
        except OSError:
            return False

    def output(self):
        """What the node has printed and logged so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def output_tail(self):
        return self.output()[-2000:]


class Kafka(Server):
    kind = "kafka"

    def __init__(self, folder, advertised_port=None, settings=(), adopt=None):
        super().__init__(folder, advertised_port, settings)
        self.adopted = pathlib.Path(adopt) if adopt else None
        self.log_dir = self.adopted or self.folder / "node1" / "data"
        self.log = self.folder / "node1" / "out.log"

    def start(self):
        verb = ["adopt", self.folder, self.adopted] if self.adopted else ["start", self.folder]
        command = [PROJECT / "tools/peer", *verb, "--port", str(self.port)]
        if self.advertised_port:
            command += [
                "--set",
                f"advertised.listeners=PLAINTEXT://127.0.0.1:{self.advertised_port}",
            ]
        for setting in self.settings:
            command += ["--set", setting]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            raise RuntimeError(f"Kafka did not start:\n{done.stderr}")

    def stop(self):
        subprocess.run([PROJECT / "tools/peer", "stop", self.folder], check=True, timeout=120)

    def kill(self):
        subprocess.run(
            [PROJECT / "tools/peer", "stop", self.folder, "KILL"], check=True, timeout=120
        )


class Ottla(Server):
    kind = "ottla"
    binary = PROJECT / "build/release/ottla"
    settings_for_all = []

    def __init__(self, folder, advertised_port=None, settings=(), adopt=None, environment=None):
        super().__init__(folder, advertised_port, settings)
        self.environment = environment or {}
        self.log_dir = pathlib.Path(adopt) if adopt else self.folder / "data"
        self.log = self.folder / "out.log"
        self.process = None

    def start(self):
        settings = [f"listeners=PLAINTEXT://127.0.0.1:{self.port}", f"log.dirs={self.log_dir}"]
        if self.advertised_port:
            settings.append(f"advertised.listeners=PLAINTEXT://127.0.0.1:{self.advertised_port}")
        command = [self.binary, "serve"]
        for setting in settings + self.settings_for_all + self.settings:
            command += ["--set", setting]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={**os.environ, **self.environment},
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS_MAX
        while not self.is_alive():
            if self.process.poll() is not None:
                raise RuntimeError(
                    f"ottla ended with {self.process.returncode}:\n{self.output_tail()}"
                )
            if time.monotonic() > deadline:
                raise RuntimeError(f"ottla does not listen on {self.port}:\n{self.output_tail()}")
            time.sleep(0.01)

    def stop(self):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise RuntimeError(f"ottla did not end in {STOP_SECONDS_MAX} s after SIGTERM") from None
        finally:
            self.process = None
        if code != 0:
            raise RuntimeError(f"ottla ended with {code} after SIGTERM:\n{self.output_tail()}")

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def copy_of(log_dir, destination):
    """A copy of a stopped node's folder, to be opened by another node while the original stays as
    evidence."""
    shutil.copytree(log_dir, destination, ignore=shutil.ignore_patterns(".lock"))
    return pathlib.Path(destination)
