"""The shell of the virtual phone: syntax, expansion, pipes, exit codes, and texts that must arrive byte-exact."""

import asyncio
import contextlib
import shlex

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from phonefarm.vphone.phone import PhoneConfig, VPhone
from phonefarm.vphone.shell.arithmetic import evaluate
from phonefarm.vphone.shell.lexer import Lexer
from phonefarm.vphone.shell.outcome import Outcome, run_command
from phonefarm.vphone.shell.parser import parse
from phonefarm.vphone.shell.pipes import to_bytes, to_text
from phonefarm.vphone.shell.syntax import ShellSyntaxError

pytestmark = pytest.mark.timeout(60)


def sh(source: str, stdin: bytes = b"") -> Outcome:
    """Run ``source`` on a new phone."""
    return asyncio.run(run_command(VPhone(PhoneConfig(serialno="VP000001")), source, stdin))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("echo a  b", "a b\n"),
        ("echo 'a  b' \"c  d\" e\\ f", "a  b c  d e f\n"),
        ("x=5; echo $x ${x}y '$x' \"$x\"", "5 5y $x 5\n"),
        ("echo $(echo in; echo ner) `echo back`", "in ner back\n"),
        ("false || echo or; true && echo and", "or\nand\n"),
        ("! false; echo $?", "0\n"),
        ("(exit 3); echo $?", "3\n"),
        ("{ echo a; echo b; } | wc -l", "2\n"),
        ("x=out; (x=in); echo $x", "out\n"),
        ("for i in 1 2 3; do echo n$i; done", "n1\nn2\nn3\n"),
        ("i=0; while [ $i -lt 3 ]; do i=$((i+1)); done; echo $i", "3\n"),
        ("if [ -d /sdcard ]; then echo dir; elif true; then echo no; else echo none; fi", "dir\n"),
        ("case abc in x) echo x;; a*) echo star;; esac", "star\n"),
        ("f() { echo got $1; return 4; }; f arg; echo $?", "got arg\n4\n"),
        ("echo one > /sdcard/f; echo two >> /sdcard/f; cat < /sdcard/f", "one\ntwo\n"),
        ("echo err >&2 2>/dev/null; echo ok", "ok\n"),
        ("nope 2>/dev/null; echo $?", "127\n"),
        ("nope 2>&1 | cat", "/system/bin/sh: nope: inaccessible or not found\n"),
        ("sh -c 'echo $0 $1' name arg", "name arg\n"),
        ("A=1 sh -c 'echo $A'; echo [$A]", "1\n[]\n"),
        ('export ANDROID_LOG_TAGS=""; exec echo last; echo never', "last\n"),
        ("echo ${x:-none} ${#PATH} | grep -c none", "1\n"),
        ("p=/a/b/c.txt; echo ${p##*/} ${p%.txt}", "c.txt /a/b/c\n"),
        ("printf '%s-%03d\\n' a 7", "a-007\n"),
        ('set -- a \'b c\'; for x in "$@"; do echo "<$x>"; done', "<a>\n<b c>\n"),
        ('set --; for x in "$@"; do echo never; done; echo $#', "0\n"),
        ("cat <<END\nx $((1+2))\nEND\necho after", "x 3\nafter\n"),
        ("echo a#b # comment", "a#b\n"),
        ("echo hi | (read x; echo got $x)", "got hi\n"),
        ("yes | head -2", "y\ny\n"),
        ("yes | head -c 3 | wc -c", "3\n"),
        ("cd /sdcard; touch a.q b.q c.z; echo *.q '*.q'", "a.q b.q *.q\n"),
        ("echo *.nothing", "*.nothing\n"),
        ("seq 3 | tail -1", "3\n"),
        ("echo -n abc | md5sum", "900150983cd24fb0d6963f7d28e17f72  -\n"),
        ("exec 2>&1; nope", "/system/bin/sh: nope: inaccessible or not found\n"),
        ("true & wait; echo done", "done\n"),
        ("timeout 0.01 sleep 60; echo $?", "124\n"),
    ],
)
def test_scripts(source: str, expected: str) -> None:
    """Each script prints what a real shell prints."""
    assert sh(source).out.decode() == expected


@pytest.mark.parametrize(
    ("source", "rc"),
    [
        ("true", 0),
        ("false", 1),
        ("exit 300", 44),
        ("nope", 127),
        ("false | true", 0),
        ("true | false", 1),
        ("echo 'x", 1),
        ("head -n x", 1),
        ("(" * 3000, 1),
        ("echo x > /system/x", 1),
    ],
)
def test_exit_codes(source: str, rc: int) -> None:
    """The exit code is that of the last command, modulo 256."""
    assert sh(source).rc == rc


def test_unknown_command_says_so_on_stderr() -> None:
    """The text is Android's, and standard output stays empty."""
    outcome = sh("nope --arg")
    assert (outcome.rc, outcome.out) == (127, b"")
    assert outcome.err == b"/system/bin/sh: nope: inaccessible or not found\n"


def test_stdin_streams_to_the_command() -> None:
    """Bytes that are not text pass through unchanged."""
    data = bytes(range(256)) * 500
    assert sh("cat | cat", data).out == data


@pytest.mark.parametrize(
    "text",
    [
        "'; reboot #",
        "$(reboot)",
        "`reboot`",
        "a\nb\n",
        "\U0001f600 über",
        "%s",
        "\\",
        '"$HOME"',
        "!",
        "*",
        "\x7f\x01",
        "-n",
    ],
)
def test_quoted_text_is_one_argument(text: str) -> None:
    """A properly quoted word arrives byte-exact and is never run."""
    outcome = sh(f"printf '%s' {shlex.quote(text)}")
    assert (outcome.rc, outcome.out, outcome.err) == (0, text.encode(), b"")


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=1, max_size=5))
@example(["'", "", '"', "$(x)`y`", "\\\n"])
@settings(max_examples=200, deadline=None)
def test_quoting_round_trip(words: list[str]) -> None:
    """Whatever the words, quoting them gives them back as they were."""
    line = " ".join(shlex.quote(word) for word in words)
    lexer = Lexer(line)
    found = []
    while (token := lexer.next()).kind == "word":
        assert token.word is not None
        found.append("".join(getattr(part, "text", "?") for part in token.word.parts))
    assert found == words


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_any_bytes_survive_as_text(data: bytes) -> None:
    """Bytes to text and back is the identity."""
    assert to_bytes(to_text(data)) == data


@given(st.text("'\"\\`$(){};&|<> \nab#!=[]*", max_size=40))
@settings(max_examples=300, deadline=None)
def test_the_parser_never_crashes(source: str) -> None:
    """Any text is either a command or a ``ShellSyntaxError``."""
    with contextlib.suppress(ShellSyntaxError):
        parse(source)


@pytest.mark.parametrize("source", ["echo 'open", "if true", "{ echo a", "echo a |", "for x in 1; do"])
def test_unfinished_commands_ask_for_more(source: str) -> None:
    """An interactive shell reads on after these."""
    with pytest.raises(ShellSyntaxError) as caught:
        parse(source)
    assert caught.value.incomplete


@pytest.mark.parametrize("source", ["fi", ")", "echo a ;; b", "| cat"])
def test_wrong_commands_do_not_ask_for_more(source: str) -> None:
    """No further line can save these."""
    with pytest.raises(ShellSyntaxError) as caught:
        parse(source)
    assert not caught.value.incomplete


@pytest.mark.parametrize(
    ("expression", "value"),
    [("1+2*3", 7), ("-7/2", -3), ("-7%2", -1), ("x<5", 1), ("x==3&&0", 0), ("!x", 0), ("1<<4", 16), ("y", 0)],
)
def test_arithmetic(expression: str, value: int) -> None:
    """C's rules, not Python's."""
    assert evaluate(expression, {"x": "3"}) == value


async def test_cancelling_ends_an_endless_command() -> None:
    """What a hang-up does: the whole pipeline ends."""
    phone = VPhone(PhoneConfig(serialno="VP000001"))
    task = asyncio.create_task(run_command(phone, "yes | cat > /dev/null"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [other for other in asyncio.all_tasks() if other is not asyncio.current_task()] == []


async def test_a_long_word_is_fast_enough() -> None:
    """A 64 KB argument neither splits nor takes long."""
    text = "x'y\"z$ " * 9000
    outcome = await run_command(VPhone(PhoneConfig(serialno="VP000001")), f"printf %s {shlex.quote(text)} | wc -c")
    assert outcome.out == f"{len(text)}\n".encode()
