"""Ray with nothing of ours: a head, Serve with a no-op application, and actors with nothing in them.

    python -m tests.bench.bare_ray COUNT FILE    writes the actors' process ids into FILE when all answer, then stays

What the farm's own start is held against (figure j).
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.update(
    RAY_USAGE_STATS_ENABLED="0", RAY_AUTH_MODE="token", RAY_ENABLE_UV_RUN_RUNTIME_ENV="0", RAY_worker_niceness="0"
)

import ray
from fastapi import FastAPI
from ray import serve

from tests.bench.programs import free_port


class Bare:
    """As async as the farm's actors are."""

    async def pid(self) -> int:
        return os.getpid()


class Ingress:
    """A carrier of the app."""


def app() -> FastAPI:
    return FastAPI()


def main(count: int, file: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="pf-", dir="/tmp") as directory:
        ray.init(
            num_cpus=os.cpu_count(), object_store_memory=100_000_000, log_to_driver=False, include_dashboard=True,
            logging_level=logging.WARNING, _temp_dir=directory, dashboard_port=free_port(),
        )  # fmt: skip
        made: list[Any] = [ray.remote(Bare).options(num_cpus=0, max_concurrency=1_000).remote() for _ in range(count)]
        serve.start(http_options={"host": "127.0.0.1", "port": free_port()})
        serve.run(
            serve.deployment(name="http", num_replicas=2, ray_actor_options={"num_cpus": 0})(
                serve.ingress(app)(Ingress)
            ).bind()
        )
        pids = ray.get([actor.pid.remote() for actor in made])
        part = file.with_suffix(".part")
        part.write_text(json.dumps(pids))
        part.replace(file)
        signal.sigwait({signal.SIGTERM, signal.SIGINT})
        ray.shutdown()


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    main(int(sys.argv[1]), Path(sys.argv[2]))
