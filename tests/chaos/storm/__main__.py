"""``python -m tests.chaos.storm --seed 1 --minutes 10 --db both``: ends with 0 if the checker finds nothing."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.storm.course import Plan, storm
from tests.chaos.storm.report import judge, write

DATABASES = ("sqlite", "postgresql")


def main() -> int:
    options = _options()
    parent = options.keep or Path(tempfile.mkdtemp(prefix="pf-storm-"))
    kinds = DATABASES if options.db == "both" else (options.db,)
    plans = [
        Plan(
            seed=options.seed,
            minutes=options.minutes,
            db=kind,
            phones=options.phones,
            processes=options.processes,
            felling=options.felling,
        )
        for kind in kinds
    ]
    return 0 if all([_one(plan, parent / plan.db) for plan in plans]) else 1


def _one(plan: Plan, directory: Path) -> bool:
    """A storm over one database. True if nothing was found."""
    directory.mkdir(parents=True)
    began = time.monotonic()

    def say(text: str) -> None:
        sys.stdout.write(f"{time.monotonic() - began:7.1f} s  {text}\n")
        sys.stdout.flush()

    say(f"storm with seed {plan.seed}: {plan.minutes:g} minutes over {plan.db}; records in {directory}")
    with storm(plan, directory, say) as (book, phones, base, receiver):
        verdict = judge(plan, directory, book, rack=phones, url=base.url, hook=receiver)
    write(verdict, directory / "report.json", sys.stdout)
    return verdict.good


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.storm", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--db", choices=(*DATABASES, "both"), default="both")
    parser.add_argument("--phones", type=int, default=30)
    parser.add_argument("--processes", type=int, default=2_000)
    parser.add_argument("--felling", type=int, default=3, help="blows that fell the whole Ray head")
    parser.add_argument("--keep", type=Path, default=None, help="directory for the records, by default a new one")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
