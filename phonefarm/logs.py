"""Logs: one JSON object a line, with a stable event name and the ids it is about.

Each process of the farm writes to a file of its own name in the state directory, bounded on disk (``BoundedFile``);
``phonefarm logs`` shows them to people. Libraries that log by ``logging`` end there too, as ``library.said``.

What a line says: ``at``, ``level``, ``event`` (dotted, past tense where something happened; docs/logs.md lists them),
``actor`` and ``pid``, and the ids that are known: ``process``, ``item``, ``attempt``, ``phone``, ``host`` and
``http_request``. Ids that hold for a stretch of work are bound once (``bound``) and go into threads with the context.

A warning or an error says what was wrong (``cause``) and what to do (``next_step``); ``error=`` takes both from an
error of ours. Of other exceptions only their type and their stack are written: their texts may quote what is not
ours to write down, a prompt, a typed text, a key.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import logging.handlers
import os
import sys
import traceback
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

from phonefarm.errors import PhoneFarmError


@contextlib.contextmanager
def _as_if_missing(name: str) -> Iterator[None]:
    """What is imported meanwhile does not find this package, unless it is loaded already."""
    hidden = sys.modules.setdefault(name, None)  # type: ignore[arg-type]
    try:
        yield
    finally:
        if hidden is None:
            del sys.modules[name]


#: structlog would load it for tracebacks in colour: 4.6 MB and a fifth of a phone's imports, and ours are JSON.
with _as_if_missing("rich"):
    import structlog
    from structlog import contextvars

#: Bytes of a log file, and how many older ones are kept beside it (``NAME.log.1`` is the newest of them).
MOST_BYTES, KEPT_FILES = 10_000_000, 3
#: What to do about something that was not foreseen.
REPORT_IT = "this is a fault of phonefarm: report it with this line"

Event = MutableMapping[str, Any]


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module; ``name`` is its ``__name__``."""
    made: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return made


@contextlib.contextmanager
def bound(**ids: Any) -> Iterator[None]:
    """Every line written inside is about these; those that are None are left out."""
    with contextvars.bound_contextvars(**{name: value for name, value in ids.items() if value is not None}):
        yield


def to_file(directory: Path, name: str, *, level: str = "info", **ids: str) -> Path:
    """Send all that this process logs to ``NAME.log`` in ``directory``. ``ids`` hold for all of it."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / f"{name.replace(':', '-').replace('/', '_')}.log"
    _install(BoundedFile(path), _formatter(structlog.processors.JSONRenderer(default=str), actor=name, **ids), level)
    return path


def _install(handler: logging.Handler, formatter: logging.Formatter, level: str) -> None:
    handler.setFormatter(formatter)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for quiet in ("httpx", "httpcore", "urllib3", "opentelemetry"):  # they name URLs, which are callers' secrets
        logging.getLogger(quiet).setLevel(logging.WARNING)


class BoundedFile(logging.handlers.WatchedFileHandler):
    """A file that several processes may append to, and that starts anew when it is full.

    Whoever finds it full moves it aside, under a lock; the others see that their file is not the one under that name,
    and open the new one. Lines are appended whole.
    """

    def __init__(self, path: Path, *, most_bytes: int = MOST_BYTES, kept: int = KEPT_FILES) -> None:
        super().__init__(path, encoding="utf-8")
        self._path, self._most, self._kept = path, most_bytes, kept

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(OSError):
            self.reopenIfNeeded()
            if self.stream is not None and os.fstat(self.stream.fileno()).st_size >= self._most:
                self._turn()
        super().emit(record)

    def _turn(self) -> None:
        with self._path.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self._path.stat().st_size < self._most:
                return  # somebody else has just done it
            for number in range(self._kept, 1, -1):
                with contextlib.suppress(FileNotFoundError):
                    self._numbered(number - 1).replace(self._numbered(number))
            self._path.replace(self._numbered(1))
        self.reopenIfNeeded()

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


def unforeseen(error: Exception) -> Exception | None:
    """For ``exc_info``: an error that is not one of ours, whose line should say where it came from."""
    return None if isinstance(error, PhoneFarmError) else error


# -- what a line is made of ----------------------------------------------------------------------------------------


def _explained(_logger: Any, _method: str, event: Event) -> Event:
    """``error=``: the code, the cause and the next step of an error of ours; of others no more than the type."""
    error = event.pop("error", None)
    if isinstance(error, BaseException):
        code, cause, step = _said(error)
        event["error"] = code
        event.setdefault("cause", cause)
        event.setdefault("next_step", step)
    elif error is not None:
        event["error"] = error
    return event


def _said(error: BaseException) -> tuple[str, str, str]:
    if isinstance(error, PhoneFarmError):
        return error.code, error.message, error.next_step
    if isinstance(error, TimeoutError):
        return "timeout", "no answer in time", "none, unless it goes on: then look at the one that does not answer"
    cause = f"{type(error).__name__}: {error.strerror}" if isinstance(error, OSError) else type(error).__name__
    return PhoneFarmError.code, cause, REPORT_IT


def _stack(_logger: Any, _method: str, event: Event) -> Event:
    """``exc_info`` as types and places, without the texts of foreign exceptions."""
    found = event.pop("exc_info", None)
    error = found if isinstance(found, BaseException) else sys.exc_info()[1] if found is True else None
    if isinstance(found, tuple):
        error = found[1]
    if error is not None:
        event.setdefault("cause", _said(error)[1])
        event.setdefault("next_step", _said(error)[2])
        event["stack"] = list(_places(error))
    return event


def _places(error: BaseException) -> Iterator[str]:
    """From the outermost call inwards, the first cause first."""
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None:
        yield from _places(before)
    for frame in traceback.extract_tb(error.__traceback__):
        yield f"{frame.filename}:{frame.lineno} {frame.name}"
    yield f"{type(error).__module__}.{type(error).__qualname__}"


def _of_a_library(_logger: Any, _method: str, event: Event) -> Event:
    record = event.get("_record")
    return {**event, "event": "library.said", "message": event["event"], "logger": getattr(record, "name", "")}


def _placed(fixed: dict[str, Any]) -> Any:
    def place(_logger: Any, _method: str, event: Event) -> Event:
        head = {name: event.pop(name) for name in ("at", "level", "event") if name in event}
        return {**head, **fixed, **event}

    return place


_SHARED: list[Any] = [contextvars.merge_contextvars, structlog.stdlib.add_log_level]


def _formatter(renderer: Any, **fixed: str) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*_SHARED, _of_a_library],
        processors=[
            _stack,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            _placed({**fixed, "pid": os.getpid()}),
            renderer,
        ],
    )


structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        *_SHARED,
        _explained,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=structlog.stdlib.BoundLogger,
    cache_logger_on_first_use=True,
)
