"""What a dump says, what a tap hits and what a picture shows are the same on every screen, in every rotation."""

import re
import xml.etree.ElementTree as ET

import pytest

from phonefarm.vphone.apps.nodes import Node, hit
from phonefarm.vphone.apps.painter import paint
from phonefarm.vphone.phone import PhoneConfig, VPhone
from phonefarm.vphone.shell.outcome import run_command

pytestmark = pytest.mark.timeout(60)

SCREENS = {
    "home": "input keyevent HOME",
    "feed": "am start -n org.phonefarm.feed/.MainActivity",
    "search": "am start -n org.phonefarm.feed/.MainActivity; input tap 990 170; input text tea; input keyevent ENTER",
    "reader": "am start -n org.phonefarm.reader/.BrowserActivity",
    "settings": "am start -n com.android.settings/.Settings",
}
COVERS = {"": None, "popup": "Battery low", "locked": True}


async def text(phone: VPhone, command: str) -> str:
    """What a command prints."""
    return (await run_command(phone, command)).out.decode()


async def dumped(phone: VPhone) -> list[ET.Element]:
    """All nodes of the dump."""
    return list(ET.fromstring(await text(phone, "uiautomator dump /sdcard/w >/dev/null; cat /sdcard/w")).iter("node"))


def bounds(node: ET.Element) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", node.get("bounds", ""))))


@pytest.mark.parametrize("cover", COVERS)
@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("quarter", range(4))
async def test_dump_hit_and_picture_agree(quarter: int, screen: str, cover: str) -> None:
    """Each node of the dump is inside the screen; what can be tapped is hit in its middle; fills are where it says."""
    phone = VPhone(PhoneConfig(serialno="VP000001"))
    await text(phone, SCREENS[screen])
    phone.android.rotate(quarter)
    if cover:
        phone.android.faults.set(cover, COVERS[cover])
    width, height = phone.android.size
    assert (width < height) == (quarter % 2 == 0)
    root = phone.android.tree()
    shown, seen = list(root.walk()), await dumped(phone)
    assert [bounds(node) for node in seen] == [
        (one.bounds.left, one.bounds.top, one.bounds.right, one.bounds.bottom) for one in shown
    ]
    for node in shown:
        box = node.bounds
        assert 0 <= box.left < box.right <= width
        assert 0 <= box.top < box.bottom <= height
        if node.action:
            assert hit(root, *box.centre) is node
    picture = paint(root, width, height).convert("RGB")
    assert picture.size == (width, height)
    for node in shown:
        if place := _bare(node, root):
            red, green, blue = picture.crop((*place, place[0] + 1, place[1] + 1)).tobytes()
            assert f"#{red:02x}{green:02x}{blue:02x}" == node.style.fill


def _bare(node: Node, root: Node) -> tuple[int, int] | None:
    """A pixel where nothing but the fill of ``node`` is to be seen; None when there is none."""
    box = node.bounds
    x, y = box.left + 6, (box.top + box.bottom) // 2
    plain = node.style.fill and not (node.style.art or node.style.icon or node.focused)
    if not plain or box.right - box.left < 40 or y < root.bounds.bottom // 20:
        return None
    order = list(root.walk())
    later = order[order.index(node) + 1 :]
    covered = any(one.bounds.contains(x, y) and (one.style.fill or one.style.art or one.text) for one in later)
    return None if covered else (x, y)


@pytest.mark.parametrize("quarter", range(4))
async def test_a_popup_is_closed_where_the_dump_shows_its_button(quarter: int) -> None:
    phone = VPhone(PhoneConfig(serialno="VP000001"))
    await text(phone, SCREENS["feed"])
    phone.android.rotate(quarter)
    before = [node.attrib for node in await dumped(phone)]
    phone.android.faults.set("popup", "Rate me")
    assert any(node.get("text") == "Rate me" for node in await dumped(phone))
    assert "mCurrentFocus=Window{d3b2a1c u0 android/PopupDialog}" in await text(phone, "dumpsys window")
    await text(phone, "input swipe 500 900 500 200; input text x; input tap 5 500")
    (button,) = [node for node in await dumped(phone) if node.get("text") == "OK"]
    left, top, right, bottom = bounds(button)
    await text(phone, f"input tap {(left + right) // 2} {(top + bottom) // 2}")
    assert [node.attrib for node in await dumped(phone)] == before


async def test_a_switch_of_the_settings_is_a_setting() -> None:
    """Tapped on its row in landscape, read by ``settings get``, and back by BACK."""
    phone = VPhone(PhoneConfig(serialno="VP000001"))
    await text(phone, SCREENS["settings"])
    await text(phone, "wm user-rotation lock 1")
    rows = {node.get("text"): bounds(node) for node in await dumped(phone)}
    left, top, _, bottom = rows["Airplane mode"]
    await text(phone, f"input tap {left + 5} {(top + bottom) // 2}")
    assert await text(phone, "settings get global airplane_mode_on") == "1\n"
    left, top, _, bottom = rows["About phone"]
    await text(phone, f"input tap {left + 5} {(top + bottom) // 2}")
    assert "VP000001" in [node.get("text") for node in await dumped(phone)]
    await text(phone, "input keyevent BACK")
    assert "Airplane mode" in [node.get("text") for node in await dumped(phone)]


GESTURES = {
    "swipe": "input swipe 540 1800 540 600 100",
    "touchscreen swipe": "input touchscreen swipe 540 1800 540 600",
    "draganddrop": "input draganddrop 540 1800 540 600 100",
    "motionevent": "input motionevent DOWN 540 1800; input motionevent MOVE 540 900; input motionevent UP 540 600",
}


@pytest.mark.parametrize("gesture", GESTURES)
async def test_a_finger_that_moves_turns_the_page(gesture: str) -> None:
    phone = VPhone(PhoneConfig(serialno="VP000001"))
    await text(phone, SCREENS["feed"])
    before = [node.get("text") for node in await dumped(phone)]
    await text(phone, "input press; input roll 1 2; input motionevent DOWN 9 9; input motionevent CANCEL 9 900")
    assert [node.get("text") for node in await dumped(phone)] == before
    done = await run_command(phone, GESTURES[gesture])
    assert (done.rc, done.out, done.err) == (0, b"", b"")
    assert [node.get("text") for node in await dumped(phone)] != before


@pytest.mark.parametrize(
    "command", ["tap 1", "tap a b", "swipe 1 2 3", "motionevent DOWN", "text", "nothing 1", "keyevent !"]
)
async def test_input_that_makes_no_sense(command: str) -> None:
    phone = VPhone(PhoneConfig(serialno="VP000001"))
    done = await run_command(phone, f"input {command}")
    assert done.rc == 255
    assert done.err.startswith(b"Error: ")


async def test_unicode_by_broadcast() -> None:
    """The ADB keyboard takes text as it is and in base64, clears, deletes and sends."""
    phone = VPhone(PhoneConfig(serialno="VP000001"))
    await text(phone, "am start -n org.phonefarm.feed/.MainActivity; input tap 990 170")
    await text(phone, "ime enable com.android.adbkeyboard/.AdbIME; ime set com.android.adbkeyboard/.AdbIME")
    assert "mInputShown=true" in await text(phone, "dumpsys input_method")

    async def field() -> str:
        return next(node.get("text", "") for node in await dumped(phone) if node.get("focused") == "true")

    await text(phone, "am broadcast -a ADB_INPUT_TEXT --es msg 'gr\u00fc\u00df dich \U0001f44b'")
    assert await field() == "gr\u00fc\u00df dich \U0001f44b"
    await text(phone, "am broadcast -a ADB_INPUT_CODE --ei code 67")
    assert await field() == "gr\u00fc\u00df dich "
    await text(phone, "am broadcast -a ADB_CLEAR_TEXT; am broadcast -a ADB_INPUT_B64 --es msg 5pel5pys")
    assert await field() == "\u65e5\u672c"
    await text(phone, "am broadcast -a ADB_EDITOR_CODE --ei code 3")
    assert "\u65e5\u672c" in str([node.attrib for node in await dumped(phone)])
