"""One attempt to deliver one callback.

The name in the URL is resolved and checked (``guard``), and the connection goes to exactly that address: the HTTP
client asks nobody else for one, while the Host header, the TLS server name and the certificate check keep the name. So
a name that changes its answer between check and connect gains nothing. No redirect is followed.

A connection may be one that an earlier attempt to the same endpoint, under the same name at the same address, has left
open (``lanes``); the name is resolved and checked for each attempt nevertheless.

The status line decides; of the body at most 64 KiB are read, undecoded, out of politeness, and never kept. An answer
whose status came in time counts even if its body did not.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from phonefarm.callbacks.guard import (
    Address,
    Endpoint,
    Resolver,
    allowed_networks,
    parse_endpoint,
    resolve_and_check,
    system_resolver,
)
from phonefarm.callbacks.lanes import CONNECT_SECONDS, Lanes
from phonefarm.callbacks.schedule import asked_for, retry_in
from phonefarm.callbacks.signing import callback_headers, standard_key
from phonefarm.errors import Fault
from phonefarm.models.clock import Clock, system_clock
from phonefarm.models.outbox import CallbackState, Delivery, DueCallback

TOTAL_SECONDS = 10.0
ANSWER_BYTES = 64 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What came back: the status and how long the receiver asked to be left alone, in seconds."""

    status: int
    retry_after: float | None = None


class CallbackHttp:
    """Delivers callbacks over HTTP. Use within one event loop; ``aclose`` at the end.

    ``secret`` signs, and ``second`` beside it, None does not; ``allow`` lists CIDRs that are free although not public
    (ConfigError if one is malformed). ``clock`` gives milliseconds since the epoch, ``chance`` 0..1. Times are in
    seconds.
    """

    def __init__(
        self,
        *,
        secret: str | None = None,
        second: str | None = None,
        allow: Sequence[str] = (),
        clock: Clock = system_clock,
        chance: Callable[[], float] = random.random,
        resolver: Resolver = system_resolver,
        tls: ssl.SSLContext | None = None,
        connect_seconds: float = CONNECT_SECONDS,
        total_seconds: float = TOTAL_SECONDS,
    ) -> None:
        for one in filter(None, (secret, second)):
            standard_key(one)
        allowed_networks(allow)
        self._secret, self._second = secret, second
        self._allow = tuple(allow)
        self._clock = clock
        self._chance = chance
        self._resolver = resolver
        self._total_seconds = total_seconds
        self._lanes = Lanes(tls, connect_seconds=connect_seconds)

    async def deliver(self, due: DueCallback) -> Delivery:
        """One attempt, within ``total_seconds``. Failures are values; ``error`` is a name, never the answer."""
        deadline = asyncio.get_running_loop().time() + self._total_seconds
        try:
            async with asyncio.timeout_at(deadline):
                where = await self._checked(due.url)
        except TimeoutError:
            where = "timeout"
        got = where if isinstance(where, str) else await self._attempt(due, *where, deadline)
        return judge_answer(due, got, jitter=self._chance())

    async def aclose(self) -> None:
        await self._lanes.aclose()

    async def _checked(self, url: str) -> tuple[Endpoint, Address] | str:
        """Where the URL leads today; or the name of what is wrong with it."""
        endpoint = parse_endpoint(url)
        if isinstance(endpoint, Fault):
            return endpoint.code
        address = await resolve_and_check(endpoint.host, endpoint.port, self._allow, resolver=self._resolver)
        return address.code if isinstance(address, Fault) else (endpoint, address)

    async def _attempt(self, due: DueCallback, endpoint: Endpoint, address: Address, deadline: float) -> Answer | str:
        """The answer; or the name of what went wrong."""
        async with self._lanes.to(endpoint, address) as lane:
            try:
                async with asyncio.timeout_at(deadline):
                    opened = await lane.post(
                        url_at(due.url, endpoint), data=due.body, headers=self._headers(due), allow_redirects=False
                    )
            except TimeoutError:
                return "timeout"
            except (aiohttp.ClientError, ValueError) as error:
                return _error_name(error)
            return await self._finish(opened, deadline)

    def _headers(self, due: DueCallback) -> dict[str, str]:
        now = self._clock() // 1000
        signed = callback_headers(
            secret=self._secret, second=self._second, event_id=due.event_id, body=due.body, timestamp=now
        )
        return signed | {"Accept-Encoding": "identity"}

    async def _finish(self, answer: aiohttp.ClientResponse, deadline: float) -> Answer:
        """Reads what is polite of the body, until ``deadline`` at the latest, and hangs up if there is more."""
        try:
            async with asyncio.timeout_at(deadline):
                await _read_some(answer)
        except TimeoutError:
            pass  # the status is here, and that is what counts
        finally:
            answer.close()
        asked = parse_retry_after(answer.headers.get("Retry-After"), now=self._clock() / 1000)
        return Answer(status=answer.status, retry_after=asked)


def judge_answer(due: DueCallback, got: Answer | str, *, jitter: float) -> Delivery:
    """What an answer, or the name of what went wrong, means for the callback. Pure; ``jitter`` in 0..1."""
    answer, error = (got, f"http_{got.status}") if isinstance(got, Answer) else (Answer(status=0), got)
    status = answer.status or None
    if status is not None and 200 <= status < 300:
        return Delivery(
            event_id=due.event_id, process_id=due.process_id, state=CallbackState.DELIVERED, attempts=due.attempts,
            http_status=status,
        )  # fmt: skip
    gone = status == 410
    pause = None if gone else retry_in(due.attempts, jitter)
    if status in (429, 503) and answer.retry_after is not None:
        pause = asked_for(due.attempts, answer.retry_after)
    return Delivery(
        event_id=due.event_id,
        process_id=due.process_id,
        state=CallbackState.DEAD if pause is None else CallbackState.PENDING,
        attempts=due.attempts,
        http_status=status,
        error=error,
        retry_in=pause,
        gone=gone,
    )


def parse_retry_after(text: str | None, *, now: float) -> float | None:
    """Seconds from ``now`` (Unix seconds) that a Retry-After header asks for: a number or a date; else None."""
    text = (text or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    try:
        when = parsedate_to_datetime(text)
        if when.tzinfo is None:
            when = when.replace(tzinfo=UTC)
        return max(0.0, (when - datetime.fromtimestamp(now, tz=UTC)).total_seconds())
    except (TypeError, ValueError, IndexError, OverflowError):
        return None


def url_at(url: str, endpoint: Endpoint) -> URL:
    """The URL as it was checked, with path and query as they were written."""
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return URL(f"{endpoint.scheme}://{host_header(endpoint)}{target}", encoded=True)


def host_header(endpoint: Endpoint) -> str:
    """The Host header: the name the caller gave, with the port unless it is the scheme's own."""
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    own = {"http": 80, "https": 443}[endpoint.scheme]
    return host if endpoint.port == own else f"{host}:{endpoint.port}"


async def _read_some(answer: aiohttp.ClientResponse) -> None:
    """At most ANSWER_BYTES of the body, undecoded; a body that is cut, slow or broken does not matter."""
    read = 0
    try:
        while read < ANSWER_BYTES and (chunk := await answer.content.readany()):
            read += len(chunk)
    except (aiohttp.ClientError, OSError):
        return


def _error_name(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientSSLError) or isinstance(error.__cause__, ssl.SSLError):
        return "tls_failed"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "connect_failed"
    return "connection_broken" if isinstance(error, aiohttp.ClientOSError) else "bad_answer"
