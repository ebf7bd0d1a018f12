"""``/proc`` and ``/sys``: what scripts look at there.

Numbers that grow do so with the phone's uptime. The folders of processes that every phone has are the same for all
phones of this program and are made once; those of apps come and go with them.
"""

from collections.abc import Callable
from functools import lru_cache

from phonefarm.vphone.fs import S_IFDIR, S_IFREG, FileSystem, Node

CORES = 8
HERTZ = 100
FIXED = (
    ("root", 1, "init"),
    ("shell", 980, "adbd"),
    ("system", 1500, "system_server"),
    ("u0_a91", 2100, "com.android.systemui"),
    ("u0_a120", 2300, "com.google.android.apps.nexuslauncher"),
)
"""User, number and name of the processes that always run."""
_SOCKETS = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
_LISTENING = (
    "0: {address}:15B3 {nothing}:0000 0A 00000000:00000000 00:00000000 00000000  2000        0 20515 1 0 100 0 0 10 0\n"
)
_STATIC = {
    "/proc/version": "Linux version 5.15.110-android14-11 (build-user@build-host) #1 SMP PREEMPT\n",
    "/proc/meminfo": "MemTotal:        7732428 kB\nMemFree:          412308 kB\nMemAvailable:    3910456 kB\n"
    "Buffers:            4212 kB\nCached:          3421412 kB\n"
    "SwapTotal:       3145724 kB\nSwapFree:        2914300 kB\n",
    "/proc/cpuinfo": "".join(f"processor\t: {n}\nBogoMIPS\t: 49.15\n\n" for n in range(CORES)) + "Hardware\t: shiba\n",
    "/proc/loadavg": "0.52 0.61 0.58 2/2187 9001\n",
    "/proc/filesystems": "nodev\tproc\nnodev\ttmpfs\n\text4\n\tf2fs\n",
    "/proc/mounts": "/dev/block/dm-4 / ext4 ro,seclabel,relatime 0 0\n"
    "/dev/block/dm-44 /data f2fs rw,lazytime,seclabel 0 0\n"
    "/dev/fuse /storage/emulated fuse rw,lazytime,nosuid,nodev,noexec,noatime 0 0\n",
    "/proc/net/tcp": _SOCKETS + "   " + _LISTENING.format(address="00000000", nothing="00000000"),
    "/proc/net/tcp6": _SOCKETS + "   " + _LISTENING.format(address="0" * 32, nothing="0" * 32),
    "/proc/net/dev": "Inter-|   Receive                                                |  Transmit\n"
    " face |bytes    packets errs drop fifo frame compressed multicast|"
    "bytes    packets errs drop fifo colls carrier compressed\n"
    " wlan0: 48213344   51231    0    0    0     0          0         0"
    "  9213344   31231    0    0    0     0       0          0\n",
}


def plant(fs: FileSystem, uptime: Callable[[], float], boot_id: Callable[[], str]) -> None:
    """Put all files; ``uptime`` is in seconds."""
    for path, node in _shared().items():
        fs.plant_node(path, node)
    fs.plant_source("/proc/uptime", lambda: f"{uptime():.2f} {uptime() * 6:.2f}\n".encode())
    fs.plant_source("/proc/stat", lambda: _ticks(uptime()).encode())
    fs.plant_source("/proc/sys/kernel/random/boot_id", lambda: f"{boot_id()}\n".encode())


def start(fs: FileSystem, pid: int, name: str) -> None:
    """A process begins."""
    fs.plant_node(f"/proc/{pid}", _process(pid, name))


def end(fs: FileSystem, pid: int) -> None:
    """A process ends."""
    fs.uproot(f"/proc/{pid}")


@lru_cache(maxsize=1)
def _shared() -> dict[str, Node]:
    nodes = {path: _file(text) for path, text in _STATIC.items()}
    nodes |= {f"/proc/{pid}": _process(pid, name) for _, pid, name in FIXED}
    cores = {f"cpu{number}": _folder(online=_file("1\n")) for number in range(CORES)}
    return nodes | {"/sys/devices/system/cpu": _folder(present=_file(f"0-{CORES - 1}\n"), **cores)}


def _file(text: str) -> Node:
    data = text.encode()
    return Node(mode=S_IFREG | 0o444, mtime=0.0, source=lambda: data)


def _folder(**children: Node) -> Node:
    return Node(mode=S_IFDIR | 0o555, mtime=0.0, children=dict(children))


def _process(pid: int, name: str) -> Node:
    short = name[-15:]
    state = "S 1 0 0 0 -1 0 100 0 0 0 120 40 0 0 20 0 1 0 4242 14872084480 45585 18446744073709551615"
    files = {
        "stat": _file(f"{pid} ({short}) {state}\n"),
        "comm": _file(f"{short}\n"),
        "cmdline": _file(f"{name}\0"),
        "status": _file(
            f"Name:\t{short}\nState:\tS (sleeping)\nPid:\t{pid}\nPPid:\t1\n"
            "Uid:\t2000\t2000\t2000\t2000\nVmRSS:\t  182340 kB\nThreads:\t1\n"
        ),
    }  # fmt: skip
    return _folder(**files, task=_folder(**{str(pid): _folder(**{"stat": files["stat"], "comm": files["comm"]})}))


def _ticks(uptime: float) -> str:
    """Processor time since the boot, a fifth of it busy, the same for each core."""
    total = int(uptime * HERTZ) + 1
    one = (total // 10, 0, total // 10, total - total // 5, 0, 0, 0, 0, 0, 0)
    rows = ["cpu  " + " ".join(str(value * CORES) for value in one)]
    rows += [f"cpu{core} " + " ".join(map(str, one)) for core in range(CORES)]
    return "\n".join([*rows, "intr 0", "ctxt 4242424", "btime 1700000000", "processes 9001"]) + "\n"
