"""What can go wrong for a caller of a farm.

::

    PhoneFarmError
    +-- Refused         the farm answered with a problem document: status, code, detail, errors
    +-- Unreachable     nothing that is a farm answers at the URL
    +-- Unsendable      the key or the body cannot be put into a request; nothing was sent
    +-- WaitTimeout     a process has not ended in the time its caller had
    +-- BadSignature    a callback was not signed with the secret, or too long ago
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from phonefarm.errors import PhoneFarmError


class Refused(PhoneFarmError):
    """The farm's answer was a problem document (RFC 9457); ``problem`` holds it."""

    code: ClassVar[str] = "refused"
    next_step = "mend the request as the problem says, and send it again"

    def __init__(self, problem: Mapping[str, Any]) -> None:
        super().__init__(_told(problem))
        self.problem = dict(problem)

    @property
    def status(self) -> int:
        found = self.problem.get("status")
        return found if isinstance(found, int) else 0

    @property
    def problem_code(self) -> str:
        """The stable code, such as ``unknown_phone``."""
        return str(self.problem.get("code", ""))

    @property
    def detail(self) -> str:
        return str(self.problem.get("detail", ""))

    @property
    def errors(self) -> list[dict[str, Any]]:
        """With 422: every fault of the request, as ``{loc, code, msg}``."""
        return _faults(self.problem)


class Unreachable(PhoneFarmError):
    """Nothing that is a farm answers at the URL."""

    code: ClassVar[str] = "unreachable"
    next_step = "start a farm with: phonefarm up; or give the URL of a running one with --url"


class Unsendable(PhoneFarmError):
    """The key or the body cannot be put into a request, such as NaN in JSON; nothing was sent."""

    code: ClassVar[str] = "unsendable"
    next_step = "mend the key or the body, and send it again"


class WaitTimeout(PhoneFarmError):
    """The process goes on, only its caller's time is over."""

    code: ClassVar[str] = "wait_timeout"
    next_step = "the process goes on: wait longer, or read it later"


class BadSignature(PhoneFarmError):
    """A callback that must not be believed."""

    code: ClassVar[str] = "bad_signature"
    next_step = "do not act on it; check that both sides have the same secret and a clock that is right"


def _told(problem: Mapping[str, Any]) -> str:
    head = f"{problem.get('status', '')} {problem.get('title', 'refused')} ({problem.get('code', 'no code')})".strip()
    detail = problem.get("detail")
    lines = [head if detail in (None, problem.get("code")) else f"{head}: {detail}"]
    for fault in _faults(problem):
        place = ".".join(str(part) for part in fault.get("loc") or ())
        lines.append(f"  {place}: {fault.get('msg')} [{fault.get('code')}]")
    return "\n".join(lines)


def _faults(problem: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The faults of a problem. What stands between us and the farm may answer with JSON of its own shape."""
    found = problem.get("errors")
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
