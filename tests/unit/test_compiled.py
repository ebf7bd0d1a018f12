"""``make setup`` compiles what a farm imports: the farm's own user may not write where it is installed, and then each
of its processes would compile Ray and all else anew."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.timeout(120)
_MISSING = """
import importlib, json, pathlib, sys
importlib.import_module(sys.argv[1])
specs = [module.__spec__ for module in list(sys.modules.values()) if getattr(module, "__spec__", None)]
print(json.dumps(sorted(
    spec.name for spec in specs
    if spec.has_location and str(spec.origin).endswith(".py") and spec.cached and not pathlib.Path(spec.cached).exists()
)))
"""


@pytest.mark.parametrize(
    "module",
    [
        *("ray._private.workers.default_worker", "ray.dashboard.agent", "ray.serve._private.controller"),
        *("phonefarm.actors.hosted.phone", "phonefarm.actors.hosted.manager", "phonefarm.serve.deployment"),
        "phonefarm.cli.__main__",
    ],
)
def test_what_its_processes_import_is_compiled(module: str) -> None:
    done = subprocess.run([sys.executable, "-B", "-c", _MISSING, module], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []
