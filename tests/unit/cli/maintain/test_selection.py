"""The selection language: what it means, and what it says about what it cannot read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from phonefarm.cli.maintain.selection import FIELDS, STATES, Selection, SelectionError, choose, parse

pytestmark = pytest.mark.timeout(60)


def phone(phone_id: str = "A", **changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "phone_id": phone_id,
        "serial": "10.0.0.7:5555",
        "model": "Pixel 8",
        "groups": ["rack1", "blue"],
        "host": "h1",
        "android": "13",
        "state": "available",
        "battery": {"level": 60},
    }
    return {**values, **changes}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("all", True),
        ("group=rack1", True),
        ("group=rack2", False),
        ("group!=rack2", True),
        ("group!=blue", False),
        ("group~rack*", True),
        ("group~RACK*", False),
        ("group=rack1,android>=13", True),
        ("group=rack1,android>13", False),
        (" group = rack1 , android >= 12.1 ", True),
        ("android=13.0", True),
        ("android<13.0.1", True),
        ("android!=13", False),
        ("android<=9", False),
        ("battery>=60%", True),
        ("battery<60", False),
        ("battery>9", True),
        ('model="Pixel 8"', True),
        ("model=Pixel 8", True),
        ("model~Pixel ?", True),
        ("model~Pixel [12]", False),
        ("model=pixel 8", False),
        ('model!="a, b"', True),
        ("id=A", True),
        ("serial~10.0.0.*", True),
        ("host=h1,state=available", True),
        ("state~*able", True),
    ],
)
def test_what_a_selection_means(text: str, holds: bool) -> None:
    assert parse(text).holds(phone()) is holds


@pytest.mark.parametrize("text", ["android>=13", "android!=13", "model=x", "model!=x", "battery>0", "model~*"])
def test_a_phone_of_which_a_field_is_not_known_is_neither_in_nor_out(text: str) -> None:
    bare = phone(android=None, model=None, battery={"level": None})
    assert parse(text).holds(bare) is None
    assert parse(f"{text},group=rack2").holds(bare) is False, "what fails decides"
    assert parse(f"{text},group=rack1").holds(bare) is None


def test_the_phones_it_means_and_those_it_cannot_tell() -> None:
    phones = [phone("C"), phone("B", android=None), phone("A"), phone("D", android="9"), phone("E", state="retired")]
    chosen = choose(parse("android>=13"), phones)
    assert ([p["phone_id"] for p in chosen.phones], chosen.unknown) == (["A", "C"], ("B",))
    assert [p["phone_id"] for p in choose(parse("state=retired"), phones).phones] == ["E"]
    assert [p["phone_id"] for p in choose(parse("all"), phones).phones] == ["A", "B", "C", "D"]


@pytest.mark.parametrize(
    ("text", "at", "words"),
    [
        ("", 0, "a field must stand here"),
        ("group=rack1,", 12, "a field must stand here"),
        (",group=a", 0, "a field must stand here"),
        ("group=rack1,adroid>=13", 12, "no field 'adroid'; did you mean 'android'?"),
        ("colour=red", 0, "the fields are id, serial"),
        ("group", 5, "an operator must follow group"),
        ("group:rack1", 5, "an operator must follow group"),
        ("group=", 6, "a value must stand here"),
        ("group=,host=a", 6, "a value must stand here"),
        ("group>rack1", 5, "group is a text"),
        ("android~1*", 7, "android has no pattern"),
        ("android>=thirteen", 9, "a version such as 13"),
        ("battery>half", 8, "a percentage"),
        ('model="Pixel', 6, "closing quote"),
        ('model="a"b', 9, "a comma must follow"),
        ('model=a"b"', 7, "a comma must follow"),
        ("state=avaliable", 6, "did you mean 'available'?"),
        ("all,group=a", 0, "no field 'all'"),
    ],
)
def test_what_cannot_be_read_is_shown_in_its_place(text: str, at: int, words: str) -> None:
    with pytest.raises(SelectionError) as caught:
        parse(text)
    first, shown, mark = caught.value.message.splitlines()
    assert (caught.value.at, shown, mark) == (at, f"  {text}", f"  {' ' * at}^")
    assert f"character {at + 1}" in first
    assert words in first


@given(st.text(max_size=40))
@example("android>=" + "9" * 5000)
@example("android=٣")
def test_any_text_is_a_selection_or_an_error_in_its_place(text: str) -> None:
    found = parsed(text)
    if isinstance(found, SelectionError):
        assert 0 <= found.at <= len(text)
    else:
        assert found.holds(phone()) in (True, False)


def parsed(text: str) -> Selection | SelectionError:
    try:
        return parse(text)
    except SelectionError as error:
        return error


@given(
    st.sampled_from(FIELDS), st.sampled_from(["=", "!=", "<", "<=", ">", ">=", "~"]), st.sampled_from(["13", *STATES])
)
def test_every_field_with_every_operator_is_compared_or_refused(field: str, operator: str, value: str) -> None:
    found = parsed(f"{field}{operator}{value}")
    if isinstance(found, SelectionError):
        return
    holds = found.holds(phone())
    opposite = {"=": "!=", "!=": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}.get(operator)
    if opposite is not None:
        assert parse(f"{field}{opposite}{value}").holds(phone()) is not holds
