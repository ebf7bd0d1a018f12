"""The HTTP application: every route, behind the border, in front of a farm.

It holds no truth and needs no Ray: whatever fulfils ``FarmPort`` will do, and any ASGI server can run it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI

from phonefarm.actors.ports import FarmPort
from phonefarm.models.clock import new_id
from phonefarm.serve import openapi, problems
from phonefarm.serve.auth import KeyRing
from phonefarm.serve.border import Border
from phonefarm.serve.desk import Desk, ServeConfig
from phonefarm.serve.endpoint import register
from phonefarm.serve.intake import Intake
from phonefarm.serve.routes import ENDPOINTS

__all__ = ["ServeConfig", "create_app"]

#: Of the contract, not of the program.
API_VERSION = "1.0"


class FarmApp(FastAPI):
    """FastAPI with the OpenAPI document of our endpoints."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = openapi.complete(super().openapi(), ENDPOINTS)
        return self.openapi_schema


def create_app(
    farm: FarmPort, *, keys: KeyRing, config: ServeConfig | None = None, make_id: Callable[[], str] = new_id
) -> FastAPI:
    """The app in front of ``farm``. ``make_id`` proposes process ids."""
    config = config or ServeConfig()
    app = FarmApp(
        title="phonefarm",
        version=API_VERSION,
        summary="Durable work on racks of Android phones",
        openapi_url="/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.desk = Desk(
        farm=farm,
        intake=Intake(farm, limits=config.intake),
        rules=config.rules(),
        max_body=config.max_body,
        make_id=make_id,
    )
    problems.install(app)
    for endpoint in ENDPOINTS:
        register(app, endpoint)
    app.add_middleware(Border, keys=keys)
    return app
