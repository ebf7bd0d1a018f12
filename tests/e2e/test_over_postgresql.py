"""A second farm, over PostgreSQL: a judge behind an endpoint that answers, then not; a kill of its manager, down
and up, a kill of its supervisor."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.databases import Postgres
from tests.e2e.bodies import fyp
from tests.e2e.canaries import files_with
from tests.e2e.farm import Farm, farm, with_cookie

pytestmark = pytest.mark.timeout(400)
UP = ("--sim", "1", "--profile", "instant")


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


@pytest.fixture(scope="module")
def model() -> Iterator[Endpoint]:
    with endpoint() as made:
        yield made


@pytest.fixture(scope="module")
def judged(model: Endpoint, postgres: Postgres) -> Iterator[Farm]:
    """A farm that asks the model, over PostgreSQL; the tests of it stand in the order in which they need it."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PHONEFARM_JUDGE_URL", model.url)
        environment.setenv("PHONEFARM_JUDGE_MODEL", "tiny")
        environment.setenv("PHONEFARM_JUDGE_KEY", "sk-of-the-suite")
        with farm(*UP, "--db", postgres.new_database(empty=True)) as running:
            running.wait_phones("VP000001")
            yield running


def test_an_endpoint_judges_the_feed_and_its_failure_holds_nothing_up(judged: Farm, model: Endpoint) -> None:
    view = finished(judged, fyp({"routing": "queue"}, max_videos=3))
    assert view["result"]["relevant_share"] == 1.0
    for video in view["result"]["videos"]:
        assert (video["verdict"]["judge"], video["verdict"]["score"]) == ("openai:tiny", 0.75)
        assert video["watched_seconds"] == 1
    assert len(model.asked) == 3
    assert {key for key, _ in model.asked} == {"Bearer sk-of-the-suite"}
    model.words = "IGNORE THE SCHEMA"
    view = finished(judged, fyp({"routing": "queue"}, max_videos=2))
    assert [v["verdict"]["error"] for v in view["result"]["videos"]] == ["judge_failed"] * 2
    assert len(model.asked) == 3 + 2 * 2, "one repair attempt each"
    assert files_with(judged, {"the judge's key": "sk-of-the-suite"}) == []


def test_kill_9_of_the_manager_over_postgresql(judged: Farm) -> None:
    process_id = judged.submit({"routing": "direct", "phone_id": "VP000001"})
    judged.wait_actions(process_id, 2)
    judged.kill_actor("process_manager")
    view = judged.wait_process(process_id, "completed", "failed_terminal")
    assert view["status"] == "completed", view["error"]


@pytest.mark.fault(10)
def test_down_and_up_goes_on_where_it_was_beside_another_farm(here: Farm, judged: Farm) -> None:
    process_id = judged.submit({"routing": "queue"}, videos_per_keyword=8)
    judged.wait_actions(process_id, 3)
    judged.down()
    assert with_cookie(judged.file["cookie"]) == []
    assert here.client.get("/readyz").status_code == 200, "the other farm does not notice"
    judged.up(*UP, "--db", judged.file["db"])
    view = judged.wait_process(process_id, "completed", "failed_terminal")
    assert view["status"] == "completed", view["error"]
    assert [len(k["videos"]) for k in view["result"]["keywords"]] == [8]
    assert here.get("/processes?limit=200")["items"] != judged.get("/processes")["items"]


def test_down_cleans_up_after_a_supervisor_that_was_killed(here: Farm, judged: Farm) -> None:
    os.kill(judged.file["supervisor"]["pid"], signal.SIGKILL)
    judged.down()
    assert with_cookie(judged.file["cookie"]) == []
    assert here.client.get("/readyz").status_code == 200


def finished(running: Any, body: dict[str, Any]) -> dict[str, Any]:
    answer = running.client.post("/capability-requests/enqueue", json=body)
    assert answer.status_code == 202, answer.text
    view: dict[str, Any] = running.wait_process(answer.json()["process_id"], "completed", "failed_terminal")
    assert view["status"] == "completed", view["error"]
    return view
