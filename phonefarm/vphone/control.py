"""The control port: a line of JSON in, a line of JSON out, to break phones from outside.

``{"phone": "VP000001", "do": "drop"}`` answers ``{"ok": true}``; a mistake answers
``{"ok": false, "error": "..."}``. ``do`` is one of the names in ``ACTIONS``; some take more keys, named in the
table. It listens on the phones' own address and asks for no password: it is a test switch, never a service.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

from phonefarm.vphone.phone import VPhone

Action = Callable[[VPhone, Mapping[str, Any]], object]

ACTIONS: Mapping[str, Action] = {
    "drop": lambda phone, _: phone.drop(),
    "reset": lambda phone, _: phone.reset(),
    "kill": lambda phone, _: phone.kill(),
    "revive": lambda phone, _: phone.revive(),
    "hang": lambda phone, _: phone.hang(True),
    "unhang": lambda phone, _: phone.hang(False),
    "offline": lambda phone, _: phone.offline(True),
    "online": lambda phone, _: phone.offline(False),
    "reboot": lambda phone, _: phone.reboot(),
    "require_auth": lambda phone, body: phone.require_auth(bool(body.get("required", True))),
    "accept_keys": lambda phone, _: phone.accept_keys(),
    "set_battery": lambda phone, body: phone.android.battery.update(body),
    "set_fault": lambda phone, body: phone.android.faults.set(str(body["fault"]), body.get("value", True)),
    "set_cache": lambda phone, body: phone.android.caches.update({str(body["package"]): int(body["bytes"])}),
    "set_android": lambda phone, body: phone.android.properties.become(str(body["release"]), int(body["sdk"])),
    "rotate": lambda phone, body: phone.android.rotate(int(body.get("quarter", 1))),
    "crash": lambda phone, body: phone.android.crash(str(body.get("package", phone.android.front))),
    "remove_package": lambda phone, body: phone.android.remove(str(body["package"])),
    "restore_package": lambda phone, body: phone.android.restore(str(body["package"])),
    "clear_faults": lambda phone, _: phone.android.faults.clear(),
    "state": lambda phone, _: phone.android.summary(),
}
"""What can be done; ``set_battery`` takes level, temperature, plugged; ``set_fault`` takes fault and value;
``set_cache`` package and bytes; ``set_android`` release and sdk; ``rotate`` quarter (0 to 3); ``crash`` a package, the
one in front if none; ``remove_package`` and ``restore_package`` a package that the phone came with."""

UNDO: Mapping[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]] = {
    "kill": lambda _: {"do": "revive"},
    "hang": lambda _: {"do": "unhang"},
    "offline": lambda _: {"do": "online"},
    "require_auth": lambda _: {"do": "accept_keys"},
    "set_fault": lambda body: {"do": "set_fault", "fault": body.get("fault", ""), "value": False},
    "remove_package": lambda body: {"do": "restore_package", "package": body.get("package", "")},
    "rotate": lambda _: {"do": "rotate", "quarter": 0},
    "set_battery": lambda _: {"do": "set_battery", "level": 85, "temperature": 289, "plugged": True},
}
"""What takes an action back."""


class ControlPort:
    """Serves control connections for ``phones`` by serial number."""

    def __init__(self, phones: Mapping[str, VPhone]) -> None:
        self.port = 0
        self._phones = phones
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self, host: str, port: int) -> None:
        """Listen. Raises ``OSError`` when the port is taken."""
        self._server = await asyncio.start_server(self._serve, host, port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and close what is open."""
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while line := await reader.readline():
                writer.write(json.dumps(self.answer(line)).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    def answer(self, line: bytes) -> dict[str, Any]:
        """Do what one line asks."""
        try:
            body = json.loads(line)
            phone = self._phones[body["phone"]]
            result = ACTIONS[body["do"]](phone, body)
        except (KeyError, TypeError, ValueError, OSError) as error:
            return {"ok": False, "error": f"{type(error).__name__}: {error}"}
        return {"ok": True} if result is None else {"ok": True, "result": result}
