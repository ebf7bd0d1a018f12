"""Installing: ``pm install``, and sessions (``install-create``, ``-write``, ``-commit``, ``-abandon``) for split APKs.

Texts follow AOSP's ``PackageManagerShellCommand``. ``pm install`` replaces what is there unless ``-R`` forbids it;
an older version needs ``-d``, a test-only app ``-t``.
"""

import posixpath
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from phonefarm.vphone.android.apk import Apk, read_apk
from phonefarm.vphone.android.parts import Package, Session
from phonefarm.vphone.android.state import Android
from phonefarm.vphone.shell.call import Call

_VALUED = frozenset({"-S", "-i", "-p", "--user", "--abi", "--install-location", "--install-reason", "--originating-uri",
                     "--referrer", "--pkg", "--dexopt-compiler-filter"})  # fmt: skip
FIRST_SESSION = 1_000_001


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """Arguments of an installing command."""

    flags: frozenset[str]
    values: Mapping[str, str]
    words: list[str]

    @property
    def size(self) -> int:
        """Bytes on standard input; -1: not said. Raises ``ValueError``."""
        return int(self.values.get("-S", "-1"))


def wish_of(args: list[str]) -> Wish:
    """Arguments taken apart."""
    flags, values, words, queue = set(), {}, [], list(args)
    while queue:
        arg = queue.pop(0)
        if arg in _VALUED and queue:
            values[arg] = queue.pop(0)
        elif arg.startswith("-") and len(arg) > 1:
            flags.add(arg)
        else:
            words.append(arg)
    return Wish(flags=frozenset(flags), values=values, words=words)


async def _read(call: Call, size: int, path: str) -> bytes:
    """An APK from a file, or so many bytes from standard input."""
    if path not in ("", "-"):
        return call.fs.read(call.shell.absolute(path))
    data = bytearray()
    while len(data) < size and (more := await call.io.stdin.read(size - len(data))):
        data += more
    return bytes(data)


async def install(android: Android, call: Call, rest: list[str]) -> int:
    """``pm install [-r] [-R] [-d] [-t] [-S SIZE] [FILE..|-]``."""
    wish = wish_of(rest)
    if wish.size < 0 and not wish.words:
        await call.err("Error: must either specify a package size or an APK file\n")
        return 1
    try:
        parts = {posixpath.basename(path): await _read(call, wish.size, path) for path in wish.words or ["-"]}
    except OSError as error:
        await call.err(f"Error: Unable to open file: {wish.words[0]}\n")
        await call.err(f"Error: {error.strerror}\n")
        return 1
    return await _told(call, put(android, list(parts.values()), wish.flags))


async def create(android: Android, call: Call, rest: list[str]) -> int:
    """``pm install-create [options]``."""
    number = FIRST_SESSION + len(android.sessions) + android.sessions_done
    android.sessions[number] = Session(flags=wish_of(rest).flags)
    await call.out(f"Success: created install session [{number}]\n")
    return 0


async def write(android: Android, call: Call, rest: list[str]) -> int:
    """``pm install-write [-S SIZE] SESSION NAME [FILE|-]``."""
    wish = wish_of(rest)
    session = android.sessions.get(_number(wish.words))
    if session is None:
        return await _no_session(call, "install-write", wish.words)
    if len(wish.words) < 2:
        await call.err("Error: must specify a name\n")
        return 1
    path = wish.words[2] if len(wish.words) > 2 else "-"
    if wish.size < 0 and path == "-":
        await call.err("Error: must specify a APK size\n")
        return 1
    try:
        data = await _read(call, wish.size, path)
    except OSError as error:
        await call.err(f"Error: failed to write; {error.strerror}\n")
        return 1
    session.written[wish.words[1]] = data
    await call.out(f"Success: streamed {len(data)} bytes\n")
    return 0


async def commit(android: Android, call: Call, rest: list[str]) -> int:
    """``pm install-commit SESSION``."""
    number = _number(wish_of(rest).words)
    session = android.sessions.get(number)
    if session is None:
        return await _no_session(call, "install-commit", rest)
    _forget(android, number)
    for each in [session, *(android.sessions[child] for child in session.children if child in android.sessions)]:
        if each.children:
            continue
        if not each.written:
            return await _told(call, "INSTALL_FAILED_INVALID_APK: Missing existing base package")
        if problem := put(android, list(each.written.values()), each.flags):
            return await _told(call, problem)
    for child in session.children:
        _forget(android, child)
    return await _told(call, "")


async def abandon(android: Android, call: Call, rest: list[str]) -> int:
    """``pm install-abandon SESSION``."""
    if _number(rest) not in android.sessions:
        return await _no_session(call, "install-abandon", rest)
    _forget(android, _number(rest))
    return await _told(call, "")


async def add_session(android: Android, call: Call, rest: list[str]) -> int:
    """``pm install-add-session PARENT CHILD..``."""
    numbers = [int(word) for word in rest if word.isdigit()]
    if len(numbers) < 2 or any(number not in android.sessions for number in numbers):
        return await _no_session(call, "install-add-session", rest)
    android.sessions[numbers[0]].children += numbers[1:]
    return await _told(call, "")


def _forget(android: Android, number: int) -> None:
    if android.sessions.pop(number, None) is not None:
        android.sessions_done += 1


def _number(words: list[str]) -> int:
    return int(words[0]) if words and words[0].isdigit() else -1


async def _no_session(call: Call, verb: str, words: list[str]) -> int:
    await call.err(
        f"\nException occurred while executing '{verb}':\n"
        f"java.lang.SecurityException: Caller has no access to session {words[0] if words else -1}\n"
    )
    return 255


async def _told(call: Call, problem: str) -> int:
    await call.out(f"Failure [{problem}]\n" if problem else "Success\n")
    return 1 if problem else 0


def put(android: Android, parts: list[bytes], flags: frozenset[str]) -> str:
    """Install one app from its base and splits; returns the reason of a failure, or ``""``."""
    if android.faults.on("disk_full"):
        return "INSTALL_FAILED_INSUFFICIENT_STORAGE"
    read = [(apk, data) for data in parts for apk in [read_apk(data)]]
    apks = [(apk, data) for apk, data in read if apk is not None]
    if len(apks) < len(read):
        return "INSTALL_PARSE_FAILED_NOT_APK: Failed to parse base.apk"
    bases = [apk for apk, _ in apks if not apk.split]
    if len(bases) != 1 or any(apk.package != bases[0].package for apk, _ in apks):
        return "INSTALL_FAILED_INVALID_APK: Split null was defined multiple times or packages differ"
    problem = _objection(android, bases[0], flags)
    if not problem:
        _keep(android, bases[0], apks)
    return problem


def _objection(android: Android, apk: Apk, flags: frozenset[str]) -> str:
    old = android.packages.get(apk.package)
    if apk.test_only and "-t" not in flags:
        return "INSTALL_FAILED_TEST_ONLY: Failed to install test-only apk. Did you forget to add -t?"
    if apk.min_sdk > (sdk := int(android.properties.get("ro.build.version.sdk", booted=True))):
        return f"INSTALL_FAILED_OLDER_SDK: Requires newer sdk version #{apk.min_sdk} (current version is #{sdk})"
    if old is not None and "-R" in flags:
        return f"INSTALL_FAILED_ALREADY_EXISTS: Attempt to re-install {apk.package} without first uninstalling."
    if old is not None and old.version_code > apk.version_code and "-d" not in flags:
        return (
            f"INSTALL_FAILED_VERSION_DOWNGRADE: Downgrade detected: Update version code {apk.version_code} "
            f"is older than current {old.version_code}"
        )
    return ""


def _keep(android: Android, base: Apk, apks: list[tuple[Apk, bytes]]) -> None:
    old = android.packages.get(base.package)
    made = Package(
        name=base.package,
        activity=old.activity if old is not None and old.activity else ".MainActivity",
        version_code=base.version_code,
        version_name=base.version_name,
        label=old.label if old is not None else "",
        colour=old.colour if old is not None else "#4a5260",
        installed_at=android.wall(),
        splits=tuple(apk.split for apk, _ in apks if apk.split),
        requested=base.permissions or (old.requested if old is not None else ()),
        granted=set(old.granted) if old is not None else set(),
    )
    android.remove_app(base.package)
    android.packages[base.package] = made
    for apk, data in apks:
        android.fs.plant_file(made.path if not apk.split else made.split_path(apk.split), data)


VERBS: dict[str, Callable[[Android, Call, list[str]], Awaitable[int]]] = {
    "install": install,
    "install-create": create,
    "install-write": write,
    "install-commit": commit,
    "install-abandon": abandon,
    "install-destroy": abandon,
    "install-add-session": add_session,
}
