"""Command lines and the shell_v2 stream, without a phone."""

from __future__ import annotations

import shlex
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phonefarm.devices.shell import MAX_LINE, ShellFrames, join, quote
from phonefarm.errors import OutputTruncated

pytestmark = pytest.mark.timeout(60)


@pytest.mark.fault(39)
@pytest.mark.parametrize("raw", ["reboot", b"reboot", ["ls", 1], ["ls", None], [b"ls"]])
def test_only_lists_of_str(raw: Any) -> None:
    with pytest.raises(TypeError):
        quote(raw)


@pytest.mark.parametrize("raw", ["reboot", ["ls -l", "reboot"]])
def test_join_takes_no_raw_text(raw: Any) -> None:
    with pytest.raises(TypeError):
        join(raw)


@pytest.mark.fault(39)
@pytest.mark.parametrize("argv", [[], ["a\0b"], ["\udcff"], ["x" * (MAX_LINE + 1)]])
def test_what_cannot_be_sent(argv: list[str]) -> None:
    with pytest.raises(ValueError, match=r"name|NUL|surrogates|limit"):
        quote(argv)


def test_joiner_is_one_of_two() -> None:
    joiner: Any = "| sh"
    with pytest.raises(ValueError, match="joined"):
        join([["a"], ["b"]], joiner)
    assert join([["rm", "-f", "a b"], ["cat", "c"]]) == "rm -f 'a b' && cat c"
    assert join([["a"], ["b"]], ";") == "a ; b"


@pytest.mark.fault(39)
@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=1))
def test_quoting_says_exactly_the_words(argv: list[str]) -> None:
    assert shlex.split(quote(argv)) == argv


@pytest.mark.fault(39)
@pytest.mark.parametrize("text", ["'; exit 9 #", "$(exit 9)", "`x`", "%s", "a\nb\n", "кот 🐈", "", "~ * ? !", "\\"])
def test_a_real_sh_prints_it_byte_exact(text: str) -> None:
    done = subprocess.run(["sh", "-c", quote(["printf", "%s", text])], capture_output=True, check=False, timeout=20)
    assert (done.returncode, done.stdout, done.stderr) == (0, text.encode(), b"")


def frame(kind: int, data: bytes) -> bytes:
    return struct.pack("<BI", kind, len(data)) + data


STREAM = (
    frame(1, b"one") + frame(2, b"bad") + frame(1, b"") + frame(5, b"size") + frame(1, b"two\n") + frame(3, b"\x07")
)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 1000])
def test_stream_cut_anywhere(size: int) -> None:
    frames = ShellFrames(100)
    codes = [frames.feed(STREAM[at : at + size]) for at in range(0, len(STREAM), size)]
    assert codes[-1] == 7
    assert set(codes[:-1]) <= {None}
    assert (bytes(frames.stdout), bytes(frames.stderr)) == (b"onetwo\n", b"bad")


@pytest.mark.fault(24)
def test_too_much_is_refused_before_it_has_come() -> None:
    with pytest.raises(OutputTruncated):
        ShellFrames(100).feed(struct.pack("<BI", 1, 0xFFFFFFFF))
    frames = ShellFrames(6)
    frames.feed(frame(1, b"abc"))
    with pytest.raises(OutputTruncated):
        frames.feed(frame(2, b"abcd"))


# -- a differential test: every shell that is here says back what it was told --------------------------------------

SHELLS = [found for name in ("sh", "bash", "dash", "mksh", "ksh", "busybox") if (found := shutil.which(name))]
#: Each would leave the file ``ran`` if any shell read it as commands.
COMMANDS = [
    "'; touch ran #",
    '"; touch ran #',
    "$(touch ran)",
    "`touch ran`",
    "\\'; touch ran; '",
    "a\ntouch ran\n",
    "a\r\ntouch ran",
    "| touch ran",
    "& touch ran &",
    "> ran",
    "<(touch ran)",
    "${IFS}touch${IFS}ran",
    "$'\\x27;touch ran'",
    "!touch ran",
    "\\\ntouch ran",
    "{touch,ran}",
    "--help; touch ran",
    "=touch ran",
    "%s$(touch ran)",
    "\u2019; touch ran #",
]


def shell(path: str, line: str, where: Path) -> bytes:
    argv = [path, "sh", "-c", line] if path.endswith("busybox") else [path, "-c", line]
    done = subprocess.run(argv, capture_output=True, check=True, timeout=30, cwd=where)
    return done.stdout


@pytest.mark.fault(39)
@pytest.mark.parametrize("path", SHELLS)
def test_no_shell_runs_what_is_quoted(path: str, tmp_path: Path) -> None:
    line = quote(["printf", "%s\\0", *COMMANDS])
    assert shell(path, line, tmp_path).decode().split("\0")[:-1] == COMMANDS
    assert shell(path, join([["printf", "%s", text] for text in COMMANDS]), tmp_path).decode() == "".join(COMMANDS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.fault(39)
@pytest.mark.parametrize("path", SHELLS)
def test_the_shells_would_run_it_unquoted(path: str, tmp_path: Path) -> None:
    """Otherwise the test above would prove nothing."""
    shell(path, f"printf %s {COMMANDS[2]}", tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["ran"]


@pytest.mark.fault(39)
@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
        | st.text("'\"$`\\ \n\t;&|<>(){}[]*?~!#%=^-"),
        min_size=1,
        max_size=20,
    )
)
def test_any_words_come_back_from_a_real_shell(words: list[str]) -> None:
    said = subprocess.run(
        ["/bin/sh", "-c", quote(["printf", "%s\\0", *words])], capture_output=True, check=True, timeout=30
    ).stdout
    assert said == "".join(word + "\0" for word in words).encode()


@pytest.mark.fault(39)
def test_64_kilobytes_arrive_whole_or_are_refused(tmp_path: Path) -> None:
    text = "".join(COMMANDS) * 400
    fits = text[: MAX_LINE // 5]
    assert shell("/bin/sh", quote(["printf", "%s", fits]), tmp_path) == fits.encode()
    with pytest.raises(ValueError, match="limit"):
        quote(["printf", "%s", text[: 64 * 1024]])
