"""What the tracker reads from one list of the adb server."""

from __future__ import annotations

import pytest

from phonefarm.devices.tracker import DUPLICATE, _states


@pytest.mark.parametrize(
    ("block", "states"),
    [
        ("", {}),
        ("A\tdevice\n", {"A": "device"}),
        ("A\tdevice\nB\toffline\n", {"A": "device", "B": "offline"}),
        ("A\tdevice\nA\tdevice\nB\tdevice\n", {"A": DUPLICATE, "B": "device"}),
        ("A\tunauthorized\nA\tdevice\n", {"A": DUPLICATE}),
        ("no tab here\n", {}),
    ],
)
def test_serials_and_their_states(block: str, states: dict[str, str]) -> None:
    assert _states(block) == states
