"""The steps of ``maintenance``, each with its own params (contract section 4).

A step is one of a closed list, and so is what it may change: caches, apps from the farm's own folder, a few
harmless settings, and the texts of a profile that an operator wrote. Nothing here erases data, changes an identity
or touches what an app is told about the phone (contract section 9).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from phonefarm.models.requests_base import Body, Name

#: A file in the farm's ``apks`` folder; never a path.
ApkFile = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,120}\.apk$", max_length=125)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
ProfileText = Annotated[str, Field(min_length=1, max_length=500)]
App = Annotated[Name | None, Field(description="name of an app profile; the farm's own by default")]

#: What ``update_settings`` may set: (namespace, name). Display, sound and upkeep; nothing that identifies a phone.
SETTINGS: frozenset[tuple[str, str]] = frozenset(
    {
        ("system", "screen_off_timeout"),
        ("system", "screen_brightness"),
        ("system", "screen_brightness_mode"),
        ("system", "accelerometer_rotation"),
        ("system", "user_rotation"),
        ("system", "font_scale"),
        ("system", "haptic_feedback_enabled"),
        ("system", "sound_effects_enabled"),
        ("global", "stay_on_while_plugged_in"),
        ("global", "window_animation_scale"),
        ("global", "transition_animation_scale"),
        ("global", "animator_duration_scale"),
        ("global", "auto_time"),
        ("global", "auto_time_zone"),
        ("global", "wifi_sleep_policy"),
        ("secure", "screensaver_enabled"),
    }
)


class Nothing(Body):
    """This step takes no params."""


class AppParams(Body):
    app: App = None


class DiagnosticsParams(Body):
    log_lines: int = Field(default=500, ge=1, le=5_000, description="of logcat")


class FreeStorageParams(Body):
    """Caches are trimmed, nothing else, until so much is free or no cache is left."""

    target_mib: int = Field(default=2_048, ge=1, le=65_536)


class InstallParams(Body):
    file: ApkFile = Field(description="name of an APK in the farm's `apks` folder")
    sha256: Sha256 | None = Field(default=None, description="refuse another file than this")
    allow_downgrade: bool = False


class SettingValue(Body):
    namespace: Literal["system", "secure", "global"]
    name: Name
    value: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9._-]+$")]

    @model_validator(mode="after")
    def _allowed(self) -> SettingValue:
        if (self.namespace, self.name) not in SETTINGS:
            known = ", ".join(sorted(f"{namespace}/{name}" for namespace, name in SETTINGS))
            raise PydanticCustomError("setting_not_allowed", f"must be one of {known}")
        return self


class SettingsParams(Body):
    settings: list[SettingValue] = Field(min_length=1, max_length=20)


def _not_randomized(value: object) -> object:
    if value not in (False, None):
        raise PydanticCustomError("out_of_scope:randomized", "is out of scope: say what the value shall be")
    return value


class ProfileParams(Body):
    """At least one of the three texts; written as they are."""

    display_name: ProfileText | None = None
    bio: ProfileText | None = None
    username: ProfileText | None = None
    mutation_kind: Literal["operator_requested"] = "operator_requested"
    randomized: Annotated[Literal[False], BeforeValidator(_not_randomized)] = False
    app: App = None

    @model_validator(mode="after")
    def _something(self) -> ProfileParams:
        if self.display_name is None and self.bio is None and self.username is None:
            raise PydanticCustomError("missing_field", "needs one of display_name, bio, username")
        return self


class HealthCheckStep(Body):
    """Battery, storage, temperature, Android and what runs in front."""

    action: Literal["health_check"]
    params: Nothing = Nothing()


class ScreenshotStep(Body):
    """The screen as it is."""

    action: Literal["screenshot"]
    params: Nothing = Nothing()


class DiagnosticsStep(Body):
    """The log, the packages and the state of the system, as one text file."""

    action: Literal["collect_diagnostics"]
    params: DiagnosticsParams = DiagnosticsParams()


class RestartAppStep(Body):
    """The app ended and opened again."""

    action: Literal["restart_app"]
    params: AppParams = AppParams()


class ClearCacheStep(Body):
    """The app's cache; its data and its sign-in stay."""

    action: Literal["clear_app_cache"]
    params: AppParams = AppParams()


class FreeStorageStep(Body):
    """Caches of all apps."""

    action: Literal["free_storage"]
    params: FreeStorageParams = FreeStorageParams()


class InstallStep(Body):
    """An APK that the operator put into the farm's folder."""

    action: Literal["install_app"]
    params: InstallParams


class SettingsStep(Body):
    """Settings of a short list, each read back."""

    action: Literal["update_settings"]
    params: SettingsParams


class RebootStep(Body):
    """Reboot, and wait until the phone is up."""

    action: Literal["reboot"]
    params: Nothing = Nothing()


class EditProfileStep(Body):
    """Texts of the account's profile, as an operator wrote them."""

    action: Literal["edit_profile"]
    params: ProfileParams


#: Every step by its name, for the docs and for ``faults`` that stand in one.
STEPS: dict[str, type[Body]] = {
    "health_check": HealthCheckStep,
    "screenshot": ScreenshotStep,
    "collect_diagnostics": DiagnosticsStep,
    "restart_app": RestartAppStep,
    "clear_app_cache": ClearCacheStep,
    "free_storage": FreeStorageStep,
    "install_app": InstallStep,
    "update_settings": SettingsStep,
    "reboot": RebootStep,
    "edit_profile": EditProfileStep,
}

Step = Annotated[
    HealthCheckStep
    | ScreenshotStep
    | DiagnosticsStep
    | RestartAppStep
    | ClearCacheStep
    | FreeStorageStep
    | InstallStep
    | SettingsStep
    | RebootStep
    | EditProfileStep,
    Field(discriminator="action"),
]


def dumped(step: Any) -> dict[str, Any]:
    """A step as plain JSON: params that were not given and have no default are left out."""
    body: dict[str, Any] = step.model_dump(exclude_none=True)
    body["params"].pop("randomized", None)
    return body
