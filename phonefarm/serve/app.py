"""The HTTP application: every route and the console, behind the border, in front of a farm.

It holds no truth and needs no Ray: whatever fulfils ``FarmPort`` will do, and any ASGI server can run it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI

from phonefarm.actors.ports import FarmPort, PhonePort
from phonefarm.core.metrics import NO_METER, Meter
from phonefarm.errors import ActorUnavailable
from phonefarm.models.clock import new_id
from phonefarm.serve import docs, openapi, problems
from phonefarm.serve.auth import KeyRing
from phonefarm.serve.border import Border
from phonefarm.serve.console import routes as console
from phonefarm.serve.console.session import Sessions
from phonefarm.serve.desk import Desk, ServeConfig
from phonefarm.serve.endpoint import register
from phonefarm.serve.intake import Intake
from phonefarm.serve.live_keys import LiveKeys
from phonefarm.serve.reads import Reads
from phonefarm.serve.routes import ENDPOINTS
from phonefarm.serve.screens import Screens
from phonefarm.serve.watch import Watch

__all__ = ["ServeConfig", "create_app"]

#: Of the contract, not of the program.
API_VERSION = "1.0"


def no_farm_document() -> dict[str, Any]:
    """The OpenAPI document, which is the same in front of every farm."""
    app = _bare_app()
    for endpoint in ENDPOINTS:
        register(app, endpoint)
    return app.openapi()


class FarmApp(FastAPI):
    """FastAPI with the OpenAPI document of our endpoints."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = openapi.complete(super().openapi(), ENDPOINTS)
        return self.openapi_schema


def _bare_app() -> FarmApp:
    return FarmApp(
        title="phonefarm",
        version=API_VERSION,
        summary="Durable work on racks of Android phones",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )


def no_phone(phone_id: str) -> PhonePort:
    """For a farm whose phones cannot be spoken to."""
    raise ActorUnavailable(f"no way to phone {phone_id}")


def create_app(
    farm: FarmPort,
    *,
    keys: KeyRing,
    config: ServeConfig | None = None,
    make_id: Callable[[], str] = new_id,
    phone: Callable[[str], PhonePort] = no_phone,
    meter: Meter = NO_METER,
    echo_request_id: bool = True,
) -> FastAPI:
    """The app in front of ``farm``. ``make_id`` proposes process ids, ``phone`` gives the port of a phone by its id;
    ``echo_request_id``: answers carry their request's id, unless the server does that."""
    config = config or ServeConfig()
    app = _bare_app()
    app.state.desk = Desk(
        farm=farm,
        intake=Intake(farm, limits=config.intake),
        reads=Reads(farm),
        rules=config.rules(),
        max_body=config.max_body,
        health=config.health,
        make_id=make_id,
        screens=Screens(phone),
        docs=functools.cache(lambda: docs.page(app.openapi())),
    )
    problems.install(app)
    for endpoint in ENDPOINTS:
        register(app, endpoint)
    live = app.state.keys = LiveKeys(keys, farm)
    sessions = app.state.sessions = Sessions(keys, live)
    console.install(app)
    app.add_middleware(Border, keys=live, sessions=sessions)
    app.add_middleware(Watch, meter=meter, echo=echo_request_id)
    return app
