"""The life of a farm: start it, watch it, end it.

The supervisor is one light process that holds the state directory. What it starts runs in sessions of its own, so a
Ctrl-C reaches the supervisor alone and it ends the rest in order. It starts things in this order and writes farm.json
before each: virtual phones, the Ray head (both at once), then, by ``raydriver``, the actors and the HTTP deployment.
It ends when it is told to (SIGINT, SIGTERM) or when the Ray head dies, which Ray does not survive.
"""

from __future__ import annotations

import os
import random
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from types import FrameType
from typing import TYPE_CHECKING, Any

from phonefarm.cli import kin, plan, ports, raydriver, raynode
from phonefarm.cli.draining import drained_before, resume_drained
from phonefarm.cli.ending import end_farm
from phonefarm.cli.plan import UpOptions
from phonefarm.cli.raynode import RayNode
from phonefarm.cli.sim import SimProcess
from phonefarm.cli.statedir import READY, STARTING, FarmFile, StateDir, mark_of, runs
from phonefarm.cli.voice import Voice
from phonefarm.devices.processes import Mark
from phonefarm.errors import ConfigError, PhoneFarmError
from phonefarm.settings import Settings, child_environment, read_secrets

if TYPE_CHECKING:
    from phonefarm.client import Farm

RAY_SECONDS, DEPLOY_SECONDS, READY_SECONDS = 90.0, 240.0, 90.0
_TICK = 0.2
_LOOK_SECONDS = 1.0


class FarmDied(PhoneFarmError):
    """Something the farm cannot do without did not come up, or ended by itself."""

    code = "farm_died"
    next_step = "read the logs in the state directory, then start again: the farm goes on where it was"


class _ToldToEnd(BaseException):
    """Raised in the main thread by SIGINT or SIGTERM."""


class Supervisor:
    """One farm, from ``run`` to its return."""

    def __init__(self, options: UpOptions, voice: Voice) -> None:
        self._options = options
        self._voice = voice
        self._state = StateDir(options.state_dir)
        self._config = plan.read_config(options)
        self._settings: Settings | None = None
        self._ray: subprocess.Popen[bytes] | None = None
        self._node: RayNode | None = None
        self._sim: subprocess.Popen[bytes] | None = None
        self._variables: dict[str, str] = {}
        self._vital: dict[str, Mark] = {}
        self._ended = False

    def run(self) -> int:
        """The whole life. Gives the exit code: 0 if it was told to end, 1 if it had to."""
        plan.check(self._options, self._config)
        self._state.open()
        with self._state.alone():
            self._clean_up_after_another()
            try:
                with self._signals():
                    with self._voice.work("starting the farm", total=2 + bool(self._options.sim)):
                        self._start()
                    self._watch()
            except _ToldToEnd:
                return 0
            finally:
                self._end()
        return 0

    # -- starting --

    def _clean_up_after_another(self) -> None:
        last = self._state.read()
        if last.cookie or last.address:
            self._voice.step("ending what a supervisor that died has left")
            end_farm(self._state)

    def _start(self) -> None:
        sim, settings, farm = self._prepare()
        self._settings = settings
        variables = {kin.COOKIE_ENV: farm.cookie}
        if sim is not None:
            self._sim = sim.start(variables)
            self._state.update(sim=mark_of(self._sim.pid))
        if self._node is not None:
            self._ray = self._node.start(self._variables)
            self._state.update(ray=mark_of(self._ray.pid))
        driver = self._start_driver()
        if sim is not None and self._sim is not None:
            self._voice.step(f"virtual phones: {', '.join(sim.wait(self._sim))}")
        self._wait_for_ray()
        self._deploy(driver, settings)
        self._wait_ready(settings)
        if drained_before(self._state):
            self._voice.step("resuming the phones that were drained for the restart")
            with self._client() as client:
                resume_drained(client, self._state)
        farm = self._state.update(state=READY)
        self._voice.ready(farm, self._state, key_from_env=read_secrets().api_key is not None)

    def _prepare(self) -> tuple[SimProcess | None, Settings, FarmFile]:
        """Choose every port and directory, and write them down."""
        options, last, rng = self._options, self._state.read().ports, random.Random()
        taken: set[int] = set()
        http = options.port
        if http == 0 or options.address is None:  # on a cluster that is not ours, Serve may hold the port already
            http = ports.http_port(http, options.host, last=last.get("http", 0), rng=rng, taken=taken)
        taken.add(http)
        chosen = {"http": http, **_adb_port(options.adb_port, last, rng, taken)}
        sim = None
        if options.sim:
            chosen["sim"] = _row("sim", options.sim, last, rng, taken)
            sim = SimProcess(self._state, phones=options.sim, port_base=chosen["sim"], profile=options.profile)
        addresses = sim.addresses if sim else ()
        settings = plan.settings(
            options, self._config, state=self._state, port=http, adb_port=chosen["adb"], addresses=addresses
        )
        farm = FarmFile(
            state=STARTING,
            version=version("phonefarm"),
            supervisor=mark_of(os.getpid()),
            cookie=secrets.token_hex(16),
            url=_url(options.host, http),
            address=options.address or "",
            ingress="that of your Ray cluster",
            hosts=tuple(host.name for host in settings.hosts),
            ports=chosen,
            db=settings.db_url,
        )
        if options.address is None:
            farm = self._prepare_ray(farm, settings, rng, taken)
        self._state.write(farm)
        return sim, settings, farm

    def _prepare_ray(self, farm: FarmFile, settings: Settings, rng: random.Random, taken: set[int]) -> FarmFile:
        chosen = {**farm.ports, **ports.choose(raynode.PORTS, last={}, rng=rng, taken=taken)}
        for name, (size, _, _) in raynode.ROWS.items():
            chosen[name] = _row(name, size, {}, rng, taken)
        haproxy = self._haproxy()
        self._state.ray_token()
        temp_dir = raynode.make_temp_dir()
        self._variables = raynode.environment(
            state=self._state, temp_dir=temp_dir, ports=chosen, cookie=farm.cookie, haproxy=haproxy
        )
        self._node = RayNode(self._state, temp_dir=temp_dir, ports=chosen, host=settings.hosts[0].name)
        ingress = "HAProxy" if haproxy else "Ray Serve's own proxy"
        return replace(farm, temp_dir=str(temp_dir), dashboard=self._node.dashboard, ports=chosen, ingress=ingress)

    def _haproxy(self) -> bool:
        if not self._options.haproxy:
            return False
        installed = raynode.haproxy_installed()
        if not installed:
            self._voice.step("HAProxy is not installed, so Ray Serve's own, slower proxy is used")
        return installed

    def _start_driver(self) -> subprocess.Popen[bytes]:
        with (self._state.logs / "raydriver.log").open("wb") as log:
            return subprocess.Popen(
                raydriver.command(),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=child_environment({**self._variables, kin.COOKIE_ENV: self._state.read().cookie}),
                start_new_session=True,
            )

    def _wait_for_ray(self) -> None:
        node = self._node
        if node is None:
            return
        self._voice.step("starting Ray")
        if not self._until(node.up, RAY_SECONDS):
            raise FarmDied(f"Ray did not start within {RAY_SECONDS:g} s; its last words:\n{node.last_words()}")
        self._vital = raynode.vital(self._state.read().ray)

    def _deploy(self, driver: subprocess.Popen[bytes], settings: Settings) -> None:
        self._voice.step("starting the actors and the HTTP server")
        address = self._node.address if self._node else str(self._options.address)
        _send(driver, raydriver.order_up(address, settings))
        if not self._until(lambda: driver.poll() is not None, DEPLOY_SECONDS) or driver.returncode != 0:
            raise FarmDied(f"the actors and the HTTP server did not start: {self._driver_s_reason()}")

    def _driver_s_reason(self) -> str:
        lines = (self._state.logs / "raydriver.log").read_text("utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "no reason was given"

    def _wait_ready(self, settings: Settings) -> None:
        url = _url(settings.host, settings.port)
        if not self._until(lambda: _answers(url), READY_SECONDS):
            raise FarmDied(f"{url} did not answer 200 within {READY_SECONDS:g} s")

    def _until(self, true: Callable[[], bool], seconds: float) -> bool:
        """Wait for it, as long as Ray lives."""
        until = time.monotonic() + seconds
        while not true():
            if time.monotonic() > until:
                return False
            self._check_ray()
            time.sleep(0.05)
        return True

    # -- watching --

    def _watch(self) -> None:
        seen: dict[str, tuple[Any, Any]] = {}
        look_at = 0.0
        sim_lives = True
        with self._client() as client:
            while True:
                self._check_ray()
                if self._sim is not None and sim_lives and self._sim.poll() is not None:
                    sim_lives = False
                    self._voice.event("sim_died", "the virtual phones have ended by themselves", style="red")
                if time.monotonic() >= look_at:
                    self._look(client, seen)
                    look_at = time.monotonic() + _LOOK_SECONDS
                time.sleep(_TICK)

    def _client(self) -> Farm:
        from phonefarm.client import Farm

        if self._settings is None:
            raise RuntimeError("the farm was not started")
        key = self._settings.api_key
        base = _url(self._settings.host, self._settings.port)
        return Farm(base, key, timeout=5.0, patience=0.0)

    def _look(self, client: Farm, seen: dict[str, tuple[Any, Any]]) -> None:
        """Say each phone whose state or place has changed; a farm that does not answer now is asked again."""
        try:
            phones = client.phones()
        except PhoneFarmError:
            return
        for phone in phones:
            now = (phone.get("state"), phone.get("serial"))
            if seen.get(phone["phone_id"]) != now:
                seen[phone["phone_id"]] = now
                self._voice.phone(phone)

    def _check_ray(self) -> None:
        if self._ray is not None and self._ray.poll() is not None:
            words = self._node.last_words() if self._node else ""
            raise FarmDied(f"the Ray head has ended by itself (exit code {self._ray.returncode}):\n{words}")
        for name, mark in self._vital.items():
            if not runs(mark):
                raise FarmDied(
                    f"Ray's {name}, process {mark.pid}, has ended by itself: see ray.log and ray/ in the logs"
                )

    # -- ending --

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Those that whoever started us had switched off stay off (nohup, a shell's background)."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._told)
        yield

    def _told(self, number: int, _frame: FrameType | None) -> None:
        """Once; further signals while it ends are heard but change nothing."""
        if not self._ended:
            self._ended = True
            raise _ToldToEnd

    def _end(self) -> None:
        self._ended = True
        if not self._state.read().cookie:
            return  # nothing was started
        self._voice.step("ending the farm")
        end_farm(self._state)
        self._voice.event("ended", "ended")


def _adb_port(asked: int | None, last: dict[str, int], rng: random.Random, taken: set[int]) -> dict[str, int]:
    """One that was asked for may be held already: by an adb server of ours that runs in a unit of its own."""
    if asked is None:
        return ports.choose(("adb",), last=last, rng=rng, taken=taken)
    taken.add(asked)
    return {"adb": asked}


def _row(name: str, size: int, last: dict[str, int], rng: random.Random, taken: set[int]) -> int:
    first = last.get(name, 0)
    block = range(first, first + size)
    if not first or taken.intersection(block) or not all(ports.is_free(port) for port in block):
        first = ports.free_block(size, rng=rng, taken=taken)
    taken.update(range(first, first + size))
    return first


def _send(child: subprocess.Popen[bytes], data: bytes) -> None:
    if child.stdin is None:
        raise ConfigError("the driver has no standard input")
    try:
        child.stdin.write(data)
        child.stdin.close()
    except BrokenPipeError:
        return


def _url(host: str, port: int) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _answers(url: str) -> bool:
    from phonefarm.client import Farm

    try:
        with Farm(url, "nobody", timeout=3.0, patience=0.0) as farm:
            farm.ready()
            return True
    except PhoneFarmError:
        return False
