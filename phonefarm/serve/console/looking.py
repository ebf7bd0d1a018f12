"""What the pages that look at phones share, one a running app: the watcher, the small pictures, the tiles."""

from __future__ import annotations

from dataclasses import dataclass, field

from fastapi import FastAPI, Request

from phonefarm.serve.console.session import Sessions
from phonefarm.serve.console.shots import Shots
from phonefarm.serve.console.tiles import Tiles
from phonefarm.serve.console.watch import Watch
from phonefarm.serve.desk import Desk


@dataclass(frozen=True, kw_only=True, slots=True)
class Looking:
    """``sessions`` says whether who looks is signed in yet."""

    watch: Watch
    shots: Shots
    sessions: Sessions
    tiles: Tiles = field(default_factory=Tiles)


def install(app: FastAPI) -> None:
    """Make it for an app that has its desk and its sessions."""
    desk: Desk = app.state.desk
    app.state.looking = Looking(watch=Watch(desk.farm), shots=Shots(desk.screens), sessions=app.state.sessions)


def looking_of(request: Request) -> Looking:
    found: Looking = request.app.state.looking
    return found
