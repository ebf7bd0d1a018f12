"""Bodies of the API's requests. ``requests_base`` holds their parts, ``requests_inputs`` the inputs of each capability.

``capability``, ``mode`` and ``routing`` are plain text here, and ``inputs`` any object: what they may be is a matter
of the capability registry, which answers with codes of its own.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator
from pydantic_core import PydanticCustomError

from phonefarm.models.requests_base import Body, Callback, Ids, Name, RequestedBy, RequestOptions, Timestamp
from phonefarm.models.requests_inputs import FypInputs, KeywordInputs, MaintenanceInputs
from phonefarm.models.states import CancelStrategy, Capability, Mode, Routing


def _object(value: object) -> object:
    if not isinstance(value, dict):
        raise PydanticCustomError("wrong_type", "must be an object")
    return value


def _choices(names: type[Capability] | type[Mode] | type[Routing]) -> Any:
    return Field(json_schema_extra={"enum": [name.value for name in names]})


class TargetBody(Body):
    """Which phones and accounts. A field that the routing does not use is refused (contract section 3)."""

    routing: Annotated[str, _choices(Routing)]
    phone_id: Name | None = None
    account_id: Name | None = None
    phone_group: Name | None = None
    account_group: Name | None = None
    phone_ids: Ids = ()
    account_ids: Ids = ()


class EnqueueBody(Body):
    """Body of ``POST /capability-requests/enqueue``."""

    request_id: Name = Field(description="the caller's part of the idempotency key")
    capability: Annotated[str, _choices(Capability)]
    mode: Annotated[str, _choices(Mode)]
    target: TargetBody
    inputs: Annotated[
        dict[str, Any],
        PlainValidator(_object, json_schema_input_type=KeywordInputs | FypInputs | MaintenanceInputs),
    ]
    callback: Callback
    requested_by: RequestedBy
    options: RequestOptions = RequestOptions()


class MaintenanceBody(Body):
    """Body of ``POST /maintenance/requests``: upkeep of an account, or of a phone instead. Exactly one of the two."""

    request_id: Name = Field(description="the caller's part of the idempotency key")
    account_id: Name | None = None
    phone_id: Name | None = None
    inputs: Annotated[dict[str, Any], PlainValidator(_object, json_schema_input_type=MaintenanceInputs)]
    callback: Callback
    requested_by: RequestedBy
    options: RequestOptions = RequestOptions()


class ReplayBody(Body):
    """Body of ``POST /processes/{id}/replay``."""

    request_id: Name = Field(description="the caller's part of the new process's idempotency key")
    requested_by: RequestedBy


class OperationBody(Body):
    """Body of an operation on phones."""

    reason: Annotated[str, Field(min_length=1, max_length=1_000)]


class KeyBody(Body):
    """Body of ``POST /keys``."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$", max_length=100)]
    scopes: Annotated[list[Literal["submit", "read", "cancel", "operate", "admin"]], Field(min_length=1, max_length=5)]
    system: Name | None = Field(default=None, description="the only `requested_by.system` it may name and see")


class CancelBody(Body):
    """Body of ``POST /processes/{id}/cancel``."""

    reason: Annotated[str, Field(min_length=1, max_length=1_000)]
    requested_by: RequestedBy
    strategy: Annotated[CancelStrategy, Field(strict=False)] = CancelStrategy.SOFT_THEN_FORCE
    force_after_seconds: float = Field(default=10, ge=0, le=3_600)


class Authorization(Body):
    """Who allowed this account to be used, and why. Free text but for the time."""

    authorized_by: Name
    basis: Annotated[str, Field(min_length=1, max_length=1_000)]
    granted_at: Timestamp


class DailyLimitsBody(Body):
    """Per UTC day; null means no limit of that kind."""

    sessions: Annotated[int, Field(ge=0, le=100_000)] | None = None
    minutes: Annotated[int, Field(ge=0, le=1_440)] | None = None


class DailyLimitsPatch(Body):
    """The limits to change; null takes one away."""

    sessions: Annotated[int, Field(ge=0, le=100_000)] | None = None
    minutes: Annotated[int, Field(ge=0, le=1_440)] | None = None


class AccountPatchBody(Body):
    """Body of ``PATCH /accounts/{id}``: what to change; null takes a value away."""

    phone_id: Name | None = None
    group: Name | None = None
    active: bool = False
    authorization: Authorization | None = None
    daily_limits: DailyLimitsPatch = DailyLimitsPatch()


class AccountBody(Body):
    """Body of ``PUT /accounts/{id}``: the whole account. It is inactive unless somebody authorised its use."""

    phone_id: Name | None = None
    group: Name | None = None
    active: bool = False
    authorization: Authorization | None = None
    daily_limits: DailyLimitsBody = DailyLimitsBody()
