"""What our own command says when it cannot start, and whom it tells what address. Kafka has no
counterpart to compare."""

import socket
import subprocess

from harness import wire
from harness.server import Ottla, free_port
from harness.target import make_topic

END_SECONDS_MAX = 20
FAILED, USAGE, IN_USE = 1, 2, 3  # exit codes that scripts depend on: src/cli/exit_code.h


def serve(target, folder, *settings):
    command = [Ottla.binary, "serve"]
    for setting in (f"log.dirs={folder}", *settings):
        command += ["--set", setting]
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=target.folder,
    )


def check_refused(target, folder, settings, exit_code, *words):
    """It ends by itself with this exit code, and says what is wrong in words that a user can act
    on."""
    process = serve(target, folder, *settings)
    try:
        out = process.communicate(timeout=END_SECONDS_MAX)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        raise AssertionError(f"it runs with {settings}") from None
    assert (
        process.returncode == exit_code
    ), f"exit code {process.returncode} instead of {exit_code}: {out}"
    for word in words:
        assert str(word) in out, f"no word of {word!r} in: {out}"
    assert len(out.splitlines()) < 20, f"more than a screen: {out[:1000]}"


def new_folder(target):
    return target.folder / target.name("startup")


def listener(port):
    return f"listeners=PLAINTEXT://127.0.0.1:{port}"


def ottla_case_port_taken(target):
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        check_refused(target, new_folder(target), [listener(port)], IN_USE, port)


def ottla_case_bad_settings(target):
    check_refused(target, new_folder(target), ["listeners=nonsense"], USAGE, "listeners")
    check_refused(
        target,
        new_folder(target),
        [listener(free_port()), "num.partitions=many"],
        USAGE,
        "num.partitions",
    )
    check_refused(
        target, new_folder(target), [listener(free_port()), "node.id=-3"], USAGE, "node.id"
    )


def ottla_case_folder_that_cannot_be_made(target):
    check_refused(target, "/dev/null/ottla", [listener(free_port())], FAILED, "/dev/null")


def filled_folder(target):
    server = target.new_server()
    server.start()
    make_topic(server.bootstrap, "here")
    server.stop()
    return server.log_dir


def ottla_case_folder_of_another_node(target):
    check_refused(
        target,
        filled_folder(target),
        [listener(free_port()), "node.id=42"],
        FAILED,
        "node.id",
        "42",
    )


def ottla_case_damaged_identity(target):
    folder = filled_folder(target)
    (folder / "meta.properties").write_bytes(b"\0\1\2garbage")
    check_refused(target, folder, [listener(free_port())], FAILED, "meta.properties")


def ottla_case_advertises_the_address_that_the_client_used(target):
    port = free_port()
    server = target.new_server(settings=[f"listeners=PLAINTEXT://0.0.0.0:{port}"])
    server.port = port
    server.start()
    for host in ("127.0.0.1", "127.0.0.2"):
        broker = wire.metadata(f"{host}:{port}").brokers[0]
        assert (broker.host, broker.port) == (host, port), broker
    server.stop()
