"""The client that waits: every operation of ``calls``, sent one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, TypeVar

import httpx

from phonefarm.client import calls, wire
from phonefarm.client.calls import Call, Json
from phonefarm.client.errors import Unreachable, WaitTimeout
from phonefarm.client.values import Accepted, Event, Page, Process
from phonefarm.client.values import process as process_of

T = TypeVar("T")
#: Seconds that one long poll lasts.
POLL_SECONDS = 30.0


class Farm:
    """A farm at ``url``, spoken to with ``key``. Use as a context manager. Raises Refused and Unreachable.

    A farm that says that it is away (503) or too busy (429) is asked again for ``patience`` seconds, as is one whose
    connection breaks, if the call may be repeated; one that refuses connections is told at once. ``timeout``: seconds
    of one call, which count as patience. ``sleep`` takes seconds.
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
        self._timeout = timeout
        self._patience = patience
        self._sleep = sleep
        headers = wire.authorization(key)
        try:
            self._http = httpx.Client(base_url=self.url, headers=headers, trust_env=False)
        except httpx.InvalidURL as error:
            raise wire.unreachable(self.url, error) from error

    def __enter__(self) -> Farm:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def submit(self, body: Json) -> Accepted:
        """Send a request of ``POST /capability-requests/enqueue``. Safe to repeat by its ``request_id``."""
        return self._do(calls.submit(body))

    def submit_maintenance(self, body: Json) -> Accepted:
        """Send a request of ``POST /maintenance/requests``. Safe to repeat."""
        return self._do(calls.submit_maintenance(body))

    def replay(self, process_id: str, *, request_id: str, requested_by: Json) -> Accepted:
        """Run again what did not finish of a failed process. Safe to repeat."""
        return self._do(calls.replay(process_id, request_id=request_id, requested_by=requested_by))

    def poll(self, process_id: str, *, etag: str | None = None, wait: float | None = None) -> Process | None:
        """The process, None if it is as ``etag`` says; ``wait``: seconds (0 to 60) for another status."""
        return self._do(calls.get(process_id, etag=etag, wait=wait))

    def processes_page(self, **filters: object) -> Page:
        """One page of processes, newest first; filters as in ``GET /processes``."""
        return self._do(calls.processes(**filters))

    def cancel(
        self,
        process_id: str,
        *,
        reason: str,
        requested_by: Json,
        strategy: str = "soft_then_force",
        force_after_seconds: float = 10.0,
    ) -> dict[str, Any]:
        """Cancel a process. Asking again is harmless."""
        return self._do(
            calls.cancel(
                process_id,
                reason=reason,
                requested_by=requested_by,
                strategy=strategy,
                force_after_seconds=force_after_seconds,
            )
        )

    def artifact(self, process_id: str, name: str) -> bytes:
        """A screenshot or diagnostics."""
        return self._do(calls.artifact(process_id, name))

    def hosts(self) -> list[dict[str, Any]]:
        """All hosts and how their adb servers are."""
        return self._do(calls.hosts())

    def phones(self) -> list[dict[str, Any]]:
        """All phones."""
        return self._do(calls.phones())

    def phone(self, phone_id: str) -> dict[str, Any]:
        """One phone."""
        return self._do(calls.phone(phone_id))

    def operate(self, phone_id: str, operation: str, reason: str) -> dict[str, Any]:
        """pause, resume, drain, quarantine, release or retire a phone; the phone as it then is."""
        return self._do(calls.operate(phone_id, operation, reason))

    def operate_host(self, host: str, operation: str, reason: str) -> list[dict[str, Any]]:
        """drain or resume the phones of a host."""
        return self._do(calls.operate_many("hosts", host, operation, reason))

    def operate_group(self, group: str, operation: str, reason: str) -> list[dict[str, Any]]:
        """drain or resume the phones of a group."""
        return self._do(calls.operate_many("groups", group, operation, reason))

    def screen(self, phone_id: str, *, width: int | None = None, media_type: str = "image/png") -> bytes:
        """A phone's screen now."""
        return self._do(calls.screen(phone_id, width=width, media_type=media_type))

    def accounts(self) -> list[dict[str, Any]]:
        """All accounts."""
        return self._do(calls.accounts())

    def account(self, account_id: str) -> dict[str, Any]:
        """One account."""
        return self._do(calls.account(account_id))

    def put_account(self, account_id: str, body: Json) -> dict[str, Any]:
        """Create or replace an account."""
        return self._do(calls.put_account(account_id, body))

    def patch_account(self, account_id: str, body: Json) -> dict[str, Any]:
        """Change parts of an account."""
        return self._do(calls.patch_account(account_id, body))

    def callbacks(self, **filters: object) -> Page:
        """One page of callbacks, newest first; ``state``, ``limit``, ``cursor``."""
        return self._do(calls.callbacks(**filters))

    def redeliver(self, event_id: str) -> dict[str, Any]:
        """Send a callback again."""
        return self._do(calls.redeliver(event_id))

    def queue(self, **filters: object) -> Page:
        """One page of what waits, in claim order, with reasons."""
        return self._do(calls.queue(**filters))

    def capabilities(self) -> list[dict[str, Any]]:
        """What can be asked for."""
        return self._do(calls.capabilities())

    def ready(self) -> dict[str, Any]:
        """Whether the farm can take work. Raises Refused (503) if not."""
        return self._do(calls.ready())

    def keys(self) -> list[dict[str, Any]]:
        """All API keys, without secrets."""
        return self._do(calls.keys())

    def create_key(self, name: str, scopes: list[str], system: str | None = None) -> dict[str, Any]:
        """Make a key; the secret is in this answer only."""
        return self._do(calls.create_key(name, scopes, system))

    def revoke_key(self, name: str) -> dict[str, Any]:
        """End a key."""
        return self._do(calls.revoke_key(name))

    # -- more than one call --

    def get(self, process_id: str) -> Process:
        """The process as it stands."""
        found = self.poll(process_id)
        assert found is not None, "without an ETag there is always an answer"
        return found

    def wait(self, process_id: str, timeout: float | None = None) -> Process:
        """The process once it has ended. Raises WaitTimeout after ``timeout`` seconds; a farm that is away by then is
        told as what it is (Refused 503, Unreachable)."""
        return self.follow(process_id, lambda _process: None, timeout)

    def follow(
        self, process_id: str, seen: Callable[[Process], None], timeout: float | None = None, poll: float = POLL_SECONDS
    ) -> Process:
        """As ``wait``; ``seen`` is called with every change that a poll shows, at the latest every ``poll`` seconds."""
        ends = None if timeout is None else time.monotonic() + timeout
        first = self._do(calls.get(process_id), timeout)
        assert first is not None, "without an ETag there is always an answer"
        last = first
        seen(last)
        while not last.ended:
            left = poll if ends is None else min(poll, ends - time.monotonic())
            if left <= 0:
                raise WaitTimeout(f"process {process_id} is still {last.status}")
            within = None if ends is None else max(0.0, ends - time.monotonic())
            found = self._do(calls.get(process_id, etag=last.etag, wait=round(left, 1)), within)
            if found is not None:
                last, before = found, last
                if last.raw != before.raw:
                    seen(last)
        return last

    def processes(self, **filters: object) -> Iterator[Process]:
        """Every process that the filters let through, newest first, page by page."""
        page = self.processes_page(**filters)
        while True:
            yield from (process_of(body) for body in page.items)
            if page.next_cursor is None:
                return
            page = self.processes_page(**{**filters, "cursor": page.next_cursor})

    def events(self, process_id: str, after: int = 0) -> Iterator[Event]:
        """The history, live until the process has ended; a lost connection is taken up again where it broke."""
        frames, path_and_headers = wire.Frames(last=after), calls.event_stream
        waited = 0.0
        while True:
            path, headers = path_and_headers(process_id, frames.last)
            before, pause = frames.last, wire.PAUSE_SECONDS
            lines = wire.Lines()
            try:
                with self._http.stream("GET", path, headers=headers, timeout=self._timeout + POLL_SECONDS) as response:
                    if response.status_code == 204:
                        return
                    if response.status_code >= 400:
                        response.read()
                    if wire.away(response):
                        pause = wire.pause_of(response)
                    else:
                        wire.check(response)
                        for data in response.iter_bytes():
                            yield from frames.feed_all(lines.feed(data))
            except httpx.HTTPError as error:
                if waited >= self._patience:
                    raise wire.unreachable(self.url, error) from error
            frames.broken_off()
            if frames.last > before:
                waited = 0.0
                continue
            if waited >= self._patience:
                raise Unreachable(f"{self.url} does not stream the events of {process_id}")
            self._sleep(pause)
            waited += pause

    # -- sending --

    def _do(self, call: Call[T], within: float | None = None) -> T:
        """``within``: seconds of patience, if less than usual."""
        patience = self._patience if within is None else min(self._patience, within)
        waited = 0.0
        while True:
            pause, began = wire.PAUSE_SECONDS, time.monotonic()
            try:
                response = self._http.request(call.method, call.path, **wire.request_options(call, self._timeout))
            except httpx.HTTPError as error:
                waited += time.monotonic() - began
                if not call.repeatable or waited >= _reconnect_patience(error, patience):
                    raise wire.unreachable(self.url, error) from error
            else:
                if not call.repeatable or not wire.away(response) or waited >= patience:
                    value: T = wire.parsed(call, wire.answer_of(response, self.url), self.url)
                    return value
                pause = wire.pause_of(response)
            self._sleep(pause)
            waited += pause


def _reconnect_patience(error: Exception, patience: float) -> float:
    """Nobody there at all is said at once; a connection that broke is tried again for a while."""
    return 0.0 if isinstance(error, httpx.ConnectError) else patience
