"""App profiles: the one that ships, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from phonefarm.devices.profiles import load_profile, load_profile_file, parse_profile
from phonefarm.devices.screen import Selector, parse
from phonefarm.errors import ConfigError

pytestmark = pytest.mark.timeout(60)

FEED = Path(__file__).parents[3] / "phonefarm" / "devices" / "profiles" / "feed.yaml"


def feed() -> dict[str, Any]:
    body: dict[str, Any] = yaml.safe_load(FEED.read_text("utf-8"))
    return body


def test_feed_profile() -> None:
    profile = load_profile("feed")
    assert (profile.package, profile.activity) == ("org.phonefarm.feed", "org.phonefarm.feed/.MainActivity")
    assert profile.screens["results"] == Selector(resource_id="org.phonefarm.feed:id/results_screen")
    assert profile.elements["result_row"].within == Selector(resource_id="org.phonefarm.feed:id/result_list")
    assert any(popup.shows.resource_id == "android:id/button1" for popup in profile.popups)
    assert load_profile_file(FEED) == profile


def test_places_facts_and_popups() -> None:
    profile = load_profile("feed")
    player = parse(
        "<hierarchy><node resource-id='org.phonefarm.feed:id/player_screen'>"
        "<node resource-id='org.phonefarm.feed:id/video_title' text=' How to #cook '/>"
        "<node resource-id='org.phonefarm.feed:id/video_author' text='@an@na'/>"
        "<node resource-id='org.phonefarm.feed:id/video_tags' text='#a  #b # c'/></node></hierarchy>"
    )
    assert profile.place(player) == "player"
    assert profile.popup(player) is None
    facts = profile.facts
    assert (facts["title"].value(player), facts["author"].value(player)) == ("How to #cook", "an@na")
    assert facts["tags"].words(player) == ("a", "b", "c")
    other = parse("<hierarchy><node><node resource-id='android:id/button1'/></node></hierarchy>")
    assert profile.place(other) is None
    assert profile.popup(other) is not None
    assert facts["title"].value(other) == ""
    assert facts["tags"].words(other) == ()


def spoil(change: Callable[[dict[str, Any]], object]) -> str:
    body = feed()
    change(body)
    return yaml.safe_dump(body)


BROKEN: dict[str, tuple[str, str]] = {
    "not yaml": ("a: [", "not YAML"),
    "not a mapping": ("- 1", "top level"),
    "object tag": ("!!python/object/apply:os.system ['true']", "not YAML"),
    "no package": (spoil(lambda body: body.pop("package")), "package"),
    "shell in package": (spoil(lambda body: body.update(package="a.b; reboot")), "package"),
    "shell in activity": (spoil(lambda body: body.update(activity="a.b/.C; reboot")), "activity"),
    "unknown key": (spoil(lambda body: body.update(command="reboot")), "command"),
    "missing screen": (spoil(lambda body: body["screens"].pop("player")), "screens"),
    "empty selector": (spoil(lambda body: body["elements"].update(search_box={})), "elements.search_box"),
    "coordinates": (spoil(lambda body: body["elements"].update(search_box={"x": 1, "y": 2})), "elements.search_box"),
    "swipe in pixels": (spoil(lambda body: body["swipes"]["list_down"].update(to=[540, 300])), "swipes.list_down.to"),
    "unknown submit": (spoil(lambda body: body.update(submit="shake")), "submit"),
    "popup tap point": (spoil(lambda body: body["popups"][0].update(dismiss=[1, 2])), "popups.0.dismiss"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_profiles_name_the_place(name: str) -> None:
    text, place = BROKEN[name]
    with pytest.raises(ConfigError, match=place):
        parse_profile(text, source="mine.yaml")


def test_unknown_profiles(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there are: feed"):
        load_profile("../feed")
    with pytest.raises(ConfigError):
        load_profile_file(tmp_path / "none.yaml")


def test_a_profile_that_is_edited_counts_from_the_next_load_on(tmp_path: Path) -> None:
    own = tmp_path / "mine.yaml"
    text = FEED.read_text("utf-8")
    own.write_text(text)
    before = load_profile("mine", tmp_path)
    assert load_profile("mine", tmp_path) is before, "it is not read anew while it is the same"
    own.write_text(text.replace("org.phonefarm.feed/.MainActivity", "org.phonefarm.feed/.Other"))
    assert load_profile("mine", tmp_path).activity == "org.phonefarm.feed/.Other"
