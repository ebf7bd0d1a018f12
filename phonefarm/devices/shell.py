"""Command lines for a phone's shell, made from argument lists and from nothing else.

Theory of operation
-------------------
``adb shell a b`` joins its arguments and lets the *phone's* ``sh`` read the result, so text from outside must never
reach it unquoted. Here a command is a list of arguments, each quoted by ``shlex.quote``; a plain string is refused with
TypeError, because it could only be raw shell text. Several commands may be joined by ``&&`` or ``;`` into one line, to
save round trips; the joiner is chosen from that list of two, never given as text.

An argument that cannot be sent as it is (NUL, lone surrogates, a line above adb's limit) is refused with ValueError
before anything is sent: it arrives byte-exact or not at all.

``ShellFrames`` takes the shell_v2 stream apart: id u8, length u32 little endian, data; 1 stdout, 2 stderr, 3 exit
(AOSP ``shell_protocol.h``).
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from phonefarm.errors import OutputTruncated, PhoneFarmError

#: How lines are joined: stop at the first failure, or carry on.
Joiner = Literal["&&", ";"]

#: A smart-socket request carries its length in four hex digits; some of it is the name of the service.
MAX_LINE = 65_535 - 32

_STDOUT, _STDERR, _EXIT = 1, 2, 3
_HEADER = 5


class DeviceCancelled(PhoneFarmError):
    """The command was ended by ``cancel()`` from another thread. Stays inside devices and the phone actor."""

    code = "device_cancelled"
    next_step = "none: the command was ended on purpose"


@dataclass(frozen=True, kw_only=True, slots=True)
class ShellResult:
    """What a command left behind. Bytes that are not UTF-8 are shown as U+FFFD; nothing is stripped."""

    rc: int
    stdout: str
    stderr: str

    @property
    def ok(self) -> bool:
        return self.rc == 0

    @property
    def said(self) -> str:
        """Both outputs, for error messages and for tools that use either."""
        return (self.stdout + "\n" + self.stderr).strip()


def quote(argv: Sequence[str]) -> str:
    """One shell line that runs exactly ``argv``.

    Raises TypeError for a plain string or a non-string argument, ValueError for what cannot be sent as it is.
    """
    if isinstance(argv, str | bytes) or not all(isinstance(word, str) for word in argv):
        raise TypeError("a command is a list of str arguments, never raw shell text")
    if not argv:
        raise ValueError("a command needs at least its name")
    return _sendable(" ".join(shlex.quote(word) for word in argv))


def join(lines: Sequence[Sequence[str]], joiner: Joiner = "&&") -> str:
    """Several commands as one line: ``&&`` stops at the first that fails, ``;`` runs them all. Errors as ``quote``."""
    if isinstance(lines, str | bytes):
        raise TypeError("commands are lists of str arguments, never raw shell text")
    if joiner not in ("&&", ";"):
        raise ValueError("lines are joined by && or ;")
    return _sendable(f" {joiner} ".join(quote(line) for line in lines))


def _sendable(line: str) -> str:
    if "\0" in line:
        raise ValueError("NUL cannot be sent to a phone's shell")
    size = len(line.encode())  # lone surrogates raise UnicodeEncodeError, a ValueError
    if size > MAX_LINE:
        raise ValueError(f"a command line of {size} bytes is above adb's limit of {MAX_LINE}; push a file instead")
    return line


class ShellFrames:
    """Takes a shell_v2 stream apart as it comes, however it is cut.

    ``cap``: bytes of stdout and stderr together; above it ``feed`` raises OutputTruncated, before it stores them.
    """

    def __init__(self, cap: int) -> None:
        self.stdout = bytearray()
        self.stderr = bytearray()
        self._cap = cap
        self._rest = bytearray()

    def feed(self, chunk: bytes) -> int | None:
        """The exit code once it has come, else None."""
        self._rest += chunk
        at = 0
        while len(self._rest) - at >= _HEADER:
            size = int.from_bytes(self._rest[at + 1 : at + _HEADER], "little")
            self._check(size)
            end = at + _HEADER + size
            if len(self._rest) < end:
                break
            data = self._rest[at + _HEADER : end]
            if self._rest[at] == _EXIT and data:
                return data[0]
            self._keep(self._rest[at], data)
            at = end
        del self._rest[:at]
        return None

    def _check(self, coming: int) -> None:
        if len(self.stdout) + len(self.stderr) + coming > self._cap:
            raise OutputTruncated(f"the command wrote more than {self._cap} bytes")

    def _keep(self, kind: int, data: bytearray) -> None:
        if kind == _STDOUT:
            self.stdout += data
        elif kind == _STDERR:
            self.stderr += data
