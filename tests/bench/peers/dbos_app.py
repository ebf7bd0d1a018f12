"""FastAPI, uvicorn and DBOS (``DBOSClient.enqueue_async`` over PostgreSQL; the request's id is the workflow's).

python -m tests.bench.peers.dbos_app setup     the schema, by a launch of DBOS itself
"""

from __future__ import annotations

import functools
import os

from dbos import DBOS, DBOSClient  # type: ignore[import-not-found, unused-ignore]
from fastapi import FastAPI
from fastapi.responses import JSONResponse

from phonefarm.models.requests import EnqueueBody
from phonefarm.models.requests_inputs import KeywordInputs

POOL = 16
URL = os.environ["BENCH_DSN"]


@functools.cache
def client() -> DBOSClient:
    return DBOSClient(system_database_url=URL, system_database_pool_size=POOL)


async def _enqueue(body: EnqueueBody) -> JSONResponse:
    KeywordInputs.model_validate(body.inputs)
    options = {"workflow_name": "run", "queue_name": "bench", "workflow_id": body.request_id}
    handle = await client().enqueue_async(options, body.model_dump(mode="json"))
    answer = {"status": "accepted", "process_id": handle.get_workflow_id(), "request_id": body.request_id}
    return JSONResponse({**answer, "process_type": body.capability}, status_code=202)


api = FastAPI()
api.add_api_route("/enqueue", _enqueue, methods=["POST"], status_code=202)


def main() -> None:
    DBOS(config={"name": "bench", "system_database_url": URL, "run_admin_server": False})
    DBOS.launch()
    DBOS.destroy()


if __name__ == "__main__":
    main()
