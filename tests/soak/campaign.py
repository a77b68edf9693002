"""One run: a gateway, three hosts and the command line on one ledger, and what is found in the end."""

import asyncio
import json
import sqlite3
import sys
import time
from asyncio.subprocess import PIPE
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.soak.books import Books, Clock
from tests.soak.checks import Evidence, Finding, Row, findings, what_is_shown
from tests.soak.faults import Clocks, Injector
from tests.soak.gateway import Gateway
from tests.soak.hosts import Host
from tests.soak.plans import Rail, pick, seeded
from tests.soak.wishes import PICTURE, Clients
from tests.support.picture_files import encoded
from tests.support.processes import process_environment

_HOSTS = ("A", "B", "C")
_MAX_HINTS = 36
_MAX_SHOWN = 3
_COMMANDS = {("spend", "--json"): 2, ("images", "--json", "--most", "1000"): 1, ("recover",): 1}
_KEY = "0x4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"
_LATER = 7_200
"""After which no signature is valid, and whatever the ledger releases by itself is released."""


@dataclass(frozen=True)
class Options:
    """What is run: about so many calls, or fewer where the time is over, or the wish of one number alone."""

    seed: int
    calls: int
    rail: Rail
    scale: float
    minutes: float | None = None
    budget: int = 1_000_000_000
    wish: int | None = None
    is_calm: bool = False


@dataclass
class Report:
    """What a run came to."""

    options: Options
    folder: Path
    found: list[Finding] = field(default_factory=list[Finding])
    figures: dict[str, object] = field(default_factory=dict[str, object])
    timelines: dict[str, Sequence[tuple[float, str]]] = field(default_factory=dict[str, Sequence[tuple[float, str]]])

    def to_text(self) -> str:
        """Return the figures, and what was found with what happened before it."""
        options = self.options
        lines = [f"{options.rail}: seed {options.seed}, scale {options.scale:g}, in {self.folder}"]
        lines += [f"  {name}: {figure}" for name, figure in self.figures.items()]
        for check, count in Counter(finding.check for finding in self.found).items():
            lines.append(f"  {check}: {count}")
            for finding in [each for each in self.found if each.check == check][:_MAX_SHOWN]:
                lines.append(f"    {finding.prompt}: {finding.text}" if finding.prompt else f"    {finding.text}")
                lines += [f"      {at:9.3f} {text[:220]}" for at, text in self.timelines.get(finding.prompt, ())]
        return "\n".join([*lines, "  Nothing is wrong." if not self.found else f"  {len(self.found)} findings."])


class Campaign:
    """Runs what the options say, in a folder of its own."""

    def __init__(self, options: Options, folder: Path) -> None:
        self._options = options
        self._folder = folder
        self._clock = Clock()
        self._books = Books(self._clock)
        self._clocks = Clocks(folder, self._clock)
        self._gateway = Gateway(options.seed, options.rail, options.scale, self._books)
        self._clients = Clients(options.seed, options.scale, self._books)
        self._gateway.on_answer = self._clients.note_drawn
        self._reads: Counter[str] = Counter()
        self._commands: Counter[str] = Counter()
        self._notes: list[Finding] = []
        self._ledger = folder / "state" / "blockrun-image-mcp" / "ledger.sqlite3"
        for name in ("state", "cache", "data", "home", "tmp"):
            (folder / name).mkdir()

    async def run(self) -> Report:
        """Return what is found."""
        async with self._gateway:
            hosts = [
                Host(name, self._environment(name), self._folder, self._clock, self._clients.note) for name in _HOSTS
            ]
            self._clients.hosts = hosts
            keeping = [asyncio.create_task(host.run()) for host in hosts]
            await asyncio.gather(*(asyncio.wait_for(host.is_up.wait(), 60) for host in hosts))
            beside = [asyncio.create_task(self._read(host)) for host in hosts]
            beside.append(asyncio.create_task(self._command_line()))
            injector = Injector(
                self._options.seed,
                self._options.scale,
                hosts,
                clocks=self._clocks,
                ledger=self._ledger,
                clock=self._clock,
            )
            await self._make_wishes(injector)
            await _cancel(beside)
            for host in hosts:
                await host.close()
            await asyncio.wait(keeping, timeout=30)
            self._books.settle_rest()
            evidence = await self._look()
        return self._report(evidence, hosts, injector)

    def _environment(self, name: str) -> Mapping[str, str]:
        settings = {
            "HOME": str(self._folder / "home"),
            "TMPDIR": str(self._folder / "tmp"),
            "XDG_STATE_HOME": str(self._folder / "state"),
            "XDG_CACHE_HOME": str(self._folder / "cache"),
            "XDG_DATA_HOME": str(self._folder / "data"),
            "XDG_PICTURES_DIR": str(self._folder / "none"),
            "BLOCKRUN_IMAGE_INPUT_DIRS": str(_picture_folder(self._folder)),
            "BLOCKRUN_IMAGE_CATALOG": "contract",
            "BLOCKRUN_IMAGE_MAX_COST_USD": "1",
            "BLOCKRUN_IMAGE_DAILY_BUDGET_USD": f"{self._options.budget / 1e6:.6f}",
            "SOAK_SCALE": str(self._options.scale),
            "PYTHONPATH": ":".join(path for path in sys.path if path),
            **self._clocks.environment(name),
        }
        paying = "BLOCKRUN_WALLET_KEY" if self._options.rail == "wallet" else "BLOCKRUN_API_KEY"
        host = "BLOCKRUN_API_URL" if self._options.rail == "wallet" else "BLOCKRUN_API_KEY_URL"
        settings[host] = self._gateway.host
        return process_environment(
            {**settings, paying: _KEY if self._options.rail == "wallet" else "brk_soak_0123456789"}
        )

    async def _make_wishes(self, injector: Injector) -> None:
        self._set_calm(is_calm=True)
        await self._clients.wish(-1)  # the wallet's first payee is the right one
        self._set_calm(is_calm=self._options.is_calm)
        dice = seeded(self._options.seed, "pace")
        ends_at = time.monotonic() + 60 * (self._options.minutes or 1e6)
        injecting = [] if self._options.is_calm else [asyncio.create_task(injector.run())]
        wishes: set[asyncio.Task[None]] = set()
        number = self._options.wish or 0
        while self._clients.calls < self._options.calls and time.monotonic() < ends_at:
            wishes.add(asyncio.create_task(self._clients.wish(number)))
            number += 1
            await asyncio.sleep(dice.uniform(0, 1.6) / self._options.scale)
            while sum(not wish.done() for wish in wishes) >= _MAX_HINTS:
                await asyncio.wait(wishes - {wish for wish in wishes if wish.done()}, return_when="FIRST_COMPLETED")
            if self._options.wish is not None:
                break
        await asyncio.wait(wishes, timeout=60 / self._options.scale)
        await _cancel(injecting)
        self._set_calm(is_calm=True)
        _, pending = await asyncio.wait(wishes, timeout=60 + 600 / self._options.scale)
        for wish in wishes - pending:
            wish.result()
        if pending:
            self._notes.append(Finding("defect", f"{len(pending)} wishes have not come to an end"))
        await _cancel(pending)

    def _set_calm(self, *, is_calm: bool) -> None:
        self._gateway.is_calm = self._clients.is_calm = is_calm

    async def _read(self, host: Host) -> None:
        """Read the resource again and again, as some hosts do."""
        dice = seeded(self._options.seed, "reads", host.name)
        while True:
            await asyncio.sleep(dice.uniform(0.1, 1.5))
            await host.is_up.wait()
            with suppress(ConnectionError):
                answer = await host.ask("resources/read", uri="images://recent")
                self._reads["contents" if "result" in answer else str(answer["error"])] += 1

    async def _command_line(self) -> None:
        dice = seeded(self._options.seed, "commands")
        names = {" ".join(words): weight for words, weight in _COMMANDS.items()}
        while True:
            await asyncio.sleep(dice.uniform(1, 6))
            await self._command(*pick(dice, names).split())

    async def _command(self, *words: str) -> str:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "blockrun_image_mcp",
            *words,
            stdout=PIPE,
            stderr=PIPE,
            env=self._environment("command"),
        )
        try:
            out, _ = await asyncio.wait_for(process.communicate(), 120)
        except (TimeoutError, asyncio.CancelledError):
            process.kill()
            await process.wait()
            raise
        self._commands[f"{words[0]} {process.returncode}"] += 1
        return out.decode()

    async def _look(self) -> Evidence:
        """Return what the run has left, once nothing is left that a command or the time would change."""
        await self._command("recover")
        self._clocks.sleep(_LATER)
        await self._command("recover")
        await self._command("spend", "--json")
        listing = await self._command("images", "--json", "--most", "1000")
        return Evidence(
            rail=self._options.rail,
            scale=self._options.scale,
            budget=self._options.budget,
            books=self._books,
            wishes=self._clients.wishes,
            rows=self._rows(),
            files={what_is_shown(path.read_bytes()): path for path in self._files()},
            listing="".join(str(each) for each in json.loads(listing)),
        )

    def _rows(self) -> Mapping[str, Row]:
        query = "SELECT id, state, counted_micro_usd, held_micro_usd, images FROM spending"
        with closing(sqlite3.connect(f"file:{self._ledger}?mode=ro", uri=True)) as connection:
            if connection.execute("PRAGMA integrity_check").fetchone() != ("ok",):
                self._notes.append(Finding("defect", "the ledger's file is broken"))
            return {id: Row(*row) for id, *row in connection.execute(query)}

    def _files(self) -> Sequence[Path]:
        return [path for name in ("data", "tmp") for path in (self._folder / name).rglob("*") if path.is_file()]

    def _report(self, evidence: Evidence, hosts: Sequence[Host], injector: Injector) -> Report:
        found = [*findings(evidence), *self._notes]
        found += [Finding("defect", text) for host in hosts for text in host.crashes]
        charged = evidence.charged
        usd = sum(order.charged for order in charged) / 1e6
        seconds = self._clock.now() - self._clock.slept
        figures: dict[str, object] = {
            "calls": f"{self._clients.calls}, for {len(self._clients.wishes)} prompts, in {seconds:.0f} s",
            "charged": f"{len(charged)} of {len(self._books.orders)} orders, ${usd:.2f}",
            "faults": dict(Counter(text.partition(",")[0] for _, text in injector.log))
            | {"cancel": self._clients.cancels},
            "clients were told": dict(self._clients.outcomes.most_common()),
            "answers to orders": dict(
                Counter(plan.kind for order in self._books.orders.values() for plan in order.plans)
            ),
            "quotes": dict(self._gateway.quotes),
            "edits": self._gateway.edits,
            "unknown, and why": dict(evidence.explanations),
            "not judged": dict(evidence.late),
            "resource reads": dict(self._reads),
            "commands": dict(self._commands),
        }
        if not self._clocks.can_move:
            figures["left out"] = "clocks that jump and a machine that sleeps, which need a C compiler"
        prompts = {finding.prompt for finding in found}
        timelines = {prompt: _timeline(self._books.events[prompt], injector.log) for prompt in prompts if prompt}
        return Report(self._options, self._folder, found, figures, timelines)


def run_campaign(options: Options, folder: Path) -> Report:
    """Run what the options say in an empty folder."""
    return asyncio.run(Campaign(options, folder).run())


def _timeline(events: Sequence[tuple[float, str]], faults: Sequence[tuple[float, str]]) -> Sequence[tuple[float, str]]:
    """Return what happened to a prompt, and the faults from seconds before until its end."""
    begun, over = events[0][0] - 8, events[-1][0]
    return sorted([*events, *((at, f"FAULT {text}") for at, text in faults if begun <= at <= over)])


async def _cancel(tasks: "Sequence[asyncio.Task[None]] | set[asyncio.Task[None]]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _picture_folder(folder: Path) -> Path:
    """Return a folder with the picture that edits start from."""
    pictures = folder / "pictures"
    pictures.mkdir(exist_ok=True)
    if not (pictures / PICTURE).exists():
        (pictures / PICTURE).write_bytes(encoded("PNG"))
    return pictures
