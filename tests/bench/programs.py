"""Programs that a figure starts, and their end: by their own process id, with their children."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.bench.lab import ROOT
from tests.integration.test_devices_rack import free_port as free_port

START_SECONDS = 60.0
END_SECONDS = 15.0


@contextmanager
def program(
    command: Sequence[str], *, env: Mapping[str, str] = {}, log: Path | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A program in a session of its own, ended with all it started."""
    output = log.open("ab") if log is not None else None
    child = subprocess.Popen(
        list(command), cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT), **env}, stdin=subprocess.DEVNULL,
        stdout=output or subprocess.PIPE, stderr=output, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        yield child
    finally:
        end(child)
        if output is not None:
            output.close()


def end(child: subprocess.Popen[str]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(END_SECONDS)
            break
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)


def listens(port: int, child: subprocess.Popen[str]) -> None:
    """Wait until somebody listens on ``port``. Raises RuntimeError if the program ends before."""

    def open_() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        if child.poll() is not None:
            raise RuntimeError(f"{child.args!r} ended with {child.returncode}")
        return False

    until(open_, f"port {port} is open")


def until(condition: Callable[[], Any], what: str, seconds: float = START_SECONDS, pause: float = 0.05) -> Any:
    """The first true value of ``condition``."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {seconds:.0f} s: {what}")
        time.sleep(pause)
    return value


class NullServer:
    """``null_server`` as a program."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}/callback"

    def count(self) -> int:
        return int(self.seen()["count"])

    def seen(self) -> dict[str, float]:
        """``count``, ``first`` and ``last`` since the last reset."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/count", timeout=10) as answer:
            found: dict[str, float] = json.load(answer)
            return found

    def reset(self) -> None:
        urllib.request.urlopen(f"http://127.0.0.1:{self.port}/reset", timeout=10).close()

    def quiet(self, seconds: float = 2.0, most: float = 600.0) -> int:
        """Wait until nothing has come for ``seconds``; how many came in all."""
        count, since, deadline = self.count(), time.monotonic(), time.monotonic() + most
        while time.monotonic() - since < seconds:
            time.sleep(0.2)
            if (now := self.count()) != count:
                count, since = now, time.monotonic()
            if time.monotonic() > deadline:
                raise RuntimeError("callbacks do not come to an end")
        return count


@contextmanager
def null_server() -> Iterator[NullServer]:
    with program([sys.executable, "-m", "tests.bench.null_server"]) as child:
        assert child.stdout is not None
        yield NullServer(int(child.stdout.readline()))
