"""A small HTTP client of a farm, for the commands and the demo. What the farm refuses is raised as ``Refused``."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar

import httpx

from phonefarm.cli.statedir import READY, StateDir
from phonefarm.errors import ConfigError, PhoneFarmError


class Refused(PhoneFarmError):
    """The farm's answer was a problem document (RFC 9457); ``problem`` holds it."""

    code = "refused"
    next_step = "mend the request as the problem says, and send it again"

    def __init__(self, problem: dict[str, Any]) -> None:
        super().__init__(_told(problem))
        self.problem = problem


class Unreachable(PhoneFarmError):
    """Nothing answers at the farm's URL."""

    code: ClassVar[str] = "unreachable"
    next_step = "start a farm with: phonefarm up; or give the URL of a running one with --url"


#: Pause before a farm that is away is asked again, in seconds.
_AWAY_SECONDS = 0.5


def _told(problem: dict[str, Any]) -> str:
    head = f"{problem.get('status', '')} {problem.get('title', 'refused')} ({problem.get('code', 'no code')})".strip()
    detail = problem.get("detail")
    lines = [head if detail in (None, problem.get("code")) else f"{head}: {detail}"]
    for fault in problem.get("errors") or []:
        lines.append(
            f"  {'.'.join(str(part) for part in fault.get('loc', ()))}: {fault.get('msg')} [{fault.get('code')}]"
        )
    return "\n".join(lines)


class FarmClient:
    """Use as a context manager. Raises Refused and Unreachable.

    A farm that says that it is away (503) is asked again for ``patience`` seconds: whatever is sent from here may be
    sent twice, a submission by its request_id, a cancel since asking again is harmless.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        timeout: float = 30.0,
        patience: float = 60.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = url.rstrip("/")
        self._patience = patience
        self._sleep = sleep
        headers = {"Authorization": f"Bearer {key}"}
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=timeout, trust_env=False)

    def __enter__(self) -> FarmClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._http.close()

    def submit(self, body: Any) -> dict[str, Any]:
        return self._json("POST", "/capability-requests/enqueue", body)

    def process(self, process_id: str) -> dict[str, Any]:
        return self._json("GET", f"/processes/{_segment(process_id)}")

    def processes(self, **filters: str | int | None) -> dict[str, Any]:
        return self._json("GET", "/processes", params={name: value for name, value in filters.items() if value})

    def cancel(self, process_id: str, body: Any) -> dict[str, Any]:
        return self._json("POST", f"/processes/{_segment(process_id)}/cancel", body)

    def phones(self) -> dict[str, Any]:
        return self._json("GET", "/phones")

    def artifact(self, process_id: str, name: str) -> bytes:
        return self._send("GET", f"/processes/{_segment(process_id)}/artifacts/{_segment(name)}").content

    def _json(self, method: str, path: str, body: Any = None, params: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = self._send(method, path, body, params)
        try:
            value = answer.json()
        except ValueError:
            raise Unreachable(f"{self.url} does not speak JSON: it is no farm") from None
        if not isinstance(value, dict):
            raise Unreachable(f"{self.url} gave {type(value).__name__} where a farm gives an object")
        return value

    def _send(self, method: str, path: str, body: Any = None, params: dict[str, Any] | None = None) -> httpx.Response:
        waited = 0.0
        while (answer := self._once(method, path, body, params)).status_code == 503 and waited < self._patience:
            self._sleep(_AWAY_SECONDS)
            waited += _AWAY_SECONDS
        if answer.status_code >= 400:
            raise Refused(_problem(answer))
        return answer

    def _once(self, method: str, path: str, body: Any, params: dict[str, Any] | None) -> httpx.Response:
        try:
            return self._http.request(method, path, json=body, params=params)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unreachable(f"no farm answers at {self.url}: {error or type(error).__name__}") from error


def _problem(answer: httpx.Response) -> dict[str, Any]:
    try:
        problem = answer.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        return {"status": answer.status_code, "title": answer.reason_phrase, "code": "no_problem_document"}
    return problem


def _segment(text: str) -> str:
    """One segment of a path: an id with a slash must not become another route."""
    from urllib.parse import quote

    return quote(text, safe="")


def open_client(url: str | None, state_dir: Path, key: str | None) -> FarmClient:
    """A client from the options of a command; farm.json and the key file fill the gaps. Raises ConfigError."""
    state = StateDir(state_dir)
    if url is None:
        farm = state.read()
        if farm.state != READY:
            raise ConfigError(f"no farm runs on {state.path}; give --url or --state-dir, or start one: phonefarm up")
        url = farm.url
    key = key or state.known_api_key()
    if key is None:
        raise ConfigError(f"no key: give --key, set PHONEFARM_API_KEY, or point --state-dir at the farm's {state.path}")
    return FarmClient(url, key)
