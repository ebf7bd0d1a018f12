"""Every step of upkeep on virtual phones over the real adb server, with what Android says when it will not."""

from __future__ import annotations

import hashlib
import io
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from phonefarm.devices.executor import Executor
from phonefarm.errors import ActionError, ApkMissing, InstallRefused, NotSupported, PhoneFarmError, SessionStopped
from phonefarm.models.action import ActionKind
from tests.integration.test_devices_executor import Session, run_lines
from tests.integration.test_devices_rack import Phone, Rack, rack_of

pytestmark = pytest.mark.timeout(90)

GIB = 1024**3


@pytest.fixture(scope="module")
def rack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rack]:
    with rack_of(30, tmp_path_factory.mktemp("upkeep")) as made:
        yield made


@pytest.fixture
def apks(tmp_path: Path) -> Path:
    """A folder with two versions of one app, something that is no APK, and a link that leads out of it."""
    folder = tmp_path / "apks"
    folder.mkdir()
    for version in (7, 9):
        (folder / f"notes-{version}.apk").write_bytes(apk("org.example.notes", version))
    (folder / "broken.apk").write_bytes(b"not an apk")
    (tmp_path / "outside.apk").write_bytes(apk("org.example.outside", 1))
    (folder / "link.apk").symlink_to(tmp_path / "outside.apk")
    return folder


def apk(package: str, version: int) -> bytes:
    """The smallest APK a virtual phone takes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        manifest = f'<manifest package="{package}" versionCode="{version}" versionName="{version}.0"/>'
        archive.writestr("AndroidManifest.xml", manifest)
    return out.getvalue()


@pytest.fixture
def session(rack: Rack, apks: Path) -> Session:
    found = Session(phone=rack.next())
    old = found.executor
    found.executor = Executor(
        driver=found.driver,
        profile=old._profile,
        judge=None,
        stop=found.stop,
        pause=found.pause,
        rng=old._rng,
        phone_id=found.phone.serialno,
        now=old._now,
        apk_dir=apks,
    )
    return found


def commands(phone: Phone) -> list[str]:
    return [str(line["command"]) for line in phone.journal()]


def test_health_check(session: Session) -> None:
    session.phone.do("set_battery", level=64, temperature=311, plugged=False)
    session.do(ActionKind.OPEN_APP)
    found = session.do(ActionKind.HEALTH_CHECK).output
    assert found["phone_id"] == session.phone.serialno
    assert found["battery"] == {"level": 64, "temperature": 31.1, "charging": False}
    assert 0 < found["storage"]["free"] < found["storage"]["total"]
    assert found["front"].startswith("org.phonefarm.feed/")


def test_diagnostics_are_one_text_file(session: Session) -> None:
    result = session.do(ActionKind.COLLECT_DIAGNOSTICS, log_lines=20, name="step-01")
    (file,) = result.artifacts
    assert (file.name, file.media_type) == ("step-01.txt", "text/plain; charset=utf-8")
    text = file.data.decode()
    for part in ("== getprop", "ro.serialno", "== dumpsys battery", "== df -k /data", "== logcat -d -t 20"):
        assert part in text
    assert "android_id" not in text


def test_a_screenshot_of_whatever_is_shown(session: Session) -> None:
    (picture,) = session.do(ActionKind.SCREENSHOT, name="step-02").artifacts
    assert picture.data.startswith(b"\x89PNG")


def test_an_app_is_restarted(session: Session) -> None:
    session.open("tea", 2)
    assert session.do(ActionKind.RESTART_APP).output == {"package": "org.phonefarm.feed"}
    assert session.phone.do("state")["front"].startswith("org.phonefarm.feed/")


def test_a_cache_is_cleared_and_the_account_stays(session: Session) -> None:
    edit(session, bio="kept")
    session.phone.do("set_cache", package="org.phonefarm.feed", bytes=5 * GIB)
    before = session.do(ActionKind.HEALTH_CHECK).output["storage"]["free"]
    assert session.do(ActionKind.CLEAR_APP_CACHE).output == {"package": "org.phonefarm.feed"}
    after = session.do(ActionKind.HEALTH_CHECK).output["storage"]["free"]
    assert after - before >= 4 * GIB
    assert edit(session, bio="next")["before"] == {"bio": "kept"}


def test_an_android_that_would_erase_the_data_is_never_asked_to_clear(session: Session) -> None:
    """Androids before 14 ignore the option and erase everything: it must not even be sent."""
    edit(session, bio="kept")
    session.phone.do("set_android", release="13", sdk=33)
    with pytest.raises(NotSupported, match="free_storage"):
        session.do(ActionKind.CLEAR_APP_CACHE)
    assert not any("pm clear" in command for command in commands(session.phone))
    assert edit(session, bio="next")["before"] == {"bio": "kept"}


def test_the_virtual_phone_does_erase_when_told_so_wrongly(session: Session) -> None:
    """What the test above rests on."""
    edit(session, bio="kept")
    session.phone.do("set_android", release="13", sdk=33)
    run_lines(session.phone, ["pm", "clear", "--cache-only", "org.phonefarm.feed"])
    assert edit(session, bio="next")["before"] != {"bio": "kept"}


def test_storage_is_freed_up_to_a_target(session: Session) -> None:
    session.phone.do("set_cache", package="org.phonefarm.feed", bytes=60 * GIB)
    found = session.do(ActionKind.FREE_STORAGE, target_mib=40 * 1024).output
    assert found["reached"] is True
    assert found["freed"] >= 50 * GIB
    assert found["free_after"] == found["free_before"] + found["freed"]
    session.phone.do("set_fault", fault="disk_full")
    found = session.do(ActionKind.FREE_STORAGE, target_mib=2_048).output
    assert (found["reached"], found["freed"]) == (False, 0)


def test_an_app_is_installed_updated_and_not_put_back_unasked(session: Session, apks: Path) -> None:
    digest = hashlib.sha256((apks / "notes-7.apk").read_bytes()).hexdigest()
    new = session.do(ActionKind.INSTALL_APP, file="notes-7.apk", sha256=digest).output
    assert new["changed"] == [{"package": "org.example.notes", "version_before": None, "version_after": 7}]
    newer = session.do(ActionKind.INSTALL_APP, file="notes-9.apk").output
    assert newer["changed"] == [{"package": "org.example.notes", "version_before": 7, "version_after": 9}]
    with pytest.raises(InstallRefused, match="INSTALL_FAILED_VERSION_DOWNGRADE"):
        session.do(ActionKind.INSTALL_APP, file="notes-7.apk")
    back = session.do(ActionKind.INSTALL_APP, file="notes-7.apk", allow_downgrade=True).output
    assert back["changed"][0]["version_after"] == 7
    left = session.driver.sh(["ls", "/data/local/tmp"], timeout=10).stdout
    assert "phonefarm-" not in left


@pytest.mark.parametrize(
    ("params", "error", "words"),
    [
        ({"file": "nothing.apk"}, ApkMissing, "no file"),
        ({"file": "../outside.apk"}, ApkMissing, "no APK"),
        ({"file": "link.apk"}, ApkMissing, "no file"),
        ({"file": "notes-7.apk", "sha256": "0" * 64}, InstallRefused, "SHA-256"),
        ({"file": "broken.apk"}, InstallRefused, "NOT_APK"),
    ],
)
def test_what_is_not_installed(session: Session, params: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        session.do(ActionKind.INSTALL_APP, **params)


def test_settings_are_read_back(session: Session) -> None:
    wanted = [
        {"namespace": "system", "name": "screen_off_timeout", "value": "120000"},
        {"namespace": "global", "name": "auto_time", "value": "1"},
    ]
    found = session.do(ActionKind.UPDATE_SETTINGS, settings=wanted).output["settings"]
    assert [(s["name"], s["before"], s["value"]) for s in found] == [
        ("screen_off_timeout", "60000", "120000"),
        ("auto_time", None, "1"),
    ]
    read = session.driver.sh(["settings", "get", "system", "screen_off_timeout"], timeout=10).stdout.strip()
    assert read == "120000"


def test_a_reboot_is_waited_for_and_proven(session: Session) -> None:
    """The adb server forgets a network phone that goes away; a host connects it again, as this thread does."""
    ended = threading.Event()

    def connect_again() -> None:
        while not ended.wait(0.2):
            session.phone.rack.server.connect(session.phone.address)

    host = threading.Thread(target=_quietly, args=(connect_again,))
    host.start()
    session.on_wait = lambda _seconds: time.sleep(0.2)  # a phone that boots takes real time
    try:
        found = session.do(ActionKind.REBOOT).output
    finally:
        ended.set()
        host.join()
    assert found["boot_id_before"] != found["boot_id_after"]
    assert session.do(ActionKind.HEALTH_CHECK).output["phone_id"] == session.phone.serialno
    assert sum("reboot" in command for command in commands(session.phone)) == 1


def _quietly(work: Callable[[], None]) -> None:
    while True:
        try:
            work()
            return
        except PhoneFarmError:
            continue


def test_a_stop_ends_the_wait_for_a_reboot(session: Session) -> None:
    session.on_wait = lambda seconds: setattr(session.stop, "reason", "cancelled")
    with pytest.raises(SessionStopped):
        session.do(ActionKind.REBOOT)


def edit(session: Session, **texts: str) -> dict[str, Any]:
    output: dict[str, Any] = dict(session.do(ActionKind.EDIT_PROFILE, **texts).output)
    return output


def test_a_profile_is_edited_as_asked_and_nothing_else(session: Session) -> None:
    found = edit(session, display_name="Weekday soups", bio="Slow pots, quick plates")
    assert found["after"] == {"display_name": "Weekday soups", "bio": "Slow pots, quick plates"}
    assert found["before"] == {"display_name": "Phone Farm", "bio": "We look and read."}
    assert edit(session, username="soups")["before"] == {"username": "phonefarm"}
    assert edit(session, display_name="Weekday soups")["before"] == {"display_name": "Weekday soups"}


@pytest.mark.parametrize(
    "text", ["Šťastná polévka", "日本のスープ 🍜", "100%s percent", "a & b; $(reboot) `x` \"q\" 'r'"]
)
def test_any_text_arrives_exactly(session: Session, text: str) -> None:
    method = ["settings", "get", "secure", "default_input_method"]
    before = session.driver.sh(method, timeout=10).stdout
    assert edit(session, bio=text)["after"] == {"bio": text}
    assert session.driver.sh(method, timeout=10).stdout == before, "the keyboard is put back"


def test_a_profile_is_edited_from_any_state_and_through_a_popup(session: Session) -> None:
    session.open("tea", 1)
    session.phone.do("set_fault", fault="popup", value="Rate this app?")
    assert edit(session, bio="found it")["after"] == {"bio": "found it"}


def test_a_text_that_cannot_be_typed_changes_nothing(session: Session) -> None:
    with pytest.raises(ActionError, match="control characters"):
        edit(session, display_name="ok", bio="two\nlines")
    assert edit(session, display_name="x")["before"] == {"display_name": "Phone Farm"}


def test_an_app_whose_profile_does_not_say_how_is_not_touched(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    navigator = session.executor._nav
    elements = {name: found for name, found in navigator.profile.elements.items() if name != "edit_bio"}
    monkeypatch.setattr(navigator, "profile", replace(navigator.profile, elements=elements))
    with pytest.raises(NotSupported, match="edit_bio"):
        edit(session, bio="x")
    assert not any("input tap" in command for command in commands(session.phone))
