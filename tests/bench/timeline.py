"""Where the time of (e) and (f) goes, told by the farm's own traces: ``python -m tests.bench.timeline [--page]``.

Two farms of one phone each, profile instant, that send their traces to a receiver here. (e): requests for one
``health_check``, one at a time; between the client's send and the first adb command lie the spans of the request, its
commit with the grant, the handing over, the attempt. (f): one session of 203 actions; in each action lie the spans of
its adb commands, and what is between is the farm's. A farm that traces is slower than one that does not, so these are
shares and no figures.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager

from tests.bench.__main__ import PAGE, say
from tests.bench.farms import Running, Wish, running
from tests.bench.figures.dispatch import Ours
from tests.bench.figures.session import Phone
from tests.bench.lab import Lab
from tests.bench.programs import until
from tests.bench.report import number, put_between
from tests.otlp import Otlp, Seen, otlp_receiver

BEGIN, END = "<!-- timeline: begin -->", "<!-- timeline: end -->"
DISPATCHES, VIDEOS = 50, 200
#: What happens between a mark and the one before it.
MARKS = (
    ("the request is in the application", "HAProxy, Serve, uvicorn"),
    ("its transaction begins", "checks, gathering, the call to the manager"),
    ("its transaction is over", "the commit of the request and of its grant"),
    ("the router hands the job over", "the news to the router"),
    ("the attempt begins", "the call to the phone's actor"),
    ("the first action begins", "the session's thread starts; its start is reported beside it"),
    ("the first adb command", "the action's own beginning"),
)


def marks(spans: Sequence[Seen]) -> list[int] | None:
    """When each of ``MARKS`` was, in ns since the epoch; None if a span is missing (yet)."""
    by_name = {span.name: span for span in spans}
    adb = min((span.began for span in spans if span.name.startswith("adb.")), default=None)
    actions = [span.began for span in spans if span.name.startswith("action.")]
    request = next((span for span in spans if span.name.startswith("POST ")), None)
    accept, hand, attempt = (by_name.get(name) for name in ("process.accept", "item.dispatch", "item.attempt"))
    if adb is None or not actions or request is None or accept is None or hand is None or attempt is None:
        return None
    return [request.began, accept.began, accept.ended, hand.began, attempt.began, min(actions), adb]


def segments(sent: int, at: Sequence[int]) -> list[float]:
    """Milliseconds from each mark to the next, from the client's send on."""
    return [(later - earlier) / 1e6 for earlier, later in zip([sent, *at], at, strict=False)]


def dispatch_table(traces: Sequence[tuple[int, Sequence[int]]]) -> str:
    steps = [segments(sent, at) for sent, at in traces]
    medians = [statistics.median(step) for step in zip(*steps, strict=True)]
    lines = ["| until | what happens | ms (median) | share |", "|---|---|---|---|"]
    for (mark, what), took in zip(MARKS, medians, strict=True):
        lines.append(f"| {mark} | {what} | {number(took)} | {took / sum(medians):.0%} |")
    return "\n".join([*lines, f"| | sum, {len(traces)} requests | {number(sum(medians))} | |"]) + "\n"


def session_table(spans: Sequence[Seen]) -> str:
    """The time of each kind of action, and how much of it adb commands took."""
    inside: dict[str, int] = defaultdict(int)
    for span in spans:
        if span.name.startswith("adb."):
            inside[span.parent] += span.ended - span.began
    actions = sorted((span for span in spans if span.name.startswith("action.")), key=lambda span: span.began)
    whole = actions[-1].ended - actions[0].began
    kinds: dict[str, list[Seen]] = defaultdict(list)
    for span in actions:
        kinds[span.name.removeprefix("action.")].append(span)
    lines = ["| action | how many | ms each | of it adb | ours, share of the session |", "|---|---|---|---|---|"]
    for kind, found in kinds.items():
        took = sum(span.ended - span.began for span in found)
        adb = sum(inside[span.id] for span in found)
        each = (took / len(found) / 1e6, adb / len(found) / 1e6)
        lines.append(
            f"| `{kind}` | {len(found)} | {number(each[0])} | {number(each[1])} | {(took - adb) / whole:.0%} |"
        )
    between = whole - sum(span.ended - span.began for span in actions)
    return "\n".join([*lines, f"| between two | {len(actions) - 1} | {number(between / len(actions) / 1e6)} | | "
                      f"{between / whole:.0%} |"]) + "\n"  # fmt: skip


def by_trace(otlp: Otlp) -> Mapping[str, list[Seen]]:
    found: dict[str, list[Seen]] = defaultdict(list)
    for span in otlp.spans():
        found[span.trace].append(span)
    return found


@contextmanager
def traced(lab: Lab, name: str) -> Iterator[tuple[Running, Otlp]]:
    with otlp_receiver() as otlp:
        settings = {"check_seconds": 3600.0, "tracing": {"endpoint": otlp.url}}
        with running(lab, Wish(name=name, phones=1, settings=settings)) as farm:
            farm.farm.wait_phones("VP000001")
            yield farm, otlp


def dispatches(lab: Lab) -> str:
    sent: list[int] = []
    with traced(lab, "timeline-e") as (farm, otlp), closing(Ours(farm)) as ours:
        for _ in range(5 + DISPATCHES):
            sent.append(time.time_ns())
            ours.one()

        def whole() -> Sequence[tuple[int, Sequence[int]]]:
            times = sorted(at for spans in by_trace(otlp).values() if (at := marks(spans)) is not None)
            return list(zip(sent, times, strict=True)) if len(times) == len(sent) else []

        return dispatch_table(until(whole, "the traces of all requests", pause=0.2)[5:])


def session(lab: Lab) -> str:
    with traced(lab, "timeline-f") as (farm, otlp), closing(Phone(farm, VIDEOS)) as phone:
        phone.session(0)

        def whole() -> list[Seen]:
            spans = [span for spans in by_trace(otlp).values() for span in spans]
            return spans if any(span.name == "item.attempt" for span in spans) else []

        return session_table(until(whole, "the trace of the session", pause=0.2))


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", action="store_true", help="put the tables into docs/performance.md")
    options = parser.parse_args(argv)
    with Lab(quick=False, say=say) as lab:
        text = f"(e), by the traces of {DISPATCHES} requests:\n\n{dispatches(lab)}\n"
        text += f"(f), profile instant, by the trace of one session of {VIDEOS} videos:\n\n{session(lab)}"
    sys.stdout.write(text)
    if options.page:
        PAGE.write_text(put_between(PAGE.read_text("utf-8"), text, BEGIN, END), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
