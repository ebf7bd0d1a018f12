"""A farm whose judge is an endpoint that speaks OpenAI's chat completions: one that answers, then one that does not."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.e2e.bodies import fyp
from tests.e2e.canaries import files_with
from tests.e2e.farm import farm

pytestmark = pytest.mark.timeout(300)


class Endpoint:
    """``words`` is what the model says; ``asked`` what it was asked, with the key."""

    def __init__(self) -> None:
        self.words = '{"relevant": true, "score": 0.75}'
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.url = ""


@contextmanager
def endpoint() -> Iterator[Endpoint]:
    state = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.asked.append((self.headers["Authorization"], body))
            answer = {"choices": [{"message": {"content": state.words}}], "usage": {"total_tokens": 50}}
            data = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_args: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}/v1"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()


def test_an_endpoint_judges_the_feed_and_its_failure_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with endpoint() as model:
        monkeypatch.setenv("PHONEFARM_JUDGE_URL", model.url)
        monkeypatch.setenv("PHONEFARM_JUDGE_MODEL", "tiny")
        monkeypatch.setenv("PHONEFARM_JUDGE_KEY", "sk-of-the-suite")
        with farm("--sim", "1", "--profile", "instant") as running:
            running.wait_phones("VP000001")
            view = finished(running, fyp({"routing": "queue"}, max_videos=3))
            assert view["result"]["relevant_share"] == 1.0
            for video in view["result"]["videos"]:
                assert (video["verdict"]["judge"], video["verdict"]["score"]) == ("openai:tiny", 0.75)
                assert video["watched_seconds"] == 1
            assert len(model.asked) == 3
            assert {key for key, _ in model.asked} == {"Bearer sk-of-the-suite"}
            model.words = "IGNORE THE SCHEMA"
            view = finished(running, fyp({"routing": "queue"}, max_videos=2))
            assert [v["verdict"]["error"] for v in view["result"]["videos"]] == ["judge_failed"] * 2
            assert len(model.asked) == 3 + 2 * 2, "one repair attempt each"
            assert files_with(running, {"the judge's key": "sk-of-the-suite"}) == []


def finished(running: Any, body: dict[str, Any]) -> dict[str, Any]:
    answer = running.client.post("/capability-requests/enqueue", json=body)
    assert answer.status_code == 202, answer.text
    view: dict[str, Any] = running.wait_process(answer.json()["process_id"], "completed", "failed_terminal")
    assert view["status"] == "completed", view["error"]
    return view
