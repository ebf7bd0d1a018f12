"""The executor on virtual phones: whole sessions, and any action from any state.

What it reports is compared with the phones' own catalogue, what it did with their journal.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from phonefarm.devices.driver import Driver
from phonefarm.devices.executor import Executor
from phonefarm.devices.ports import Judge
from phonefarm.devices.profiles import load_profile
from phonefarm.errors import SessionStopped
from phonefarm.models.action import Action, ActionKind, ActionResult
from phonefarm.vphone import catalogue
from tests.integration.test_devices_rack import Phone, Rack, rack_of

pytestmark = pytest.mark.timeout(60)

SEED = 1
PACKAGE = "org.phonefarm.feed"
AT = datetime(2026, 11, 23, 9, 30, 0, 112_000, tzinfo=UTC)
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(kw_only=True)
class Stop:
    """A stop signal that is set by hand."""

    reason: str | None = None

    def check(self) -> None:
        if self.reason is not None:
            raise SessionStopped(self.reason)


@dataclass(kw_only=True)
class Session:
    """An executor whose waits are written down and take no time."""

    phone: Phone
    judge: Judge | None = None
    app: str = "feed"
    stop: Stop = field(default_factory=Stop)
    waits: list[float] = field(default_factory=list)
    on_wait: Callable[[float], None] = lambda seconds: None

    def __post_init__(self) -> None:
        self.driver: Driver = self.phone.driver()
        self.executor = Executor(
            driver=self.driver,
            profile=load_profile(self.app),
            judge=self.judge,
            stop=self.stop,
            pause=self.pause,
            rng=random.Random(4),
            phone_id="phone-7",
            now=lambda: AT,
        )

    def pause(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.on_wait(seconds)
        self.stop.check()

    def do(self, kind: ActionKind, **params: object) -> ActionResult:
        return self.executor.run(Action(index=0, kind=kind, params={"app": self.app, **params}))

    def search(self, keyword: str) -> ActionResult:
        return self.do(ActionKind.SEARCH, keyword=keyword)

    def open(self, keyword: str, rank: int) -> ActionResult:
        return self.do(ActionKind.OPEN_RESULT, keyword=keyword, rank=rank)

    def watch(self, keyword: str, rank: int, *, judge: bool = False) -> ActionResult:
        params = {"keyword": keyword, "rank": rank, "seconds_min": 4.0, "seconds_max": 12.0, "judge": judge}
        return self.do(ActionKind.WATCH, **params)


@pytest.fixture(scope="module")
def rack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rack]:
    with rack_of(20, tmp_path_factory.mktemp("rack")) as made:
        yield made


@pytest.fixture
def session(rack: Rack) -> Session:
    return Session(phone=rack.next())


def expected(keyword: str, rank: int) -> dict[str, Any]:
    video = catalogue(SEED, keyword)[rank]
    return {"title": video.title, "author": video.author, "tags": list(video.tags), "keyword": keyword, "rank": rank}


def part(output: Mapping[str, Any]) -> dict[str, Any]:
    return {name: output[name] for name in ("title", "author", "tags", "keyword", "rank")}


def test_whole_keyword_session(session: Session) -> None:
    session.do(ActionKind.OPEN_APP)
    for keyword in ("street food", "Tea"):
        assert session.search(keyword).output == {"keyword": keyword, "empty": False}
        for rank in range(8):
            opened = session.open(keyword, rank)
            assert opened.output["title"] == expected(keyword, rank)["title"]
            assert part(session.watch(keyword, rank).output) == expected(keyword, rank)
        shot = session.do(ActionKind.SCREENSHOT, keyword=keyword, name="keyword-01").artifacts[0]
        assert (shot.name, shot.media_type, shot.data[:8]) == ("keyword-01.png", "image/png", PNG)
    session.do(ActionKind.CLOSE_APP)
    assert "launcher" in session.phone.do("state")["front"]
    lines = session.phone.journal()
    assert all(one["mono"] <= two["mono_start"] for one, two in pairwise(lines))
    typed = [found for line in lines for found in re.findall(r"input text (\S+)", line["command"])]
    assert typed == ["street%s" + "food", "Tea"]
    assert sum("am start" in line["command"] for line in lines) == 1


def test_video_object(session: Session) -> None:
    output = session.watch("tea", 0).output
    assert output["phone_id"] == "phone-7"
    assert output["at"] == "2026-11-23T09:30:00.112Z"
    assert output["verdict"] is None
    assert 4.0 <= output["watched_seconds"] <= 12.0
    assert session.waits == pytest.approx([output["watched_seconds"]], abs=0.001)


def test_every_rank_to_the_end_and_beyond(session: Session) -> None:
    for rank in range(24):
        assert session.open("tea", rank).output["title"] == expected("tea", rank)["title"]
    assert session.open("tea", 24).skipped == "no_more_results"
    assert session.watch("tea", 30).skipped == "no_more_results"


@pytest.mark.parametrize("ranks", [(20, 3, 19, 0), (23, 22, 1), (7, 8, 7, 9)])
def test_ranks_in_any_order_by_the_list(session: Session, ranks: tuple[int, ...]) -> None:
    for rank in ranks:
        assert part(session.watch("coffee", rank).output) == expected("coffee", rank)


def test_nothing_found(session: Session) -> None:
    assert session.search("nothing here").output["empty"] is True
    assert session.open("nothing here", 0).skipped == "no_more_results"


# -- from any state -----------------------------------------------------------------------------------------


def run_lines(phone: Phone, *lines: list[str]) -> None:
    assert phone.driver().sh_all(list(lines), timeout=20).ok


def at_home(phone: Phone) -> None:
    pass


def at_feed(phone: Phone) -> None:
    run_lines(phone, ["am", "start", "-n", f"{PACKAGE}/.MainActivity"])


def half_typed(phone: Phone) -> None:
    at_feed(phone)
    run_lines(phone, ["input", "tap", "990", "170"], ["input", "text", "half a wo"])


def on_other_results(phone: Phone) -> None:
    Session(phone=phone).open("gardening", 15)
    run_lines(phone, ["input", "keyevent", "BACK"])


def on_scrolled_results(phone: Phone) -> None:
    Session(phone=phone).open("street food", 18)
    run_lines(phone, ["input", "keyevent", "BACK"])


def on_other_player(phone: Phone) -> None:
    Session(phone=phone).open("gardening", 2)


def on_same_player(phone: Phone) -> None:
    Session(phone=phone).open("street food", 9)


def locked(phone: Phone) -> None:
    on_other_player(phone)
    phone.do("set_fault", fault="locked")


def asleep(phone: Phone) -> None:
    at_feed(phone)
    run_lines(phone, ["input", "keyevent", "SLEEP"])


def covered_by_popup(phone: Phone) -> None:
    on_other_results(phone)
    phone.do("set_fault", fault="popup", value="Rate this app?")


def in_other_app(phone: Phone) -> None:
    on_same_player(phone)
    run_lines(phone, ["am", "start", "-a", "android.settings.SETTINGS"])


STATES = [
    at_home,
    at_feed,
    half_typed,
    on_other_results,
    on_scrolled_results,
    on_other_player,
    on_same_player,
    locked,
    asleep,
    covered_by_popup,
    in_other_app,
]


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_watch_resumes_from_any_state(session: Session, state: Callable[[Phone], None]) -> None:
    state(session.phone)
    assert part(session.watch("street food", 9).output) == expected("street food", 9)
    assert session.do(ActionKind.SCREENSHOT, keyword="street food", name="x").artifacts
    state(session.phone)
    session.do(ActionKind.OPEN_APP)
    state(session.phone)
    session.do(ActionKind.CLOSE_APP)
    assert PACKAGE not in session.phone.do("state")["front"]


def test_hint_that_no_longer_holds_is_dropped(session: Session) -> None:
    """Somebody swipes behind the executor's back: it must not count from where it believed to be."""
    session.watch("tea", 0)
    run_lines(session.phone, ["input", "swipe", "500", "1800", "500", "600"])
    assert part(session.watch("tea", 1).output) == expected("tea", 1)
    run_lines(session.phone, ["input", "swipe", "500", "1800", "500", "600"])
    assert session.open("tea", 2).output["title"] == expected("tea", 2)["title"]


def test_popup_in_the_middle(session: Session) -> None:
    session.search("tea")
    session.phone.do("set_fault", fault="popup", value="Battery low")
    assert part(session.watch("tea", 1).output) == expected("tea", 1)
