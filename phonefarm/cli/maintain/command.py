"""The commands ``maintain``, ``maintain status``, ``maintain pause`` and ``maintain resume``."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from phonefarm.cli.client import open_client
from phonefarm.cli.commands import Json, Key, StateDirOption, Url, print_json
from phonefarm.cli.completing import campaigns
from phonefarm.cli.statedir import DEFAULT_DIR, StateDir, write_private
from phonefarm.cli.terminal import Terminal, json_text
from phonefarm.errors import ConfigError

if TYPE_CHECKING:
    from phonefarm.cli.maintain.campaign import Campaign
    from phonefarm.cli.maintain.keep import Keep
    from phonefarm.cli.maintain.running import Ended, Manner
    from phonefarm.client import Farm

maintain_app = typer.Typer(help="The same steps on many phones: canaries, waves, and an end when too many fail.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the campaign.", autocompletion=campaigns)]
Canary = Annotated[int, typer.Option(min=0, help="Phones that must be done before any other is touched.")]
Wave = Annotated[int, typer.Option(min=1, max=1000, help="Phones at once, at most.")]
MaxFailures = Annotated[int, typer.Option(min=0, help="More failures than this stop the campaign.")]
Patience = Annotated[float, typer.Option(min=1, help="Seconds until a phone must have begun; then it is passed over.")]
Priority = Annotated[int, typer.Option(min=0, max=9, help="Of its requests in the farm's queue, 9 first.")]
Callback = Annotated[str | None, typer.Option(help="URL for the farm's callbacks; default: nobody listens.")]
System = Annotated[str, typer.Option(help="Who asks, for a key that is bound to a system.")]
Retry = Annotated[bool, typer.Option("--retry-failed", help="Try phones that failed before once more.")]
Report = Annotated[Path | None, typer.Option(help="Write the JSON report to this file too.")]
SYSTEM = "phonefarm-maintain"
_EXAMPLE = "phonefarm maintain --select 'group=rack1,android>=13' --step reboot --canary 2 --max-failures 3 --wave 10"


def register(app: typer.Typer) -> None:
    app.add_typer(maintain_app, name="maintain")
    maintain_app.callback(invoke_without_command=True, epilog=f"Example: {_EXAMPLE}")(maintain)
    maintain_app.command("status", epilog="Example: phonefarm maintain status reboot-1a2b3c4d")(status)
    maintain_app.command("pause", epilog="Example: phonefarm maintain pause nightly --reason 'a session is due'")(pause)
    maintain_app.command("resume", epilog="Example: phonefarm maintain resume nightly")(resume)


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where the farm and the campaigns are, and how to tell."""

    url: str | None
    key: str | None = field(repr=False)
    state_dir: Path
    as_json: bool
    report: Path | None = None

    def client(self) -> Farm:
        return open_client(self.url, self.state_dir, self.key)

    def keep(self, name: str) -> Keep:
        from phonefarm.cli.maintain.keep import Keep

        return Keep(StateDir(self.state_dir).path, name)


def maintain(
    context: typer.Context,
    select: Annotated[str | None, typer.Option(help="Which phones: 'group=rack1,android>=13', or all.")] = None,
    step: Annotated[
        list[str] | None, typer.Option(help="What they get, several times: reboot, health_check ...")
    ] = None,
    campaign: Annotated[str | None, typer.Option(help="Its name; default: made of selection and steps.")] = None,
    canary: Canary = 1,
    wave: Wave = 10,
    max_failures: MaxFailures = 3,
    patience: Patience = 1_800.0,
    retry_failed: Retry = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    callback: Callback = None,
    priority: Priority = 8,
    system: System = SYSTEM,
    report: Report = None,
    url: Url = None,
    key: Key = None,
    state_dir: StateDirOption = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """Run a campaign: the same steps on many phones.

    Running the same command again goes on where it was, and does nothing twice. Exit code: 0 all done, 3 some phones
    were not reached, 4 some failed, 5 stopped, 6 paused.
    """
    if context.invoked_subcommand is not None:
        return
    if select is None:
        raise ConfigError(f"say which phones with --select; for example: {_EXAMPLE}")
    from phonefarm.cli.maintain.campaign import again, default_name
    from phonefarm.cli.maintain.planner import Terms
    from phonefarm.cli.maintain.selection import parse
    from phonefarm.cli.maintain.steps import parse_steps

    selection, steps = parse(select), parse_steps(step or [])
    terms = Terms(canary=canary, wave=wave, max_failures=max_failures)
    place = Place(url=url, key=key, state_dir=state_dir, as_json=as_json, report=report)
    keep = place.keep(campaign or default_name(select, steps))
    manner = _manner(system, callback, patience, priority)
    with place.client() as farm:
        if dry_run:
            made = again(_campaign(keep, select, steps, selection, farm, system), terms, retry_failed=retry_failed)
            return _say_plan(made, farm, place)
        with keep.alone():
            _refuse_paused(keep)
            made = again(_campaign(keep, select, steps, selection, farm, system), terms, retry_failed=retry_failed)
            ended = _run(made, farm, keep, manner, place)
    _end(ended, place)


def resume(
    name: Name,
    canary: Annotated[int | None, typer.Option(min=0, help="Another number of canaries.")] = None,
    wave: Annotated[int | None, typer.Option(min=1, help="Another number of phones at once.")] = None,
    max_failures: Annotated[int | None, typer.Option(min=0, help="Another number of failures to bear.")] = None,
    patience: Patience = 1_800.0,
    retry_failed: Retry = False,
    callback: Callback = None,
    priority: Priority = 8,
    system: System = SYSTEM,
    report: Report = None,
    url: Url = None,
    key: Key = None,
    state_dir: StateDirOption = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """Go on with a campaign that was paused or broken off. Exit codes as of `maintain`."""
    from phonefarm.cli.maintain.campaign import again
    from phonefarm.cli.maintain.planner import Terms

    place = Place(url=url, key=key, state_dir=state_dir, as_json=as_json, report=report)
    keep = place.keep(name)
    with place.client() as farm, keep.alone():
        kept = _kept(keep)
        old = kept.terms
        terms = Terms(
            canary=old.canary if canary is None else canary,
            wave=wave or old.wave,
            max_failures=old.max_failures if max_failures is None else max_failures,
        )
        keep.end_pause()
        made = again(kept, terms, retry_failed=retry_failed)
        ended = _run(made, farm, keep, _manner(system, callback, patience, priority), place)
    _end(ended, place)


def pause(
    name: Name,
    reason: Annotated[str, typer.Option(help="Why; shown when it has paused.")] = "paused by an operator",
    state_dir: StateDirOption = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """Let what has begun end and begin nothing new. The run that is at it then ends with exit code 6."""
    keep = Place(url=None, key=None, state_dir=state_dir, as_json=as_json).keep(name)
    _kept(keep)
    keep.ask_pause(reason)
    if as_json:
        return print_json({"campaign": name, "pause": reason})
    Terminal(highlight=False, soft_wrap=True).print(
        f"{name} pauses as soon as what has begun has ended; it goes on with: phonefarm maintain resume {name}",
        markup=False,
    )


def status(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Of one campaign, phone by phone.", autocompletion=campaigns)
    ] = None,
    state_dir: StateDirOption = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """How campaigns stand, as they were last seen; the farm is not asked."""
    from phonefarm.cli import views
    from phonefarm.cli.maintain import report as told
    from phonefarm.cli.maintain.keep import kept
    from phonefarm.cli.maintain.planner import Standing

    place = Place(url=None, key=None, state_dir=state_dir, as_json=as_json)
    names = [name] if name is not None else kept(StateDir(state_dir).path)
    keeps = [place.keep(one) for one in names]
    found: list[tuple[Campaign, str | None]] = [(_kept(keep), keep.pause_asked()) for keep in keeps]
    if as_json:
        items = [
            {
                "campaign": one.name,
                "select": one.select,
                "steps": [dict(step) for step in one.steps],
                "counts": one.counts(),
                "paused": paused,
                "phones": [told.phone_json(record, {}) for record in one.records],
            }
            for one, paused in found
        ]
        return print_json({"items": items, "next_cursor": None})
    if name is not None:
        return Terminal().print(told.table(found[0][0], {}))
    columns = ("campaign", "selection", "steps", *(standing.value for standing in Standing), "paused")
    rows = [
        (one.name, one.select, ", ".join(step["action"] for step in one.steps), *one.counts().values(), paused)
        for one, paused in found
    ]
    Terminal().print(views.table("campaigns", columns, rows))


# -- inside --


class _Told(BaseException):
    """SIGINT or SIGTERM; raised in the main thread."""

    def __init__(self, number: int) -> None:
        self.number = number


@contextmanager
def _signals() -> Iterator[None]:
    def told(number: int, _frame: FrameType | None) -> None:
        raise _Told(number)

    before = {number: signal.signal(number, told) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _manner(system: str, callback: str | None, patience: float, priority: int) -> Manner:
    from phonefarm.cli.maintain.running import Manner
    from phonefarm.models.outbox import NOBODY

    return Manner(system=system, callback=callback or NOBODY, patience=patience, priority=priority)


def _kept(keep: Keep) -> Campaign:
    found = keep.load()
    if found is None:
        raise ConfigError(f"there is no campaign {keep.name}; phonefarm maintain status lists them")
    return found


def _refuse_paused(keep: Keep) -> None:
    reason = keep.pause_asked()
    if reason is not None:
        raise ConfigError(
            f"campaign {keep.name} is paused ({reason}); it goes on with: phonefarm maintain resume {keep.name}"
        )


def _campaign(keep: Keep, select: str, steps: Any, selection: Any, farm: Farm, system: str) -> Campaign:
    """The campaign that is kept, or a new one over the phones that the selection means now."""
    from phonefarm.cli.maintain.campaign import begin
    from phonefarm.cli.maintain.running import recovered
    from phonefarm.cli.maintain.selection import choose

    kept = keep.load()
    if kept is not None:
        if kept.select != select or [dict(one) for one in kept.steps] != [dict(one) for one in steps]:
            raise ConfigError(
                f"campaign {keep.name} has another selection or other steps; choose another name with --campaign"
            )
        return kept
    phones = farm.phones()
    chosen = choose(selection, phones)
    if not chosen.phones:
        raise ConfigError(f"no phone of the farm's {len(phones)} matches {select!r}; see: phonefarm phones")
    return recovered(begin(keep.name, select, steps, chosen.phones, chosen.unknown), farm, system)


def _say_plan(made: Campaign, farm: Farm, place: Place) -> None:
    from phonefarm.cli.maintain import report as told
    from phonefarm.cli.maintain.campaign import away_of

    away = away_of(made, farm.phones())
    if place.as_json:
        phones = [told.phone_json(record, away) for record in made.records]
        return print_json({"campaign": made.name, "terms": told.terms_json(made.terms), "phones": phones})
    Terminal().print(told.plan_table(made, away))


def _run(made: Campaign, farm: Farm, keep: Keep, manner: Manner, place: Place) -> Ended:
    from phonefarm.cli.maintain.planner import Standing
    from phonefarm.cli.maintain.running import Run
    from phonefarm.cli.progress import Work
    from phonefarm.cli.voice import Voice

    voice = Voice(as_json=place.as_json)
    total = len(made.records)
    with Work(voice.console, f"campaign {made.name}", total=total, quiet=place.as_json) as work:

        def tell(now: Campaign, line: str) -> None:
            voice.event("campaign", line, campaign=now.name, text=line, counts=now.counts())
            counts = now.counts()
            ended = counts[Standing.DONE] + counts[Standing.FAILED] + counts[Standing.MISSED]
            work.show(ended, f"{counts[Standing.SENT]} at it, {counts[Standing.FAILED]} failed")

        tell(made, f"campaign {made.name}: {total} phones, {', '.join(step['action'] for step in made.steps)}")
        try:
            with _signals():
                return Run(made, farm, keep, manner=manner, tell=tell, sleep=time.sleep).run()
        except _Told as signal_:
            number = signal_.number
    open_now = len(_kept(keep).open_records())
    voice.event(
        "interrupted",
        f"broken off; {open_now} phones are at it and go on; the same command, or phonefarm maintain resume "
        f"{keep.name}, goes on from here",
        campaign=keep.name,
        open=open_now,
    )
    sys.exit(128 + number)


def _end(ended: Ended, place: Place) -> None:
    from phonefarm.cli.maintain import report as told
    from phonefarm.cli.maintain.campaign import EXITS

    whole = told.report(ended.campaign, ended.outcome, ended.why, ended.away)
    if place.report is not None:
        try:
            write_private(place.report, json_text(whole) + "\n")
        except OSError as error:
            raise ConfigError(f"{place.report}: {error.strerror}") from error
    if place.as_json:
        sys.stdout.write(json.dumps({"event": "report", **whole}) + "\n")
    else:
        console = Terminal(highlight=False, soft_wrap=True)
        console.print(told.table(ended.campaign, ended.away))
        console.print(told.summary(ended.campaign, ended.outcome, ended.why), markup=False)
    raise typer.Exit(EXITS[ended.outcome])
