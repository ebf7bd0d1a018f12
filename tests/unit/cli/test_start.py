"""What a user meets first: how quick the program is."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.timeout(120)

#: Libraries that take long to import and that ``--help`` has no use for.
HEAVY = ("httpx", "jsonschema", "adbutils", "pydantic", "yaml", "asyncio", "ray", "sqlalchemy", "fastapi")


def test_help_loads_no_heavy_library() -> None:
    code = f"import sys, phonefarm.cli; print(*[name for name in {HEAVY} if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=110)
    assert told.stdout.split() == []
