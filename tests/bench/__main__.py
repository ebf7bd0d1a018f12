"""``python -m tests.bench``: measure, write the table, the JSON and the plots, say the table.

    python -m tests.bench                          everything, five rounds
    python -m tests.bench --only g,k --rounds 3    some figures
    python -m tests.bench --quick                  small sizes, to try whether it works
    python -m tests.bench --page                   and put the table into docs/performance.md
    python -m tests.bench --only a --keep --page   measure these anew, keep the last run's others

The exit code is 0 when everything was measured, whether the goals are met or not, else 1.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path

from tests.bench import machine, report
from tests.bench.figures import FIGURES
from tests.bench.harness import chosen, measure
from tests.bench.lab import ROOT, Lab

PAGE = ROOT / "docs" / "performance.md"


def say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", metavar="FIGURES", help="by their letters or names, such as g,k,session")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="small sizes: to try it, not for figures to be kept")
    parser.add_argument("--keep", action="store_true", help="keep what the last run there has of the other figures")
    parser.add_argument("--page", action="store_true", help="put the table into docs/performance.md")
    parser.add_argument("--output", type=Path, default=ROOT / "bench-output")
    options = parser.parse_args(argv)
    about = {**machine.about(), "rounds": options.rounds, "quick": options.quick, "only": options.only}
    wanted = chosen(FIGURES, options.only)
    others = [figure for figure in FIGURES if figure not in wanted]
    results = report.earlier(options.output, others, quick=options.quick) if options.keep else []
    with Lab(quick=options.quick, say=say) as lab:
        for figure in wanted:
            results.append(measure(figure, lab, options.rounds, say))
            text = report.write(results, about, options.output)
    sys.stdout.write(text)
    if options.page:
        put_into_page(text, about)
    return int(any(not result.readings for result in results))


def put_into_page(text: str, about: dict[str, object]) -> None:
    day = time.strftime("%Y-%m-%d", time.gmtime())
    head = f"{day}, {machine.sentence(about)}. {about['rounds']} rounds.\n\n"
    PAGE.write_text(report.put_between(PAGE.read_text("utf-8"), head + text), "utf-8")


def _told(number: int, _frame: object) -> None:
    """Leave by the way out, so that every farm, peer and server is ended; Python does so for Ctrl-C alone, and not even
    then in a shell's background."""
    sys.exit(128 + number)


if __name__ == "__main__":
    for _number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(_number, _told)
    try:
        sys.exit(main(sys.argv[1:]))
    except ValueError as error:
        say(str(error))
        sys.exit(2)
