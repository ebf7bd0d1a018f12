"""The adb server's view of its phones, as it changes.

Theory of operation
-------------------
``host:track-devices`` sends the whole list at every change. adbutils makes events out of it, by set difference, and
each change then looks like a phone that went and came; here the snapshots are given as they are, and whoever reads them
compares. A server that hangs is not seen by this stream: probe phones as well (design notes on adb, section 6).
"""

from __future__ import annotations

from collections.abc import Iterator

from phonefarm.devices.wire import Client, Connection, Flight, flying, mapped
from phonefarm.errors import AdbServerDown, PhoneFarmError

#: Our word for a serial that adb lists twice: nobody can say which of the two phones is meant.
DUPLICATE = "duplicate serial"


class Tracker:
    """Blocking; one reader. ``close`` ends it from any thread, before or during ``snapshots``."""

    def __init__(self, *, port: int, host: str = "127.0.0.1") -> None:
        self._address = (host, port)
        self._flight = Flight(None)

    def snapshots(self) -> Iterator[dict[str, str]]:
        """{serial: adb's state} at once, then at every change. Ends after ``close``; raises AdbServerDown."""
        conn: Connection | None = None
        try:
            conn = self._open()
            while True:
                yield _states(conn.read_block())
        except Exception as error:
            if self._flight.cancelled:
                return
            raise mapped(error, what="adb server", cut=self._gone) from error
        finally:
            if conn is not None:
                conn.close()

    def close(self) -> None:
        """End ``snapshots`` now."""
        self._flight.cancel()

    def _open(self) -> Connection:
        with flying(self._flight):
            conn = Client(*self._address).make_connection()
        try:
            conn.send_command("host:track-devices")
            conn.check_okay()
        except BaseException:
            conn.close()
            raise
        return conn

    def _gone(self) -> PhoneFarmError:
        return AdbServerDown(f"the adb server on port {self._address[1]} has gone")


def _states(block: str) -> dict[str, str]:
    states: dict[str, str] = {}
    for serial, tab, state in (line.partition("\t") for line in block.splitlines()):
        if tab:
            states[serial] = DUPLICATE if serial in states else state
    return states
