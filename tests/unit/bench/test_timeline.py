"""Tables of where the time goes, from forged traces."""

from __future__ import annotations

import pytest

from tests.bench import timeline
from tests.otlp import Seen

pytestmark = pytest.mark.timeout(60)


def span(name: str, began: int, ended: int, *, id: str = "", parent: str = "") -> Seen:
    """Times in ms."""
    return Seen(
        name=name, trace="t", id=id or name, parent=parent, code="", attributes={}, began=began * 10**6,
        ended=ended * 10**6,
    )  # fmt: skip


DISPATCH = [
    span("POST /capability-requests/enqueue", 1, 20),
    span("process.accept", 3, 8),
    span("item.claim", 3, 8),
    span("item.dispatch", 14, 15),
    span("item.attempt", 16, 90),
    span("action.health_check", 20, 80),
    span("adb.exec", 40, 50),
    span("adb.shell", 23, 24),
]


def test_the_steps_of_a_dispatch_follow_each_other_and_sum_up() -> None:
    at = timeline.marks(DISPATCH)
    assert at is not None
    assert timeline.segments(0, at) == [1.0, 2.0, 5.0, 6.0, 2.0, 4.0, 3.0]
    text = timeline.dispatch_table([(0, at), (0, at)])
    assert "| its transaction is over | the commit of the request and of its grant | 5 | 22% |" in text
    assert "sum, 2 requests | 23 |" in text


@pytest.mark.parametrize("gone", range(len(DISPATCH)))
def test_a_trace_that_is_not_whole_yet_is_none(gone: int) -> None:
    left = [one for place, one in enumerate(DISPATCH) if place != gone]
    needed = DISPATCH[gone].name not in ("item.claim", "adb.exec", "adb.shell")
    assert (timeline.marks(left) is None) == needed
    assert timeline.marks([one for one in DISPATCH if not one.name.startswith("adb.")]) is None


def test_what_is_not_adb_s_in_a_session_is_ours() -> None:
    text = timeline.session_table(
        [
            span("action.feed_video", 0, 10, id="1"),
            span("adb.exec", 1, 7, parent="1"),
            span("action.feed_video", 12, 18, id="2"),
            span("adb.shell", 13, 14, parent="2"),
            span("action.close_app", 20, 40, id="3"),
            span("adb.shell", 20, 40, parent="3"),
        ]
    )
    assert "| `feed_video` | 2 | 8 | 3.5 | 22% |" in text
    assert "| `close_app` | 1 | 20 | 20 | 0% |" in text
    assert "| between two | 2 | 1.33 | | 10% |" in text
