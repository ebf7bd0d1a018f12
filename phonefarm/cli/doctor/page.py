"""Writes docs/doctor.md from the tables of checks and findings: ``python -m phonefarm.cli.doctor.page``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from phonefarm.cli.doctor.checks import CHECKS, Check
from phonefarm.cli.doctor.findings import KINDS

PAGE = Path("docs/doctor.md")
_HEAD = """# phonefarm doctor

`phonefarm doctor` looks at this machine, at the farm of `--state-dir` if it runs, and, where that farm lives on a Ray
cluster, at every host of it. It changes nothing. Each finding has a level, what was found, why it matters, and a cure;
`--json` gives the same for programs. `--config farm.yaml` tells it which hosts have cables before a farm runs.

Exit code 2: at least one **error** (the farm cannot work, or lies open). 1: at least one **warning** (it will hurt some
day). 0: nothing, or **notes** alone (to be known; they do not count).

It looks at files, /proc, /sys, the farm's HTTP and its database. What it cannot see: firewalls, what a phone does, what
lies beyond this machine's own network cards. Limits of USB controllers are those that many of them have, not those of
yours: Linux does not tell.

This page is written by `python -m phonefarm.cli.doctor.page` from the tables in `phonefarm/cli/doctor/`.
"""


def page() -> str:
    """The page, as it should stand in docs/."""
    return _HEAD + "".join(map(_section, CHECKS))


def _section(check: Check) -> str:
    head = f"\n## {check.name}\n\nLooks at {check.looks_at}.\n\n"
    return head + "| finding | level | what | why | cure |\n|---|---|---|---|---|\n" + "".join(_rows(check))


def _rows(check: Check) -> Iterator[str]:
    for code in check.codes:
        kind = KINDS[code]
        cells = (f"`{code}`", kind.level, _shown(kind.what), _shown(kind.why), _shown(kind.cure))
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _shown(text: str) -> str:
    """A name in braces in capitals, as in a manual."""
    named = re.sub(r"(?<!\{)\{(\w+)(?::[^}]*)?\}(?!\})", lambda found: found.group(1).upper(), text)
    return named.replace("{{", "{").replace("}}", "}")


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
