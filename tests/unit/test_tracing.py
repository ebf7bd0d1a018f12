"""Traces when they are off, and what a span is made of when they are on; the way of a whole request is in
``tests/integration/test_traces.py``."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from phonefarm import tracing
from phonefarm.errors import ConfigError, DeviceLost
from phonefarm.farmfile import read_farm_file
from phonefarm.settings import read_tracing
from tests.otlp import Otlp, otlp_receiver

pytestmark = pytest.mark.timeout(60)

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def otlp() -> Iterator[Otlp]:
    with otlp_receiver() as received:
        tracing.start(received.url, "tests", headers={"x-key": "k"})
        try:
            yield received
        finally:
            tracing.stop()


def test_off_it_imports_nothing_and_makes_nothing() -> None:
    code = (
        "import sys; from phonefarm import tracing\n"
        "with tracing.span('a', root=True, parent='00-1-1-1') as span: span.set(x=1); span.rename('b')\n"
        "assert not tracing.on() and tracing.current() is None\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=50)
    assert tracing.span("a", root=True) is tracing.span("b", root=True), "always the same nothing"


def test_spans_nest_and_errors_leave_no_more_than_their_code(otlp: Otlp) -> None:
    with tracing.span("request", parent=CALLER, root=True) as span:
        span.rename("POST /x")
        here = tracing.current()
        with pytest.raises(DeviceLost), tracing.span("adb.shell", command="input"):
            raise DeviceLost("canary")
    with pytest.raises(KeyError), tracing.span("item.claim", parent=here, item="i", account=None):
        raise KeyError("canary")
    tracing.stop()
    (request,), (adb,), (claim,) = (otlp.named(name) for name in ("POST /x", "adb.shell", "item.claim"))
    assert (request.trace, request.parent) == tuple(CALLER.split("-")[1:3])
    assert {adb.parent, claim.parent} == {request.id}
    assert {adb.trace, claim.trace} == {request.trace}
    assert (adb.code, claim.code, request.code) == (DeviceLost.code, "KeyError", "")
    assert (adb.attributes, claim.attributes) == ({"phonefarm.command": "input"}, {"phonefarm.item": "i"})
    assert not [body for body in otlp.bodies if b"canary" in body]
    assert otlp.headers[0]["x-key"] == "k"


def test_without_a_parent_only_a_root_is_made(otlp: Otlp) -> None:
    with tracing.span("adb.shell"):
        pass
    with tracing.span("request", parent="nonsense", root=True):
        pass
    tracing.stop()
    (only,) = otlp.spans()
    assert (only.name, only.parent) == ("request", "")


def test_a_caller_that_does_not_sample_is_obeyed(otlp: Otlp) -> None:
    with tracing.span("request", parent=CALLER[:-1] + "0", root=True), tracing.span("inner"):
        assert (tracing.current() or "").endswith("-00")
    tracing.stop()
    assert otlp.spans() == []


def test_where_traces_go_is_read_from_the_file_or_the_environment(tmp_path: Path) -> None:
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://e:4318", "OTEL_EXPORTER_OTLP_HEADERS": "a=b%20c, d=e"}
    assert read_tracing(None, {}) is None
    found = read_tracing(None, environ)
    assert found is not None
    assert (found.endpoint, found.headers) == ("http://e:4318", {"a": "b c", "d": "e"})
    assert "b c" not in repr(found), "headers may hold a key"
    mine = read_tracing("http://f:4318", environ)
    assert mine is not None
    assert mine.endpoint == "http://f:4318"
    with pytest.raises(ConfigError, match="http://"):
        read_tracing("f:4318", {})
    file = tmp_path / "farm.yaml"
    file.write_text("tracing: {endpoint: 'http://f:4318'}\nlog_level: debug\n")
    read = read_farm_file(file)
    assert (read["tracing"].endpoint, read["log_level"]) == ("http://f:4318", "debug")
    for wrong, named in (
        ("tracing: {url: x}", "tracing.url"),
        ("log_level: loud", "log_level"),
        ("tracing: 1", "tracing"),
    ):
        file.write_text(wrong)
        with pytest.raises(ConfigError, match=named):
            read_farm_file(file)
