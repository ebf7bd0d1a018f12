"""FastAPI, uvicorn and Celery on Redis, whose append-only file is synced at every write, so that a 202 is as durable as
the others'. ``apply_async`` blocks for a fraction of a millisecond, so it is called in the event loop: a thread would
cost more."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery  # type: ignore[import-not-found, import-untyped, unused-ignore]
from fastapi import FastAPI
from fastapi.responses import JSONResponse

from phonefarm.models.requests import EnqueueBody
from phonefarm.models.requests_inputs import KeywordInputs

queue = Celery("bench", broker=os.environ["BENCH_DSN"])
queue.conf.task_ignore_result = True


def _run(body: dict[str, Any]) -> None:
    """Nothing runs it here."""


run = queue.task(name="run")(_run)


async def _enqueue(body: EnqueueBody) -> JSONResponse:
    KeywordInputs.model_validate(body.inputs)
    job = run.apply_async(kwargs={"body": body.model_dump(mode="json")}, queue="bench")
    answer = {"status": "accepted", "process_id": job.id, "request_id": body.request_id}
    return JSONResponse({**answer, "process_type": body.capability}, status_code=202)


api = FastAPI()
api.add_api_route("/enqueue", _enqueue, methods=["POST"], status_code=202)
