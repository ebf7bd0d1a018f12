"""The executor on virtual phones: odd texts, a judge, and what it does when things go wrong or must stop."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence

import pytest

from phonefarm.devices.executor import Executor
from phonefarm.devices.keyboard import ADB_KEYBOARD
from phonefarm.devices.profiles import load_profile
from phonefarm.errors import (
    ActionError,
    AppMissing,
    BadScreen,
    DeviceError,
    DeviceLost,
    SessionStopped,
    UnexpectedScreen,
)
from phonefarm.models.action import Action, ActionKind, Verdict
from phonefarm.models.video import VideoFacts
from phonefarm.vphone import catalogue
from tests.integration.test_devices_executor import AT, PACKAGE, PNG, SEED, Session, Stop, expected, part, run_lines
from tests.integration.test_devices_rack import Rack, rack_of

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def rack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rack]:
    with rack_of(40, tmp_path_factory.mktemp("rack")) as made:
        yield made


@pytest.fixture
def session(rack: Rack) -> Session:
    return Session(phone=rack.next())


# -- typing ---------------------------------------------------------------------------------------------------


@pytest.mark.fault(39)
@pytest.mark.parametrize(
    "keyword",
    ["кот 🐈 naïve", "100% sure", "a literal %s", "'; reboot #", '$(reboot) `x` "q" \\ & | < >', "-n -e", "%%s"],
)
def test_keywords_are_typed_exactly(session: Session, keyword: str) -> None:
    assert session.search(keyword).output["keyword"] == keyword
    assert session.open(keyword, 0).output["title"] == catalogue(SEED, keyword)[0].title
    method = session.driver.sh(["settings", "get", "secure", "default_input_method"], timeout=20).stdout
    assert ADB_KEYBOARD not in method


@pytest.mark.fault(39)
def test_control_characters_are_refused(session: Session) -> None:
    with pytest.raises(ActionError, match="control"):
        session.search("two\nlines")


def test_missing_adb_keyboard_is_named(session: Session) -> None:
    session.phone.do("set_fault", fault="ime_absent")
    with pytest.raises(ActionError, match="ADB keyboard"):
        session.search("кот")
    session.search("cat")


# -- judging --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("relevant", "seconds"), [(True, 12.0), (False, 1.0), (None, 1.0)])
def test_judge_decides_how_long(rack: Rack, relevant: bool | None, seconds: float) -> None:
    asked: list[VideoFacts] = []

    def judge(facts: VideoFacts, _interests: Sequence[str]) -> Verdict:
        asked.append(facts)
        return Verdict(relevant=relevant, score=0.5, reason="so")

    session = Session(phone=rack.next(), judge=judge)
    output = session.watch("tea", 0, judge=True).output
    assert output["watched_seconds"] == seconds
    assert output["verdict"] == Verdict(relevant=relevant, score=0.5, reason="so").as_json()
    video = catalogue(SEED, "tea")[0]
    assert (asked[0].title, asked[0].author, asked[0].tags) == (video.title, video.author, video.tags)
    assert video.title in asked[0].screen_text
    assert session.watch("tea", 1, judge=False).output["verdict"] is None


# -- what goes wrong --------------------------------------------------------------------------------------------


def test_missing_app(session: Session) -> None:
    session.driver.sh(["pm", "uninstall", PACKAGE], timeout=20)
    for kind in (ActionKind.OPEN_APP, ActionKind.SEARCH):
        with pytest.raises(AppMissing):
            session.do(kind, keyword="tea")


def test_app_that_does_not_stay_open(session: Session) -> None:
    session.phone.do("set_fault", fault="crash_on_start", value=PACKAGE)
    with pytest.raises(ActionError):
        session.do(ActionKind.OPEN_APP)
    with pytest.raises(ActionError):
        session.search("tea")


def test_app_that_crashes_while_watching(session: Session) -> None:
    session.on_wait = lambda seconds: run_lines(session.phone, ["am", "crash", PACKAGE])
    with pytest.raises(UnexpectedScreen, match="player"):
        session.watch("tea", 0)
    session.on_wait = lambda seconds: None
    assert part(session.watch("tea", 0).output) == expected("tea", 0)


HOSTILE = {
    "entity": '<?xml version="1.0"?><!DOCTYPE h [<!ENTITY a "aaaa">]><hierarchy><node text="&a;"/></hierarchy>',
    "deep": "<?xml version='1.0'?><hierarchy>" + "<node>" * 5_000,
    "cut": "<?xml version='1.0'?><hierarchy><node text='",
    "none": "nothing at all",
}


@pytest.mark.fault(26)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_dump(session: Session, name: str) -> None:
    session.phone.do("set_fault", fault="xml", value=HOSTILE[name])
    with pytest.raises(BadScreen):
        session.search("tea")
    assert session.executor.snapshot("proof").data.startswith(PNG)
    kept = session.executor.dump("proof")
    assert (kept.name, kept.media_type) == ("proof.xml", "text/plain")
    assert kept.data.decode().strip() == HOSTILE[name].strip()
    assert session.do(ActionKind.SCREENSHOT, keyword="tea", name="proof").artifacts[0].name == "proof.png"


@pytest.mark.fault(25)
@pytest.mark.parametrize("fault", ["no_idle", "null_root"])
def test_dump_that_fails_with_exit_code_0(session: Session, fault: str) -> None:
    """And leaves the dump of before lying there."""
    session.search("tea")
    session.phone.do("set_fault", fault=fault)
    with pytest.raises(BadScreen, match=r"idle|null root"):
        session.search("tea")
    session.phone.do("set_fault", fault=fault, value=False)
    session.search("tea")


@pytest.mark.fault(25)
def test_dump_that_fails_once_is_tried_again(session: Session) -> None:
    session.phone.do("set_fault", fault="no_idle")
    session.on_wait = lambda seconds: session.phone.do("set_fault", fault="no_idle", value=False)
    session.search("tea")
    assert len(session.waits) == 1


def test_lost_phone(session: Session) -> None:
    session.phone.do("kill")
    with pytest.raises(DeviceLost):
        session.search("tea")
    with pytest.raises(DeviceLost):
        session.executor.leave()


# -- stopping ----------------------------------------------------------------------------------------------------


def test_stop_between_steps_sends_nothing_more(session: Session) -> None:
    session.search("tea")
    before = len(session.phone.journal())
    session.stop.reason = "lease_lost"
    with pytest.raises(SessionStopped, match="lease_lost"):
        session.open("tea", 0)
    assert len(session.phone.journal()) == before
    session.executor.leave()
    assert PACKAGE not in session.phone.do("state")["front"]


def test_stop_while_waiting(session: Session) -> None:
    session.on_wait = lambda seconds: setattr(session.stop, "reason", "cancelled")
    with pytest.raises(SessionStopped, match="cancelled"):
        session.watch("tea", 0)


@pytest.mark.fault(30)
def test_cancel_in_the_middle_of_a_command(session: Session) -> None:
    """The phone hangs; the stop is set, then the command in flight is ended."""
    session.search("tea")
    session.phone.do("hang")
    errors: list[DeviceError | SessionStopped] = []
    started = threading.Event()
    check = session.stop.check

    def check_and_tell() -> None:
        check()
        started.set()

    session.stop.check = check_and_tell  # type: ignore[method-assign]

    def work() -> None:
        try:
            session.open("tea", 0)
        except (DeviceError, SessionStopped) as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert started.wait(30)
    session.stop.reason = "cancelled"
    session.driver.cancel()
    thread.join(30)
    assert [str(error) for error in errors] == ["cancelled"]
    session.phone.do("unhang")


@pytest.mark.fault(28)
def test_action_has_a_time_budget(rack: Rack) -> None:
    """A clock that runs away between two commands."""
    phone, ticks = rack.next(), iter(range(0, 10_000, 50))
    executor = Executor(
        driver=phone.driver(),
        profile=load_profile("feed"),
        judge=None,
        stop=Stop(),
        pause=lambda seconds: None,
        rng=random.Random(1),
        phone_id="p",
        now=lambda: AT,
        clock=lambda: float(next(ticks)),
    )
    with pytest.raises(ActionError, match="did not get done within"):
        executor.run(Action(index=0, kind=ActionKind.SEARCH, params={"app": "feed", "keyword": "tea"}))
