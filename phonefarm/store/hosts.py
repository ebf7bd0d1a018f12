"""How hosts are, and what they did for phones that did not answer."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from phonefarm.core import metrics
from phonefarm.models.clock import rfc3339
from phonefarm.models.phone import HostReport, RungReport
from phonefarm.store.tables import hosts, phone_rungs
from phonefarm.store.upserting import upsert
from phonefarm.store.writer import Tx, maps


def report_host(tx: Tx, report: HostReport) -> None:
    """Take over what a host says of itself."""
    values = {
        "name": report.name,
        "adb_port": report.adb_port,
        "why": report.why,
        "strangers": list(report.strangers),
        "last_seen": tx.now,
    }
    upsert(tx, hosts, values, ("adb_port", "why", "strangers", "last_seen"))


def count_rung(tx: Tx, report: RungReport) -> None:
    """One more try of a rung."""
    here = sa.and_(phone_rungs.c.phone_id == report.phone_id, phone_rungs.c.rung == report.rung.value)
    helped = int(report.helped)
    tx.tally.add(metrics.LADDER, report.phone_id, report.rung.value, "helped" if helped else "failed")
    more = {"tries": phone_rungs.c.tries + 1, "helped": phone_rungs.c.helped + helped, "last_at": tx.now}
    if tx.rows(sa.update(phone_rungs).where(here).values(**more)).rowcount == 0:
        first = {"phone_id": report.phone_id, "rung": report.rung.value, "tries": 1, "helped": helped}
        tx.rows(sa.insert(phone_rungs).values(**first, last_at=tx.now))


def rungs(connection: Connection, phone_id: str | None = None) -> dict[str, dict[str, dict[str, Any]]]:
    """What was tried: by phone, then by rung."""
    query = sa.select(phone_rungs).order_by(phone_rungs.c.last_at)
    if phone_id is not None:
        query = query.where(phone_rungs.c.phone_id == phone_id)
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for row in maps(connection, query):
        tried = {"tries": row["tries"], "helped": row["helped"], "last_at": rfc3339(row["last_at"])}
        found.setdefault(row["phone_id"], {})[row["rung"]] = tried
    return found


def host_list(connection: Connection) -> list[dict[str, Any]]:
    """``GET /hosts``."""
    return [
        {
            "host": row["name"],
            "adb_port": row["adb_port"],
            "state": "trouble" if row["why"] else "ok",
            "why": row["why"],
            "other_adb_servers": row["strangers"],
            "last_seen": rfc3339(row["last_seen"]),
        }
        for row in maps(connection, sa.select(hosts).order_by(hosts.c.name))
    ]
