"""The driver against a real adb server and virtual phones: every fault ends on time and under the right name."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from phonefarm.devices.driver import DeviceCancelled, Driver
from phonefarm.errors import (
    AdbServerDown,
    CommandFailed,
    DeviceLost,
    DeviceTimeout,
    OutputTruncated,
    SessionStopped,
)
from tests.integration.test_devices_rack import Phone, Rack, free_port, rack_of

pytestmark = pytest.mark.timeout(60)

LONG = 30.0
GOLDEN = {
    "injection": "'; reboot #",
    "substitution": "$(reboot)",
    "backticks": "`reboot`",
    "percent": "%s %d 100%",
    "newlines": "one\ntwo\r\nthree\n",
    "emoji": "кот 🐈‍⬛ naïve",
    "quotes": '"it\'s" \\ "',
    "globs": "* ? [a-z] ~ {a,b} !! $HOME & | ; < >",
    "blanks": "  \t leading and trailing \t ",
    "dash": "-n -e --",
    "empty": "",
    "64KB": "".join(random.Random(7).choices("ab'\"$`\\ \n%", k=20_000)),
}


@pytest.fixture(scope="module")
def rack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rack]:
    with rack_of(12, tmp_path_factory.mktemp("rack")) as made:
        yield made


@pytest.fixture(scope="module")
def shared(rack: Rack) -> Phone:
    """A phone for tests that leave it well."""
    return rack.next()


@pytest.fixture
def driver(shared: Phone) -> Driver:
    return shared.driver()


def in_thread(work: Callable[[], object]) -> tuple[threading.Thread, list[BaseException]]:
    """Run ``work`` beside the test; its error is put into the list."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, errors


def wait_for_file(driver: Driver, path: str) -> None:
    """Ask until ``path`` is on the phone: then the other command runs."""
    for _ in range(2000):
        if driver.sh(["ls", path], timeout=LONG).ok:
            return
    raise AssertionError(f"{path} did not come")


def run_for_ever(driver: Driver, mark: str, timeout: float = LONG) -> Callable[[], object]:
    return lambda: driver.sh_all([["touch", mark], ["sleep", "1000"]], timeout=timeout)


# -- what works ------------------------------------------------------------------------------------------


def test_outputs_and_exit_code_come_apart(driver: Driver) -> None:
    result = driver.sh(["sh", "-c", "echo out; echo err >&2; exit 7"], timeout=LONG)
    assert (result.rc, result.stdout, result.stderr) == (7, "out\n", "err\n")
    assert not result.ok


@pytest.mark.fault(39)
@pytest.mark.parametrize("name", GOLDEN)
def test_text_arrives_byte_exact(driver: Driver, name: str) -> None:
    text = GOLDEN[name]
    assert driver.sh(["printf", "%s", text], timeout=LONG).stdout == text
    assert driver.exec_out(["printf", "%s", text], timeout=LONG) == text.encode()


@pytest.mark.fault(39)
@pytest.mark.parametrize("text", ["a\0b", "\ud800", "x" * 70_000])
def test_what_cannot_arrive_is_refused(driver: Driver, shared: Phone, text: str) -> None:
    before = len(shared.journal())
    with pytest.raises(ValueError, match=r"NUL|surrogates|limit"):
        driver.sh(["echo", text], timeout=LONG)
    assert len(shared.journal()) == before


@pytest.mark.fault(39)
def test_raw_text_is_a_type_error(driver: Driver) -> None:
    with pytest.raises(TypeError):
        driver.sh("reboot", timeout=LONG)
    with pytest.raises(TypeError):
        driver.sh_all(["echo a", "reboot"], timeout=LONG)


def test_lines_joined_in_one_round_trip(driver: Driver, shared: Phone) -> None:
    before = len(shared.journal())
    assert driver.sh_all([["echo", "a"], ["false"], ["echo", "b"]], timeout=LONG).stdout == "a\n"
    assert driver.sh_all([["echo", "a"], ["false"], ["echo", "b"]], timeout=LONG, joiner=";").stdout == "a\nb\n"
    assert len(shared.journal()) == before + 2


def test_files_go_there_and_back(driver: Driver) -> None:
    data = random.Random(1).randbytes(300_000)
    driver.push(data, "/data/local/tmp/some file", timeout=LONG)
    assert driver.pull("/data/local/tmp/some file", timeout=LONG) == data
    assert driver.exec_out(["cat", "/data/local/tmp/some file"], timeout=LONG) == data
    with pytest.raises(OutputTruncated):
        driver.pull("/data/local/tmp/some file", timeout=LONG, max_output=1000)
    with pytest.raises(CommandFailed):
        driver.pull("/data/local/tmp/none", timeout=LONG)
    with pytest.raises(CommandFailed, match="exit code"):
        driver.exec_out(["cat", "/data/local/tmp/none"], timeout=LONG)


# -- what goes wrong ---------------------------------------------------------------------------------------


@pytest.mark.fault(24)
def test_endless_output_is_cut(driver: Driver) -> None:
    with pytest.raises(OutputTruncated):
        driver.sh(["yes"], timeout=LONG, max_output=100_000)
    assert driver.sh(["echo", "well"], timeout=LONG).ok


@pytest.mark.fault(23, 28)
def test_trickling_output_meets_the_total_deadline(driver: Driver) -> None:
    """Each piece comes in time, all of them together do not."""
    with pytest.raises(DeviceTimeout):
        driver.sh(["sh", "-c", "while true; do echo x; sleep 0.05; done"], timeout=0.6)
    assert driver.sh(["echo", "well"], timeout=LONG).ok


@pytest.mark.fault(23)
def test_hung_phone_times_out_alone(rack: Rack, driver: Driver) -> None:
    phone = rack.next()
    phone.do("hang")
    for call in (
        lambda: phone.driver().sh(["echo", "hi"], timeout=0.3),
        lambda: phone.driver().push(b"x" * 5_000_000, "/sdcard/x", timeout=0.3),
        lambda: phone.driver().pull("/sdcard/x", timeout=0.3),
    ):
        with pytest.raises(DeviceTimeout):
            call()
    assert driver.sh(["echo", "others"], timeout=LONG).ok
    phone.do("unhang")


@pytest.mark.fault(19)
@pytest.mark.parametrize("switch", ["drop", "reset", "kill"])
def test_phone_lost_in_the_middle_of_a_command(rack: Rack, switch: str) -> None:
    phone = rack.next()
    thread, errors = in_thread(run_for_ever(phone.driver(), "/sdcard/runs"))
    wait_for_file(phone.driver(), "/sdcard/runs")
    phone.do(switch)
    thread.join(LONG)
    assert [type(error) for error in errors] == [DeviceLost]


def test_rebooting_phone_is_lost(rack: Rack) -> None:
    with pytest.raises(DeviceLost):
        rack.next().driver().sh(["reboot"], timeout=LONG)


@pytest.mark.fault(21)
def test_dead_serial_and_offline_phone(rack: Rack) -> None:
    port = rack.server.port
    with pytest.raises(DeviceLost):
        Driver(port=port, serial="127.0.0.1:1").sh(["true"], timeout=LONG)
    phone = rack.next()
    phone.do("offline")
    rack.until(lambda snapshot: snapshot.get(phone.address) == "offline")
    with pytest.raises(DeviceLost):
        phone.driver().sh(["true"], timeout=LONG)
    with pytest.raises(DeviceLost):
        phone.driver().push(b"", "/sdcard/x", timeout=LONG)


def test_no_server() -> None:
    with pytest.raises(AdbServerDown):
        Driver(port=free_port(), serial="x").sh(["true"], timeout=LONG)


@pytest.mark.fault(22)
def test_server_killed_in_the_middle(tmp_path: Path) -> None:
    with rack_of(1, tmp_path) as rack:
        phone = rack.phones[0]
        thread, errors = in_thread(run_for_ever(phone.driver(), "/sdcard/runs"))
        wait_for_file(phone.driver(), "/sdcard/runs")
        assert rack.server.pid is not None
        os.kill(rack.server.pid, signal.SIGKILL)
        thread.join(LONG)
        assert [type(error) for error in errors] == [AdbServerDown]
        rack.server.restart()
        rack.server.connect(phone.address)
        assert phone.driver().sh(["echo", "again"], timeout=LONG).stdout == "again\n"


# -- ending it on purpose ----------------------------------------------------------------------------------


def test_cancel_ends_a_running_command(driver: Driver, shared: Phone) -> None:
    thread, errors = in_thread(run_for_ever(driver, "/sdcard/to_cancel", timeout=600))
    wait_for_file(shared.driver(), "/sdcard/to_cancel")
    driver.cancel()
    thread.join(LONG)
    assert [type(error) for error in errors] == [DeviceCancelled]
    assert driver.sh(["echo", "next"], timeout=LONG).ok


def test_cancel_before_anything_was_sent(driver: Driver, shared: Phone) -> None:
    """The guard runs when the command can be cancelled already: here it is the one who cancels."""
    before = len(shared.journal())
    with pytest.raises(DeviceCancelled):
        driver.sh(["echo", "never"], timeout=LONG, guard=driver.cancel)
    assert len(shared.journal()) == before


def test_guard_may_refuse(driver: Driver, shared: Phone) -> None:
    def guard() -> None:
        raise SessionStopped("lease_lost")

    before = len(shared.journal())
    with pytest.raises(SessionStopped, match="lease_lost"):
        driver.sh(["echo", "never"], timeout=LONG, guard=guard)
    assert len(shared.journal()) == before


def test_cancel_with_nothing_in_flight_has_no_effect(driver: Driver) -> None:
    driver.cancel()
    assert driver.sh(["echo", "fine"], timeout=LONG).ok


def test_one_command_at_a_time(driver: Driver, shared: Phone) -> None:
    """The second waits for the first, and its wait is under its own deadline."""
    thread, errors = in_thread(run_for_ever(driver, "/sdcard/first", timeout=600))
    wait_for_file(shared.driver(), "/sdcard/first")
    with pytest.raises(DeviceTimeout):
        driver.sh(["echo", "second"], timeout=0.2)
    driver.cancel()
    thread.join(LONG)
    assert len(errors) == 1


@pytest.mark.timeout(120)
def test_ten_thousand_commands_leave_nothing_behind(rack: Rack) -> None:
    driver = rack.next().driver()
    driver.sh(["true"], timeout=LONG)
    files, threads = len(os.listdir("/proc/self/fd")), threading.active_count()
    for number in range(10_000):
        assert driver.sh(["echo", str(number)], timeout=LONG).stdout == f"{number}\n"
    assert len(os.listdir("/proc/self/fd")) == files
    assert threading.active_count() == threads
