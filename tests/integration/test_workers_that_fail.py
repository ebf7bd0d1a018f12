"""Workers that cannot start their work, and work that kills its worker each time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from phonefarm.actors.phone import PhoneActor, PhoneConfig
from phonefarm.errors import AdbServerDown
from phonefarm.models.phone import PhoneFacts
from phonefarm.models.process import Options, Target
from phonefarm.models.states import Routing
from tests.farmtools import FakeDevice, FakeHandle, _Lazy, local_farm, submission
from tests.integration.test_devices_rack import rack_of
from tests.integration.test_host_ladder import host

pytestmark = pytest.mark.timeout(90)


class NoAdb(FakeHandle):
    """What a phone's actor sees while there is no adb on its host."""

    missing = True

    def probe(self) -> PhoneFacts:
        if NoAdb.missing:
            raise AdbServerDown("no adb program")
        return super().probe()


@pytest.mark.fault(18)
async def test_a_phone_s_actor_that_cannot_start_its_work_lives_and_says_why(db_url: str, tmp_path: Path) -> None:
    NoAdb.missing = True
    async with local_farm(db_url, tmp_path) as farm:
        actor = PhoneActor(
            PhoneConfig(phone_id="P1", host="local", groups=(), check_seconds=0.05),
            manager=_Lazy(lambda: farm.manager),
            host=farm.host,
            device=lambda _serial, _port: NoAdb(FakeDevice("P1", farm.log)),
        )
        farm.phones["P1"] = actor
        await actor.start()
        await actor.attach("P1", 1)

        async def why() -> str:
            found = [p for p in await farm.manager.list_phones() if p["phone_id"] == "P1"]
            return f"{found[0]['state']}: {found[0]['why']}" if found else ""

        async def says_so() -> bool:
            return "no adb program" in await why()

        await farm.until(says_so)
        assert (await why()).startswith(("offline", "checking"))
        order = submission(Target(routing=Routing.DIRECT, phone_id="P1"))
        await farm.manager.submit_many([order])
        assert (await farm.manager.get_process(order.process_id))["status"] == "queued"
        NoAdb.missing = False
        view = await farm.status_of(order.process_id, "completed")
        assert view["attempts"] == 1


@pytest.mark.fault(18)
async def test_a_host_without_adb_lives_says_why_and_goes_on_when_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = tmp_path / "no-adb-here"
    with rack_of(1, tmp_path) as rack:
        address, phone = rack.phones[0].address, rack.phones[0].serialno
        real = _adb()
        monkeypatch.setenv("ADBUTILS_ADB_PATH", str(nothing))
        async with host(tmp_path, address) as here:
            await here.until(lambda: any(report.why for report in here.told.hosts))
            assert any("adb" in (report.why or "") for report in here.told.hosts)
            nothing.symlink_to(real)
            await here.until(lambda: here.is_at(phone, address))


def _adb() -> Path:
    from phonefarm.devices.adb_server import adb_binary

    return Path(adb_binary())


@pytest.mark.fault(29)
async def test_a_process_that_kills_its_worker_each_time_ends_as_a_dead_letter(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        phone = await farm.add_phone("P1")
        phone.gate.clear()
        order = submission(options=Options(max_attempts=2))
        await farm.manager.submit_many([order])
        for attempt in (1, 2):
            await asyncio.to_thread(phone.started.wait, 20)
            phone.started.clear()

            async def runs(attempt: int = attempt) -> bool:
                view = await farm.manager.get_process(order.process_id)
                return bool(view["attempts"] == attempt and view["status"] == "executing")

            await farm.until(runs)
            old = farm.phones["P1"]
            await farm.add_phone("P1")  # Ray starts it again after it died
            await old.stop()
        view = await farm.status_of(order.process_id, "failed_terminal")
        assert (view["outcome"], view["attempts"]) == ("failed", 2)
        assert view["error"]["code"] == "interrupted"
        phone.gate.set()
        after = submission()
        await farm.manager.submit_many([after])
        assert (await farm.status_of(after.process_id, "completed"))["attempts"] == 1, "the phone works on"
