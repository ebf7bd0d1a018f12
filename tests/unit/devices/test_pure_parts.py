"""Typing plans, ranks in a scrolled list, and what a probe reads."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonefarm.devices.keyboard import plan_typing
from phonefarm.devices.probe import Identity, identity, parse_battery, parse_df, probe
from phonefarm.devices.ranks import Row, extended, offset_of
from phonefarm.devices.shell import Joiner, ShellResult
from phonefarm.errors import ActionError, CommandFailed, DeviceError
from phonefarm.models.phone import Battery

pytestmark = pytest.mark.timeout(60)


# -- typing -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "typed"),
    [("tea", "tea"), ("street food", "street%sfood"), ("100% sure", "100%%ssure"), ("'; x #", "';%sx%s#"), (" ", "%s")],
)
def test_ascii_is_typed(text: str, typed: str) -> None:
    plan = plan_typing(text)
    assert plan.argv == ("input", "text", typed)
    assert not plan.keyboard


@pytest.mark.parametrize("text", ["кот", "naïve", "🐈", "a %s b", "%%s"])
def test_the_rest_goes_by_the_adb_keyboard(text: str) -> None:
    plan = plan_typing(text)
    assert plan.keyboard
    assert plan.argv[:-1] == ("am", "broadcast", "-a", "ADB_INPUT_B64", "--es", "msg")
    assert base64.b64decode(plan.argv[-1]).decode() == text


def test_second_try_by_the_adb_keyboard() -> None:
    assert plan_typing("tea", prefer_keyboard=True).keyboard


@pytest.mark.parametrize("text", ["a\nb", "a\tb", "\x00", "\x1b[0m", "\x85", "\ud83d"])
def test_control_characters_are_not_typed(text: str) -> None:
    with pytest.raises(ActionError):
        plan_typing(text)


# -- ranks ------------------------------------------------------------------------------------------------


def rows(text: str) -> list[Row]:
    return [Row(title=char) for char in text]


@pytest.mark.parametrize(
    ("known", "visible", "offset"),
    [
        ("abcdef", "cd", 2),
        ("abcdef", "abcdef", 0),
        ("abc", "cd", None),
        ("abab", "ab", None),
        ("", "a", None),
        ("a", "", None),
    ],
)
def test_offset(known: str, visible: str, offset: int | None) -> None:
    assert offset_of(rows(known), rows(visible)) == offset


@pytest.mark.parametrize(
    ("known", "visible", "grown", "first"),
    [("abcd", "cdef", "abcdef", 2), ("abcd", "bc", "abcd", 1), ("abcd", "defg", "abcdefg", 3)],
)
def test_extended(known: str, visible: str, grown: str, first: int) -> None:
    assert extended(rows(known), rows(visible)) == (tuple(rows(grown)), first)


@pytest.mark.parametrize(("known", "visible"), [("abc", "xyz"), ("abcxx", "xxy"), ("", "abc")])
def test_no_honest_overlap(known: str, visible: str) -> None:
    assert extended(rows(known), rows(visible)) is None


@given(st.integers(1, 60), st.integers(2, 9), st.integers(1, 8))
def test_scrolling_down_counts_right(total: int, window: int, step: int) -> None:
    """Distinct rows, any window, any step smaller than it: every row gets its true rank."""
    everything = [Row(title=str(number)) for number in range(total)]
    known: tuple[Row, ...] = tuple(everything[:window])
    for at in range(0, max(total - window, 0) + 1, min(step, window - 1)):
        grown = extended(known, everything[at : at + window])
        assert grown is not None
        known, first = grown
        assert first == at
    assert list(known) == everything[: len(known)]


# -- probing ------------------------------------------------------------------------------------------------

BATTERY = """Current Battery Service state:
  AC powered: false
  USB powered: {usb}
  status: {status}
  health: 2
  level: 85
  scale: 100
  temperature: 289
"""


@pytest.mark.parametrize(
    ("usb", "status", "charging"), [("true", 2, True), ("true", 4, True), ("false", 5, True), ("false", 3, False)]
)
def test_battery(usb: str, status: int, charging: bool) -> None:
    read = parse_battery(BATTERY.format(usb=usb, status=status))
    assert read == Battery(level=85, temperature=28.9, charging=charging)


def test_battery_that_says_nothing() -> None:
    assert parse_battery("Can't find service: battery") == Battery()


@pytest.mark.parametrize(
    "text",
    [
        "Filesystem     1K-blocks     Used Available Use% Mounted on\n/dev/block/dm-44 1000 400 600 41% /data/user/0\n",
        "Filesystem 1K-blocks Used Available Use% Mounted on\n/dev/block/very-long\n   1000 400 600 41% /data\n",
    ],
)
def test_df(text: str) -> None:
    assert parse_df(text) == (600 * 1024, 1000 * 1024)


def test_df_that_says_nothing() -> None:
    assert parse_df("df: /data: No such file or directory") == (None, None)


class FakeShell:
    """Answers ``echo`` itself and everything else from a list."""

    def __init__(self, *answers: str, dead: bool = False) -> None:
        self._answers = list(answers)
        self._dead = dead

    def sh_all(self, lines: Sequence[Sequence[str]], *, timeout: float, joiner: Joiner = "&&") -> ShellResult:
        out = [line[1] + "\n" if line[0] == "echo" else self._answers.pop(0) for line in lines]
        return ShellResult(rc=0, stdout="" if self._dead else "".join(out), stderr="")


def test_probe_reads_all() -> None:
    facts = probe(FakeShell("S1\n", "1\n", "Pixel 8\n", "14\n", BATTERY.format(usb="true", status=2), "no df", ""))
    assert (facts.phone_id, facts.model, facts.android, facts.storage_free) == ("S1", "Pixel 8", "14", None)
    assert facts.battery.level == 85


def test_probe_of_a_phone_that_boots() -> None:
    with pytest.raises(DeviceError, match="booting") as caught:
        probe(FakeShell("S1\n", "\n", "", "", "", "", ""))
    assert caught.value.retryable


def test_probe_of_a_shell_that_does_not_echo() -> None:
    with pytest.raises(CommandFailed):
        probe(FakeShell("", "", "", "", "", "", "", dead=True))


def test_identity() -> None:
    boot = "0b0e3f7c-53a1-4f6e-9a51-0c61f3a9d001"
    assert identity(FakeShell("S1\n", f"{boot}\n", "a1\n")) == Identity(phone_id="S1", body=boot)
    assert identity(FakeShell("S1\n", "cat: Permission denied\n", "a1\n")).body == "a1"
    with pytest.raises(DeviceError):
        identity(FakeShell("\n", "", ""))


@pytest.mark.parametrize(
    ("policy", "screen_on", "locked"),
    [
        ("    mAwake=true mScreenOnEarly=true\n    KeyguardServiceDelegate\n      showing=false\n", True, False),
        ("      showing=true\n      interactiveState=INTERACTIVE_STATE_SLEEP\n", False, True),
        ("  isStatusBarKeyguard=true mNavigationBar=null\n", None, True),
        ("", None, None),
        ("Can't find service: window", None, None),
    ],
)
def test_screen_and_lock(policy: str, screen_on: bool | None, locked: bool | None) -> None:
    facts = probe(FakeShell("S1\n", "1\n", "", "", "", "", policy))
    assert (facts.screen_on, facts.locked) == (screen_on, locked)
