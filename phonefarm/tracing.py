"""Traces by OpenTelemetry, from an HTTP request to the adb commands it led to. Off unless the farm is told where to.

A trace follows one process: ``POST ...`` (the request), ``process.accept``, then for each attempt ``item.claim``,
``item.dispatch`` and ``item.attempt``, in it ``action.KIND``, in that ``adb.SERVICE``. The request's context (W3C
``traceparent``, the caller's trace if it sent one) is kept with the process's first event, so that an attempt after a
restart, on whatever host, belongs to the same trace.

A span without a parent is not made, but for requests (``root``): checks and other upkeep of the farm are no traces.
Attributes are ids and words of ours; what was typed, asked or answered is never one, and of an error only its code.

When it is off a span costs a call and the look at one variable; OpenTelemetry is not even imported.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Protocol

from phonefarm.errors import PhoneFarmError

#: The name of the header, and of the place where it is kept.
TRACEPARENT = "traceparent"
_SECONDS, _DELAY_MS = 5.0, 1_000


class Span(Protocol):
    """What is under way."""

    def rename(self, name: str) -> None: ...
    def set(self, **attributes: Any) -> None: ...


class _NoSpan(contextlib.nullcontext["_NoSpan"]):
    def __init__(self) -> None:
        super().__init__(self)

    def rename(self, name: str) -> None:
        return None

    def set(self, **attributes: Any) -> None:
        return None


_NONE = _NoSpan()
_provider: Any = None
_tracer: Any = None


def start(endpoint: str, instance: str, *, headers: Mapping[str, str] | None = None) -> None:
    """Send this process's spans to the OTLP/HTTP receiver at ``endpoint`` from now on. ``instance`` says who we are."""
    global _provider, _tracer
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    stop()
    url = f"{endpoint.rstrip('/')}/v1/traces"
    exporter = OTLPSpanExporter(endpoint=url, headers=dict(headers or {}), timeout=_SECONDS)
    resource = Resource.create({"service.name": "phonefarm", "service.instance.id": instance})
    _provider = TracerProvider(resource=resource)
    _provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=_DELAY_MS))
    _tracer = _provider.get_tracer("phonefarm")


def stop() -> None:
    """Send what is left, then be off."""
    global _provider, _tracer
    provider, _provider, _tracer = _provider, None, None
    if provider is not None:
        provider.shutdown()


def on() -> bool:
    return _tracer is not None


def current() -> str | None:
    """The ``traceparent`` of the span that is under way here, None if there is none."""
    if _tracer is None:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get(TRACEPARENT)


def span(
    name: str, *, parent: str | None = None, root: bool = False, began: int | None = None, **attributes: Any
) -> AbstractContextManager[Span]:
    """A span around what is done inside, which is the parent of those within. ``parent``: a ``traceparent``, else the
    span that is under way here. ``began``: ns since the epoch, if it was earlier."""
    if _tracer is None or not (root or parent or _under_way()):
        return _NONE
    return _Recorded(name, parent, began, attributes)


def record(name: str, *, parent: str | None, began: int, **attributes: Any) -> None:
    """A span that ends now; ``began`` in ns since the epoch."""
    with span(name, parent=parent, began=began, **attributes):
        pass


def now() -> int:
    """For ``began``."""
    return time.time_ns()


def _under_way() -> bool:
    from opentelemetry.trace import get_current_span

    return bool(get_current_span().get_span_context().is_valid)


class _Recorded:
    """A span of OpenTelemetry, current while it is open."""

    def __init__(self, name: str, parent: str | None, began: int | None, attributes: Mapping[str, Any]) -> None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        context = TraceContextTextMapPropagator().extract({TRACEPARENT: parent}) if parent else None
        self._span = _tracer.start_span(name, context=context, start_time=began, attributes=_named(attributes))
        self._token: Any = None

    def __enter__(self) -> _Recorded:
        from opentelemetry import context, trace

        self._token = context.attach(trace.set_span_in_context(self._span))
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        from opentelemetry import context
        from opentelemetry.trace import StatusCode

        context.detach(self._token)
        if error is not None:
            code = error.code if isinstance(error, PhoneFarmError) else type(error).__name__
            self._span.set_status(StatusCode.ERROR, code)
        self._span.end()

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def set(self, **attributes: Any) -> None:
        self._span.set_attributes(_named(attributes))


def _named(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Ours are told from others' by their prefix; those that are None are left out."""
    return {
        name if name.startswith("http.") else f"phonefarm.{name}": value
        for name, value in attributes.items()
        if value is not None
    }
