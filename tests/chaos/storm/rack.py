"""The phones of a storm: one process that no blow hits, broken by its control port."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Rack:
    """Running phones: their ids with their addresses, and where they write down what they were told."""

    phones: dict[str, str]
    journals: Path
    control_port: int

    def do(self, phone_id: str, action: str, **more: object) -> Any:
        """Throw a switch of a phone. Raises AssertionError with the rack's words."""
        with (
            socket.create_connection(("127.0.0.1", self.control_port), timeout=20) as sock,
            sock.makefile("rw") as line,
        ):
            line.write(json.dumps({"phone": phone_id, "do": action, **more}) + "\n")
            line.flush()
            answer = json.loads(line.readline())
        assert answer["ok"], answer
        return answer.get("result")


@contextmanager
def rack(directory: Path, *, phones: int, seed: int) -> Iterator[Rack]:
    """Phones that listen on free ports, ended by their process."""
    journals = directory / "journals"
    command = [sys.executable, "-m", "phonefarm.cli", "sim", "--phones", str(phones), "--port-base", "0", "--json"]
    command += ["--profile", "instant", "--control-port", "0", "--seed", str(seed), "--first-number", "1"]
    command += ["--journal-dir", str(journals)]
    with (
        (directory / "rack.log").open("wb") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True) as process,
    ):
        try:
            assert process.stdout is not None
            event = json.loads(process.stdout.readline())
            places = {phone["serialno"]: f"127.0.0.1:{phone['port']}" for phone in event["phones"]}
            yield Rack(phones=places, journals=journals, control_port=event["control_port"])
        finally:
            process.terminate()
