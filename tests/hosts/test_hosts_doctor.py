"""``phonefarm doctor`` on the head of several hosts looks at each of them, on the machine itself."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from tests.hosts.cluster import Cluster
from tests.hosts.spaces import why_not

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(why_not() is not None, reason=f"several machines in one: {why_not()}"),
]


def asked(here: Cluster) -> dict[str, Any]:
    words = [sys.executable, "-m", "phonefarm.cli", "doctor", "--json", "--state-dir", str(here.mount / "state")]
    told = here.head.run(words, env=here.environment, timeout=120).stdout
    seen: dict[str, Any] = json.loads(told)
    return seen


def test_every_host_is_looked_at_where_it_is(here: Cluster) -> None:
    """h2's adb key is opened on h2's own disk: only who looks there can see it."""
    key = here.machines["h2"].disk / "state/adb/h2/home/.android/adbkey"
    key.chmod(0o644)
    try:
        seen = asked(here)
    finally:
        key.chmod(0o600)
    assert seen["machines"] == ["", "h1", "h2"]
    found = {(one["host"], one["code"]) for one in seen["findings"]}
    assert [host for host, code in found if code == "adb_key_open"] == ["h2"]
    assert not {code for _, code in found} & {"host_missing", "versions_differ", "clocks_apart", "ray_without_token"}
