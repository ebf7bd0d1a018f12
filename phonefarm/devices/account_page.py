"""The account's own page in an app: its texts read, written as an operator asked, and read back.

Theory of operation
-------------------
Only fields that were asked for are touched, each until it holds exactly the text, before the form is kept. The page is
then read again: what it shows is what was achieved. An app whose profile does not describe the page cannot be edited.
"""

from __future__ import annotations

from collections.abc import Mapping

from phonefarm.devices.handset import Argv, erased, tap
from phonefarm.devices.navigator import Navigator, Seen
from phonefarm.devices.screen import Node
from phonefarm.errors import NotSupported, UnexpectedScreen

_NEEDED = ("profile_button", "edit_profile_button", "edit_save")
_TRIES = 2


class AccountPage:
    """The page of the app behind ``nav``."""

    def __init__(self, nav: Navigator) -> None:
        self._nav = nav

    def edit(self, wanted: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
        """Write the texts by name; (before, after) as the page shows them. Raises NotSupported, UnexpectedScreen."""
        self._check(wanted)
        seen = self._through("profile_button", "profile", self._nav.to_feed())
        before = self._shown(wanted, seen)
        seen = self._through("edit_profile_button", "edit_profile", seen)
        for name, text in wanted.items():
            seen = self._fill(f"edit_{name}", text, seen)
        seen = self._through("edit_save", "profile", seen)
        after = self._shown(wanted, seen)
        if after != dict(wanted):
            wrong = ", ".join(name for name in wanted if after[name] != wanted[name])
            raise UnexpectedScreen(f"the account's page does not show what was written: {wrong}")
        return before, after

    def _check(self, wanted: Mapping[str, str]) -> None:
        elements = (*_NEEDED, *(f"{kind}_{name}" for kind in ("edit", "profile") for name in wanted))
        profile = self._nav.profile
        missing = [name for name in elements if name not in profile.elements]
        missing += [name for name in ("profile", "edit_profile") if name not in profile.screens]
        if missing:
            raise NotSupported(f"the profile of app {profile.name} does not describe {', '.join(missing)}")

    def _through(self, button: str, place: str, seen: Seen) -> Seen:
        node = self._node(button, seen)
        seen = self._nav.wait_for(place, self._nav.see(tap(node)))
        if seen.place != place:
            raise UnexpectedScreen(f"wanted the screen {place}, saw {seen.words}")
        return seen

    def _node(self, name: str, seen: Seen) -> Node:
        node = self._nav.element(name, seen.screen)
        if node is None:
            raise UnexpectedScreen(f"wanted {name}, saw {seen.words}")
        return node

    def _shown(self, wanted: Mapping[str, str], seen: Seen) -> dict[str, str]:
        return {name: self._node(f"profile_{name}", seen).text for name in wanted}

    def _fill(self, name: str, text: str, seen: Seen) -> Seen:
        """The field holds exactly ``text``; the second try uses the ADB keyboard."""
        for attempt in range(_TRIES):
            box = self._node(name, seen)
            if box.text == text:
                return seen
            seen = self._nav.typed(text, self._emptied(box), prefer_keyboard=attempt > 0)
        if self._node(name, seen).text != text:
            raise UnexpectedScreen(f"the field {name} does not take the text that was asked for")
        return seen

    def _emptied(self, box: Node) -> list[Argv]:
        """What puts the cursor at the end of the field and takes every character away."""
        return [tap(box), *erased(len(box.text))]
