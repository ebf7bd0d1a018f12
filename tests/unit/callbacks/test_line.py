"""The line of due callbacks: in order, endpoints take turns, and only so much is kept of each."""

from __future__ import annotations

from phonefarm.callbacks.line import DueLine, endpoint_of
from phonefarm.models.outbox import DueCallback


def callback(process: str, host: str = "a.example") -> DueCallback:
    url = f"https://{host}/hook"
    return DueCallback(event_id=f"{process}-1", process_id=process, sequence=1, url=url, body=b"{}")


def drained(line: DueLine) -> list[str]:
    found = []
    while (taken := line.take(lambda _endpoint: True)) is not None:
        found.append(taken[1].process_id)
    return found


def test_endpoints_take_turns_and_each_keeps_its_order() -> None:
    line = DueLine(10)
    for process, host in (("1", "a"), ("2", "a"), ("3", "a"), ("4", "b"), ("5", "b")):
        assert line.add(callback(process, f"{host}.example"))
    assert len(line) == 5
    assert drained(line) == ["1", "4", "2", "5", "3"]
    assert len(line) == 0


def test_one_without_room_is_passed_over() -> None:
    line = DueLine(10)
    line.add(callback("1", "a.example"))
    line.add(callback("2", "b.example"))
    taken = line.take(lambda endpoint: endpoint == "b.example:443")
    assert taken is not None
    assert (taken[0], taken[1].process_id) == ("b.example:443", "2")
    assert line.take(lambda endpoint: endpoint == "b.example:443") is None
    assert drained(line) == ["1"]


def test_only_so_many_are_kept_of_an_endpoint_and_one_of_a_process() -> None:
    line = DueLine(2)
    assert [line.add(callback(process)) for process in "1123"] == [True, True, True, False]
    assert line.add(callback("9", "b.example"))
    assert drained(line) == ["1", "9", "2"]
    assert line.add(callback("1")), "it is gone from the line, so it may come again"


def test_an_url_that_makes_no_sense_is_its_own_endpoint() -> None:
    assert endpoint_of("https://a.example/x") == "a.example:443"
    assert endpoint_of("nonsense") == "nonsense"


def test_a_line_that_is_cleared_takes_the_same_again() -> None:
    line = DueLine(1)
    assert line.add(callback("1"))
    line.clear()
    assert (len(line), line.take(lambda _endpoint: True)) == (0, None)
    assert line.add(callback("1"))
