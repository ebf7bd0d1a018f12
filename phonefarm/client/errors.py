"""What can go wrong for a caller of a farm.

::

    PhoneFarmError
    +-- Refused         the farm answered with a problem document: status, code, detail, errors
    +-- Unreachable     nothing that is a farm answers at the URL
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
        return int(self.problem.get("status") or 0)

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
        return list(self.problem.get("errors") or [])


class Unreachable(PhoneFarmError):
    """Nothing that is a farm answers at the URL."""

    code: ClassVar[str] = "unreachable"
    next_step = "start a farm with: phonefarm up; or give the URL of a running one with --url"


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
    for fault in problem.get("errors") or []:
        place = ".".join(str(part) for part in fault.get("loc", ()))
        lines.append(f"  {place}: {fault.get('msg')} [{fault.get('code')}]")
    return "\n".join(lines)
