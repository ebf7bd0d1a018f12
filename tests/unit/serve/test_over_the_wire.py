"""The app under a real server: what only sockets can show."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator

import httpx
import pytest
import uvicorn

from tests.contract.bad_requests import ENQUEUE, KEY, valid_keyword_request
from tests.unit.serve.fake_farm import FakeFarm
from tests.unit.serve.http import build

pytestmark = pytest.mark.timeout(60)


class _Server(uvicorn.Server):
    """Says when it serves."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.serving = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.serving.set()


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = _Server(uvicorn.Config(build(FakeFarm()), log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    assert server.serving.wait(20)
    yield listener.getsockname()
    server.should_exit = True
    thread.join(20)
    listener.close()


@pytest.fixture
def client(address: tuple[str, int]) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    with httpx.Client(base_url=f"http://{address[0]}:{address[1]}", headers=headers, trust_env=False) as connected:
        yield connected


def _alive(client: httpx.Client, request_id: str) -> bool:
    return client.post(ENQUEUE, json=valid_keyword_request(request_id=request_id)).status_code == 202


def _head(*lines: str) -> bytes:
    head = (f"POST {ENQUEUE} HTTP/1.1", "Host: x", f"Authorization: Bearer {KEY}", "Content-Type: application/json")
    return "\r\n".join((*head, *lines, "", "")).encode()


@pytest.mark.fault(1)
def test_fifty_at_once_with_one_key_make_one_process(client: httpx.Client) -> None:
    body = valid_keyword_request(request_id="raced")
    answers: list[httpx.Response] = []
    threads = [threading.Thread(target=lambda: answers.append(client.post(ENQUEUE, json=body))) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers) == [200] * 49 + [202]
    assert len({answer.json()["process_id"] for answer in answers}) == 1


@pytest.mark.fault(38)
def test_a_declared_length_is_refused_unread(client: httpx.Client, address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(_head("Content-Length: 200000000"))
        assert connection.recv(65_536).startswith(b"HTTP/1.1 413 ")
    assert _alive(client, "after-length")


@pytest.mark.fault(38)
def test_endless_chunks_are_cut_off(client: httpx.Client, address: tuple[str, int]) -> None:
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(_head("Transfer-Encoding: chunked"))
        for _ in range(5):
            connection.sendall(chunk)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 413 ")
    assert _alive(client, "after-chunks")


@pytest.mark.fault(3)
def test_a_caller_that_hangs_up_in_its_body(client: httpx.Client, address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(_head("Content-Length: 100") + b'{"request_id":')
    assert _alive(client, "after-hang-up")


@pytest.mark.fault(3)
def test_a_caller_that_hangs_up_waiting_for_the_answer(client: httpx.Client, address: tuple[str, int]) -> None:
    body = json.dumps(valid_keyword_request(request_id="left")).encode()
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(_head(f"Content-Length: {len(body)}") + body)
    assert client.post(ENQUEUE, json=valid_keyword_request(request_id="left")).status_code in (200, 202)
    assert _alive(client, "after-leaving")
