"""A client that asks for mixed work and writes down what it sent and what it was told.

What it asks is fixed by ``orders``; how far it has come is in its file, so after a crash it first repeats whatever it
has no answer for, with the same keys, and then goes on. An answer that means "try again" (503) or none at all is
followed by the same request, as of any client of the contract.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from phonefarm.actors.ports import FarmPort
from phonefarm.errors import ActorUnavailable, PhoneFarmError, RequestError
from phonefarm.models.clock import new_id
from phonefarm.models.process import (
    Accepted,
    AccountCommand,
    CancelCommand,
    CancelStatus,
    Options,
    ProcessQuery,
    Submission,
    SubmitOutcome,
    Target,
)
from phonefarm.models.states import CancelStrategy, Routing
from tests.chaos.reading import Lines, read_lines
from tests.chaos.records import CANCEL, SUBMIT
from tests.farmtools import AUTHORISED, keyword_inputs, maintenance, submission

PHONES = ("P1", "P2", "P3")
ACCOUNT = "soup"
FINAL = frozenset({"completed", "failed_terminal", "cancelled"})
_PAUSE = 0.03
_FAR = 2**42


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """A submission by the name of its key. ``ends``: the states its process may end in."""

    name: str
    body: Submission
    ends: frozenset[str]


def orders(callback_url: str, began_ms: int) -> list[Order]:
    """What is asked for, the same for the same arguments. ``began_ms``: when the client first began."""

    def order(name: str, body: Submission, *ends: str) -> Order:
        callback = {"url": callback_url, "metadata": {}}
        return Order(name=name, body=replace(body, request_id=name, callback=callback), ends=frozenset(ends))

    def watching(keyword: str, target: Target | None = None, **options: Any) -> Submission:
        inputs = keyword_inputs(keywords=[keyword], videos_per_keyword=1)
        return submission(target, inputs=inputs, options=Options(**options))

    def on(phone_id: str) -> Target:
        return Target(routing=Routing.DIRECT, phone_id=phone_id)

    account = Target(routing=Routing.DIRECT, account_id=ACCOUNT)
    group = Target(routing=Routing.GROUP, phone_ids=("P1", "P2"))
    upkeep = ({"action": "health_check"}, {"action": "edit_profile"}, {"action": "reboot"}, {"action": "screenshot"})
    install = maintenance(
        {"action": "install_app", "params": {"file": "broken.apk"}}, {"action": "screenshot"}, target=on("P3")
    )
    return [
        order("watch", watching("sourdough"), "DONE"),
        order("mend", maintenance(*upkeep, target=on("P1")), "DONE", "DEAD_LETTER"),
        order("group", watching("rye", group), "DONE"),
        order("long", watching("slow", on("P3"), priority=1), "CANCELLED"),
        order("later", watching("bread", not_before=_FAR), "CANCELLED"),
        order("install", install, "DEAD_LETTER"),
        order("flaky", watching("flaky", max_attempts=4), "DONE"),
        order("doomed", watching("doomed", max_attempts=2), "DEAD_LETTER"),
        order("account", watching("soup", account, max_attempts=4), "DONE"),
        order("limit", watching("stew", account, expires_at=began_ms + 600), "DEAD_LETTER", "DONE"),
    ]


class Client:
    """``directory`` keeps its file; ``began_ms`` is what it began with the first time."""

    def __init__(self, farm: FarmPort, directory: Path, orders: Sequence[Order]) -> None:
        self._farm = farm
        self._orders = {order.name: order for order in orders}
        self._lines = Lines(client_file(directory))
        self._answers = _answers(directory)

    async def run(self) -> None:
        """Ask for everything that is not yet answered, in order; returns when all of it is over and told."""
        await self._account()
        names = list(self._orders)
        for batch in (names[:4], *([name] for name in names[4:])):
            await self._submit({name: self._orders[name].body for name in batch})
        await self._submit({"watch again": self._orders["watch"].body, "watch else": self._other_body()})
        await self._cancel("later")
        await self._cancel_running("long")
        await asyncio.gather(*(self._over(name) for name in names))
        await self._all_told()

    # -- requests --

    def _other_body(self) -> Submission:
        first = self._orders["watch"].body
        return replace(first, inputs=keyword_inputs(keywords=["something else"]))

    async def _account(self) -> None:
        command = AccountCommand(
            account_id=ACCOUNT, phone_id="P2", active=True, authorization=AUTHORISED, daily_limits={"sessions": 1}
        )
        await self._insist(lambda: self._farm.put_account(command))

    async def _submit(self, bodies: Mapping[str, Submission]) -> None:
        """One batch. ``bodies``: by the name of the step, so that it is known which have been answered."""
        while todo := {step: body for step, body in bodies.items() if step not in self._answers}:
            sent = {step: replace(body, process_id=new_id()) for step, body in todo.items()}
            lines = {
                step: self._lines.begin(kind=SUBMIT, key=body.key, body=repr(body.canonical()), step=step)
                for step, body in sent.items()
            }
            try:
                outcomes = await self._farm.submit_many(list(sent.values()))
            except ActorUnavailable:
                await asyncio.sleep(_PAUSE)
            except PhoneFarmError:
                for line in lines.values():
                    self._lines.end(line, status=503, process_id=None)
                await asyncio.sleep(_PAUSE)
            else:
                for (step, line), outcome in zip(lines.items(), outcomes, strict=True):
                    self._answered(step, line, *_status(outcome))

    def _answered(self, step: str, line: str, status: int, process_id: str | None) -> None:
        self._lines.end(line, status=status, process_id=process_id)
        if status != 503:
            self._answers[step] = process_id

    async def _cancel(self, name: str) -> None:
        step, process_id = f"cancel {name}", self._process_id(name)
        command = CancelCommand(
            process_id=process_id, reason="no", requested_by={"system": "tests"}, strategy=CancelStrategy.HARD
        )
        key = self._orders[name].body.key
        while step not in self._answers:
            line = self._lines.begin(kind=CANCEL, key=key, body="", step=step, process_id=process_id)
            try:
                answer = await self._farm.cancel(command)
            except PhoneFarmError as error:
                if not isinstance(error, ActorUnavailable):
                    self._lines.end(line, status=503, process_id=process_id)
                await asyncio.sleep(_PAUSE)
            else:
                status = 202 if answer.status is CancelStatus.REQUESTED else 200
                self._answered(step, line, status, process_id)

    async def _cancel_running(self, name: str) -> None:
        while f"cancel {name}" not in self._answers:
            if await self._status(name) in {"executing", *FINAL}:
                await self._cancel(name)
            else:
                await asyncio.sleep(_PAUSE)

    # -- reading --

    def _process_id(self, name: str) -> str:
        return str(self._answers[name])

    async def _status(self, name: str) -> str:
        view = await self._insist(lambda: self._farm.get_process(self._process_id(name)))
        self._lines.begin(kind="read", process_id=view["process_id"], status=view["status"])
        return str(view["status"])

    async def _over(self, name: str) -> None:
        while (status := await self._status(name)) not in FINAL:
            await self._insist(partial(self._wait, name, status))

    async def _wait(self, name: str, known: str) -> None:
        await self._farm.await_status(self._process_id(name), seconds=1.0, known=known)

    async def _all_told(self) -> None:
        """Until no callback is to be delivered."""
        while (await self._insist(lambda: self._farm.list_callbacks(state="pending", limit=1)))["items"]:
            await asyncio.sleep(_PAUSE)

    async def phones_known(self) -> None:
        """Until the farm knows every phone, so that a request for one is not refused."""
        while True:
            known = {phone["phone_id"] for phone in await self._insist(self._farm.list_phones)}
            accepted = await self._insist(lambda: self._farm.list_processes(ProcessQuery(limit=1)))
            if known >= set(PHONES) or accepted["items"]:
                return
            await asyncio.sleep(_PAUSE)

    async def _insist(self, call: Any) -> Any:
        """What is harmless to repeat, until it is answered."""
        while True:
            try:
                return await call()
            except PhoneFarmError as error:
                if isinstance(error, RequestError):
                    raise
                await asyncio.sleep(_PAUSE)


def _status(outcome: SubmitOutcome) -> tuple[int, str | None]:
    if isinstance(outcome, Accepted):
        return (200 if outcome.duplicate else 202), outcome.process_id
    return outcome.status, None


def client_file(directory: Path) -> Path:
    """Where the client writes."""
    return directory / "client.jsonl"


def _answers(directory: Path) -> dict[str, str | None]:
    """Steps that were answered before, with the process each was given."""
    return {
        line["step"]: end["process_id"]
        for line, end in read_lines(client_file(directory))
        if line["kind"] in (SUBMIT, CANCEL) and end is not None and end["status"] != 503
    }
