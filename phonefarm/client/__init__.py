"""A typed client of a farm: ``Farm`` waits, ``AsyncFarm`` is awaited, ``verify_signature`` checks callbacks.

    from phonefarm.client import Farm

    with Farm("http://127.0.0.1:8000", key) as farm:
        accepted = farm.submit(body)
        process = farm.wait(accepted.process_id)

Read ``calls`` first: every operation is a value there, and both clients only send it. Nothing here imports the farm.
"""

from __future__ import annotations

from phonefarm.client.aio import AsyncFarm
from phonefarm.client.errors import BadSignature, Refused, Unreachable, Unsendable, WaitTimeout
from phonefarm.client.signatures import verify_signature
from phonefarm.client.sync import Farm
from phonefarm.client.values import ENDED, Accepted, Event, Page, Process

__all__ = [
    "ENDED",
    "Accepted",
    "AsyncFarm",
    "BadSignature",
    "Event",
    "Farm",
    "Page",
    "Process",
    "Refused",
    "Unreachable",
    "Unsendable",
    "WaitTimeout",
    "verify_signature",
]
