"""A second app, laid out unlike the first: its profile alone, through the same executor, reads every fact right."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from phonefarm.models.action import ActionKind
from phonefarm.vphone import catalogue
from tests.integration.test_devices_executor import SEED, Session, expected, part
from tests.integration.test_devices_rack import Rack, rack_of

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def rack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rack]:
    with rack_of(8, tmp_path_factory.mktemp("readers")) as made:
        yield made


@pytest.fixture
def session(rack: Rack) -> Session:
    return Session(phone=rack.next(), app="reader")


def test_a_whole_keyword_session(session: Session) -> None:
    session.do(ActionKind.OPEN_APP)
    for keyword in ("street food", "Tea"):
        assert session.search(keyword).output == {"keyword": keyword, "empty": False}
        for rank in range(10):
            session.open(keyword, rank)
            assert part(session.watch(keyword, rank).output) == expected(keyword, rank)
    session.do(ActionKind.CLOSE_APP)


def test_every_rank_by_the_cards_and_beyond(session: Session) -> None:
    count = len(catalogue(SEED, "tea"))
    for rank in (count - 1, 3, count - 2, 0):
        assert part(session.watch("tea", rank).output) == expected("tea", rank)
    assert session.open("tea", count).skipped == "no_more_results"


def test_nothing_found(session: Session) -> None:
    assert session.search("nothing here").output == {"keyword": "nothing here", "empty": True}
    assert session.open("nothing here", 0).skipped == "no_more_results"


@pytest.mark.parametrize("keyword", ["Search or type a word", "кот 🐈", "a %s b"])
def test_the_hint_in_an_empty_field_is_not_taken_for_a_text(session: Session, keyword: str) -> None:
    assert session.search(keyword).output == {"keyword": keyword, "empty": False}


def test_the_front_page_is_a_feed_that_is_turned_sideways(session: Session) -> None:
    shown = [
        session.do(
            ActionKind.FEED_VIDEO, number=n, skip_min=0.1, skip_max=0.2, seconds_max=3.0, judge=False, interests=[]
        )
        for n in range(4)
    ]
    wanted = [(video.title, video.author) for video in catalogue(SEED, "")[:4]]
    assert [(result.output["title"], result.output["author"]) for result in shown] == wanted
