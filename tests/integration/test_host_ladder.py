"""A host's actor over the real adb server and virtual phones: the ladder, twins, strangers. Only the manager and the
phones' actors are stand-ins that write down what they are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from phonefarm.actors.adb import ServedAdb
from phonefarm.actors.host import HostActor, HostConfig
from phonefarm.actors.ladder import LadderConfig
from phonefarm.devices.adb_server import AdbServer
from phonefarm.errors import AdbServerDown, DeviceError
from phonefarm.models.phone import HostReport, PhoneReport, Rung, RungReport
from tests.integration.test_devices_rack import Rack, free_port, rack_of

pytestmark = pytest.mark.timeout(120)

QUICK = {Rung.RECONNECT: 2.0, Rung.CONNECT: 2.0, Rung.SERVER: 4.0, Rung.REBOOT: 8.0}


class Told:
    """Stands for the manager."""

    def __init__(self) -> None:
        self.phones: list[PhoneReport] = []
        self.hosts: list[HostReport] = []
        self.rungs: list[tuple[str, str, bool]] = []

    async def report_phones(self, reports: list[PhoneReport]) -> None:
        self.phones += reports

    async def report_host(self, report: HostReport) -> bool:
        self.hosts.append(report)
        return True

    async def rung_tried(self, report: RungReport) -> None:
        self.rungs.append((report.phone_id, report.rung.value, report.helped))


class Heard:
    """Stands for a phone's actor."""

    def __init__(self) -> None:
        self.serial: str | None = None
        self.attached: list[str] = []
        self.detached: list[str] = []
        self.distrusted: list[str] = []

    async def attach(self, serial: str, adb_port: int) -> None:
        self.serial = serial
        self.attached.append(serial)

    async def detach(self, why: str) -> bool:
        self.serial = None
        self.detached.append(why)
        return True

    async def distrust(self, why: str) -> None:
        self.distrusted.append(why)


class Host:
    def __init__(self, config: HostConfig, adb: ServedAdb) -> None:
        self.told = Told()
        self.heard: dict[str, Heard] = {}
        self.actor = HostActor(config, adb=adb, manager=self.told, homes=self)  # type: ignore[arg-type]

    async def here(self, phone_id: str, _serial: str, _body: str) -> Any:
        return self.heard.setdefault(phone_id, Heard())

    async def mine(self, phone_id: str) -> Any:
        return self.heard.setdefault(phone_id, Heard())

    async def until(self, condition: Callable[[], Any], seconds: float = 40.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.02)

    def is_at(self, phone_id: str, serial: str) -> bool:
        return phone_id in self.heard and self.heard[phone_id].serial == serial


@asynccontextmanager
async def host(directory: Path, *addresses: str, **changes: Any) -> AsyncIterator[Host]:
    config = HostConfig(
        name="here",
        connect=addresses,
        ladder=changes.pop("ladder", LadderConfig(wait=QUICK, ask=1.0, dial=1.0, rest=600.0)),
        offline_seconds=0.5,
        **changes,
    )
    made = Host(config, ServedAdb(port=free_port(), state_dir=directory / "host", usb=False))
    await made.actor.start()
    try:
        yield made
    finally:
        await made.actor.shutdown()


@pytest.fixture
def rack(tmp_path: Path) -> Iterator[Rack]:
    with rack_of(2, tmp_path, "--boot-seconds", "0.2") as made:
        yield made


def address(rack: Rack, index: int = 0) -> str:
    return rack.phones[index].address


async def control(rack: Rack, phone_id: str, do: str) -> None:
    await asyncio.to_thread(lambda: rack.control({"phone": phone_id, "do": do}))


@pytest.mark.fault(28)
async def test_a_phone_that_hangs_until_its_reboot_climbs_every_rung_and_is_back(rack: Rack, tmp_path: Path) -> None:
    first, second = rack.phones[0].serialno, rack.phones[1].serialno
    async with host(tmp_path, address(rack), address(rack, 1)) as here:
        await here.until(lambda: here.is_at(first, address(rack)) and here.is_at(second, address(rack, 1)))
        await control(rack, first, "hang")
        await here.actor.mend(first, "no answer")
        await here.until(lambda: here.told.rungs)
        assert here.told.rungs[0] == (first, "reconnect", False)
        await control(rack, first, "unhang")
        await here.until(lambda: any(helped for _, _, helped in here.told.rungs))
        await here.until(lambda: here.is_at(first, address(rack)))
        assert (second, "reconnect", False) not in here.told.rungs
        assert "server_restart" not in [rung for _, rung, _ in here.told.rungs], "the other phone worked"
        assert not here.heard[first].distrusted


async def test_a_phone_that_nothing_helps_is_quarantined_and_left_in_peace(rack: Rack, tmp_path: Path) -> None:
    phone = rack.phones[0].serialno
    async with host(tmp_path, address(rack)) as here:
        await here.until(lambda: here.is_at(phone, address(rack)))
        await control(rack, phone, "hang")
        await here.actor.mend(phone, "no answer")
        await here.until(lambda: here.heard[phone].distrusted, 60)
        assert [(rung, helped) for _, rung, helped in here.told.rungs if rung != "connect"] == [
            ("reconnect", False),
            ("server_restart", False),
            ("reboot", False),
            ("quarantine", False),
        ]
        assert "tried without success: reconnect, connect, server_restart, reboot" in here.heard[phone].distrusted[0]
        tried = len(here.told.rungs)
        await here.actor.mend(phone, "no answer")
        await asyncio.sleep(0)
        assert len(here.told.rungs) == tried
        await control(rack, phone, "unhang")


async def test_a_farm_that_may_not_reboot_does_not(rack: Rack, tmp_path: Path) -> None:
    phone = rack.phones[0].serialno
    ladder = LadderConfig(wait=dict.fromkeys(QUICK, 0.5), ask=0.5, dial=0.5, reboot=False)
    async with host(tmp_path, address(rack), ladder=ladder) as here:
        await here.until(lambda: here.is_at(phone, address(rack)))
        await control(rack, phone, "hang")
        await here.actor.mend(phone, "no answer")
        await here.until(lambda: here.heard[phone].distrusted)
        assert "reboot" not in [rung for _, rung, _ in here.told.rungs]
        await control(rack, phone, "unhang")


@pytest.mark.fault(19)
async def test_a_lost_phone_on_the_network_is_dialled_again_and_that_is_counted(rack: Rack, tmp_path: Path) -> None:
    phone = rack.phones[0].serialno
    async with host(tmp_path, address(rack)) as here:
        await here.until(lambda: here.is_at(phone, address(rack)))
        await control(rack, phone, "kill")
        await here.until(lambda: here.heard[phone].detached)
        await control(rack, phone, "revive")
        await here.until(lambda: here.is_at(phone, address(rack)))
        await here.until(lambda: (phone, "connect", True) in here.told.rungs)


@pytest.mark.fault(21)
async def test_two_phones_with_one_serial_number_are_both_set_apart(tmp_path: Path) -> None:
    number = ("--first-number", "7")
    with rack_of(1, tmp_path / "a", *number) as one, rack_of(1, tmp_path / "b", *number, "--seed", "2") as other:
        twin = one.phones[0].serialno
        assert other.phones[0].serialno == twin
        async with host(tmp_path, address(one), address(other)) as here:
            await here.until(lambda: twin in here.heard and here.heard[twin].distrusted)
            why = here.heard[twin].distrusted[0]
            assert address(one) in why
            assert address(other) in why
            assert here.heard[twin].serial is None
            assert await here.actor.whereis(twin) is None
            await control(other, twin, "kill")
            await here.until(lambda: here.is_at(twin, address(one)))


async def test_one_phone_by_two_ways_is_one_phone(rack: Rack, tmp_path: Path) -> None:
    phone = rack.phones[0].serialno
    also = address(rack).replace("127.0.0.1", "127.1")
    async with host(tmp_path, address(rack)) as here:
        await here.until(lambda: here.is_at(phone, address(rack)))
        await asyncio.to_thread(lambda: here.actor._adb.connect(also))
        await here.until(lambda: also in here.actor._bodies)
        assert not here.heard[phone].distrusted
        await control(rack, phone, "kill")
        await control(rack, phone, "revive")
        await here.until(lambda: here.heard[phone].serial is not None)
        assert not here.heard[phone].distrusted


@pytest.mark.fault(22)
async def test_another_adb_server_is_named_and_left_alone(rack: Rack, tmp_path: Path) -> None:
    stranger = AdbServer(port=free_port(), state_dir=tmp_path / "stranger")
    stranger.start()
    try:
        async with host(tmp_path, address(rack), usb=True) as here:
            await here.until(lambda: here.told.hosts)
            report = here.told.hosts[0]
            assert any(f"process {stranger.pid} " in s and f"on port {stranger.port}" in s for s in report.strangers)
            assert "another adb server may hold phones" in (report.why or "")
        assert stranger.alive()
        with pytest.raises(AdbServerDown, match=f"held by process {stranger.pid} "):
            AdbServer(port=stranger.port, state_dir=tmp_path / "second").start()
    finally:
        stranger.stop()


async def test_a_phone_that_is_not_there_cannot_be_told_to_reboot(tmp_path: Path) -> None:
    adb = ServedAdb(port=free_port(), state_dir=tmp_path / "adb", usb=False)
    await asyncio.to_thread(adb.start)
    try:
        with pytest.raises(DeviceError):
            await asyncio.to_thread(adb.reboot, "nobody")
    finally:
        await asyncio.to_thread(adb.stop)
