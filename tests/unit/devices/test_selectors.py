"""Relations between nodes and fall-backs of selectors, and facts that stand between other words."""

from __future__ import annotations

import pytest

from phonefarm.devices.profiles import Fact, load_profile, parse_profile
from phonefarm.devices.screen import Selector, parse
from phonefarm.errors import ConfigError

SCREEN = parse(
    '<hierarchy><node desc="" class="L" bounds="[0,0][9,9]">'
    '<node class="R" text="one" clickable="true"><node class="T" text="a"/></node>'
    '<node class="R" text="two"><node class="T" content-desc="Headline: b"/><node class="B" text="Go"/></node>'
    '<node class="T" text="By kim of it · 9 s read"/>'
    "</node></hierarchy>"
)


@pytest.mark.parametrize(
    ("selector", "texts"),
    [
        (Selector(cls="R", has=Selector(text="a")), ["one"]),
        (Selector(cls="R", has=Selector(text="one")), []),
        (Selector(cls="R", clickable=True), ["one"]),
        (Selector(cls="R", clickable=False), ["two"]),
        (Selector(text="Go", beside=Selector(desc_contains="Headline")), ["Go"]),
        (Selector(cls="T", beside=Selector(text="Go")), [""]),
        (Selector(text="Go", beside=Selector(text="Go")), []),
        (Selector(cls="R", beside=Selector(cls="R")), ["one", "two"]),
        (Selector(text="gone", otherwise=Selector(text="two")), ["two"]),
        (Selector(text="one", otherwise=Selector(text="two")), ["one"]),
        (Selector(text="gone", otherwise=Selector(text="lost", otherwise=Selector(text="Go"))), ["Go"]),
    ],
)
def test_relations_and_fall_backs(selector: Selector, texts: list[str]) -> None:
    assert [node.text for node in SCREEN.find_all(selector)] == texts


@pytest.mark.parametrize(
    ("fact", "value"),
    [
        (Fact(read=Selector(text_contains="s read"), after="By ", before=" · "), "kim of it"),
        (Fact(read=Selector(text_contains="s read"), after="Von "), ""),
        (Fact(read=Selector(text_contains="s read"), before=" by "), ""),
        (Fact(read=Selector(desc_contains="Headline"), attribute="desc", after="Headline: "), "b"),
        (Fact(read=Selector(text="gone")), ""),
    ],
)
def test_facts_between_words(fact: Fact, value: str) -> None:
    assert fact.value(SCREEN) == value


def test_words_of_a_separator() -> None:
    fact = Fact(read=Selector(text_contains="s read"), after="By ", separator=" of ")
    assert fact.words(SCREEN) == ("kim", "it · 9 s read")


def test_a_list_is_a_chain() -> None:
    button = load_profile("reader").elements["search_button"]
    assert button.otherwise is not None
    assert button.otherwise.otherwise is None


def test_an_empty_list_of_selectors_is_refused() -> None:
    text = (
        "{name: x, package: a.b, activity: a.b/.C, screens: {feed: {id: a}, search: {id: a}, results: {id: a}, "
        "player: {id: a}}, elements: {search_button: [], search_box: {id: a}, result_row: {id: a}, "
        "result_title: {id: a}}, facts: {title: {read: {id: a}}, author: {read: {id: a}}}, "
        "swipes: {list_down: {from: [0, 0], to: [1, 1]}, list_up: {from: [0, 0], to: [1, 1]}}}"
    )
    with pytest.raises(ConfigError, match="elements"):
        parse_profile(text)
