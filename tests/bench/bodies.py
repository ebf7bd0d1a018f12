"""The request that everybody is sent: a session of the kind that callers send most."""

from __future__ import annotations

import json
from typing import Any

from tests.bench.load import KEY

#: Where the no-op application hangs on a farm's Serve.
NOOP_PATH = "/bench-noop"


def enqueue(
    request_id: str = KEY, *, callback: str = "https://callbacks.example.com/phonefarm", **changes: Any
) -> dict[str, Any]:
    return {
        "request_id": request_id,
        "capability": "keyword_warmup",
        "mode": "manual",
        "target": {"routing": "queue"},
        "inputs": {
            "keywords": ["sourdough", "rye bread", "starter"],
            "videos_per_keyword": 5,
            "watch_seconds": {"min": 4, "max": 12},
        },
        "callback": {"url": callback, "metadata": {"order": 4711}},
        "requested_by": {"system": "bench", "user": "somebody", "metadata": {"team": "research"}},
        **changes,
    }


ENQUEUE = json.dumps(enqueue())
