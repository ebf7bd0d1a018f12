"""The table, the JSON and the page's part between the markers. Pure, but for ``draw``."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.bench.stats import Spread
from tests.bench.values import Figure, Plot, Result, Rounds, Verdict, verdicts

HEAD = ("| # | figure | ours | against | theirs | ratio (rounds) | goal | met |", "|---|---|---|---|---|---|---|---|")
#: The reading of a contestant whose processes were asked; its parts are ``cpu_ms manager`` and so on.
CPU = "cpu_ms"
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"


def number(value: float) -> str:
    """Three digits that count, without an exponent."""
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if size >= 100 else f"{value:.3g}"


def row(verdict: Verdict) -> str:
    goal, ratio = verdict.goal, verdict.ratio
    unit = f" {goal.unit}" if goal.unit else ""
    theirs = "" if verdict.theirs is None else number(verdict.theirs.median) + unit
    spread = f"{number(ratio.median)} ({number(ratio.least)} to {number(ratio.most)}; {verdict.rounds})"
    cells = (
        goal.letter, goal.text, number(verdict.ours.median) + unit, verdict.peer or "", theirs, spread, goal.bound,
        "yes" if verdict.met else "**no**",
    )  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def table(results: Sequence[Result]) -> str:
    """The table, and under it what was left out."""
    rows = sorted((verdict.goal.letter, place, row(verdict)) for place, verdict in enumerate(_verdicts(results)))
    lines = [*HEAD, *(text for _, _, text in rows)]
    said = [f"- {result.letters}: {text}" for result in results for text in result.trouble]
    if len({result.when for result in results}) > 1:
        said.append("- Begun (UTC): " + "; ".join(f"{result.title} {result.when}" for result in results))
    return "\n".join(lines + (["", *said] if said else [])) + "\n"


def parts(results: Sequence[Result]) -> str:
    """Where the processor's time goes: of each contestant that was asked, a request's, by what the processes are."""
    asked = {
        name: {key: statistics.median(one[key] for one in rounds if key in one) for key in rounds[0] if CPU in key}
        for result in results
        for name, rounds in result.readings.items()
        if rounds and CPU in rounds[0]
    }
    if not asked:
        return ""
    names = sorted({key for of in asked.values() for key in of if key != CPU}, key=lambda key: _largest(key, asked))
    lines = [
        "Processor time a request, in ms, of everything that takes part (medians; a machine's cores share it):",
        "",
        "| | all | " + " | ".join(name.removeprefix(f"{CPU} ") for name in names) + " |",
        "|---|" + "---|" * (len(names) + 1),
    ]
    for who, of in asked.items():
        cells = [number(of[key]) if key in of else "" for key in (CPU, *names)]
        lines.append(f"| {who} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _largest(key: str, asked: Mapping[str, Mapping[str, float]]) -> float:
    return -max(of.get(key, 0.0) for of in asked.values())


def _verdicts(results: Sequence[Result]) -> Iterator[Verdict]:
    for result in results:
        yield from result.verdicts


def as_json(results: Sequence[Result], about: Mapping[str, Any]) -> dict[str, Any]:
    """All there is: every reading of every round, so that another can judge anew."""
    return {
        "about": dict(about),
        "results": [
            {
                "letters": result.letters,
                "title": result.title,
                "when": result.when,
                "trouble": list(result.trouble),
                "verdicts": [_verdict(v) for v in result.verdicts],
                "readings": {name: [dict(r) for r in rounds] for name, rounds in result.readings.items()},
            }
            for result in results
        ],
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "letter": verdict.goal.letter,
        "figure": verdict.goal.text,
        "goal": verdict.goal.bound,
        "met": verdict.met,
        "ratio": _spread(verdict.ratio),
        "ours": {"name": verdict.goal.ours, **_spread(verdict.ours)},
        "against": None if verdict.theirs is None else {"name": verdict.peer, **_spread(verdict.theirs)},
        "unit": verdict.goal.unit,
        "rounds": verdict.rounds,
    }


def _spread(spread: Spread) -> dict[str, float]:
    return asdict(spread)


def earlier(folder: Path, figures: Sequence[Figure], *, quick: bool) -> list[Result]:
    """What the last run there has of ``figures``, judged anew: each figure's contestants took turns in one run. Raises
    ValueError if its sizes were others."""
    try:
        last = json.loads((folder / "bench.json").read_text("utf-8"))
    except FileNotFoundError:
        return []
    if last["about"]["quick"] != quick:
        raise ValueError("the last run there was of other sizes (--quick): its figures cannot be kept")
    by_title = {figure.title: figure for figure in figures}
    return [_earlier(by_title[one["title"]], one) for one in last["results"] if one["title"] in by_title]


def _earlier(figure: Figure, one: Mapping[str, Any]) -> Result:
    found: Rounds = one["readings"]
    return Result(
        letters=figure.letters, title=figure.title, verdicts=verdicts(figure, found), readings=found,
        plots=tuple(figure.plots(found)) if found else (), trouble=tuple(one["trouble"]), when=one["when"],
    )  # fmt: skip


def put_between(page: str, text: str, begin: str = BEGIN, end: str = END) -> str:
    """The page with ``text`` between its markers. Raises ValueError if it has not both, in order, once."""
    if page.count(begin) != 1 or page.count(end) != 1 or page.index(begin) > page.index(end):
        raise ValueError("the page needs the two markers of the bench, once each")
    pattern = re.compile(f"{re.escape(begin)}.*{re.escape(end)}", re.DOTALL)
    return pattern.sub(lambda _found: f"{begin}\n{text}\n{end}", page)


def draw(plot: Plot, folder: Path) -> Path:
    """A PNG of a plot."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.2), dpi=110)
    for label, points in plot.lines.items():
        axes.plot([x for x, _ in points], [y for _, y in points], marker="o", label=label)
    if plot.log_x:
        axes.set_xscale("log")
    if plot.log_y:
        axes.set_yscale("log")
    axes.set(title=plot.title, xlabel=plot.x, ylabel=plot.y)
    axes.grid(visible=True, which="both", alpha=0.25)
    axes.legend()
    figure.tight_layout()
    path = folder / f"{plot.name}.png"
    figure.savefig(path)
    pyplot.close(figure)
    return path


def write(results: Sequence[Result], about: Mapping[str, Any], folder: Path) -> str:
    """Table, JSON and plots into ``folder``; gives the table."""
    folder.mkdir(parents=True, exist_ok=True)
    text = "\n".join(filter(None, (table(results), parts(results))))
    (folder / "bench.md").write_text(text, "utf-8")
    (folder / "bench.json").write_text(json.dumps(as_json(results, about), indent=1) + "\n", "utf-8")
    for result in results:
        for plot in result.plots:
            draw(plot, folder)
    return text
