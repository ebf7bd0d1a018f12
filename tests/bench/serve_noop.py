"""A second application on a farm's Serve: it reads the body and answers 202 with as many bytes as an acceptance has.

Same ingress, same number of replicas and the same options as the farm's own application, so the difference is what
the farm does. It is deployed for the bench only, into the farm's Ray, from a program of its own with the environment
of the farm's Ray head:

    python -m tests.bench.serve_noop ADDRESS REPLICAS

It also deploys a bare actor that answers nothing (``bench-noop``) and measures calls to it: the price of one actor hop.

    python -m tests.bench.serve_noop ADDRESS hop COUNT     prints milliseconds, one a line
"""

# No postponed annotations: Serve carries these functions to its replicas by value, and FastAPI reads their types there.
import asyncio
import logging
import sys
import time
from typing import Any

import ray
from fastapi import FastAPI, Request, Response
from ray import serve

from tests.bench.bodies import NOOP_PATH

HEAD_LABEL = "pf.role"
ANSWER = (
    b'{"status":"accepted","process_id":"019abcde-0000-7000-8000-000000000000","request_id":"bench-0123456789",'
    + (b'"process_type":"keyword_warmup"}')
)


def app() -> FastAPI:
    made = FastAPI()

    async def post(request: Request) -> Response:
        await request.body()
        return Response(ANSWER, status_code=202, media_type="application/json")

    async def get(name: str) -> Response:
        return Response(ANSWER, media_type="application/json")

    made.add_api_route("/", post, methods=["POST"], response_model=None)
    made.add_api_route("/of/{name}", get, methods=["GET"], response_model=None)
    return made


class Ingress:
    """Only a carrier, as in the farm."""


def deploy(replicas: int) -> None:
    wrapped = serve.ingress(app)(Ingress)
    deployment = serve.deployment(
        name="noop", num_replicas=replicas, max_ongoing_requests=512,
        ray_actor_options={"num_cpus": 0, "label_selector": {HEAD_LABEL: "head"}},
        logging_config={"enable_access_log": False},
    )(wrapped)  # fmt: skip
    serve.run(deployment.bind(), name="bench-noop", route_prefix=NOOP_PATH)


class Bare:
    """An async actor as the farm's are, with nothing in it."""

    async def nothing(self) -> None:
        return None


async def hop(count: int) -> list[float]:
    """Milliseconds of calls to a bare actor, one after the other."""
    actor: Any = ray.remote(Bare).options(num_cpus=0, max_concurrency=1_000, enable_task_events=False).remote()
    took = []
    for number in range(count + 20):
        began = time.perf_counter()
        await actor.nothing.remote()
        if number >= 20:
            took.append(1000 * (time.perf_counter() - began))
    return took


def main(address: str, *what: str) -> None:
    ray.init(address=address, namespace="bench", log_to_driver=False, logging_level=logging.WARNING)
    if what[0] == "hop":
        sys.stdout.write("\n".join(map(str, asyncio.run(hop(int(what[1]))))) + "\n")
    else:
        deploy(int(what[0]))
    ray.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
