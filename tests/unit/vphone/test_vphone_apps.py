"""The feed app, driven the way a phone is driven: dump, tap what the dump shows, look again."""

import io
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phonefarm.vphone import latency
from phonefarm.vphone.android.state import Android, AndroidConfig
from phonefarm.vphone.apps.content import NOTHING, RELEVANT, RESULTS, Video, catalogue
from phonefarm.vphone.apps.nodes import Node, hit, rect, to_xml
from phonefarm.vphone.journal import Journal
from phonefarm.vphone.phone import PhoneConfig, VPhone
from phonefarm.vphone.shell.outcome import Outcome, run_command

pytestmark = pytest.mark.timeout(60)

ID = "org.phonefarm.feed:id/"


class Driver:
    """A phone, and a finger that only knows the dump."""

    def __init__(self, seed: int = 1) -> None:
        self.phone = VPhone(PhoneConfig(serialno="VP000001", seed=seed))

    async def sh(self, source: str) -> Outcome:
        """Run one command."""
        return await run_command(self.phone, source)

    async def text(self, source: str) -> str:
        """What one command prints."""
        return (await self.sh(source)).out.decode()

    async def nodes(self) -> list[ET.Element]:
        """All nodes of the dump."""
        dump = await self.text("uiautomator dump /sdcard/w.xml >/dev/null && cat /sdcard/w.xml")
        return list(ET.fromstring(dump).iter("node"))

    async def texts(self, name: str) -> list[str]:
        """Texts of the nodes with this resource id."""
        return [node.get("text", "") for node in await self.nodes() if node.get("resource-id") == ID + name]

    async def has(self, name: str) -> bool:
        """Is a node with this resource id on the screen?"""
        return any(node.get("resource-id") == ID + name for node in await self.nodes())

    async def tap(self, name: str, place: int = 0) -> None:
        """Tap the middle of a node."""
        found = [node for node in await self.nodes() if node.get("resource-id") == ID + name]
        x1, y1, x2, y2 = map(int, re.findall(r"\d+", found[place].get("bounds", "")))
        await self.sh(f"input tap {(x1 + x2) // 2} {(y1 + y2) // 2}")

    async def search(self, query: str) -> None:
        """From anywhere to the results of ``query``."""
        await self.sh("am force-stop org.phonefarm.feed; am start -W -n org.phonefarm.feed/.MainActivity")
        await self.tap("search_button")
        await self.sh(f"input text {query.replace(' ', '%s')}")
        await self.tap("search_go")


def test_the_same_topic_is_the_same_everywhere() -> None:
    """Seed and topic decide; blanks and case do not."""
    assert catalogue(1, " Street  FOOD ")[3].author == catalogue(1, "street food")[3].author
    assert catalogue(1, "street food") != catalogue(2, "street food")


@given(st.integers(), st.text(max_size=20))
@settings(max_examples=60, deadline=None)
def test_every_topic_finds_the_same_number(seed: int, topic: str) -> None:
    """24 different titles, 17 of them about the topic, and none of the others."""
    videos = catalogue(seed, topic)
    subject = " ".join(topic.split()).casefold()
    if subject == NOTHING:
        assert videos == []
        return
    assert len({video.title for video in videos}) == RESULTS
    if len(subject) > 12:
        assert sum(subject in video.title.casefold() for video in videos) == RELEVANT


def test_nothing_here_finds_nothing() -> None:
    """The one topic without results."""
    assert catalogue(5, "nothing here") == []


def test_video_lines() -> None:
    """As the app shows them."""
    video = Video(title="t", author="a", tags=("x", "y"), seconds=9)
    assert (video.author_line, video.tag_line) == ("@a", "#x #y")


async def test_search_and_read_all_results() -> None:
    """Scrolling row by row shows the whole catalogue, in its order."""
    driver = Driver(seed=7)
    await driver.search("street food")
    assert await driver.texts("search_box") == ["street food"]
    seen = await driver.texts("result_title")
    assert len(seen) == 8
    for _ in range(2):
        await driver.sh("input swipe 540 2300 540 220 200")
        seen += await driver.texts("result_title")
    videos = catalogue(7, "street food")
    assert seen == [video.title for video in videos]
    await driver.sh("input swipe 540 2300 540 220 200; input swipe 540 400 540 660 200")
    assert await driver.texts("result_author") == [video.author_line for video in videos[15:23]]


async def test_player_pages_and_back_goes_up() -> None:
    """Swipe up for the next rank; BACK: player, results, feed, home."""
    driver = Driver(seed=3)
    await driver.search("chess")
    await driver.tap("result_row", 2)
    videos = catalogue(3, "chess")
    assert await driver.texts("video_title") == [videos[2].title]
    await driver.sh("input swipe 540 1500 540 1250")
    assert await driver.texts("video_title") == [videos[2].title]
    await driver.sh("input swipe 540 1800 540 600")
    assert await driver.texts("video_tags") == [videos[3].tag_line]
    (position,) = await driver.texts("video_position")
    assert re.fullmatch(rf"\d:\d\d / 0:{videos[3].seconds:02d}", position)
    for screen in ("results_screen", "feed_screen"):
        await driver.sh("input keyevent BACK")
        assert await driver.has(screen)
    await driver.sh("input keyevent 4")
    assert "nexuslauncher" in await driver.text("dumpsys window | grep mCurrentFocus")
    await driver.sh("am start -n org.phonefarm.feed/.MainActivity")
    assert await driver.has("feed_screen")


async def test_no_results() -> None:
    """An empty text instead of a list."""
    driver = Driver()
    await driver.search("nothing here")
    assert await driver.has("empty_text")
    assert not await driver.has("result_list")


async def test_editing_the_field() -> None:
    """DEL in one command, the clear button, ENTER."""
    driver = Driver()
    await driver.search("abc")
    await driver.tap("search_box")
    await driver.sh("input keyevent KEYCODE_MOVE_END; input keyevent 67 67 67")
    assert await driver.texts("search_box") == [""]
    assert not await driver.has("search_clear")
    await driver.sh("input text xyz")
    await driver.tap("search_clear")
    await driver.sh("input text tea; input keyevent KEYCODE_ENTER")
    assert await driver.texts("search_box") == ["tea"]
    assert await driver.texts("result_title") == [video.title for video in catalogue(1, "tea")[:8]]


async def test_text_beyond_ascii_needs_the_keyboard() -> None:
    """``input text`` fails and types nothing; the ADB keyboard takes base64, once it is set."""
    driver = Driver()
    await driver.search("x")
    await driver.tap("search_clear")
    failed = await driver.sh("input text über")
    assert failed.rc != 0
    assert b"Attempt to get length of null array" in failed.err
    broadcast = "am broadcast -a ADB_INPUT_B64 --es msg w7xiZXIg8J+mig=="
    await driver.sh(broadcast)
    assert await driver.texts("search_box") == [""]
    await driver.sh(f"ime set com.android.adbkeyboard/.AdbIME; {broadcast}")
    assert await driver.texts("search_box") == ["über \U0001f98a"]


async def test_running_app_comes_back_where_it_was() -> None:
    """HOME keeps the app; force-stop does not."""
    driver = Driver()
    await driver.search("abc")
    await driver.sh("input keyevent HOME")
    assert not await driver.has("results_screen")
    await driver.sh("monkey -p org.phonefarm.feed -c android.intent.category.LAUNCHER 1")
    assert await driver.has("results_screen")
    assert (await driver.sh("pidof org.phonefarm.feed")).rc == 0
    await driver.sh("am force-stop org.phonefarm.feed")
    assert (await driver.sh("pidof org.phonefarm.feed")).rc == 1


async def test_every_tap_hits_what_the_dump_says() -> None:
    """For each clickable node, its middle belongs to it and to nothing else."""
    driver = Driver()
    await driver.search("abc")
    root = driver.phone.android.tree()
    for node in root.walk():
        if node.action:
            assert hit(root, *node.bounds.centre) is node
            box = node.bounds
            assert f"[{box.left},{box.top}][{box.right},{box.bottom}]" in to_xml(root, "p")


@given(st.text(max_size=30))
@settings(max_examples=100, deadline=None)
def test_any_text_makes_valid_xml(text: str) -> None:
    """Texts come back as they were, but for characters that XML cannot hold."""
    dump = to_xml(Node(cls="c", bounds=rect(0, 0, 1, 1), text=text), "p")
    (node,) = ET.fromstring(dump.encode("utf-8", "replace")).iter("node")
    shown = node.get("text", "")
    assert len(shown) == len(text)
    assert all(a == b or b == "." for a, b in zip(text, shown, strict=True))


async def test_screenshot_is_a_small_png_and_is_kept() -> None:
    """1080 x 2400, well under 100 kB, the same object while nothing changes."""
    from PIL import Image

    android = Android(AndroidConfig(serialno="VP1", model="m", product="p", seed=1, boot_seconds=0))
    first = await android.screenshot()
    assert await android.screenshot() is first
    android.open_app("org.phonefarm.feed")
    second = await android.screenshot()
    assert second != first
    assert Image.open(io.BytesIO(second)).size == (1080, 2400)
    assert len(second) < 100_000
    android.press("POWER")
    assert Image.open(io.BytesIO(await android.screenshot())).convert("L").getextrema() == (0, 0)


async def test_faults_are_seen() -> None:
    """A dialog covers the app until OK; a locked phone opens by a swipe; a dump may fail and exit 0."""
    driver = Driver()
    faults = driver.phone.android.faults
    await driver.search("abc")
    faults.set("popup", "Update available")
    assert not await driver.has("results_screen")
    await driver.sh("input tap 830 1320")
    assert await driver.has("results_screen")
    faults.set("locked")
    assert not await driver.has("results_screen")
    await driver.sh("input swipe 540 2000 540 600")
    assert await driver.has("results_screen")
    faults.set("no_idle")
    failed = await driver.sh("uiautomator dump")
    assert (failed.rc, failed.err) == (0, b"ERROR: could not get idle state.\n")
    faults.set("disk_full")
    assert (await driver.sh("echo x > /sdcard/f")).rc == 1


async def test_commands_answer_in_their_formats() -> None:
    """One look at each of the others."""
    driver = Driver()
    expected = {
        "getprop ro.serialno": "VP000001\n",
        "getprop nothing.here": "\n",
        "settings get system nope": "null\n",
        "settings put global a b; settings get global a; settings delete global a": "b\nDeleted 1 rows\n",
        "pm list packages -3 | grep phonefarm": "package:org.phonefarm.feed\npackage:org.phonefarm.reader\n",
        "wm size; wm density": "Physical size: 1080x2400\nPhysical density: 420\n",
        "dumpsys battery | grep level": "  level: 85\n",
        "cmd package list packages feed": "package:org.phonefarm.feed\n",
        "ime list -s | head -1": "com.google.android.inputmethod.latin/com.android.inputmethod.latin.LatinIME\n",
        "am start -n x.y/.Z 2>&1 | tail -1": "Error: Activity class {x.y/x.y.Z} does not exist.\n",
        "df /data | wc -l": "2\n",
        "logcat -d | head -1": "--------- beginning of main\n",
    }
    for source, answer in expected.items():
        assert await driver.text(source) == answer, source


@pytest.mark.parametrize(
    ("line", "seconds"),
    [("getprop x", 0.015), ("input swipe 1 2 3 4 250", 0.35), ("am start -n x", 0.45), ("ls", 0.015), ("sleep 5", 0.0)],
)
def test_latencies(line: str, seconds: float) -> None:
    """By the table; a swipe lasts as long as it was asked to."""
    name, *args = line.split()
    assert latency.seconds("typical", name, args) == pytest.approx(seconds)
    assert latency.seconds("instant", name, args) == 0.0


def test_journal_lines(tmp_path: Path) -> None:
    """Written at once; null when the command was killed."""
    journal = Journal(tmp_path / "new", "VP1")
    with journal.command("shell", "exit 3") as entry:
        entry.rc = 3
    with pytest.raises(KeyboardInterrupt), journal.command("shell", "yes"):
        raise KeyboardInterrupt
    lines = [json.loads(line) for line in (tmp_path / "new" / "VP1.jsonl").read_text().splitlines()]
    assert [line["rc"] for line in lines] == [3, None]
    assert all(line["mono_start"] <= line["mono"] for line in lines)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", lines[0]["at"])
    journal.close()


def test_only_the_standard_library_is_imported() -> None:
    """A phones process stays small until someone wants a picture."""
    code = "import sys, phonefarm.vphone.__main__; sys.exit('PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
