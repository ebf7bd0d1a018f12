"""The one error tree.

::

    PhoneFarmError                      code, message, next_step, retryable
    +-- RequestError                    status: the caller's request is refused, nothing changed
    |   +-- Unauthorized 401            Forbidden 403       NotFound 404      Conflict 409
    |   +-- NotAcceptable 406           PayloadTooLarge 413       UnsupportedMedia 415
    |   +-- ValidationFailed 422        carries every fault found, first one gives the code
    |   +-- TooManyRequests 429         the intake is full; try again after Retry-After
    +-- Unavailable 503                 storage, manager or router is away; try again
    |   +-- StorageUnavailable          the database does not answer
    |   |   +-- StorageFull             its disk is full, or a quota or limit is reached
    |   |   +-- StorageReadOnly         it can be read, not written
    |   |   +-- StorageBusy             somebody else holds it, or it has no room for us
    |   |   +-- StorageRefused          it must not be used (damaged, foreign, schema too new, not durable)
    |   +-- ActorUnavailable            maybe executed: read back or repeat with the same key
    +-- StaleWriter                     another manager took over; this process must end itself
    +-- BackupRefused                   a backup, or a restore of one, would not be sound
    +-- ConfigError                     settings or farm.yaml are wrong; names the place
    +-- DeviceError                     something between us and the phone
    |   +-- DeviceLost                  unplugged, offline, or the stream was cut mid-command
    |   +-- DeviceTimeout               the total deadline of a command passed
    |   +-- DeviceUnauthorized          the phone has not accepted this host's key
    |   +-- AdbServerDown               no adb server answers on the farm's port
    |   +-- CommandFailed               the phone answered with a failure
    |   +-- OutputTruncated             more output than the cap
    |   +-- BadScreen                   the UI dump or screenshot is unusable
    +-- ActionError                     an action could not reach its goal on a working phone
    |   +-- UnexpectedScreen            not the screen the action needs, and recovery did not help
    |   +-- AppMissing                  the app of the profile is not installed
    |   +-- ActionTimedOut              not done in its time, and how far it came is not known
    |   +-- NotSupported                this Android, or this app's profile, has no way to do it
    |   +-- ApkMissing                  no such file in the farm's folder of APKs
    |   +-- InstallRefused              the file is not the one asked for, or Android refused it
    +-- SessionStopped                  cancel or lost lease asked the session to stop

Foreign errors (adbutils, SQLAlchemy, Ray, httpx) are mapped to these once, at the border where they arise.
``code`` is stable and shown in the API; ``next_step`` tells a person what to do about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


class PhoneFarmError(Exception):
    """Base of everything phonefarm raises on purpose."""

    code: ClassVar[str] = "internal_error"
    next_step: ClassVar[str] = "look into the farm's log, it holds the cause"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str = "") -> None:
        super().__init__(message or self.code)
        self.message = message or self.code

    def __reduce__(self) -> tuple[Any, ...]:
        """Errors cross actor borders, so they must survive pickling with all they carry."""
        return (_rebuild, (type(self), self.args, self.__dict__))


def _rebuild(cls: type[PhoneFarmError], args: tuple[Any, ...], state: dict[str, Any]) -> PhoneFarmError:
    error = cls.__new__(cls)
    error.args = args
    error.__dict__.update(state)
    return error


# -- requests ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One thing that is wrong with a request body: where, which rule, in words."""

    loc: tuple[str | int, ...]
    code: str
    msg: str


class RequestError(PhoneFarmError):
    """The caller's request is refused; nothing was changed."""

    status: ClassVar[int] = 400
    title: ClassVar[str] = "Bad request"

    def __init__(self, code: str, detail: str = "", *, extra: dict[str, Any] | None = None) -> None:
        super().__init__(detail or code)
        self.problem_code = code
        self.detail = detail or code
        self.extra: dict[str, Any] = dict(extra or {})


class Unauthorized(RequestError):
    status = 401
    title = "Unauthorized"


class Forbidden(RequestError):
    status = 403
    title = "Forbidden"


class NotFound(RequestError):
    status = 404
    title = "Not found"


class NotAcceptable(RequestError):
    status = 406
    title = "Not acceptable"


class Conflict(RequestError):
    status = 409
    title = "Conflict"


class PayloadTooLarge(RequestError):
    status = 413
    title = "Payload too large"


class UnsupportedMedia(RequestError):
    status = 415
    title = "Unsupported media type"


class ValidationFailed(RequestError):
    """422: every fault of the body at once; the first gives ``code`` and ``detail``."""

    status = 422
    title = "Validation failed"

    def __init__(self, faults: Sequence[Fault], *, detail: str = "") -> None:
        if not faults:
            raise ValueError("a validation failure names at least one fault")
        first = faults[0]
        super().__init__(first.code.partition(":")[0], detail or first.code)
        self.faults = tuple(faults)


class TooManyRequests(RequestError):
    status = 429
    title = "Too many requests"


# -- the farm itself -----------------------------------------------------------------------------


class Unavailable(PhoneFarmError):
    code = "unavailable"
    next_step = "try again after the time in Retry-After; the same request_id makes it safe"
    retryable = True


class StorageUnavailable(Unavailable):
    code = "storage_unavailable"


class StorageFull(StorageUnavailable):
    code = "storage_full"
    next_step = (
        "make room on the disk of the database, or raise the quota or file size limit it has reached (the farm's log "
        "names it); the farm goes on by itself, and the same request_id is safe"
    )


class StorageReadOnly(StorageUnavailable):
    code = "storage_read_only"
    next_step = "let the farm write to its database (mount, owner, standby server); it goes on by itself"


class StorageBusy(StorageUnavailable):
    code = "storage_busy"
    next_step = "end what holds the database (the farm's log names it), or try again; the same request_id makes it safe"


class StorageRefused(StorageUnavailable):
    code = "storage_refused"
    next_step = "restore the database from a backup (phonefarm restore FILE), or point --db at another one"
    retryable = False


class ActorUnavailable(Unavailable):
    """An actor did not answer. The call may have been executed (docs: design notes on Ray, finding 5)."""

    code = "actor_unavailable"


class StaleWriter(PhoneFarmError):
    code = "stale_writer"
    next_step = "none: a newer process manager has taken over and this one ends by itself"


class BackupRefused(PhoneFarmError):
    code = "backup_refused"
    next_step = "read docs/backup.md on this case; nothing was changed"


class ConfigError(PhoneFarmError):
    code = "config_error"
    next_step = "mend the named setting and start again"


# -- phones --------------------------------------------------------------------------------------


class DeviceError(PhoneFarmError):
    code = "device_error"
    next_step = "look at the phone and its cable"
    retryable = True


class DeviceLost(DeviceError):
    code = "device_lost"
    next_step = "check cable, hub and power of the phone; the work is retried by itself"


class DeviceTimeout(DeviceError):
    code = "device_timeout"
    next_step = "the phone did not answer in time; if it stays so, reboot it"


class DeviceUnauthorized(DeviceError):
    code = "device_unauthorized"
    next_step = "unlock the phone and accept this computer's USB debugging key"


class AdbServerDown(DeviceError):
    code = "adb_server_down"
    next_step = "the host actor restarts its adb server; if it stays down, read its log in the state directory"


class CommandFailed(DeviceError):
    code = "command_failed"
    next_step = "read the command's output in the error message"


class OutputTruncated(DeviceError):
    code = "output_truncated"
    next_step = "the command wrote more than the cap; ask for less"
    retryable = False


class BadScreen(DeviceError):
    code = "bad_screen"
    next_step = "the phone's screen could not be read; it is retried, and kept as a screenshot if it persists"


class ActionError(PhoneFarmError):
    code = "action_failed"
    next_step = "look at the screenshot kept with the item"
    retryable = True


class UnexpectedScreen(ActionError):
    code = "unexpected_screen"
    next_step = "look at the screenshot kept with the item; the app may have changed, so check its profile"


class AppMissing(ActionError):
    code = "app_missing"
    next_step = "install the app of the profile on this phone"
    retryable = False


class ActionTimedOut(ActionError):
    """Its time is over, and nobody can say how far it came."""

    code = "action_timed_out"
    next_step = "look at the phone and at the screenshot kept with the item; an app may be slow or hang"


class NotSupported(ActionError):
    code = "not_supported"
    next_step = "the phone's Android or the app's profile cannot do this; the message says what can be done instead"
    retryable = False


class ApkMissing(ActionError):
    code = "apk_missing"
    next_step = "put the file into the folder apks of the farm's state directory on the phone's host"
    retryable = False


class InstallRefused(ActionError):
    code = "install_refused"
    next_step = "read Android's reason in the message; for a lower version say allow_downgrade"
    retryable = False


class SessionStopped(PhoneFarmError):
    """Raised inside a session when it must stop: ``reason`` is ``cancelled`` or ``lease_lost``."""

    code = "session_stopped"
    next_step = "none: the session was asked to stop"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
