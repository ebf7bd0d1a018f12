"""The screen of a virtual phone as an operator sees it, over the real adb."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from phonefarm.actors.device import AdbDevice
from phonefarm.errors import DeviceError
from tests.integration.test_devices_rack import Rack, rack_of

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def rack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rack]:
    with rack_of(1, tmp_path_factory.mktemp("rack")) as made:
        yield made


def test_the_screen_is_a_whole_png(rack: Rack) -> None:
    phone = rack.next()
    device = AdbDevice(phone_id=phone.serialno, serial=phone.address, port=rack.server.port)
    png = device.screen()
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert b"IEND" in png[-16:]


def test_a_phone_that_is_not_there_has_none(rack: Rack) -> None:
    with pytest.raises(DeviceError):
        AdbDevice(phone_id="x", serial="127.0.0.1:1", port=rack.server.port).screen()
