"""What the routes share: the farm, the intake, the rules. One a running app."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from fastapi import Request

from phonefarm.actors.ports import FarmPort
from phonefarm.callbacks.guard import allowed_networks, literal_fault
from phonefarm.errors import Fault, NotFound, TooManyRequests, ValidationFailed
from phonefarm.serve.admission import Rules, UrlCheck
from phonefarm.serve.auth import ApiKey
from phonefarm.serve.intake import Intake, IntakeLimits
from phonefarm.serve.reads import Reads
from phonefarm.serve.screens import Screens
from phonefarm.settings import HealthSettings

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_URL_TO_KEEP = 512
#: Callers a replica lets wait at once: long polls and streams.
MOST_WAITING = 384
#: Where the border leaves the caller's ``ApiKey`` for the routes.
KEY = "phonefarm.key"
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


@dataclass(frozen=True, kw_only=True, slots=True)
class ServeConfig:
    """``callbacks_allow``: CIDRs callbacks may reach though not public. ``max_body`` in bytes. ``health``: the limits
    of phones, for the page that says what needs a person."""

    callbacks_allow: tuple[str, ...] = ()
    apps: frozenset[str] = frozenset({"feed"})
    default_app: str = "feed"
    max_body: int = 256 * 1024
    intake: IntakeLimits = field(default_factory=IntakeLimits)
    health: HealthSettings = field(default_factory=HealthSettings)

    def rules(self) -> Rules:
        """Raises ConfigError if ``callbacks_allow`` holds something that is no CIDR."""
        allowed_networks(self.callbacks_allow)
        return Rules(
            check_callback_url=_url_check(self.callbacks_allow),
            apps=self.apps | {self.default_app},
            default_app=self.default_app,
        )


def _url_check(allow: tuple[str, ...]) -> UrlCheck:
    """The guard, with an answer by heart for the few URLs that callers keep using."""
    known = functools.lru_cache(maxsize=1_024)(functools.partial(literal_fault, allow=allow))
    return lambda url: known(url) if len(url) <= _URL_TO_KEEP else literal_fault(url, allow)


@dataclass(frozen=True, kw_only=True, slots=True)
class Desk:
    """``make_id`` proposes process ids; ``held`` counts callers that wait for news of a process."""

    farm: FarmPort
    intake: Intake
    reads: Reads
    rules: Rules
    max_body: int
    make_id: Callable[[], str]
    screens: Screens
    docs: Callable[[], bytes]
    health: HealthSettings = field(default_factory=HealthSettings)
    held: list[int] = field(default_factory=lambda: [0])

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """A caller that waits here. Raises TooManyRequests when so many do that others would not be served."""
        if self.held[0] >= MOST_WAITING:
            raise TooManyRequests("too_many_waiting", "too_many_waiting: poll without wait, or come back later")
        self.held[0] += 1
        try:
            yield
        finally:
            self.held[0] -= 1


def desk_of(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


def key_of(request: Request) -> ApiKey:
    """The caller's key; there is one on every route that needs one."""
    key: ApiKey = request.scope[KEY]
    return key


# -- what stands in a path or a query --------------------------------------------------------------


def process_id_of(request: Request) -> str:
    """The process id of the path. Raises NotFound for what cannot be one."""
    return uuid_of(request, "process_id", "unknown_process")


def uuid_of(request: Request, parameter: str, unknown: str) -> str:
    """An id of the path. Raises NotFound with code ``unknown`` for what cannot be one."""
    value: str = request.path_params[parameter]
    if not is_uuid(value):
        raise NotFound(unknown)
    return value


def is_uuid(text: str) -> bool:
    """Whether it has the form of the ids that the farm makes."""
    return _UUID.fullmatch(text) is not None


def artifact_name_of(request: Request) -> str:
    value: str = request.path_params["name"]
    if not _FILE.fullmatch(value):
        raise NotFound("unknown_artifact")
    return value


def name_of(request: Request, parameter: str, unknown: str) -> str:
    """A phone's or an account's id of the path. Raises NotFound with code ``unknown`` for what cannot be one."""
    value: str = request.path_params[parameter]
    if not value.strip() or len(value) > 200 or not value.isprintable():
        raise NotFound(unknown)
    return value


def query_of(request: Request, *known: str) -> dict[str, str]:
    """The query. Raises ValidationFailed for an unknown or repeated parameter: a typo must not widen an answer."""
    pairs = request.query_params.multi_items()
    values = dict(pairs)
    faults = [
        Fault(loc=("query", name), code="unknown_field", msg=f"known here: {', '.join(known) or 'none'}")
        for name in values
        if name not in known
    ]
    if len(values) < len(pairs):
        faults.append(Fault(loc=("query",), code="duplicate_parameter", msg="a parameter may be given once"))
    if faults:
        raise ValidationFailed(faults)
    return values
