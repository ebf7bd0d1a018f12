"""Everything the doctor can find, as a table: how bad, what, why it matters, and the cure.

A name in braces is filled in by the check that finds it. ``docs/doctor.md`` is written from this table and from the one
of the checks. An error keeps the farm from working or lays it open; a warning will hurt some day; a note is to be known
and does not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Level = Literal["error", "warning", "note"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """A kind of finding. Texts may hold names in braces."""

    level: Level
    what: str
    why: str
    cure: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing found on one machine; ``host`` is empty for the farm as a whole."""

    code: str
    level: Level
    host: str
    what: str
    why: str
    cure: str


def found(code: str, *, host: str = "", **values: Any) -> Finding:
    """A finding of a kind, with its names filled in."""
    kind = KINDS[code]
    return Finding(
        code=code,
        level=kind.level,
        host=host,
        what=kind.what.format(**values),
        why=kind.why.format(**values),
        cure=kind.cure.format(**values),
    )


KINDS: dict[str, Kind] = {
    # -- phones on cables --
    "udev_rules_missing": Kind(
        level="error",
        what="no udev rule gives a phone to the farm's user",
        why="without one only root may open a phone, so adb lists it as 'no permissions'",
        cure="apt-get install android-sdk-platform-tools-common, then plug the phones in again",
    ),
    "udev_phone_missing": Kind(
        level="error",
        what="no udev rule matches {device}, {usb_id}",
        why="adb may not open this phone and lists it as 'no permissions'",
        cure="add to /etc/udev/rules.d/51-android.rules: "
        'SUBSYSTEM=="usb", ATTR{{idVendor}}=="{vendor}", MODE="0660", GROUP="plugdev" '
        "and run: udevadm control --reload && udevadm trigger",
    ),
    "udev_group_missing": Kind(
        level="error",
        what="udev gives phones to the group {group}, which the farm's user is not in",
        why="adb may not open the phones, though the rules are there",
        cure="usermod -aG {group} USER for the farm's user, then restart the farm",
    ),
    "usb_debugging_off": Kind(
        level="warning",
        what="{device} is a phone without USB debugging, or in a mode without it",
        why="adb does not see it; the farm does not know that it is there",
        cure="on the phone: Developer options, USB debugging; then accept this computer's key",
    ),
    "usb_slow": Kind(
        level="warning",
        what="{device} runs at {speed:g} Mbit/s",
        why="at this speed a screenshot takes seconds; it is a sign of a bad cable or port",
        cure="change its cable, then its port",
    ),
    "usb_too_deep": Kind(
        level="error",
        what="{device} hangs behind {hubs} hubs",
        why="USB allows five in a row; what lies behind more is not brought up, or is lost under load",
        cure="plug its hub nearer to the machine",
    ),
    "usb_hub_without_power": Kind(
        level="warning",
        what="hub {device} draws its power from its cable and feeds {count} devices that may want {power} mA",
        why="phones on it do not charge, and drop off together when one of them lights its screen",
        cure="give the hub its own power supply",
    ),
    "usb_controller_full": Kind(
        level="warning",
        what="controller {controller} carries {devices} devices with {endpoints} endpoints",
        why="many controllers end at 64 devices or at 96 endpoints: the next phone is refused ('Not enough host "
        "controller resources' in the kernel's log), whatever free ports there are",
        cure="add a USB card with controllers of its own, or use another host",
    ),
    "usb_bus_full": Kind(
        level="error",
        what="bus {bus} carries {devices} devices",
        why="a USB bus has 127 addresses; the next phone is not seen",
        cure="move hubs to a port of another controller",
    ),
    "usb_autosuspend": Kind(
        level="warning",
        what="Linux may put {device} to sleep",
        why="some phones do not come back from it, and adb loses them while nothing runs",
        cure='boot with usbcore.autosuspend=-1, or a udev rule that sets ATTR{{power/control}}="on"',
    ),
    "usb_same_serial": Kind(
        level="warning",
        what="{devices} all tell the serial number {serial}",
        why="adb cannot tell them apart, and the farm sets them apart (quarantined)",
        cure="flash one of them with a serial number of its own, or plug it into another farm",
    ),
    # -- adb --
    "adb_key_open": Kind(
        level="error",
        what="the adb key {path} has the mode {mode}",
        why="whoever reads it can drive every phone that has accepted it",
        cure="chmod 600 {path}",
    ),
    "adb_other_server": Kind(
        level="warning",
        what="another adb server runs here: {server}",
        why="a phone on a cable belongs to one adb server; the other one takes phones from the farm",
        cure="end it: adb -P PORT kill-server, with the port that is named",
    ),
    "adb_server_down": Kind(
        level="error",
        what="the adb server of the host {name} does not run",
        why="no phone of this host can be reached; its actor should have started it again",
        cure="read STATE_DIR/adb/{name}/adb.log and STATE_DIR/logs/host-{name}.log; then restart the farm",
    ),
    "adb_too_many_phones": Kind(
        level="error",
        what="{phones} phones are to hang on the one adb server of this host",
        why="an adb server ends when its files reach 1,024; 250 phones are what it carries safely",
        cure="spread the phones over more hosts",
    ),
    # -- the network --
    "port_adb_open": Kind(
        level="error",
        what="the adb server listens on {address}:{port}",
        why="there is no key on that port: whoever reaches it owns every phone",
        cure="end whatever started it so (adb -a); the farm's own server listens on 127.0.0.1",
    ),
    "port_ray_open": Kind(
        level="error",
        what="Ray's {use} ({program}) listens on {address}:{port}, though this farm has one machine",
        why="whoever gets past its token runs programs on this machine",
        cure="restart the farm; if it stays, a variable RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER or --address leads it out",
    ),
    "port_dashboard_open": Kind(
        level="warning",
        what="Ray's dashboard listens on {address}:{port}",
        why="its job API runs programs for whoever holds the token, which goes over the network in clear",
        cure="start the head with --dashboard-host=127.0.0.1 and reach it by ssh -L",
    ),
    "port_http_open": Kind(
        level="warning",
        what="HTTP listens on {address}:{port}, without TLS",
        why="API keys and prompts cross the network in clear",
        cure="phonefarm up --host 127.0.0.1 behind a proxy with TLS: deploy/haproxy.cfg",
    ),
    "port_known_open": Kind(
        level="note",
        what="{use} ({program}) listens on {address}:{port}",
        why="Ray gives no choice there; statistics are shown without a key, and several hosts must reach each other",
        cure="let a firewall keep all but the farm's machines from this port",
    ),
    # -- Ray --
    "ray_without_token": Kind(
        level="error",
        what="Ray runs without token authentication",
        why="whoever reaches its ports runs programs as the farm's user, on every host",
        cure="set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH on every host (deploy/systemd), and restart",
    ),
    "ray_token_open": Kind(
        level="error",
        what="Ray's token {path} has the mode {mode}",
        why="whoever reads it runs programs as the farm's user, on every host ('ray get-auth-token' writes it so)",
        cure="chmod 600 {path}",
    ),
    # -- the machine --
    "clock_not_kept": Kind(
        level="warning",
        what="no time service keeps this machine's clock",
        why="receivers refuse callbacks whose timestamp is five minutes off, and logs of hosts do not fit together",
        cure="apt-get install systemd-timesyncd, or chrony; then timedatectl set-ntp true",
    ),
    "disk_full": Kind(
        level="error",
        what="{path} ({use}) has {free:.1f} GiB and {inodes:.0f} % of its inodes free",
        why="a full disk makes every request a 503 storage_full; nothing is accepted until there is room",
        cure="make room on {path}; shorten retention_days in farm.yaml",
    ),
    "disk_low": Kind(
        level="warning",
        what="{path} ({use}) has {free:.1f} GiB and {inodes:.0f} % of its inodes free",
        why="screenshots, logs and the database fill it, some day at night",
        cure="make room on {path}; shorten retention_days in farm.yaml",
    ),
    "files_few": Kind(
        level="warning",
        what="a process may open {files} files",
        why="Ray holds several for each phone's actor and each caller; it ends with 'Too many open files'",
        cure="LimitNOFILE=65536 in the unit (deploy/systemd), or ulimit -n 65536",
    ),
    "tasks_few": Kind(
        level="warning",
        what="the control group allows {tasks} tasks, and {phones} phones want {wanted}",
        why="threads cannot be started beyond it: actors die while they start, again and again",
        cure="TasksMax={wanted} or more in the unit (deploy/systemd)",
    ),
    "memory_short": Kind(
        level="warning",
        what="{memory:.1f} GiB of memory for {phones} phones, which want about {wanted:.1f} GiB",
        why="each phone's actor is a process of some 100 MB; Ray ends actors when memory runs out",
        cure="add memory, raise MemoryMax, or move phones to another host",
    ),
    "python_version": Kind(
        level="error",
        what="Python {version} runs the farm",
        why="phonefarm is made for, and tested with, 3.11 to 3.13",
        cure="make .venv again with one of those: make clean && make setup PYTHON=python3.11",
    ),
    # -- files and secrets --
    "state_open": Kind(
        level="error",
        what="{path} has the mode {mode}",
        why="other users of this machine read the farm's keys, prompts or screenshots there",
        cure="chmod {wanted} {path}",
    ),
    "state_foreign": Kind(
        level="error",
        what="{path} belongs to another user",
        why="the farm cannot write it, or somebody else can",
        cure="chown it to the farm's user, or run the farm as its owner; was it once started as root?",
    ),
    "secret_in_environment": Kind(
        level="warning",
        what="{name} is set in the environment",
        why="every process that the farm starts inherits it and shows it to its user in /proc",
        cure="put it into a file of mode 0600 and name that: RAY_AUTH_TOKEN_PATH",
    ),
    "secret_file_open": Kind(
        level="error",
        what="{path}, which holds secrets, has the mode {mode}",
        why="whoever logs in on this machine reads the farm's keys",
        cure="chmod 600 {path} && chown root {path}",
    ),
    "password_shown": Kind(
        level="warning",
        what="a database password stands in a command line: {words}",
        why="every user of this machine sees command lines",
        cure="put the password into ~/.pgpass (mode 0600) and leave it out of --db",
    ),
    # -- the farm --
    "farm_died": Kind(
        level="error",
        what="the farm's supervisor has died; farm.json still says {state}",
        why="nobody watches what is left of it",
        cure="phonefarm down, then phonefarm up: it goes on where it was",
    ),
    "farm_silent": Kind(
        level="error",
        what="the farm does not answer: {why}",
        why="callers get nothing, or 503",
        cure="read STATE_DIR/logs/process_manager.log; the code in the answer is explained in docs/operate.md",
    ),
    "phones_unauthorized": Kind(
        level="warning",
        what="not authorised: {phones}",
        why="such a phone gets no work until it accepts the farm's key",
        cure="wake its screen and accept the key, with 'always allow'",
    ),
    "phones_quarantined": Kind(
        level="warning",
        what="set apart: {phones}",
        why="nothing the farm could do by itself made them reliable",
        cure="look at 'why' in phonefarm phones; then phonefarm phone release ID --reason TEXT",
    ),
    "phones_offline": Kind(
        level="warning",
        what="offline: {phones}",
        why="work that names such a phone waits for it",
        cure="look at cable, power and host; if it is gone for good: phonefarm phone retire ID --reason TEXT",
    ),
    "host_missing": Kind(
        level="error",
        what="the host {name} cannot be looked at: {why}",
        why="its phones get no work",
        cure="look at the machine and at its unit phonefarm-host; its label must be pf.host={name}",
    ),
    "clocks_apart": Kind(
        level="warning",
        what="the clock of {name} is {seconds:+.1f} s off the head's",
        why="times in logs and histories do not fit together (leases do not depend on it)",
        cure="let one time service keep the clocks of all hosts",
    ),
    "versions_differ": Kind(
        level="error",
        what="{name} has {program} {here}, the head {there}",
        why="actors of two versions do not understand each other; Ray refuses some of this, but not all",
        cure="set up the same commit on every host: git checkout, make setup, then restart the unit",
    ),
    "ray_version": Kind(
        level="error",
        what="Ray {version} is installed",
        why="phonefarm leans on details of 2.60 (docs/architecture.md)",
        cure="make setup installs what requirements.lock names",
    ),
    # -- the database --
    "sqlite_threads": Kind(
        level="error",
        what="this SQLite was compiled with {option}",
        why="the farm needs threads, foreign keys and the write-ahead log",
        cure="use the Python of the distribution, or PostgreSQL: --db postgresql+psycopg://...",
    ),
    "sqlite_old": Kind(
        level="error",
        what="SQLite {version} is older than 3.35",
        why="statements of the farm do not work on it",
        cure="use a newer Python, or PostgreSQL: --db postgresql+psycopg://...",
    ),
    "sqlite_wal_reset": Kind(
        level="note",
        what="SQLite {version} has the WAL-reset error that 3.51.3 mended",
        why="it damages a database that two connections write at once; the farm has one, so nobody may write beside it",
        cure="never open farm.db for writing while the farm runs; a Python with SQLite from 3.51.3 on ends it",
    ),
    "sqlite_on_network": Kind(
        level="error",
        what="the database lies on {kind} at {path}",
        why="SQLite's log needs a local disk: on a network file system it is damaged sooner or later",
        cure="move the state directory to a local disk, or use PostgreSQL",
    ),
    "postgres_away": Kind(
        level="error",
        what="PostgreSQL cannot be reached: {why}",
        why="the farm answers 503 until it can",
        cure="look at the server, at pg_hba.conf, and at the URL of --db",
    ),
    "postgres_unsafe": Kind(
        level="error",
        what="PostgreSQL has {name}={value}",
        why="a crash of its machine loses acknowledged processes, or the database",
        cure="ALTER SYSTEM SET {name} = 'on'; SELECT pg_reload_conf();",
    ),
    "postgres_few_connections": Kind(
        level="warning",
        what="PostgreSQL allows {count} connections",
        why="the farm holds six, a backup one more; who is refused is told storage_busy",
        cure="ALTER SYSTEM SET max_connections = 50; then restart PostgreSQL",
    ),
    "database_clock": Kind(
        level="note",
        what="the database's clock is {seconds:+.1f} s off this machine's",
        why="leases go by the database's clock alone, so nothing breaks; times in histories are the database's",
        cure="let one time service keep both clocks",
    ),
    # -- backups --
    "backup_never": Kind(
        level="warning",
        what="no backup of this farm was ever made",
        why="a lost disk is a lost farm: its history, its queue, its accounts",
        cure="phonefarm backup FILE, and the timer of docs/backup.md",
    ),
    "backup_old": Kind(
        level="warning",
        what="the last backup is {hours:.0f} hours old: {path}",
        why="what was accepted since then is lost with the disk",
        cure="look why the timer does not run: systemctl status phonefarm-backup; then phonefarm backup FILE",
    ),
    "backup_gone": Kind(
        level="warning",
        what="the last backup, {path}, is not there any more",
        why="it cannot be restored from here; if it was moved to a safe place, that is well",
        cure="look for it; then phonefarm backup FILE, and phonefarm backup FILE --verify",
    ),
    "backup_open": Kind(
        level="error",
        what="the backup {path} has the mode {mode}",
        why="it holds prompts, callback URLs and histories in clear",
        cure="chmod 600 {path}",
    ),
}
