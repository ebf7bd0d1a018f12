"""What the API answers about phones and hosts, for the OpenAPI document."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from phonefarm.models.requests_base import DateTimeText
from phonefarm.models.states import PhoneState
from phonefarm.serve.schemas import Shape


class BatteryShape(BaseModel):
    level: int | None
    temperature: float | None
    charging: bool | None
    full_hours: float = Field(default=0.0, description="full on its charger for so long; weeks of it swell batteries")


class StorageShape(BaseModel):
    free: int | None
    total: int | None


class ScreenShape(BaseModel):
    on: bool | None
    locked: bool | None


class RungShape(Shape):
    tries: int
    helped: int
    last_at: DateTimeText | None


class WantedShape(Shape):
    """What an operator wants the phone to become once its item has ended."""

    state: PhoneState
    why: str | None


class RunningShape(Shape):
    """The item that runs on a phone, and how far it is."""

    queue_item_id: str
    process_id: str
    process_type: str
    account_id: str | None
    action: str | None
    actions_done: int
    actions_total: int
    started_at: DateTimeText | None


class PhoneShape(BaseModel):
    phone_id: str
    serial: str
    host: str
    groups: list[str]
    labels: Any
    model: str | None
    android: str | None
    state: PhoneState
    why: str | None
    battery: BatteryShape
    storage: StorageShape
    screen: ScreenShape
    ladder: dict[str, RungShape] = Field(description="what was tried when the phone did not answer, by rung")
    first_seen: DateTimeText | None = None
    last_seen: DateTimeText | None
    current_item: RunningShape | None
    lease: dict[str, Any] | None
    counters: dict[str, int]
    wanted: WantedShape | None = None
    draining: bool = False


class HostShape(Shape):
    host: str
    adb_port: int
    state: str = Field(description="ok or trouble")
    why: str | None = Field(description="what is wrong and what to do")
    other_adb_servers: list[str] = Field(description="adb servers on this machine that are not the farm's")
    last_seen: DateTimeText | None


class PhoneList(Shape):
    items: list[PhoneShape]
    next_cursor: str | None


class HostList(Shape):
    items: list[HostShape]
    next_cursor: str | None
