"""The ledger on disk: what it counts, what it refuses, and what it makes of processes that are gone."""

import math
import sqlite3
import stat
from collections.abc import AsyncGenerator, Sequence
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes import Clock, at_most

from blockrun_image.errors import BudgetExceededError, ConfigurationError, ConfirmationError, LedgerError
from blockrun_image.images import Image, ImageRequest, ImagesResponse
from blockrun_image.ports import Job, Payment, Standing
from blockrun_image_mcp.ledger import turns
from blockrun_image_mcp.ledger.attempts import Account
from blockrun_image_mcp.ledger.limits import Limits, confirm_above_micro_usd, in_usd, micro_usd
from blockrun_image_mcp.ledger.migrations import m001_attempts, migrate
from blockrun_image_mcp.ledger.sqlite import SqliteAttempt, SqliteLedger
from blockrun_image_mcp.ledger.turns import Turn
from blockrun_image_mcp.settings import VARIABLES, Settings
from blockrun_image_mcp.timings import DEFAULT, Timings

pytestmark = pytest.mark.anyio

REQUEST = ImageRequest("A red fox", "dall-e-3", "1024x1024", "standard", 1)
PRICE = Decimal("0.042")
QUICK = Timings(sign_of_life_seconds=0.01)
NEW_YEARS_EVE = 1_798_761_599.0  # 2026-12-31 23:59:59 UTC


@pytest.fixture
def clock() -> Clock:
    return Clock(NEW_YEARS_EVE)


@pytest.fixture
def ledger(tmp_path: Path, clock: Clock) -> SqliteLedger:
    return SqliteLedger(tmp_path / "state" / "ledger.sqlite3", Limits(100_000, 200_000), clock=clock)


async def spent(ledger: SqliteLedger) -> int:
    return (await ledger.statement()).spent_micro_usd


async def states(ledger: SqliteLedger) -> list[str]:
    return [total.state for total in (await ledger.statement()).totals]


async def test_a_charge_that_was_named_counts_and_one_that_was_not_counts_as_the_most(ledger: SqliteLedger) -> None:
    named, unnamed = await ledger.reserve(REQUEST, at_most(PRICE)), await ledger.reserve(REQUEST, at_most(PRICE))
    assert await spent(ledger) == 84_000
    await named.sent()
    await named.settled(ImagesResponse([Image("https://pictures.example/1.png")], Decimal("0.0401")))
    await unnamed.sent()
    await unnamed.settled(ImagesResponse(()))
    assert await spent(ledger) == 40_100 + 42_000
    newest, first = await ledger.recent(2)
    assert (newest.charged_micro_usd, first.charged_micro_usd) == (None, 40_100)
    assert first.images == ["https://pictures.example/1.png"]
    assert (first.id, first.prompt, first.state) == (named.id, "A red fox", "settled")


async def test_what_was_released_counts_for_nothing_and_what_is_unknown_as_spent(ledger: SqliteLedger) -> None:
    released, lost = await ledger.reserve(REQUEST, at_most(PRICE)), await ledger.reserve(REQUEST, at_most(PRICE))
    await released.released()
    await lost.sent()
    await lost.unknown()
    assert await spent(ledger) == 42_000
    assert await states(ledger) == ["released", "unknown"]
    assert [entry.state for entry in await ledger.recent(9)] == ["unknown"]


async def test_a_job_that_was_accepted_stays_so_where_its_end_is_not_known(ledger: SqliteLedger) -> None:
    attempt = await ledger.reserve(REQUEST, at_most(PRICE))
    await attempt.sent()
    await attempt.accepted("job_1")
    await attempt.stopped()
    assert await states(ledger) == ["accepted"]
    await attempt.settled(ImagesResponse((), PRICE))
    assert await states(ledger) == ["settled"]


async def test_a_request_that_is_sent_again_is_still_one_attempt(ledger: SqliteLedger) -> None:
    attempt = await ledger.reserve(REQUEST, at_most(PRICE))
    await attempt.sent()
    await attempt.sent()
    assert await spent(ledger) == 42_000


async def test_what_has_ended_cannot_be_sent(ledger: SqliteLedger) -> None:
    attempt = await ledger.reserve(REQUEST, at_most(PRICE))
    await attempt.released()
    with pytest.raises(LedgerError, match="is not reserved or sent any more"):
        await attempt.sent()


async def test_a_call_over_the_limit_for_one_call_is_refused_with_the_setting_that_decides(
    ledger: SqliteLedger,
) -> None:
    await ledger.reserve(REQUEST, at_most(Decimal("0.1")))
    with pytest.raises(BudgetExceededError) as caught:
        await ledger.reserve(REQUEST, at_most(Decimal("0.1000001")))
    assert caught.value.message == "The call can cost $0.100001, and one call may cost $0.10."
    assert "BLOCKRUN_IMAGE_MAX_COST_USD" in caught.value.hint
    assert (caught.value.charged, caught.value.retryable) == ("no", False)


async def test_the_day_is_never_overspent_by_a_millionth_and_the_refusal_says_what_is_left(
    ledger: SqliteLedger,
) -> None:
    await ledger.reserve(REQUEST, at_most(Decimal("0.1")))
    await ledger.reserve(REQUEST, at_most(Decimal("0.06")))
    with pytest.raises(BudgetExceededError) as caught:
        await ledger.reserve(REQUEST, at_most(Decimal("0.040001")))
    assert "$0.04 of the $0.20 for this UTC day is left" in caught.value.message
    assert "BLOCKRUN_IMAGE_DAILY_BUDGET_USD" in caught.value.hint
    await ledger.reserve(REQUEST, at_most(Decimal("0.04")))
    assert await spent(ledger) == 200_000


async def test_a_new_utc_day_has_a_budget_of_its_own(ledger: SqliteLedger, clock: Clock) -> None:
    await ledger.reserve(REQUEST, at_most(Decimal("0.1")))
    await ledger.reserve(REQUEST, at_most(Decimal("0.1")))
    clock.now += 1
    await ledger.reserve(REQUEST, at_most(Decimal("0.1")))
    statement = await ledger.statement()
    assert (statement.day, statement.spent_micro_usd) == ("2027-01-01", 100_000)


async def test_an_attempt_whose_process_is_gone_is_released_if_it_had_not_left_and_unknown_if_it_had(
    ledger: SqliteLedger, clock: Clock
) -> None:
    clock.now -= 3_600
    await ledger.reserve(REQUEST, at_most(PRICE))
    gone = await ledger.reserve(REQUEST, at_most(PRICE))
    await gone.sent()
    accepted = await ledger.reserve(REQUEST, at_most(PRICE))
    await accepted.sent()
    await accepted.accepted("job_1")
    other_process = SqliteLedger(ledger.path, ledger.limits, clock=clock)
    clock.now += DEFAULT.lease_seconds
    assert await states(other_process) == ["accepted", "reserved", "sent"]
    clock.now += 1
    assert await states(ledger) == ["accepted", "reserved", "sent"]  # they are its own
    assert await states(other_process) == ["accepted", "released", "unknown"]
    assert await spent(ledger) == 84_000
    await gone.settled(ImagesResponse((), PRICE))  # it had only been slow
    assert await states(ledger) == ["accepted", "released", "settled"]
    await other_process.close()


async def test_only_what_is_unknown_can_be_released_by_the_operator(ledger: SqliteLedger) -> None:
    attempt = await ledger.reserve(REQUEST, at_most(PRICE))
    await attempt.sent()
    assert not await ledger.release(attempt.id)
    await attempt.unknown()
    assert await ledger.release(attempt.id)
    assert not await ledger.release(attempt.id)
    assert not await ledger.release("no such attempt")
    assert await spent(ledger) == 0


async def test_the_file_and_its_folder_are_only_for_their_user(ledger: SqliteLedger) -> None:
    await ledger.reserve(REQUEST, at_most(PRICE))
    assert stat.S_IMODE(ledger.path.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in ledger.path.parent.iterdir()} == {0o600}


async def test_what_was_written_is_there_for_the_next_process(ledger: SqliteLedger, clock: Clock) -> None:
    await ledger.reserve(REQUEST, at_most(PRICE))
    await ledger.close()
    again = SqliteLedger(ledger.path, ledger.limits, clock=clock)
    assert await spent(again) == 42_000
    await again.close()
    await again.close()


def corrupt(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"This is no database, but it is long enough to be read as one. " * 100)


def newer(path: Path) -> None:
    path.parent.mkdir(parents=True)
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE migrations (name TEXT PRIMARY KEY, taken_at REAL NOT NULL) STRICT")
        connection.execute("INSERT INTO migrations VALUES ('m999_of_tomorrow', 0)")
    connection.close()


def a_folder(path: Path) -> None:
    path.mkdir(parents=True)


def no_folder(path: Path) -> None:
    path.parent.write_text("a file where the folder should be", encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "says"),
    [(corrupt, "not a database"), (newer, "a newer version"), (a_folder, "directory"), (no_folder, "exists")],
)
async def test_a_ledger_that_cannot_be_used_is_an_error_that_names_the_file(
    ledger: SqliteLedger, damage: object, says: str
) -> None:
    assert callable(damage)
    damage(ledger.path)
    with pytest.raises(LedgerError, match=says) as caught:
        await ledger.reserve(REQUEST, at_most(PRICE))
    assert str(ledger.path) in caught.value.message
    assert caught.value.charged == "no"
    await ledger.close()


async def test_a_full_disk_refuses_the_reservation_and_leaves_the_file_sound(ledger: SqliteLedger) -> None:
    await ledger.reserve(REQUEST, at_most(PRICE))
    connection = ledger.database._connection  # pyright: ignore[reportPrivateUsage] - a small disk, as SQLite sees it
    assert connection is not None
    connection.execute("PRAGMA max_page_count = 1")
    with pytest.raises(LedgerError, match="full"):
        await ledger.reserve(ImageRequest("x" * 50_000, "dall-e-3", "1024x1024", None, 1), at_most(PRICE))
    assert await spent(ledger) == 42_000


async def test_a_ledger_that_another_process_keeps_locked_is_an_error_after_a_while(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.sqlite3", Limits(None, None), timings=Timings(busy_seconds=0.05))
    await ledger.reserve(REQUEST, at_most(PRICE))
    other = sqlite3.connect(ledger.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerError, match="locked"):
        await ledger.reserve(REQUEST, at_most(PRICE))
    other.execute("COMMIT")
    other.close()
    assert await spent(ledger) == 42_000


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("", 1_500_000),
        ("0", 0),
        ("2", 2_000_000),
        ("$0.05", 50_000),
        ("none", None),
        ("None", None),
        ("${x}", 1_500_000),
    ],
)
def test_a_limit_is_an_amount_none_or_the_default(text: str, limit: int | None) -> None:
    assert Limits.of(Settings.read({VARIABLES["max_cost_usd"]: text})).call_micro_usd == limit


@pytest.mark.parametrize("text", ["-1", "1e9", "ten", "nan", "inf", "1,50", "0x10", "1 000", "unlimited", "NaN"])
@pytest.mark.parametrize("field", ["max_cost_usd", "daily_budget_usd"])
def test_a_limit_that_cannot_be_read_is_an_error_that_names_it(text: str, field: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{VARIABLES[field]} cannot be read"):
        Limits.of(Settings.read({VARIABLES[field]: text}))


async def test_no_limit_lets_everything_through_and_a_limit_of_nothing_nothing(tmp_path: Path) -> None:
    without = SqliteLedger(tmp_path / "a.sqlite3", Limits(None, None))
    await without.reserve(REQUEST, at_most(Decimal(1_000_000)))
    for limits in (Limits(0, None), Limits(None, 0)):
        with pytest.raises(BudgetExceededError):
            await SqliteLedger(tmp_path / "b.sqlite3", limits).reserve(REQUEST, at_most(Decimal("0.000001")))
    assert (await without.statement()).to_dict()["left_usd"] is None
    assert "no daily limit" in (await without.statement()).to_text()


def test_amounts_are_rounded_up_to_millionths() -> None:
    assert micro_usd(Decimal("0.0000001")) == 1
    assert in_usd(1) == "$0.000001"


async def test_the_first_payee_of_a_host_is_trusted_until_the_operator_trusts_another(ledger: SqliteLedger) -> None:
    first, other = "0x" + "Ab" * 20, "0x" + "cd" * 20
    assert await ledger.payee("blockrun.ai", first) == first
    assert await ledger.payee("BlockRun.ai", other) == first
    assert await ledger.payee("blockrun.ai", first.lower()) == first.lower()
    assert await ledger.payee("blockrun.ai:8443", other) == other
    await ledger.trust("BLOCKRUN.ai", other)
    assert await ledger.payee("blockrun.ai", first) == other
    assert await ledger.payee("blockrun.ai", other.upper()) == other.upper()


async def test_a_payee_is_remembered_by_the_next_process(ledger: SqliteLedger) -> None:
    await ledger.payee("blockrun.ai", "0x1")
    await ledger.close()
    async with SqliteLedger(ledger.path, ledger.limits) as again:
        assert await again.payee("blockrun.ai", "0x2") == "0x1"


@pytest.mark.parametrize(
    ("text", "above"), [("", None), ("${x}", None), ("none", None), ("0", 0), ("0.50", 500_000), ("$2", 2_000_000)]
)
def test_nobody_is_asked_unless_an_amount_is_set(text: str, above: int | None) -> None:
    assert confirm_above_micro_usd(Settings.read({VARIABLES["confirm_above_usd"]: text})) == above


@pytest.mark.parametrize("text", ["-1", "yes", "0,5", "always", "nan"])
def test_an_amount_to_ask_above_that_cannot_be_read_is_an_error_that_names_it(text: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{VARIABLES['confirm_above_usd']} cannot be read"):
        confirm_above_micro_usd(Settings.read({VARIABLES["confirm_above_usd"]: text}))


@pytest.mark.parametrize("ending", ["reserved", "released", "settled"])
async def test_an_approval_is_good_for_one_attempt_however_that_ended(ledger: SqliteLedger, ending: str) -> None:
    attempt = await ledger.reserve(REQUEST, at_most(PRICE), "approval-1")
    if ending != "reserved":
        await (attempt.released() if ending == "released" else attempt.settled(ImagesResponse((), PRICE)))
    other_process = SqliteLedger(ledger.path, ledger.limits, clock=ledger.clock)
    for each in (ledger, other_process):
        with pytest.raises(ConfirmationError, match=rf"as attempt {attempt.id} \({ending}\)"):
            await each.reserve(REQUEST, at_most(PRICE), "approval-1")
    await other_process.reserve(REQUEST, at_most(PRICE), "approval-2")
    for _ in range(2):
        await ledger.reserve(REQUEST, at_most(Decimal(0)))
    await other_process.close()


async def test_who_waits_for_an_attempt_does_not_wait_until_its_refused_payment_has_expired(
    ledger: SqliteLedger, clock: Clock
) -> None:
    attempt = await ledger.reserve(REQUEST, at_most(PRICE))
    await attempt.signed(Payment("eip155:8453", "0x1", PRICE, "0x2", int(clock()) + 300, "header"))
    await attempt.sent()
    await attempt.accepted("job_1")
    await attempt.released()
    assert await states(ledger) == ["held"]
    standing = await attempt.look()
    assert (standing.state, standing.held_usd) == ("released", PRICE)


async def test_an_approval_whose_reservation_was_refused_is_not_used_up(ledger: SqliteLedger) -> None:
    with pytest.raises(BudgetExceededError):
        await ledger.reserve(REQUEST, at_most(Decimal(9)), "approval-1")
    await ledger.reserve(REQUEST, at_most(PRICE), "approval-1")


async def test_of_two_processes_with_the_same_approval_one_reserves(ledger: SqliteLedger) -> None:
    other_process = SqliteLedger(ledger.path, ledger.limits, clock=ledger.clock)
    refused: list[ConfirmationError] = []

    async def reserve(each: SqliteLedger) -> None:
        try:
            await each.reserve(REQUEST, at_most(PRICE), "approval-1")
        except ConfirmationError as error:
            refused.append(error)

    async with anyio.create_task_group() as tasks:
        for each in (ledger, other_process):
            tasks.start_soon(reserve, each)
    assert len(refused) == 1
    assert await spent(ledger) == micro_usd(PRICE)
    await other_process.close()


async def test_a_ledger_of_before_approvals_keeps_its_attempts(ledger: SqliteLedger) -> None:
    ledger.path.parent.mkdir()
    with sqlite3.connect(ledger.path) as connection:
        connection.execute("CREATE TABLE migrations (name TEXT PRIMARY KEY, taken_at REAL NOT NULL) STRICT")
        connection.execute("INSERT INTO migrations VALUES ('m001_attempts', 0)")
        m001_attempts(connection)
        connection.execute(
            "INSERT INTO attempts (id, state, day, created_at, lease_until, model, size, n, prompt, reserved_micro_usd,"
            " images) VALUES ('old', 'settled', '2026-12-31', 1, 1, 'dall-e-2', '256x256', 1, 'A fox', 21000,"
            " '[\"https://pictures.example/1.png\"]')"
        )
    connection.close()
    await ledger.reserve(REQUEST, at_most(PRICE), "approval-1")
    assert await spent(ledger) == 63_000
    old = (await ledger.recent(9))[1]
    assert (old.id, old.images) == ("old", ["https://pictures.example/1.png"])


MINE = Account("https://gateway.example/v1", "mine")
PAYMENT = Payment("eip155:8453", "0x" + "ab" * 20, PRICE, "0x" + "01" * 32, int(NEW_YEARS_EVE) + 300, "signed")
RESPONSE = ImagesResponse([Image("https://pictures.example/1.png", Path("/1.png"), None, "A vixen")], PRICE, ["Odd."])


class Processes:
    """Several processes that share one file and one clock, each with a ledger of its own."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self.clock = clock
        self._path = path
        self._open: list[SqliteLedger] = []

    def start(self, account: Account = MINE, limits: Limits | None = None) -> SqliteLedger:
        self._open.append(SqliteLedger(self._path, limits or Limits(None, None), account, self.clock, QUICK))
        return self._open[-1]

    async def end(self) -> None:
        for ledger in self._open:
            await ledger.close()


@pytest.fixture
async def processes(tmp_path: Path, clock: Clock) -> AsyncGenerator[Processes]:
    clock.now -= 7_200
    processes = Processes(tmp_path / "ledger.sqlite3", clock)
    yield processes
    await processes.end()


async def sent(ledger: SqliteLedger, job: str | None = None) -> SqliteAttempt:
    attempt = await ledger.reserve(REQUEST, at_most(PRICE))
    await attempt.sent()
    if job is not None:
        await attempt.accepted(job)
    return attempt


async def found(ledger: SqliteLedger, request: ImageRequest = REQUEST) -> str | None:
    attempt = await ledger.find(request)
    return attempt and attempt.id


async def test_an_attempt_whose_caller_has_left_is_found_by_the_same_request_once(processes: Processes) -> None:
    one, other = processes.start(), processes.start()
    attempt = await sent(one)
    assert await found(one) is None
    await attempt.left()
    assert await found(other) == attempt.id
    assert await found(one) is None  # its new caller waits, in the process that works on it
    await attempt.left()
    assert await found(one) == attempt.id
    await attempt.told()
    await attempt.left()
    assert await found(one) is None


@pytest.mark.parametrize(
    "request_",
    [
        replace(REQUEST, prompt="A red fox "),
        replace(REQUEST, n=2),
        replace(REQUEST, quality=None),
        replace(REQUEST, size="1024x1792"),
        replace(REQUEST, model="dall-e-2"),
    ],
)
async def test_another_request_finds_nothing(processes: Processes, request_: ImageRequest) -> None:
    ledger = processes.start()
    await (await sent(ledger)).left()
    assert await found(ledger, request_) is None


@pytest.mark.parametrize("account", [Account(MINE.gateway, "other"), Account("https://other.example/v1", "mine")])
async def test_another_account_and_another_gateway_find_nothing_and_ask_after_no_job(
    processes: Processes, account: Account
) -> None:
    mine, other = processes.start(), processes.start(account)
    attempt = await sent(mine, "job_1")
    await attempt.stopped()
    await attempt.left()
    assert await found(other) is None
    assert await other.jobs() == {}
    assert await found(mine) == attempt.id


async def test_an_attempt_can_be_collected_for_an_hour(processes: Processes) -> None:
    ledger = processes.start()
    attempt = await sent(ledger)
    await attempt.settled(RESPONSE)
    await attempt.left()
    processes.clock.now += DEFAULT.collectable_seconds - 1
    assert await found(ledger) == attempt.id
    await attempt.left()
    processes.clock.now += 1
    assert await found(ledger) is None


async def test_what_is_about_to_leave_without_its_caller_is_waited_for(processes: Processes) -> None:
    ledger = processes.start()
    attempt = await ledger.reserve(REQUEST, at_most(PRICE))
    await attempt.left()
    assert await found(ledger) == attempt.id


@pytest.mark.parametrize("ending", ["released", "refused"])
async def test_what_was_not_charged_is_not_collected(processes: Processes, ending: str) -> None:
    ledger = processes.start()
    attempt = await ledger.reserve(REQUEST, at_most(PRICE))
    if ending == "refused":
        await attempt.signed(PAYMENT)
        await attempt.sent()
    await attempt.released()
    await attempt.left()
    assert await found(ledger) is None


async def test_what_has_ended_is_collected_by_one_of_two_callers_at_once(processes: Processes) -> None:
    one = processes.start()
    attempt = await sent(one)
    await attempt.settled(RESPONSE)
    processes.clock.now += DEFAULT.lease_seconds + 1
    assert await found(one) == attempt.id
    assert await found(one) is None
    processes.clock.now += DEFAULT.lease_seconds + 1  # the collector has gone as well
    assert await found(one) == attempt.id


async def test_what_was_collected_is_told_whole(processes: Processes) -> None:
    attempt = await sent(processes.start())
    await attempt.settled(RESPONSE)
    assert await attempt.look() == Standing("settled", PRICE, None, RESPONSE)
    assert await SqliteAttempt(processes.start(), "no such attempt", PRICE).look() == Standing("unknown")


async def test_a_twin_of_another_process_is_another_purchase_once_its_lease_is_renewed(processes: Processes) -> None:
    working, asking = processes.start(), processes.start()
    await sent(working)
    answers: list[str | None] = []

    async def ask() -> None:
        answers.append(await found(asking))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await anyio.sleep(0.05)
        assert answers == []
        processes.clock.now += 1
        await working.renew()
    assert answers == [None]


async def test_a_twin_of_a_process_that_has_gone_is_collected_once_its_lease_is_over(processes: Processes) -> None:
    attempt = await sent(processes.start())
    asking = processes.start()
    answers: list[str | None] = []

    async def ask() -> None:
        answers.append(await found(asking))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await anyio.sleep(0.05)
        processes.clock.now += DEFAULT.lease_seconds + 1
    assert answers == [attempt.id]
    assert (await attempt.look()).state == "unknown"


async def test_leases_are_renewed_for_as_long_as_an_attempt_is_worked_on(processes: Processes) -> None:
    working, other = processes.start(), processes.start()
    attempt, stopped = await sent(working, "job_1"), await sent(working, "job_2")
    processes.clock.now += DEFAULT.lease_seconds - 1
    await working.renew()
    await stopped.stopped()
    processes.clock.now += DEFAULT.lease_seconds - 1
    await working.renew()
    assert [each.id for each in await other.jobs()] == [stopped.id]
    await attempt.settled(RESPONSE)
    await other.renew()
    assert working.open == set()


async def test_a_job_is_adopted_by_one_process_once_its_own_has_gone(processes: Processes) -> None:
    gone, one, other = processes.start(), processes.start(), processes.start()
    attempt = await sent(gone, "job_1")
    of_one, of_other = SqliteAttempt(one, attempt.id, PRICE), SqliteAttempt(other, attempt.id, PRICE)
    assert not await of_one.adopt()
    processes.clock.now += DEFAULT.lease_seconds + 1
    assert [await of_one.adopt(), await of_other.adopt(), await of_one.adopt()] == [True, False, False]
    assert (one.open, other.open) == ({attempt.id}, set())
    processes.clock.now += DEFAULT.lease_seconds - 1
    await one.renew()
    processes.clock.now += DEFAULT.lease_seconds - 1
    assert not await of_other.adopt()
    await of_one.stopped()
    assert await of_other.adopt()
    assert await of_other.look() == Standing("accepted", PRICE, Job("job_1"), ImagesResponse([], None, []))


async def test_only_accepted_jobs_are_adopted(processes: Processes) -> None:
    attempt = await sent(processes.start())
    other = processes.start()
    processes.clock.now += DEFAULT.lease_seconds + 1
    assert await other.jobs() == {}
    assert not await SqliteAttempt(other, attempt.id, PRICE).adopt()


async def test_a_job_whose_process_has_gone_is_collected_while_another_process_finishes_it(
    processes: Processes,
) -> None:
    gone, other = processes.start(), processes.start()
    attempt = await sent(gone, "job_1")
    processes.clock.now += DEFAULT.lease_seconds + 1
    ((job, request),) = (await other.jobs()).items()
    assert (job.id, request) == (attempt.id, REQUEST)
    assert await job.adopt()
    assert await other.jobs() == {}
    assert await found(other) == attempt.id


async def test_a_job_is_asked_after_for_a_day_and_its_payment_with_it(processes: Processes) -> None:
    gone, other = processes.start(), processes.start()
    attempt = await gone.reserve(REQUEST, at_most(PRICE))
    await attempt.signed(PAYMENT)
    await attempt.sent()
    await attempt.accepted("job_1")
    processes.clock.now += DEFAULT.max_job_seconds
    assert [each.id for each in await other.jobs()] == [attempt.id]
    assert (await attempt.look()).job == Job("job_1", PAYMENT)
    processes.clock.now += 1
    assert await other.jobs() == {}
    assert (await SqliteAttempt(other, attempt.id, PRICE).look()).state == "unknown"


async def test_what_is_stopped_before_it_is_accepted_is_released(processes: Processes) -> None:
    ledger = processes.start()
    reserved, again = await ledger.reserve(REQUEST, at_most(PRICE)), await sent(ledger)
    await reserved.stopped()
    await again.stopped()
    assert await states(ledger) == ["released"]


@pytest.mark.parametrize("job", [None, "job_1"])
async def test_a_payment_that_was_refused_is_held_for_as_long_as_it_could_be_used_and_a_minute(
    processes: Processes, job: str | None
) -> None:
    ledger, other = processes.start(), processes.start()
    payment = replace(PAYMENT, valid_before=int(processes.clock.now) + 300)
    attempt = await ledger.reserve(REQUEST, at_most(PRICE))
    await attempt.signed(payment)
    await attempt.sent()
    if job is not None:
        await attempt.accepted(job)
    await attempt.released()
    assert (await states(ledger), await spent(ledger)) == (["held"], 42_000)
    assert [entry.state for entry in await ledger.recent(9)] == ["held"]
    assert (await ledger.statement()).to_dict()["held_usd"] == "0.042"
    assert not await ledger.release(attempt.id)
    await ledger.renew()
    processes.clock.now = payment.valid_before + 60
    assert (await states(other), await other.jobs()) == (["held"], {})
    processes.clock.now += 1
    assert (await states(ledger), await spent(ledger)) == (["released"], 0)


@pytest.mark.parametrize("is_expired", [True, False])
async def test_a_payment_that_never_left_or_has_expired_is_released_at_once(
    processes: Processes, is_expired: bool
) -> None:
    ledger = processes.start()
    attempt = await ledger.reserve(REQUEST, at_most(PRICE))
    await attempt.signed(replace(PAYMENT, valid_before=int(processes.clock.now) + 300))
    if is_expired:
        await attempt.sent()
        processes.clock.now += 361
    await attempt.released()
    assert await states(ledger) == ["released"]


async def test_the_exact_price_is_set_aside_instead_of_the_estimate_within_the_limits(processes: Processes) -> None:
    ledger = processes.start(limits=Limits(100_000, 120_000))
    await ledger.reserve(REQUEST, at_most(Decimal("0.06")))
    attempt = await ledger.reserve(REQUEST, at_most(PRICE))
    for refused, words in ((Decimal("0.0601"), "is left"), (Decimal("0.1001"), "one call may cost")):
        with pytest.raises(BudgetExceededError, match=words):
            await attempt.quoted(refused)
    assert await spent(ledger) == 102_000
    await attempt.quoted(Decimal("0.06"))
    assert await spent(ledger) == 120_000
    await attempt.quoted(Decimal("0.0401"))
    assert await spent(ledger) == 100_100


async def test_a_price_above_what_the_user_has_approved_is_refused_and_one_below_is_not(processes: Processes) -> None:
    attempt = await processes.start().reserve(REQUEST, at_most(PRICE), "approval-1")
    with pytest.raises(ConfirmationError, match=r"wants \$0\.042001, more than the user has approved"):
        await attempt.quoted(Decimal("0.042001"))
    await attempt.quoted(PRICE)
    assert await processes.start().reserve(REQUEST, at_most(PRICE), "approval-2")


async def test_a_minutes_turns_are_taken_at_once_and_the_next_waits_for_the_first_to_be_a_minute_old(
    processes: Processes,
) -> None:
    one, other = processes.start(), processes.start()
    assert [await each.book("dall-e-3", 3, 40) for each in (one, other, one)] == [0, 0, 0]
    processes.clock.now += 25
    assert await other.book("dall-e-3", 3, 34.9) == 35  # too far away, and not booked
    assert [await one.book("dall-e-3", 3, 40) for _ in range(3)] == [35, 35, 35]
    assert await one.book("dall-e-3", 3, 40) == 95
    for free in (one.book("dall-e-2", 3, 40), processes.start(Account(MINE.gateway, "other")).book("dall-e-3", 3, 0)):
        assert await free == 0


@given(
    per_minute=st.integers(1, 4),
    steps=st.lists(st.tuples(st.integers(0, 40_000), st.sampled_from([0, 1_000, 30_000, 60_000, None])), max_size=40),
)
@settings(deadline=None)
def test_no_minute_ever_holds_more_turns_than_the_model_takes(
    per_minute: int, steps: Sequence[tuple[int, int | None]]
) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        migrate(connection)
        now, taken = 1_795_000_000_000, list[int]()
        for passed, within in steps:
            now += passed
            within_seconds = math.inf if within is None else within / 1_000
            seconds = turns.book(connection, MINE, Turn("dall-e-3", per_minute, within_seconds, 60.0), now / 1_000)
            assert seconds >= 0
            if seconds <= within_seconds:
                taken.append(now + round(seconds * 1_000))
    assert all(later - earlier >= 60_000 for earlier, later in zip(taken, taken[per_minute:], strict=False))
