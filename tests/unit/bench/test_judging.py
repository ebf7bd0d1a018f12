"""The pure parts of the bench: statistics, verdicts, turns, table and page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.bench import report
from tests.bench.harness import chosen, order, take_turns
from tests.bench.lab import Lab
from tests.bench.machine import cpu_model
from tests.bench.stats import growth, quantile, ratio, spread
from tests.bench.values import Figure, Goal, Readings, Result, Rounds, Verdict, judge, verdicts

pytestmark = pytest.mark.timeout(60)


def rates(*values: float) -> list[Readings]:
    return [{"rate": value} for value in values]


def goal(**changes: object) -> Goal:
    values = {"letter": "a", "text": "t", "ours": "us", "reading": "rate", "peers": ("p1", "p2"), "at_least": 2.0}
    return Goal(**{**values, **changes})  # type: ignore[arg-type]


def judged(goal: Goal, rounds: Rounds) -> Verdict:
    verdict = judge(goal, rounds)
    assert verdict is not None
    return verdict


# -- statistics --


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.001, 1)])
def test_a_quantile_is_a_value_that_was_there(share: float, expected: float) -> None:
    assert quantile([float(n) for n in range(100, 0, -1)], share) == expected


def test_nothing_has_no_quantile() -> None:
    with pytest.raises(ValueError, match="no values"):
        quantile([], 0.5)


def test_a_spread_keeps_the_worst_and_the_best_round() -> None:
    found = spread([3.0, 1.0, 2.0, 9.0, 2.5])
    assert (found.least, found.median, found.most) == (1.0, 2.5, 9.0)


def test_a_ratio_is_of_medians_and_its_spread_of_rounds() -> None:
    found = ratio([10, 20, 60], [10, 10, 20])
    assert (found.median, found.least, found.most) == (2.0, 1.0, 3.0)


def test_a_ratio_needs_pairs() -> None:
    with pytest.raises(ValueError, match="same rounds"):
        ratio([1.0], [1.0, 2.0])


@pytest.mark.parametrize(
    ("cost", "least", "most"),
    [(lambda n: n * math.log(n), 0.99, 1.01), (lambda n: n, 0.85, 0.97), (lambda n: n * n, 1.6, 2.0)],
    ids=["n log n", "linear", "quadratic"],
)
def test_growth_tells_n_log_n_from_more(cost: object, least: float, most: float) -> None:
    sizes = [25_000.0, 50_000.0, 100_000.0]
    assert callable(cost)
    assert least < growth(sizes, [3e-9 * cost(n) for n in sizes]) < most


def test_growth_needs_three_sizes() -> None:
    with pytest.raises(ValueError, match="three sizes"):
        growth([1, 2], [1, 2])


# -- verdicts --


def test_the_best_peer_is_the_one_to_beat() -> None:
    slow = judged(goal(), {"us": rates(300, 310, 290), "p1": rates(100, 100, 100), "p2": rates(149, 160, 150)})
    assert (slow.peer, slow.met) == ("p2", True)
    quick = judged(goal(), {"us": rates(290, 290, 290), "p1": rates(100, 100, 100), "p2": rates(149, 160, 150)})
    assert not quick.met


def test_where_less_is_better_the_best_peer_is_the_smallest() -> None:
    rounds = {"us": rates(5, 5), "p1": rates(10, 10), "p2": rates(4, 4)}
    verdict = judged(goal(at_least=None, at_most=1.0), rounds)
    assert (verdict.peer, verdict.ratio.median, verdict.met) == ("p2", 1.25, False)


def test_a_peer_that_is_missing_is_left_out_and_without_any_there_is_no_verdict() -> None:
    assert judged(goal(), {"us": rates(200), "p1": rates(100)}).peer == "p1"
    assert judge(goal(), {"us": rates(200)}) is None
    assert judge(goal(), {"p1": rates(100)}) is None


def test_a_goal_without_peers_judges_the_reading_itself() -> None:
    verdict = judged(goal(peers=(), at_least=50_000), {"us": rates(49_000, 60_000, 49_999)})
    assert (verdict.ratio.median, verdict.met, verdict.peer) == (49_999, False, None)


def test_a_peer_may_have_another_reading_and_another_name() -> None:
    wish = goal(peers=("us",), peer_reading="small", peer_label="with little", at_least=None, at_most=1.5)
    verdict = judged(wish, {"us": [{"rate": 3.0, "small": 2.0}]})
    assert (verdict.ratio.median, verdict.peer, verdict.met) == (1.5, "with little", True)


@pytest.mark.parametrize("bounds", [{"at_least": None}, {"at_least": 1.0, "at_most": 2.0}])
def test_a_goal_has_one_bound(bounds: dict[str, float | None]) -> None:
    with pytest.raises(ValueError, match="needs a bound"):
        goal(**bounds)


# -- turns --


def test_turns_go_there_and_back() -> None:
    seen: list[tuple[str, int]] = []

    def turn(name: str) -> object:
        def take(number: int) -> Readings:
            seen.append((name, number))
            return {"rate": float(number)}

        return take

    found = take_turns({name: turn(name) for name in "xyz"}, 2, lambda _text: None)  # type: ignore[misc]
    assert seen == [("x", 0), ("y", 0), ("z", 0), ("z", 1), ("y", 1), ("x", 1)]
    assert found["y"] == rates(0, 1)
    assert order([1, 2], 2) == [1, 2]


def figure(letters: str) -> Figure:
    return Figure(name=f"n{letters}", letters=letters, title="", goals=(), open=lambda _lab: None)  # type: ignore[arg-type, return-value]


def test_figures_are_chosen_by_any_of_their_letters_or_by_name() -> None:
    known = [figure("abc"), figure("g"), figure("k")]

    def letters(only: str | None) -> Sequence[str]:
        return [one.letters for one in chosen(known, only)]

    assert letters(None) == ["abc", "g", "k"]
    assert letters("k, b") == ["abc", "k"]
    assert letters("ng") == ["g"]
    with pytest.raises(ValueError, match=r"no figure x; there are nabc \(abc\), ng \(g\), nk \(k\)"):
        letters("k,x")


def test_what_is_kept_is_made_once_and_ended_in_turn() -> None:
    from contextlib import contextmanager
    from typing import Any

    said: list[str] = []

    @contextmanager
    def thing(name: str) -> Any:
        said.append(f"+{name}")
        yield name
        said.append(f"-{name}")

    with Lab(quick=True, say=said.append) as lab:
        assert lab.keep("farm:a", lambda: thing("a")) == lab.keep("farm:a", lambda: thing("other")) == "a"
        lab.keep("farm:b", lambda: thing("b"))
        lab.keep("peer:c", lambda: thing("c"))
        lab.let_go("farm:")
    assert said == ["+a", "+b", "+c", "-b", "-a", "-c"]


# -- the table and the page --


def result() -> Result:
    rounds = {"us": rates(1200, 1300, 1250), "p1": rates(500, 520, 510)}
    verdict = judged(goal(peers=("p1",), unit="req/s"), rounds)
    return Result(letters="a", title="t", verdicts=(verdict,), readings=rounds, trouble=("no redis here",))


def test_a_row_says_both_sides_the_ratio_with_its_spread_the_goal_and_whether_it_was_met() -> None:
    head, rule, row, _, said = report.table([result()]).splitlines()
    assert len(head.split("|")) == len(rule.split("|")) == len(row.split("|"))
    assert row == "| a | t | 1,250 req/s | p1 | 510 req/s | 2.45 (2.4 to 2.5; 3) | ≥ 2 | yes |"
    assert said == "- a: no redis here"


def test_a_goal_that_was_missed_is_said_so() -> None:
    missed = judged(goal(peers=(), at_least=2000), {"us": rates(1)})
    assert report.row(missed).endswith("| ≥ 2000 | **no** |")


@pytest.mark.parametrize(("value", "text"), [(0, "0"), (12345.6, "12,346"), (123.4, "123"), (0.02954, "0.0295")])
def test_numbers_have_three_digits_that_count(value: float, text: str) -> None:
    assert report.number(value) == text


def test_the_json_has_every_reading() -> None:
    made = report.as_json([result()], {"cores": 2})
    assert made["results"][0]["readings"]["us"] == [{"rate": 1200}, {"rate": 1300}, {"rate": 1250}]
    assert made["results"][0]["verdicts"][0]["against"]["name"] == "p1"


def test_only_what_is_between_the_markers_is_replaced() -> None:
    page = f"before\n{report.BEGIN}\nold \\1 text\n{report.END}\nafter\n"
    assert report.put_between(page, "new \\2") == f"before\n{report.BEGIN}\nnew \\2\n{report.END}\nafter\n"
    for broken in ("nothing", f"{report.END} {report.BEGIN}", f"{page}{report.BEGIN}"):
        with pytest.raises(ValueError, match="two markers"):
            report.put_between(broken, "new")


def test_the_machine_is_named_by_its_kind() -> None:
    assert cpu_model("processor : 0\nmodel name\t: Some CPU @ 2 GHz\nflags : x\n") == "Some CPU @ 2 GHz"


def test_what_another_run_measured_is_kept_with_its_readings_and_says_when(tmp_path: Path) -> None:
    def figure(title: str) -> Figure:
        return Figure(
            name=title, letters="a", title=title, goals=(goal(peers=("p1",)),), open=lambda _lab: nullcontext({})
        )

    old, new = figure("old"), figure("new")
    found: Rounds = {"us": rates(30, 20), "p1": rates(10, 10)}
    first = [
        Result(letters="a", title=one.title, verdicts=verdicts(one, found), readings=found, when=when)
        for one, when in ((old, "2026-01-01 10:00"), (new, "2026-01-01 10:05"))
    ]
    report.write(first, {"quick": False}, tmp_path)
    kept = report.earlier(tmp_path, [old], quick=False)
    assert kept == first[:1]
    text = report.table([*kept, first[1]])
    assert "- Begun (UTC): old 2026-01-01 10:00; new 2026-01-01 10:05" in text
    with pytest.raises(ValueError, match="other sizes"):
        report.earlier(tmp_path, [old], quick=True)
    assert report.earlier(tmp_path / "nothing", [old], quick=False) == []


def test_parts_of_the_processor_s_time_stand_largest_first() -> None:
    rounds = [{"rate": 1.0, "cpu_ms": ms, "cpu_ms manager": 0.4, "cpu_ms replicas": 0.5} for ms in (3.0, 1.0, 2.0)]
    found: Rounds = {"us": rounds, "bare": [{"cpu_ms": 0.25}], "silent": rates(1.0)}
    text = report.parts([Result(letters="a", title="t", verdicts=(), readings=found)])
    assert text.splitlines()[2:] == [
        "| | all | replicas | manager |",
        "|---|---|---|---|",
        "| us | 2 | 0.5 | 0.4 |",
        "| bare | 0.25 |  |  |",
    ]
    assert report.parts([Result(letters="g", title="t", verdicts=(), readings={"us": rates(1.0)})]) == ""
