"""Every fault by the control port, by plan, and taken back: what a host sees of it over the wire.

A row says how a fault is switched on and off, and how it looks: a probe that asks over the phone's own port, and its
answers while the fault lasts and after it. What survives a reboot is tested here too.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from phonefarm.vphone import HostConfig, VPhone, VPhoneHost
from phonefarm.vphone.android.parts import FAULTS
from phonefarm.vphone.faultplan import Plan, carry_out, parse_plan
from phonefarm.vphone.wire import packets
from tests.unit.vphone.wirehost import Host

pytestmark = pytest.mark.timeout(60)

SERIAL = "VP000001"
FEED = "org.phonefarm.feed"
PATIENCE = 10.0
QUIET = 0.1
"""Seconds without an answer that count as silence."""


class Bench:
    """A rack of one phone, its control port, and hosts that dial it."""

    def __init__(self, rack: VPhoneHost) -> None:
        self.rack = rack
        self.phone: VPhone = rack.phones[SERIAL]

    async def do(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """One line to the control port."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.rack.control_port)
        writer.write(json.dumps({"phone": SERIAL, **body}).encode() + b"\n")
        answer: dict[str, Any] = json.loads(await reader.readline())
        writer.close()
        return answer

    @asynccontextmanager
    async def dial(self) -> AsyncIterator[Host]:
        """A connection that has not greeted yet."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.phone.port)
        try:
            yield Host(reader, writer)
        finally:
            writer.close()

    async def sh(self, command: str) -> str:
        """What a shell command prints; a phone that stays silent gives ``silence``, one that is not there ``gone``."""
        try:
            async with asyncio.timeout(QUIET if self.expect_silence else PATIENCE), self.dial() as host:
                await host.greet()
                return (await host.run(f"shell:{command}")).decode().strip()
        except TimeoutError:
            return "silence"
        except (OSError, asyncio.IncompleteReadError):
            return "gone"

    async def greeting(self) -> str:
        """How the phone answers a greeting."""
        try:
            async with asyncio.timeout(QUIET if self.expect_silence else PATIENCE), self.dial() as host:
                return {packets.CNXN: "welcome", packets.AUTH: "who are you"}[(await host.greet()).command]
        except TimeoutError:
            return "silence"
        except (OSError, asyncio.IncompleteReadError):
            return "gone"

    expect_silence = False


@asynccontextmanager
async def bench(plan: Plan | None = None) -> AsyncIterator[Bench]:
    config = HostConfig(phones=1, control_port=0, plan=plan, reboot_down_seconds=0.02, boot_seconds=0.02)
    async with VPhoneHost(config) as rack:
        yield Bench(rack)


Probe = Callable[[Bench], Awaitable[str]]


def _sh(command: str) -> Probe:
    return lambda one: one.sh(command)


async def _red(one: Bench) -> str:
    """Is any red in the frame buffer?"""
    async with one.dial() as host:
        await host.greet()
        pixels = (await host.run("framebuffer:"))[56:]
        return "picture" if any(pixels[::4]) else "black"


@dataclass(frozen=True, kw_only=True)
class Row:
    """``off`` None: the same body with ``value`` false."""

    on: Mapping[str, Any]
    probe: Probe
    during: str
    after: str
    off: Mapping[str, Any] | None = None


def _fault(name: str, value: object, command: str, during: str, after: str) -> Row:
    return Row(on={"do": "set_fault", "fault": name, "value": value}, probe=_sh(command), during=during, after=after)


_DUMP = "am start -n org.phonefarm.feed/.MainActivity >/dev/null 2>&1; uiautomator dump /sdcard/w.xml 2>&1 | head -n 1"
_SEEN = f"{_DUMP} >/dev/null; grep -c -e message -e keyguard_root -e mine /sdcard/w.xml"
_SAVED = "UI hierchary dumped to: /sdcard/w.xml"
TABLE: Mapping[str, Row] = {
    "kill": Row(on={"do": "kill"}, off={"do": "revive"}, probe=_sh("echo hi"), during="gone", after="hi"),
    "hang": Row(on={"do": "hang"}, off={"do": "unhang"}, probe=_sh("echo hi"), during="silence", after="hi"),
    "offline": Row(on={"do": "offline"}, off={"do": "online"}, probe=Bench.greeting, during="silence", after="welcome"),
    "require_auth": Row(
        on={"do": "require_auth"},
        off={"do": "require_auth", "required": False},
        probe=Bench.greeting,
        during="who are you",
        after="welcome",
    ),
    "battery": Row(
        on={"do": "set_battery", "level": 3, "temperature": 480, "plugged": False},
        off={"do": "set_battery", "level": 85, "temperature": 289, "plugged": True},
        probe=_sh("dumpsys battery | grep -E 'level|temp|USB' | tr -d '\\n '"),
        during="USBpowered:falselevel:3temperature:480",
        after="USBpowered:truelevel:85temperature:289",
    ),
    "rotation": Row(
        on={"do": "rotate", "quarter": 1},
        off={"do": "rotate", "quarter": 0},
        probe=_sh("dumpsys display | grep -o 'orientation=.'"),
        during="orientation=1",
        after="orientation=0",
    ),
    "package missing": Row(
        on={"do": "remove_package", "package": FEED},
        off={"do": "restore_package", "package": FEED},
        probe=_sh(f"pm path {FEED} >/dev/null; echo $?"),
        during="1",
        after="0",
    ),
    "popup": _fault("popup", "mine", _SEEN, "1", "0"),
    "locked": _fault("locked", True, _SEEN, "1", "0"),
    "xml": _fault("xml", "<mine/>", _SEEN, "1", "0"),
    "no_idle": _fault("no_idle", True, _DUMP, "ERROR: could not get idle state.", _SAVED),
    "null_root": _fault("null_root", True, _DUMP, "ERROR: null root node returned by UiTestAutomationBridge.", _SAVED),
    "blank_screen": Row(
        on={"do": "set_fault", "fault": "blank_screen"},
        off={"do": "clear_faults"},
        probe=_red,
        during="black",
        after="picture",
    ),
    "slow_ms": _fault("slow_ms", 30_000, "getprop ro.serialno", "silence", SERIAL),
    "slow_link": _fault("slow_link", 30_000, "echo hi", "silence", "hi"),
    "endless": _fault("endless", "getprop ro\\..*|pm", "getprop ro.serialno", "silence", SERIAL),
    "endless, all": _fault("endless", True, "echo hi", "silence", "hi"),
    "disk_full": _fault("disk_full", True, "{ echo x > /sdcard/f; } 2>/dev/null; echo $?; rm -f /sdcard/f", "1", "0"),
    "ime_absent": _fault("ime_absent", True, "ime list -s | grep -c adbkeyboard", "0", "1"),
    "thermal": _fault(
        "thermal", 4, "dumpsys thermalservice | grep -o 'Status: .' | head -n 1", "Status: 4", "Status: 0"
    ),
    "crash_on_start": _fault(
        "crash_on_start",
        FEED,
        f"am start -n {FEED}/.MainActivity >/dev/null 2>&1; pidof {FEED} >/dev/null; echo $?",
        "1",
        "0",
    ),
}


def _off(row: Row) -> Mapping[str, Any]:
    return row.off if row.off is not None else {**row.on, "value": False}


async def _becomes(one: Bench, row: Row, wanted: str) -> None:
    """Poll until the probe says what it should."""
    one.expect_silence = wanted == "silence"
    deadline = time.monotonic() + PATIENCE
    while (said := await row.probe(one)) != wanted:
        assert time.monotonic() < deadline, f"{said!r} and never {wanted!r}"
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("name", TABLE)
async def test_a_fault_by_hand(name: str) -> None:
    """On by the control port, seen over the wire, and off again."""
    row = TABLE[name]
    async with bench() as one:
        assert await one.do(row.on) == {"ok": True}
        await _becomes(one, row, row.during)
        answer = await one.do(_off(row))
        assert answer["ok"], answer
        await _becomes(one, row, row.after)


@pytest.mark.parametrize("name", TABLE)
async def test_a_fault_by_plan(name: str) -> None:
    """On by a plan; and off by it after it lasted, or by a second rule."""
    row = TABLE[name]
    async with bench(parse_plan({"faults": [dict(row.on)]})) as one:
        await _becomes(one, row, row.during)
        again = {**row.on, "lasts": 0.001} if row.off is None or name == "kill" else dict(_off(row))
        await carry_out(parse_plan({"faults": [again]}), one.rack.phones)
        while one.phone.android.faults.values != FAULTS:
            await asyncio.sleep(0)
        await _becomes(one, row, row.after)


@pytest.mark.parametrize("do", ["drop", "reset"])
async def test_a_connection_ends_by_fin_or_reset(do: str) -> None:
    async with bench() as one, one.dial() as host:
        await host.greet()
        await one.do({"do": do})
        if do == "drop":
            assert await host.reader.read(1) == b""
        else:
            with pytest.raises(ConnectionResetError):
                await host.reader.read(1)
        assert await one.sh("echo hi") == "hi"


async def test_keys_are_accepted_by_hand() -> None:
    """``accept_keys`` lets in whoever waits (the handshake itself is tested with the wire)."""
    async with bench() as one, one.dial() as host:
        await one.do({"do": "require_auth"})
        assert (await host.greet()).command == packets.AUTH
        assert await one.do({"do": "accept_keys"}) == {"ok": True, "result": 0}


async def test_a_crash_is_in_the_log() -> None:
    async with bench() as one:
        await one.sh(f"am start -n {FEED}/.MainActivity")
        await one.do({"do": "crash"})
        log = await one.sh("logcat -d -s AndroidRuntime:E")
        assert "FATAL EXCEPTION: main" in log
        assert f"Process: {FEED}, PID: " in log
        assert await one.sh(f"pidof {FEED}; echo $?") == "1"


async def test_what_survives_a_reboot() -> None:
    """Files, settings, packages, caches and the battery do; apps, what ``setprop`` set and reversed sockets do not."""
    async with bench() as one:
        await one.do({"do": "set_cache", "package": FEED, "bytes": 123})
        await one.do({"do": "set_battery", "level": 42})
        await one.do({"do": "remove_package", "package": "org.phonefarm.reader"})
        await one.sh(
            "echo kept > /sdcard/kept; settings put global kept 1; setprop debug.gone 1; setprop persist.kept 1"
        )
        await one.sh(f"am start -n {FEED}/.MainActivity; ime set com.android.adbkeyboard/.AdbIME")
        first = await one.sh("cat /proc/sys/kernel/random/boot_id")
        await one.do({"do": "reboot"})
        boot = Row(on={}, probe=_sh("getprop sys.boot_completed"), during="", after="1")
        await _becomes(one, boot, "1")
        assert await one.sh("cat /proc/sys/kernel/random/boot_id") != first
        assert await one.sh("cat /sdcard/kept; settings get global kept; getprop persist.kept") == "kept\n1\n1"
        assert await one.sh("settings get secure default_input_method") == "com.android.adbkeyboard/.AdbIME"
        assert await one.sh("dumpsys battery | grep level; pm list packages reader") == "level: 42"
        assert await one.sh(f"pidof {FEED}; getprop debug.gone") == ""
        assert one.phone.android.caches[FEED] == 123


async def test_an_endless_command_ends_when_it_is_hung_up_or_the_fault_is_cleared() -> None:
    """It prints nothing, holds nothing else up, goes on where it is told to, and is killed by a hang-up."""
    async with bench() as one, one.dial() as host:
        await host.greet()
        await one.do({"do": "set_fault", "fault": "endless", "value": "getprop"})
        host.send(packets.OPEN, 7, 0, b"shell:getprop ro.serialno\0")
        opened = await host.receive()
        assert await host.run("shell:echo beside", local=8) == b"beside\n"
        await one.do({"do": "clear_faults"})
        assert (await host.receive()).payload == SERIAL.encode() + b"\n"
        host.send(packets.OKAY, 7, opened.arg0)
        assert (await host.receive()).command == packets.CLSE
        await one.do({"do": "set_fault", "fault": "endless", "value": "sleep"})
        host.send(packets.OPEN, 9, 0, b"shell:sleep 0\0")
        opened = await host.receive()
        before = one.phone.journal.count
        host.send(packets.CLSE, 9, opened.arg0)
        assert (await host.receive()).command == packets.CLSE
        while one.phone.journal.count == before:
            await asyncio.sleep(0)


async def test_a_slow_link_keeps_the_order() -> None:
    """Packets come late, by at least what was asked for, and as they were sent; when the delay ends, at once."""
    async with bench() as one, one.dial() as host:
        await host.greet(features="shell_v2,delayed_ack")
        await one.do({"do": "set_fault", "fault": "slow_link", "value": 40})
        began = time.monotonic()
        host.send(packets.OPEN, 7, 1 << 20, b"shell:for i in 1 2 3 4 5; do echo $i; done\0")
        opened = await host.receive()
        assert opened.command == packets.OKAY
        assert time.monotonic() - began >= 0.04
        await one.do({"do": "set_fault", "fault": "slow_link", "value": 3_600_000})
        host.send(packets.OPEN, 6, 1 << 20, b"shell:true\0")
        while one.phone.journal.count < 2:
            await asyncio.sleep(0)
        await one.do({"do": "clear_faults"})
        host.send(packets.OPEN, 8, 1 << 20, b"shell:echo last\0")
        order = [(packet.arg1, packet.payload) async for packet in _until_closed(host, 3)]
        mine = b"".join(data for number, data in order if number == 7)
        assert mine == b"1\n2\n3\n4\n5\n"
        assert order[-1][0] == 8


async def _until_closed(host: Host, streams: int) -> AsyncIterator[packets.Packet]:
    while streams:
        packet = await host.receive()
        streams -= packet.command == packets.CLSE
        if packet.command in (packets.WRTE, packets.CLSE):
            yield packet


@pytest.mark.parametrize(
    "body",
    [
        {"do": "set_fault", "fault": "endless", "value": "("},
        {"do": "set_fault", "fault": "slow_link", "value": "fast"},
        {"do": "set_fault", "fault": "slow_ms", "value": -1},
        {"do": "set_fault", "fault": "xml", "value": 5},
        {"do": "set_fault", "fault": "like"},
        {"do": "set_battery", "level": 101},
        {"do": "rotate", "quarter": 4},
        {"do": "remove_package", "package": "no.such"},
        {"do": "nothing"},
    ],
)
async def test_nonsense_changes_nothing(body: Mapping[str, Any]) -> None:
    async with bench() as one:
        before = dict(one.phone.android.faults.values)
        answer = await one.do(body)
        assert answer["ok"] is False
        assert one.phone.android.faults.values == before


async def test_a_stopped_phone_stays_stopped() -> None:
    """What a plan would undo later does not wake a phone whose rack has ended."""
    plan = parse_plan({"faults": [{"do": "kill", "lasts": 0.01}]})
    async with bench(plan) as one:
        phone = one.phone
        while phone._listener is not None:
            await asyncio.sleep(0)
    await asyncio.sleep(0.03)
    assert phone._listener is None
