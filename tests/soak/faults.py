"""What goes wrong around the servers: ends, freezes, locks, a full disk, clocks that jump, a machine that sleeps."""

import asyncio
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from random import Random

from tests.soak.books import Clock
from tests.soak.hosts import Host, Trouble
from tests.soak.plans import seeded

if sys.platform != "win32":
    import resource

CLOCK_SOURCE = Path(__file__).with_name("clock.c")


class Clocks:
    """The wall clocks of processes, each of which can be moved; without a C compiler, none can."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._steps: Counter[str] = Counter()
        self._library = folder / "clock.so"
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler:
            command = [compiler, "-shared", "-fPIC", "-O2", "-o", str(self._library), str(CLOCK_SOURCE), "-ldl"]
            subprocess.run(command, check=False, capture_output=True)
        self.can_move = self._library.exists()

    def environment(self, name: str) -> Mapping[str, str]:
        """Return the settings of a process that has a clock of this name."""
        if not self.can_move:
            return {}
        self.move(name, 0)
        return {"LD_PRELOAD": str(self._library), "SOAK_CLOCK": str(self._folder / f"clock-{name}")}

    def move(self, name: str, seconds: int) -> None:
        """Set a clock ahead of the machine's, or behind it, by so many seconds."""
        self._steps[name] = seconds
        file = self._folder / f"clock-{name}"
        with file.open("r+b" if file.exists() else "w+b") as mapped:  # it is never shortened while it is mapped
            mapped.write(struct.pack("q", seconds + int(self._clock.slept)))

    def sleep(self, seconds: int) -> None:
        """Move all clocks on, as after a sleep of the machine."""
        self._clock.slept += seconds
        for name, step in list(self._steps.items()):
            self.move(name, step)


class Injector:
    """Injects faults until a calm, each kind at times drawn from the seed, and notes it."""

    def __init__(
        self, seed: int, scale: float, hosts: Sequence[Host], *, clocks: Clocks, ledger: Path, clock: Clock
    ) -> None:
        self.log: list[tuple[float, str]] = []
        self._seed = seed
        self._scale = scale
        self._hosts = hosts
        self._clocks = clocks
        self._ledger = ledger
        self._clock = clock

    async def run(self) -> None:
        """Inject faults until it is cancelled; one that has begun then comes to its end first."""
        kinds: Mapping[Callable[[Random], Awaitable[None]], float] = {
            self._kill: 8.0,
            self._signal: 15.0,
            self._close: 15.0,
            self._freeze: 5.0,
            self._lock: 10.0,
            self._fill: 20.0,
        }
        moving = {self._step: 12.0, self._suspend: 40.0} if self._clocks.can_move else {}
        async with asyncio.TaskGroup() as tasks:
            for kind, mean in {**kinds, **moving}.items():
                tasks.create_task(self._repeat(kind, mean * 10 / self._scale))

    async def _repeat(self, inject: Callable[[Random], Awaitable[None]], mean: float) -> None:
        dice = seeded(self._seed, getattr(inject, "__name__", ""))
        await asyncio.sleep(dice.uniform(0, mean))
        while True:
            fault = asyncio.ensure_future(inject(dice))
            try:
                await asyncio.shield(fault)
            except asyncio.CancelledError:
                await fault
                raise
            await asyncio.sleep(dice.expovariate(1 / mean))

    def _note(self, what: str, host: Host | None = None) -> None:
        self.log.append((self._clock.now(), f"{what}, {host.name}" if host else what))

    def _choose(self, dice: Random) -> Host | None:
        hosts = [host for host in self._hosts if host.is_untroubled]
        return dice.choice(hosts) if hosts else None

    async def _kill(self, dice: Random) -> None:
        self._end(dice, "kill")

    async def _signal(self, dice: Random) -> None:
        self._end(dice, "SIGTERM")

    async def _close(self, dice: Random) -> None:
        self._end(dice, "closed stdin")

    def _end(self, dice: Random, how: str) -> None:
        host = self._choose(dice)
        if host is not None:
            self._note(how, host)
            host.end(how)

    async def _freeze(self, dice: Random) -> None:
        host = self._choose(dice)
        if host is not None:
            self._note("freeze", host)
            await self._stop([host], dice.choice((dice.uniform(1, 8), dice.uniform(1, 60))) / self._scale)

    async def _suspend(self, dice: Random) -> None:
        """All servers stop, and when they go on, it is later than they could know."""
        self._note("suspend")
        hosts = [host for host in self._hosts if host.is_untroubled]
        await self._stop(hosts, 0.3, slept=dice.choice((30, 300, 1800, 5400)))

    async def _stop(self, hosts: Sequence[Host], seconds: float, slept: int = 0) -> None:
        processes = [host.process for host in hosts if host.process is not None]
        troubles = [Trouble("freeze", self._clock.now()) for _ in hosts]
        for host, trouble in zip(hosts, troubles, strict=True):
            host.troubles.append(trouble)
        for number in (signal.SIGSTOP, signal.SIGCONT):
            for process in processes:
                with suppress(ProcessLookupError):
                    process.send_signal(number)
            if number == signal.SIGSTOP:
                await asyncio.sleep(seconds)
                if slept:
                    self._clocks.sleep(slept)
        for trouble in troubles:
            trouble.over = self._clock.now()

    async def _lock(self, dice: Random) -> None:
        """Another process writes to the ledger, for seconds."""
        if not self._ledger.exists():
            return
        self._note("lock")
        with (
            suppress(sqlite3.OperationalError),
            closing(sqlite3.connect(self._ledger, 1, isolation_level=None)) as other,
        ):
            other.execute("BEGIN IMMEDIATE")
            await asyncio.sleep(dice.uniform(0.3, 7))
            other.execute("ROLLBACK")

    async def _fill(self, dice: Random) -> None:
        """No file of a server can become longer than it is allowed to, which needs no root and no disk of its own."""
        host = self._choose(dice)
        if host is None or host.process is None:
            return
        self._note("full disk", host)
        trouble = Trouble("full disk", self._clock.now())
        host.troubles.append(trouble)
        id = host.process.pid
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        with suppress(ProcessLookupError):
            resource.prlimit(id, resource.RLIMIT_FSIZE, (dice.choice((0, 100_000)), hard))
            await asyncio.sleep(dice.uniform(0.5, 5))
            resource.prlimit(id, resource.RLIMIT_FSIZE, (hard, hard))
        trouble.over = self._clock.now()

    async def _step(self, dice: Random) -> None:
        """One server's wall clock is wrong for a while."""
        host = dice.choice(self._hosts)
        self._note("clock step", host)
        self._clocks.move(host.name, dice.choice((3600, -3600, 200, -200, 90, -90, 30, -30)))
        await asyncio.sleep(dice.uniform(10, 100) / self._scale)
        self._clocks.move(host.name, 0)
