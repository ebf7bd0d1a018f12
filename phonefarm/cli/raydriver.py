"""A program of its own that speaks to Ray for the supervisor, then ends.

One order (``order_up``, ``order_down``) comes on standard input, from the supervisor that started it; the answer is
the exit code, and the reason for a failure is the last line on standard error. ``up`` starts the actors and the HTTP
deployment; both are detached, so they stay when this program ends. ``down`` takes them away again from a Ray cluster
that is not ours.
"""

from __future__ import annotations

import contextlib
import logging
import pickle
import sys
import time
from collections.abc import Sequence

from phonefarm.errors import PhoneFarmError
from phonefarm.settings import NAMESPACE, Settings

_CONNECT_SECONDS = 30.0
_DEPLOY_ATTEMPTS = 3


def order_up(address: str, settings: Settings) -> bytes:
    """What to send so that a farm is started on the Ray cluster at ``address``."""
    return pickle.dumps(("up", address, settings))


def order_down(address: str, hosts: Sequence[str]) -> bytes:
    """What to send so that a farm with these hosts leaves the Ray cluster at ``address``."""
    return pickle.dumps(("down", address, tuple(hosts)))


def command() -> list[str]:
    return [sys.executable, "-c", "import sys; from phonefarm.cli.raydriver import main; sys.exit(main())"]


def main() -> int:
    import ray  # while Ray itself is still starting

    verb, address, what = pickle.load(sys.stdin.buffer)
    try:
        _connect(address)
        (_up if verb == "up" else _down)(what)
    except Exception as error:
        logging.getLogger(__name__).exception("%s failed", verb)
        message = error.message if isinstance(error, PhoneFarmError) else f"{type(error).__name__}: {error}"
        sys.stderr.write("\n" + " ".join(message.split())[:500] + "\n")
        return 1
    ray.shutdown()
    return 0


def _connect(address: str) -> None:
    import ray

    until = time.monotonic() + _CONNECT_SECONDS
    while True:
        try:
            ray.init(address=address, namespace=NAMESPACE, log_to_driver=False, logging_level=logging.WARNING)
            return
        except (ConnectionError, RuntimeError):
            if time.monotonic() > until:
                raise
            time.sleep(0.3)


def _up(settings: Settings) -> None:
    from ray.exceptions import RayError

    from phonefarm.actors.spawn import spawn_farm
    from phonefarm.serve import deployment

    spawn_farm(settings)
    for attempt in range(1, _DEPLOY_ATTEMPTS + 1):
        try:
            return deployment.run(settings)
        except (RayError, TimeoutError):  # an ingress that was slow and was replaced; Serve goes on where it was
            if attempt == _DEPLOY_ATTEMPTS:
                raise
            logging.getLogger(__name__).exception("deployment failed, attempt %d", attempt)


def _down(hosts: Sequence[str]) -> None:
    import asyncio

    import ray

    from phonefarm.actors import gateway

    for host in hosts:
        with contextlib.suppress(PhoneFarmError, TimeoutError):
            asyncio.run(_let_go(gateway.host_name(host)))
    for entry in ray.util.list_named_actors(all_namespaces=True):
        if entry["namespace"] == NAMESPACE:
            with contextlib.suppress(ValueError):
                ray.kill(ray.get_actor(entry["name"], NAMESPACE))

    _leave_serve()


def _leave_serve() -> None:
    """Take our application off Serve; Serve itself, with the HTTP port it holds, only if nobody else uses it."""
    from ray import serve

    from phonefarm.serve.deployment import APP

    if set(serve.status().applications) <= {APP}:
        serve.shutdown()  # type: ignore[no-untyped-call]
    else:
        serve.delete(APP, _blocking=False)


async def _let_go(host: str) -> None:
    import asyncio

    from phonefarm.actors import gateway

    async with asyncio.timeout(6.0):
        await gateway.RemoteActor(host).shutdown()
