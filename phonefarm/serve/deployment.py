"""The FastAPI app as a Ray Serve deployment: stateless replicas in front of the actors.

Replicas hold no truth, so any number may run; two, so that one may die without a gap (design notes on Ray,
section 2.4). They run on the head: one on a host would be lost, and hang,
with that host's cable. Correctness never depends on which ingress Serve uses.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from ray import serve

from phonefarm.actors import gateway
from phonefarm.actors.hosted import keep_what_is_loaded, watch
from phonefarm.actors.raymeter import RayMeter
from phonefarm.actors.spawn import HEAD_LABEL
from phonefarm.devices.profiles import profile_names
from phonefarm.errors import ConfigError
from phonefarm.serve.app import ServeConfig, create_app
from phonefarm.serve.auth import KeyRing
from phonefarm.settings import Settings, read_secrets

APP = "phonefarm"


def serve_config(settings: Settings) -> ServeConfig:
    """What the routes need to know of the farm; every app that has a profile may be asked for."""
    return ServeConfig(
        callbacks_allow=settings.callbacks_allow,
        apps=profile_names(settings.profile_dir),
        default_app=settings.app,
        health=settings.health,
    )


def build(settings: Settings) -> Any:
    """The Serve application of a farm."""

    def ingress() -> FastAPI:
        watch(settings, "serve")
        keys = KeyRing.single(settings.api_key)
        config = serve_config(settings)
        app = create_app(
            gateway.manager(), keys=keys, config=config, phone=gateway.phone, meter=RayMeter(), echo_request_id=False
        )
        keep_what_is_loaded()
        return app

    class Ingress:
        """Only a carrier: every route is the FastAPI app's."""

    wrapped = serve.ingress(ingress)(Ingress)
    deployment = serve.deployment(
        name="http",
        num_replicas=settings.replicas,
        max_ongoing_requests=512,
        ray_actor_options={"num_cpus": 0, "label_selector": {HEAD_LABEL: "head"}},
        graceful_shutdown_timeout_s=5,
        logging_config={"enable_access_log": False},  # /metrics counts requests, and a line for each is never free
    )(wrapped)
    return deployment.bind()


class Arguments(BaseModel, extra="forbid"):
    """What a file for ``serve deploy`` says of the farm (deploy/serve.yaml)."""

    state_dir: Path
    app: str = "feed"
    callbacks_allow: tuple[str, ...] = ()
    replicas: int = 2


def application(args: Arguments) -> Any:
    """The same application from a file, for a farm that runs: only the ingress is built. Raises ConfigError."""
    key = read_secrets().api_key or _kept_key(args.state_dir / "api_key")
    return build(
        Settings(
            state_dir=args.state_dir,
            db_url="",  # no part of the ingress opens the database
            api_key=key,
            app=args.app,
            callbacks_allow=args.callbacks_allow,
            replicas=args.replicas,
        )
    )


def _kept_key(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except OSError as error:
        raise ConfigError(f"no API key: set PHONEFARM_API_KEY, or name the farm's state_dir ({path})") from error


def run(settings: Settings) -> None:
    """Start Serve on the farm's address and deploy the app; returns when it answers."""
    serve.start(http_options={"host": settings.host, "port": settings.port})
    serve.run(build(settings), name=APP, route_prefix="/")
