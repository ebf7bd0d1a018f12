"""What a handle of an actor brings into the process that holds it."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from typing import Any

import pytest

from phonefarm.actors import fronts
from phonefarm.actors.ports import SenderPort

pytestmark = pytest.mark.timeout(60)

FRONTS = [front for front in vars(fronts).values() if isinstance(front, type) and front.__bases__ == (fronts.Front,)]
#: What only one of the actors, or the HTTP replicas, or a tool needs.
HEAVY = {"sqlalchemy", "alembic", "psycopg", "aiohttp", "fastapi", "adbutils", "PIL", "xml.etree"}


def test_there_is_one_for_each_actor() -> None:
    assert {front.__name__ for front in FRONTS} == {
        "ProcessManager", "Router", "PhoneActor", "HostActor", "CallbackSender", "JudgeActor"
    }  # fmt: skip


@pytest.mark.parametrize("front", FRONTS, ids=lambda front: front.__name__)
def test_what_it_stands_for_has_all_its_methods(front: type[fronts.Front]) -> None:
    real = getattr(importlib.import_module(front._hosted), front._name)
    names = [name for name, _ in inspect.getmembers(front, inspect.iscoroutinefunction)]
    assert names
    assert all(inspect.iscoroutinefunction(getattr(real, name)) for name in names)


def test_it_loads_nothing_that_only_the_actor_needs() -> None:
    script = "import sys, phonefarm.actors.fronts; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.split())


async def test_a_call_is_handed_on_with_its_arguments_and_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    class Actor:
        def __init__(self, *args: Any) -> None:
            self.args = args

        async def kick(self, *args: Any, **options: Any) -> Any:
            return self.args, args, options

    monkeypatch.setattr("phonefarm.actors.hosted.sender.CallbackSender", Actor)
    made: Any = fronts.CallbackSender("settings")
    assert fronts.methods_of(SenderPort) == ["kick"]
    assert await made.kick(1, two=2) == (("settings",), (1,), {"two": 2})
