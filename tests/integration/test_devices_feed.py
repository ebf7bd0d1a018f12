"""Feed sessions on virtual phones, compared with the phones' own catalogue and journal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from phonefarm.core.planning import plan
from phonefarm.errors import SessionStopped
from phonefarm.judge.lexical import LexicalJudge
from phonefarm.models.action import ActionKind, ActionResult, Verdict
from phonefarm.models.states import Capability
from phonefarm.models.video import VideoFacts
from phonefarm.vphone import catalogue
from tests.integration.test_devices_executor import SEED, Session, run_lines
from tests.integration.test_devices_rack import Rack, rack_of

pytestmark = pytest.mark.timeout(60)

INPUTS = {
    "app": "feed",
    "max_videos": 6,
    "interests": ["bread", "street food"],
    "watch_seconds": {"min": 4, "max": 12},
    "skip_seconds": {"min": 0, "max": 2},
}


@pytest.fixture(scope="module")
def rack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rack]:
    with rack_of(10, tmp_path_factory.mktemp("feed")) as made:
        yield made


class Asked:
    """A judge that finds every other video relevant, and remembers what it was asked."""

    def __init__(self) -> None:
        self.facts: list[tuple[VideoFacts, tuple[str, ...]]] = []

    def __call__(self, facts: VideoFacts, interests: Sequence[str]) -> Verdict:
        self.facts.append((facts, tuple(interests)))
        return Verdict(relevant=len(self.facts) % 2 == 1, score=0.5, reason="because", judge="test")


def run(session: Session, start: int = 0) -> list[ActionResult]:
    """The feed videos of the plan from number ``start`` on, as a session runs them."""
    actions = plan(Capability.FYP_WARMUP, INPUTS)
    found = []
    for action in actions:
        if action.kind is ActionKind.FEED_VIDEO and action.params["number"] >= start:
            found.append(session.executor.run(action))
        elif start == 0 and action.kind is not ActionKind.FEED_VIDEO:
            session.executor.run(action)
    return found


def titles(results: list[ActionResult]) -> list[str]:
    return [result.output["title"] for result in results]


def shown(first: int, count: int) -> list[str]:
    return [video.title for video in catalogue(SEED, "")[first : first + count]]


def test_a_whole_feed_session_watches_what_is_relevant_and_skips_the_rest(rack: Rack) -> None:
    judge = Asked()
    session = Session(phone=rack.next(), judge=judge)
    results = run(session)
    assert titles(results) == shown(0, 6)
    assert [facts.title for facts, _ in judge.facts] == shown(0, 6)
    assert {interests for _, interests in judge.facts} == {("bread", "street food")}
    for number, result in enumerate(results):
        verdict = result.output["verdict"]
        assert verdict["relevant"] is (number % 2 == 0)
        seconds = result.output["watched_seconds"]
        assert seconds == 12 if verdict["relevant"] else 0 <= seconds <= 2
    assert [round(w, 3) for w in session.waits] == [r.output["watched_seconds"] for r in results]
    assert "launcher" in session.phone.do("state")["front"]
    swipes = sum("input swipe" in str(line["command"]) for line in session.phone.journal())
    assert swipes == 5


def test_the_offline_judge_goes_by_interests(rack: Rack) -> None:
    lexical = LexicalJudge()
    session = Session(phone=rack.next(), judge=lambda facts, interests: lexical.judge(None, facts, interests=interests))
    for result in run(session):
        assert isinstance(result.output["verdict"]["relevant"], bool)


def test_a_judge_that_failed_does_not_hold_the_session_up(rack: Rack) -> None:
    failed = Verdict(relevant=None, reason="timeout", judge="farm", error="judge_failed")
    session = Session(phone=rack.next(), judge=lambda facts, interests: failed)
    results = run(session)
    assert titles(results) == shown(0, 6)
    assert all(r.output["verdict"]["error"] == "judge_failed" for r in results)
    assert all(r.output["watched_seconds"] <= 2 for r in results)


def test_a_session_goes_on_in_its_middle_on_a_phone_in_any_state(rack: Rack) -> None:
    session = Session(phone=rack.next(), judge=Asked())
    run_lines(session.phone, ["am", "start", "-a", "android.settings.SETTINGS"])
    results = run(session, start=4)
    assert titles(results) == shown(1, 2)


@pytest.mark.fault(27)
def test_popups_and_the_lock_screen_in_the_way(rack: Rack) -> None:
    session = Session(phone=rack.next(), judge=Asked())
    session.do(ActionKind.OPEN_APP)
    faults = iter([("popup", "Rate this app?"), ("locked", True), ("popup", "Battery low")])

    def trouble(_seconds: float) -> None:
        if (fault := next(faults, None)) is not None:
            session.phone.do("set_fault", fault=fault[0], value=fault[1])

    results = []
    for action in plan(Capability.FYP_WARMUP, INPUTS):
        if action.kind is ActionKind.FEED_VIDEO:
            results.append(session.executor.run(action))
            trouble(0)
    assert titles(results) == shown(0, 6)


def test_an_app_that_pages_by_itself_is_read_as_it_is(rack: Rack) -> None:
    session = Session(phone=rack.next(), judge=Asked())
    session.on_wait = lambda _seconds: run_lines(session.phone, ["input", "swipe", "500", "1800", "500", "600"])
    first = session.executor.run(plan(Capability.FYP_WARMUP, INPUTS)[1])
    session.on_wait = lambda _seconds: None
    second = session.executor.run(plan(Capability.FYP_WARMUP, INPUTS)[2])
    assert titles([first, second]) == shown(0, 2)


def test_the_look_at_the_end_of_a_video_serves_the_next_one(rack: Rack) -> None:
    session = Session(phone=rack.next(), judge=Asked())
    first, *others = [a for a in plan(Capability.FYP_WARMUP, INPUTS) if a.kind is ActionKind.FEED_VIDEO]
    session.executor.run(first)
    for action in others:
        before = len(session.phone.journal())
        session.executor.run(action)
        lines = [str(line["command"]) for line in session.phone.journal()[before:]]
        assert ["input swipe" in line for line in lines] == [True, False]


def test_an_app_that_was_closed_is_looked_at_again(rack: Rack) -> None:
    session = Session(phone=rack.next(), judge=Asked())
    one, two = plan(Capability.FYP_WARMUP, INPUTS)[1:3]
    session.executor.run(one)
    session.do(ActionKind.CLOSE_APP)
    before = len(session.phone.journal())
    session.executor.run(two)
    assert "input swipe" not in str(session.phone.journal()[before]["command"])


def test_a_stop_ends_the_watching(rack: Rack) -> None:
    session = Session(phone=rack.next(), judge=Asked())
    session.on_wait = lambda seconds: setattr(session.stop, "reason", "cancelled")
    with pytest.raises(SessionStopped):
        run(session)
