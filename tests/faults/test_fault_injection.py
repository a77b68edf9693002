"""Callers in their thousands, before a gateway that fails at random; its till judges what each was told and charged."""

import base64
import json
import math
import random
import secrets
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from pydantic import SecretStr
from tests.support.injection import (
    ANSWER_SECONDS,
    DEARER_MICRO_USD,
    LIE,
    MICRO_USD,
    Caller,
    Evidence,
    Faults,
    MortalConnection,
    Rail,
    Row,
    WatchedPayer,
    callers,
    faults,
)

from blockrun_image.attempts import CallInfo, Job
from blockrun_image.catalog import Catalog
from blockrun_image.errors import ImageError
from blockrun_image.fixed_ports import FixedPorts, run_in_place
from blockrun_image.images import Defaults
from blockrun_image.ports import Attempt
from blockrun_image.purchase import Purchase
from blockrun_image.timings import CallTimings
from blockrun_image.toolset import ImageToolset
from blockrun_image_mcp.gateway.client import HttpGateway
from blockrun_image_mcp.gateway.credentials import endpoint_for
from blockrun_image_mcp.ledger.jobs import finish_jobs, sweeping
from blockrun_image_mcp.ledger.ledger import Ledger
from blockrun_image_mcp.ledger.limits import Limits
from blockrun_image_mcp.ledger.store import Account
from blockrun_image_mcp.payments.authorization import Authorization
from blockrun_image_mcp.settings import Settings
from blockrun_image_mcp.tasks import TaskSupervisor
from blockrun_image_mcp.timings import Timings
from blockrun_image_sandbox.server import running_sandbox
from blockrun_image_sandbox.x402 import PAY_TO

pytestmark = pytest.mark.anyio

QUICK = Timings(
    connect_seconds=2,
    write_seconds=2,
    answer_seconds=ANSWER_SECONDS,
    backoff_seconds=0.01,
    max_retry_wait_seconds=1,
    poll_seconds=0.01,
    drain_seconds=0.2,
    spill_seconds=0.1,
    sweep_seconds=0.5,
)
CALLERS = 50
AT_ONCE = 8
HASTE_SECONDS = 0.2
MAX_PAYMENT_SECONDS = 3_600 + 60
SEEDS: Sequence[tuple[Rail, int]] = [
    *(("account", seed) for seed in range(26)),
    *(("wallet", seed) for seed in range(14)),
]


@pytest.fixture(scope="module")
def tally() -> Iterator[Counter[str]]:
    """Count what happened in all batches, and say it in the end."""
    counted: Counter[str] = Counter()
    yield counted
    sys.stdout.write(f"\n{json.dumps(dict(sorted(counted.items())), indent=2)}\n")


@pytest.mark.parametrize(("rail", "seed"), SEEDS)
async def test_no_fault_causes_a_double_or_unrecorded_payment(
    catalog: Catalog, tmp_path: Path, tally: Counter[str], rail: Rail, seed: int
) -> None:
    async with running_sandbox(catalog) as origin, httpx2.AsyncClient(base_url=origin, trust_env=False) as http:
        batch = Batch(catalog, tmp_path / "ledger.sqlite3", rail, seed, origin, http)
        await batch.run()
        judge(await batch.evidence())
        await batch.finish_jobs()
        judge(await batch.evidence())
        await batch.collect()
        evidence = await batch.evidence()
        judge(evidence)
        judge_the_end(evidence)
        batch.pass_time(MAX_PAYMENT_SECONDS)
        judge(await batch.evidence())
    tally.update(batch.counted(evidence))


def judge(evidence: Evidence) -> None:
    """Hold what must be true at any moment at which nothing is under way."""
    rows = {row.id: row for row in evidence.rows}
    keys = Counter(settlement["idempotency_key"] for settlement in evidence.settlements)
    assert [key for key, count in keys.items() if count > 1] == [], "an attempt was charged twice"
    taken: Counter[str] = Counter()
    for settlement in evidence.settlements:
        row = rows[settlement["idempotency_key"]]
        assert row.prompt == settlement["prompt"]
        assert row.state in ("sent", "accepted", "settled", "unknown")
        assert settlement["nonce"] == (row.payment and row.payment["nonce"])
        assert row.counted_micro_usd >= settlement["micro_usd"]
        taken[row.day] += settlement["micro_usd"]
    counted: Counter[str] = Counter()
    for row in evidence.rows:
        counted[row.day] += row.counted_micro_usd
    for day, micro_usd in counted.items():
        assert taken[day] <= micro_usd <= evidence.day_micro_usd
    prompts = evidence.settled_prompts()
    assert [prompt for prompt, count in prompts.items() if count > 1] == [], "a repeated call was charged again"
    for caller in evidence.callers:
        assert caller.result is None or prompts[caller.prompt] == 1
        assert caller.error is None or caller.error.charged != "no" or prompts[caller.prompt] == 0
    judge_the_wallet(evidence)


def judge_the_wallet(evidence: Evidence) -> None:
    """Each attempt has one signature, each signature one attempt, and no lie is paid."""
    payments = {row.id: row.payment for row in evidence.rows if row.payment is not None}
    signed = dict(evidence.signed)
    assert len(signed) == len(evidence.signed), "an attempt was signed for twice"
    assert len({payment["nonce"] for payment in payments.values()}) == len(payments)
    for id, payment in payments.items():
        assert payment["nonce"] == signed[id].to_dict()["nonce"]
        assert json.loads(base64.b64decode(payment["header"]))["resource"]["description"] != LIE
    for authorization in signed.values():
        assert (authorization.payee, authorization.value) in {(PAY_TO, MICRO_USD), (PAY_TO, DEARER_MICRO_USD)}


def judge_the_end(evidence: Evidence) -> None:
    """Every caller knows the end by now, and has every picture that the ledger knows of.

    One who was told that the outcome is unknown may not: a job that the gateway no longer told of is asked after again,
    and the same call would collect its picture.
    """
    rows = {row.id: row for row in evidence.rows}
    told = {caller.prompt: caller for caller in evidence.callers}
    lost = {caller.prompt for caller in evidence.callers if caller.error and caller.error.charged == "unknown"}
    open_rows = [row for row in evidence.rows if row.state in ("reserved", "sent", "accepted")]
    assert [row for row in open_rows if row.state != "accepted" or row.prompt not in lost] == []
    for settlement in evidence.settlements:
        row, caller = rows[settlement["idempotency_key"]], told[settlement["prompt"]]
        if row.has_images:
            assert caller.result is not None or caller.prompt in lost, "a picture was lost"
        else:
            assert caller.error is not None
            expected = {("yes", "settled"), ("unknown", "unknown")}
            expected |= {("unknown", "accepted")} if caller.prompt in lost else set()
            assert (caller.error.charged, row.state) in expected


@dataclass
class Batch:
    """Callers before one sandbox, who share a ledger; the processes that serve them come one after another."""

    catalog: Catalog
    path: Path
    rail: Rail
    seed: int
    origin: str
    http: httpx2.AsyncClient
    private_key: str = field(default_factory=lambda: f"0x{secrets.token_hex(32)}", repr=False)
    signed: list[tuple[str, Authorization]] = field(default_factory=list[tuple[str, Authorization]])
    untold: Sequence[Caller] = ()
    later_seconds: float = 0

    def __post_init__(self) -> None:
        self.dice = random.Random(f"{self.rail} {self.seed}")
        self.callers = callers(self.dice, CALLERS, f"batch {self.seed}")
        self.faults: Faults = faults(self.dice, self.rail, 2 * CALLERS)
        is_poor = self.seed % 4 == 0
        self.limits = Limits(
            None if self.seed % 2 else MICRO_USD,
            self.dice.randint(1, 20) * MICRO_USD + self.dice.randrange(MICRO_USD) if is_poor else 100_000_000,
        )

    async def run(self) -> None:
        """Let all call, before two processes, the first of which may end, be killed, or find its file locked."""
        await self._script(self.faults)
        async with self._process() as process, anyio.create_task_group() as tasks:
            if self.seed % 8 == 3:
                tasks.start_soon(self._lock_now_and_then)
            with anyio.CancelScope() as calls:
                if self.seed % 4 == 1:
                    tasks.start_soon(self._end, process, calls)
                await process.serve(self.callers[: CALLERS // 2])
            tasks.cancel_scope.cancel()
        async with self._process() as process:
            await process.serve(self.callers[CALLERS // 2 :])
        await self._script([])

    async def finish_jobs(self) -> None:
        """Poll the jobs that were left, until none is."""
        async with self._process() as process:
            for _ in range(20):
                with suppress(ImageError):
                    await finish_jobs(process.ledger, process.finish)

    async def collect(self) -> None:
        """Let the callers who do not know the end call again."""
        self.untold = [caller for caller in self.callers if not caller.is_told]
        async with self._process() as process, anyio.create_task_group() as tasks:
            for caller in self.untold:
                tasks.start_soon(caller.collect, process.toolset(math.inf))

    async def evidence(self) -> Evidence:
        """Ask the till, let the ledger end what was left, and return what they say."""
        async with self._ledger(Account()) as ledger:
            await ledger.spending_today()
        till = (await self.http.get("/sandbox/settlements")).json()
        with closing(sqlite3.connect(self.path)) as connection:
            rows = [_row(*row) for row in connection.execute(_ROWS)]
        day_micro_usd = self.limits.day_micro_usd or 0
        return Evidence(till["items"], till["paid_posts"], rows, self.signed, self.callers, day_micro_usd)

    def pass_time(self, seconds: float) -> None:
        """Let the next processes be so much later."""
        self.later_seconds += seconds

    def counted(self, evidence: Evidence) -> Counter[str]:
        """Return what happened."""
        paid = [fault for fault in self.faults if fault["on"] == "paid"][: evidence.paid_posts]
        late = Counter("none" if caller.error is None else caller.error.charged for caller in self.untold)
        return Counter(
            {
                "callers": len(self.callers),
                "calls": sum(caller.calls for caller in self.callers),
                "faults of paid requests": sum(len(fault) > 1 for fault in paid),
                "settlements": len(evidence.settlements),
                "delivered": sum(caller.result is not None for caller in self.callers),
                "collected by a later process": late["none"],
                "charged, and the picture lost, ledger unknown": _lost(evidence, "unknown"),
                "charged, and the picture lost, ledger settled": _lost(evidence, "settled"),
                "signatures": len(self.signed),
                "held for a payment": sum(row.state == "held" for row in evidence.rows),
                **{f"attempts {state}": count for state, count in Counter(row.state for row in evidence.rows).items()},
                **{
                    f"told charged {charged}": count
                    for charged, count in Counter(each.error.charged for each in self.callers if each.error).items()
                },
                **{
                    f"error {kind}": count
                    for kind, count in Counter(each.error.code for each in self.callers if each.error).items()
                },
            }
        )

    async def _script(self, script: Faults) -> None:
        (await self.http.post("/sandbox/faults", json=script)).raise_for_status()

    async def _end(self, process: "Process", calls: anyio.CancelScope) -> None:
        """End a process while calls are under way; every other one is killed."""
        await anyio.sleep(self.dice.uniform(0.2, 1))
        if self.seed % 8 == 5:
            process.kill()
        calls.cancel()

    async def _lock_now_and_then(self) -> None:
        """Lock the file for longer than a record waits for it, as a backup might."""
        with closing(sqlite3.connect(self.path, isolation_level=None, timeout=5)) as other:
            while True:
                await anyio.sleep(0.1)
                other.execute("BEGIN IMMEDIATE")
                await anyio.sleep(2 * QUICK.spill_seconds)
                other.execute("ROLLBACK")

    @asynccontextmanager
    async def _ledger(self, account: Account) -> AsyncGenerator[Ledger]:
        """Open the ledger as another process."""
        later, connection = self.later_seconds, MortalConnection(self.path, QUICK)
        clocks = (lambda: time.time() + later, lambda: time.monotonic() + later)
        ledger = Ledger(connection, self.path, self.limits, account, *clocks, QUICK)
        try:
            async with ledger:
                yield ledger
        finally:
            with anyio.CancelScope(shield=True):
                await connection.close()

    @asynccontextmanager
    async def _process(self) -> AsyncGenerator["Process"]:
        """Put together what serves calls, and let it end at once."""
        base_url = f"{self.origin}{'/v1' if self.rail == 'account' else '/api/v1'}"
        credential = "brk_injection" if self.rail == "account" else self.private_key
        endpoint = endpoint_for(Settings(gateway=base_url, api_key=SecretStr(credential)), self.catalog.spec.base_url)
        async with (
            self._ledger(Account(endpoint.base_url, endpoint.principal)) as ledger,
            TaskSupervisor(lambda outcome: None) as background,
        ):
            await ledger.trust(self.origin.removeprefix("http://"), PAY_TO)
            payer = WatchedPayer(self.private_key, self.signed) if endpoint.wallet_key else None
            gateway = await background.enter(HttpGateway(endpoint, timings=QUICK, payer=payer))
            process = Process(self.catalog, ledger, FixedPorts(gateway, ledger), background)
            await background.enter(sweeping(ledger, process.finish))
            try:
                yield process
            finally:
                with anyio.CancelScope(shield=True):
                    gateway.begin_shutdown()
                    await background.drain()


@dataclass
class Process:
    """What one process of the server is made of."""

    catalog: Catalog
    ledger: Ledger
    ports: FixedPorts
    background: TaskSupervisor

    def toolset(self, timeout_seconds: float) -> ImageToolset:
        """Return the tools for callers who wait so long."""
        return ImageToolset(
            self.catalog,
            self.ports.image_gateway,
            defaults=Defaults(enrich="off"),
            run=self.background.run,
            ledger=self.ledger,
            timings=CallTimings(call_timeout_seconds=timeout_seconds, attempt_poll_seconds=0.02),
        )

    async def serve(self, waiting: Sequence[Caller]) -> None:
        """Let the callers call, a few at once."""
        limiter = anyio.CapacityLimiter(AT_ONCE)

        async def ask(caller: Caller) -> None:
            async with limiter:
                await caller.ask(self.toolset(math.inf), self.toolset(HASTE_SECONDS))

        async with anyio.create_task_group() as tasks:
            for caller in waiting:
                tasks.start_soon(ask, caller)

    async def finish(self, attempt: Attempt, job: Job) -> None:
        """Poll a job that another process has left."""
        await Purchase(self.ports, CallInfo(""), None, QUICK, run_in_place).finish(attempt, job)

    def kill(self) -> None:
        """Let nothing of this process reach the disk any more."""
        assert isinstance(self.ledger.transactions, MortalConnection)
        self.ledger.transactions.is_dead = True
        self.ledger.outbox.folder = self.ledger.path / "no folder"


_ROWS = """
    SELECT id, state, day, request ->> 'prompt', payment, images <> '[]', counted_micro_usd FROM spending
"""


def _row(*columns: Any) -> Row:
    id, state, day, prompt, payment, has_images, counted = columns
    return Row(id, state, day, prompt, counted, None if payment is None else json.loads(payment), bool(has_images))


def _lost(evidence: Evidence, state: str) -> int:
    settled = {settlement["idempotency_key"] for settlement in evidence.settlements}
    return sum(row.state == state and not row.has_images for row in evidence.rows if row.id in settled)
