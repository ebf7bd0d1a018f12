"""FastAPI, uvicorn and procrastinate (``defer_async`` over PostgreSQL).

python -m tests.bench.peers.procrastinate_app setup     the schema
python -m tests.bench.peers.procrastinate_app worker    runs jobs: each writes when its function was entered
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import procrastinate  # type: ignore[import-not-found, unused-ignore]
from fastapi import FastAPI
from fastapi.responses import JSONResponse

from phonefarm.models.requests import EnqueueBody
from phonefarm.models.requests_inputs import KeywordInputs, MaintenanceInputs

POOL = 16
queue = procrastinate.App(
    connector=procrastinate.PsycopgConnector(conninfo=os.environ["BENCH_DSN"], min_size=POOL, max_size=POOL)
)


async def _entered(body: dict[str, Any]) -> None:
    now = time.monotonic()
    with Path(os.environ["BENCH_ENTERED"]).open("a") as file:
        file.write(f"{body['request_id']} {now}\n")


entered = queue.task(name="entered", queue="bench")(_entered)


@asynccontextmanager
async def _life(_app: FastAPI) -> AsyncIterator[None]:
    async with queue.open_async():
        yield


async def _enqueue(body: EnqueueBody) -> JSONResponse:
    (MaintenanceInputs if body.capability == "maintenance" else KeywordInputs).model_validate(body.inputs)
    job = await entered.defer_async(body=body.model_dump(mode="json"))
    answer = {"status": "accepted", "process_id": str(job), "request_id": body.request_id}
    return JSONResponse({**answer, "process_type": body.capability}, status_code=202)


api = FastAPI(lifespan=_life)
api.add_api_route("/enqueue", _enqueue, methods=["POST"], status_code=202)


async def main(verb: str) -> None:
    async with queue.open_async():
        if verb == "setup":
            await queue.schema_manager.apply_schema_async()
        else:
            await queue.run_worker_async(queues=["bench"], concurrency=1)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
