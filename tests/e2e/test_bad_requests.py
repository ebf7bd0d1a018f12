"""The whole table of bad requests against a real farm: each its answer, and the database unchanged."""

from __future__ import annotations

import sqlite3
from http.client import HTTPConnection

import httpx
import pytest

from tests.contract.bad_requests import BadRequest, cases
from tests.contract.test_bad_requests import check
from tests.e2e.farm import KEY, Farm, request

pytestmark = pytest.mark.timeout(300)

TABLES = ("processes", "items", "actions", "events", "outbox", "accounts", "account_usage", "artifacts", "api_keys")


def contents(farm: Farm) -> dict[str, list[tuple[object, ...]]]:
    """Every row that a request could have changed."""
    connection = sqlite3.connect(f"file:{farm.state_dir / 'farm.db'}?mode=ro", uri=True)
    try:
        return {table: sorted(connection.execute(f"SELECT * FROM {table}"), key=repr) for table in TABLES}
    finally:
        connection.close()


def send(farm: Farm, case: BadRequest) -> httpx.Response:
    """A case over a plain connection: httpx would refuse to send some of them."""
    url = httpx.URL(farm.file["url"])
    connection = HTTPConnection(url.host, url.port, timeout=30)
    try:
        connection.putrequest(case.method, case.path, skip_accept_encoding=True)
        for name, value in case.headers.items():
            connection.putheader(name, value)
        if case.body or case.method in ("POST", "PUT"):
            connection.putheader("Content-Length", str(len(case.body)))
        connection.endheaders(case.body)
        answer = connection.getresponse()
        return httpx.Response(answer.status, headers=answer.getheaders(), content=answer.read())
    finally:
        connection.close()


@pytest.mark.fault(37, 38)
def test_bad_requests_get_their_answer_and_change_nothing(here: Farm) -> None:
    table = cases(key=KEY, callback_url="http://127.0.0.1:9/nobody")
    assert len(table) >= 250
    before = contents(here)
    wrong = []
    for case in table:
        try:
            check(case, send(here, case))
        except (AssertionError, ValueError) as error:
            wrong.append(f"{case.name}: {error}")
    assert not wrong, "\n".join(wrong)
    assert contents(here) == before


def test_the_request_that_the_table_is_made_from_is_good(here: Farm) -> None:
    assert here.client.post("/capability-requests/enqueue", json=request({"routing": "queue"})).status_code == 202
