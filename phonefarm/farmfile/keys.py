"""Every key of farm.yaml, once: what it means, what it may be, and the default or an example of it."""

from __future__ import annotations

from dataclasses import fields

from phonefarm.farmfile.tree import Kind, Leaf, Named, Section
from phonefarm.levels import LEVELS
from phonefarm.settings import Limits, Patience

LIMITS = tuple(limit.name for limit in fields(Limits))
_LIMIT_TEXTS = {
    "battery": "percent, at least",
    "battery_charging": "percent, at least, while it charges",
    "temperature": "of the battery in degrees Celsius, at most",
    "storage_gib": "free storage in GiB, at least",
}
_LIMITS = {
    name: Leaf(kind=Kind.NUMBER, text=_LIMIT_TEXTS[name], example=getattr(Limits(), name), least=0) for name in LIMITS
}


def _seconds(text: str, example: float) -> Leaf:
    return Leaf(kind=Kind.NUMBER, text=text, example=example, above=0)


_HOST = Section(
    text="one machine with phones",
    keys={
        "connect": Leaf(
            kind=Kind.TEXTS, text="addresses of phones on the network, as adb connect takes them",
            example=["192.0.2.20:5555"],
        ),
        "groups": Leaf(kind=Kind.TEXTS, text="groups of all phones on this host", example=["rack-1"]),
        "usb": Leaf(kind=Kind.SWITCH, text="whether phones on its cables belong to the farm", example=True),
    },
)  # fmt: skip

_FLAPPING = Section(
    text="a phone that comes and goes is set apart",
    keys={
        "losses": Leaf(kind=Kind.WHOLE, text="so many losses ...", example=Patience().losses, least=1),
        "seconds": Leaf(kind=Kind.NUMBER, text="... within so many seconds", example=Patience().seconds, least=0),
        "clean": Leaf(kind=Kind.WHOLE, text="clean checks in a row end it", example=Patience().clean, least=1),
    },
)

_HEALTH = Section(
    text="What a phone needs before it gets work.",
    keys={
        **_LIMITS,
        "reboot": Leaf(
            kind=Kind.SWITCH, text="the farm may reboot a phone that does not answer, after all else", example=True
        ),
        "flapping": _FLAPPING,
        "groups": Named(
            text="limits that are others for a group; of several groups the strictest",
            each=Section(text="limits of a group", keys=_LIMITS),
            example="night-shift",
            of=("groups", "hosts.*.groups"),
            also=("sim",),
        ),
    },
)

FILE = Section(
    text="A farm of phones.",
    keys={
        "hosts": Named(
            text="Machines with phones. The first is the one where the farm runs; others need a Ray cluster.",
            each=_HOST,
            example="local",
        ),
        "groups": Named(
            text="Groups of phones by their own serial numbers, beside those of the hosts.",
            each=Leaf(kind=Kind.TEXTS, text="serial numbers of phones", example=["R58M12ABCDE"]),
            example="night-shift",
        ),
        "app": Leaf(kind=Kind.TEXT, text="The app profile of requests that name none.", example="feed"),
        "callbacks": Section(
            text="Where callbacks may go though it is not public.",
            keys={
                "allow": Leaf(kind=Kind.NETWORKS, text="in CIDR notation", example=["10.0.0.0/8"]),
            },
        ),
        "health": _HEALTH,
        "retention_days": _seconds("Days that a process is kept after it has ended.", 90),
        "replicas": Leaf(kind=Kind.WHOLE, text="Processes of the HTTP server.", example=2, above=0),
        "lease_seconds": _seconds("A phone that is silent so long while it works loses its work to another.", 30),
        "delivery_seconds": _seconds("A phone that was given work must have begun within so long.", 30),
        "check_seconds": _seconds("Time between two checks of a phone.", 30),
        "rescue_seconds": _seconds("Time between two looks for work that was left behind.", 2),
        "log_level": Leaf(
            kind=Kind.CHOICE, text="The least that the logs hold.", example="info", choices=tuple(LEVELS)
        ),
        "tracing": Section(
            text="OpenTelemetry traces from HTTP to adb; none without this.",
            keys={
                "endpoint": Leaf(
                    kind=Kind.TEXT, text="base URL of an OTLP/HTTP receiver", example="http://127.0.0.1:4318"
                ),
            },
        ),
    },
)
