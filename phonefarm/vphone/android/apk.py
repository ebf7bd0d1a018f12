"""What is read off an APK: its package, version and flags; and the APKs of the apps that a phone comes with."""

import io
import re
import zipfile
from dataclasses import dataclass
from functools import lru_cache

_NAME = re.compile(r"[A-Za-z]\w*(?:\.[A-Za-z]\w*)+\Z")
_LARGEST_MANIFEST = 10_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Apk:
    """One APK; ``split`` is empty for the base of an app."""

    package: str
    version_code: int = 1
    version_name: str = "1.0"
    split: str = ""
    test_only: bool = False
    min_sdk: int = 24
    permissions: tuple[str, ...] = ()


def read_apk(data: bytes) -> Apk | None:
    """From an APK's manifest (as text, or the names in the binary form), or None when it is no APK."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if archive.getinfo("AndroidManifest.xml").file_size > _LARGEST_MANIFEST:
                return None
            manifest = archive.read("AndroidManifest.xml")
    except (zipfile.BadZipFile, KeyError, OSError, RuntimeError):
        return None
    text = manifest.decode("utf-8", "replace")
    name = _value(text, "package")
    if not name:
        strings = manifest.decode("utf-16-le", "ignore").split("\0")
        names = [word for word in strings if _NAME.match(word) and not word.startswith("android.")]
        return Apk(package=names[0]) if names else None
    return Apk(
        package=name,
        version_code=int(_value(text, "versionCode") or "1"),
        version_name=_value(text, "versionName") or "1.0",
        split=_value(text, "split"),
        test_only=_value(text, "testOnly") == "true",
        min_sdk=int(_value(text, "minSdkVersion") or "24"),
        permissions=tuple(re.findall(r'uses-permission[^>]*name="([^"]+)"', text)),
    )


def _value(text: str, name: str) -> str:
    match = re.search(rf'\b{name}="([^"]+)"', text)
    return match.group(1) if match else ""


@lru_cache(maxsize=32)
def built_in_apk(package: str, version_code: int, version_name: str) -> bytes:
    """A little APK for an app that comes with the phone: the same for all phones."""
    manifest = (
        f'<manifest package="{package}" android:versionCode="{version_code}" android:versionName="{version_name}"/>'
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(zipfile.ZipInfo("AndroidManifest.xml"), manifest)
    return packed.getvalue()
