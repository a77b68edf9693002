"""The ledger on disk: what it counts, what it refuses, and what it makes of processes that are gone."""

import sqlite3
import stat
from decimal import Decimal
from pathlib import Path

import anyio
import pytest

from blockrun_image.errors import BudgetExceededError, ConfigurationError, ConfirmationError, LedgerError
from blockrun_image.images import Image, ImageRequest, ImagesResponse
from blockrun_image.ports import Payment
from blockrun_image_mcp.ledger.attempts import LEASE_SECONDS
from blockrun_image_mcp.ledger.limits import Limits, confirm_above_micro_usd, in_usd, micro_usd
from blockrun_image_mcp.ledger.migrations import m001_attempts
from blockrun_image_mcp.ledger.sqlite import SqliteLedger
from blockrun_image_mcp.settings import VARIABLES, Settings

pytestmark = pytest.mark.anyio

REQUEST = ImageRequest("A red fox", "dall-e-3", "1024x1024", "standard", 1)
PRICE = Decimal("0.042")
NEW_YEARS_EVE = 1_798_761_599.0  # 2026-12-31 23:59:59 UTC


class Clock:
    def __init__(self, now: float = NEW_YEARS_EVE) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(tmp_path: Path, clock: Clock) -> SqliteLedger:
    return SqliteLedger(tmp_path / "state" / "ledger.sqlite3", Limits(100_000, 200_000), clock=clock)


async def spent(ledger: SqliteLedger) -> int:
    return (await ledger.statement()).spent_micro_usd


async def states(ledger: SqliteLedger) -> list[str]:
    return [total.state for total in (await ledger.statement()).totals]


async def test_a_charge_that_was_named_counts_and_one_that_was_not_counts_as_the_most(ledger: SqliteLedger) -> None:
    named, unnamed = await ledger.reserve(REQUEST, PRICE), await ledger.reserve(REQUEST, PRICE)
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
    released, lost = await ledger.reserve(REQUEST, PRICE), await ledger.reserve(REQUEST, PRICE)
    await released.released()
    await lost.sent()
    await lost.unknown()
    assert await spent(ledger) == 42_000
    assert await states(ledger) == ["released", "unknown"]
    assert [entry.state for entry in await ledger.recent(9)] == ["unknown"]


async def test_a_job_that_was_accepted_stays_so_where_its_end_is_not_known(ledger: SqliteLedger) -> None:
    attempt = await ledger.reserve(REQUEST, PRICE)
    await attempt.sent()
    await attempt.accepted("job_1")
    await attempt.stopped()
    assert await states(ledger) == ["accepted"]
    await attempt.settled(ImagesResponse((), PRICE))
    assert await states(ledger) == ["settled"]


async def test_a_request_that_is_sent_again_is_still_one_attempt(ledger: SqliteLedger) -> None:
    attempt = await ledger.reserve(REQUEST, PRICE)
    await attempt.sent()
    await attempt.sent()
    assert await spent(ledger) == 42_000


async def test_what_has_ended_cannot_be_sent(ledger: SqliteLedger) -> None:
    attempt = await ledger.reserve(REQUEST, PRICE)
    await attempt.released()
    with pytest.raises(LedgerError, match="is not reserved or sent any more"):
        await attempt.sent()


async def test_a_call_over_the_limit_for_one_call_is_refused_with_the_setting_that_decides(
    ledger: SqliteLedger,
) -> None:
    await ledger.reserve(REQUEST, Decimal("0.1"))
    with pytest.raises(BudgetExceededError) as caught:
        await ledger.reserve(REQUEST, Decimal("0.1000001"))
    assert caught.value.message == "The call can cost $0.100001, and one call may cost $0.10."
    assert "BLOCKRUN_IMAGE_MAX_COST_USD" in caught.value.hint
    assert (caught.value.charged, caught.value.retryable) == ("no", False)


async def test_the_day_is_never_overspent_by_a_millionth_and_the_refusal_says_what_is_left(
    ledger: SqliteLedger,
) -> None:
    await ledger.reserve(REQUEST, Decimal("0.1"))
    await ledger.reserve(REQUEST, Decimal("0.06"))
    with pytest.raises(BudgetExceededError) as caught:
        await ledger.reserve(REQUEST, Decimal("0.040001"))
    assert "$0.04 of the $0.20 for this UTC day is left" in caught.value.message
    assert "BLOCKRUN_IMAGE_DAILY_BUDGET_USD" in caught.value.hint
    await ledger.reserve(REQUEST, Decimal("0.04"))
    assert await spent(ledger) == 200_000


async def test_a_new_utc_day_has_a_budget_of_its_own(ledger: SqliteLedger, clock: Clock) -> None:
    await ledger.reserve(REQUEST, Decimal("0.1"))
    await ledger.reserve(REQUEST, Decimal("0.1"))
    clock.now += 1
    await ledger.reserve(REQUEST, Decimal("0.1"))
    statement = await ledger.statement()
    assert (statement.day, statement.spent_micro_usd) == ("2027-01-01", 100_000)


async def test_an_attempt_whose_process_is_gone_is_released_if_it_had_not_left_and_unknown_if_it_had(
    ledger: SqliteLedger, clock: Clock
) -> None:
    clock.now -= 3_600
    await ledger.reserve(REQUEST, PRICE)
    gone = await ledger.reserve(REQUEST, PRICE)
    await gone.sent()
    accepted = await ledger.reserve(REQUEST, PRICE)
    await accepted.sent()
    await accepted.accepted("job_1")
    other_process = SqliteLedger(ledger.path, ledger.limits, clock=clock)
    clock.now += LEASE_SECONDS
    assert await states(other_process) == ["accepted", "reserved", "sent"]
    clock.now += 1
    assert await states(ledger) == ["accepted", "reserved", "sent"]  # they are its own
    assert await states(other_process) == ["accepted", "released", "unknown"]
    assert await spent(ledger) == 84_000
    await gone.settled(ImagesResponse((), PRICE))  # it had only been slow
    assert await states(ledger) == ["accepted", "released", "settled"]
    await other_process.close()


async def test_only_what_is_unknown_can_be_released_by_the_operator(ledger: SqliteLedger) -> None:
    attempt = await ledger.reserve(REQUEST, PRICE)
    await attempt.sent()
    assert not await ledger.release(attempt.id)
    await attempt.unknown()
    assert await ledger.release(attempt.id)
    assert not await ledger.release(attempt.id)
    assert not await ledger.release("no such attempt")
    assert await spent(ledger) == 0


async def test_the_file_and_its_folder_are_only_for_their_user(ledger: SqliteLedger) -> None:
    await ledger.reserve(REQUEST, PRICE)
    assert stat.S_IMODE(ledger.path.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in ledger.path.parent.iterdir()} == {0o600}


async def test_what_was_written_is_there_for_the_next_process(ledger: SqliteLedger, clock: Clock) -> None:
    await ledger.reserve(REQUEST, PRICE)
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
        await ledger.reserve(REQUEST, PRICE)
    assert str(ledger.path) in caught.value.message
    assert caught.value.charged == "no"
    await ledger.close()


async def test_a_full_disk_refuses_the_reservation_and_leaves_the_file_sound(ledger: SqliteLedger) -> None:
    await ledger.reserve(REQUEST, PRICE)
    connection = ledger.database._connection  # pyright: ignore[reportPrivateUsage] - a small disk, as SQLite sees it
    assert connection is not None
    connection.execute("PRAGMA max_page_count = 1")
    with pytest.raises(LedgerError, match="full"):
        await ledger.reserve(ImageRequest("x" * 50_000, "dall-e-3", "1024x1024", None, 1), PRICE)
    assert await spent(ledger) == 42_000


async def test_a_ledger_that_another_process_keeps_locked_is_an_error_after_a_while(
    ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blockrun_image_mcp.ledger.database._BUSY_SECONDS", 0.05)
    await ledger.reserve(REQUEST, PRICE)
    other = sqlite3.connect(ledger.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerError, match="locked"):
        await ledger.reserve(REQUEST, PRICE)
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
    await without.reserve(REQUEST, Decimal(1_000_000))
    for limits in (Limits(0, None), Limits(None, 0)):
        with pytest.raises(BudgetExceededError):
            await SqliteLedger(tmp_path / "b.sqlite3", limits).reserve(REQUEST, Decimal("0.000001"))
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
    attempt = await ledger.reserve(REQUEST, PRICE, "approval-1")
    if ending != "reserved":
        await (attempt.released() if ending == "released" else attempt.settled(ImagesResponse((), PRICE)))
    other_process = SqliteLedger(ledger.path, ledger.limits, clock=ledger.clock)
    for each in (ledger, other_process):
        with pytest.raises(ConfirmationError, match=rf"as attempt {attempt.id} \({ending}\)"):
            await each.reserve(REQUEST, PRICE, "approval-1")
    await other_process.reserve(REQUEST, PRICE, "approval-2")
    for _ in range(2):
        await ledger.reserve(REQUEST, Decimal(0))
    await other_process.close()


async def test_who_waits_for_an_attempt_does_not_wait_until_its_refused_payment_has_expired(
    ledger: SqliteLedger, clock: Clock
) -> None:
    attempt = await ledger.reserve(REQUEST, PRICE)
    await attempt.signed(Payment("eip155:8453", "0x1", PRICE, "0x2", int(clock()) + 300, "header"))
    await attempt.sent()
    await attempt.accepted("job_1")
    await attempt.released()
    assert await states(ledger) == ["held"]
    standing = await attempt.look()
    assert (standing.state, standing.held_usd) == ("released", PRICE)


async def test_an_approval_whose_reservation_was_refused_is_not_used_up(ledger: SqliteLedger) -> None:
    with pytest.raises(BudgetExceededError):
        await ledger.reserve(REQUEST, Decimal(9), "approval-1")
    await ledger.reserve(REQUEST, PRICE, "approval-1")


async def test_of_two_processes_with_the_same_approval_one_reserves(ledger: SqliteLedger) -> None:
    other_process = SqliteLedger(ledger.path, ledger.limits, clock=ledger.clock)
    refused: list[ConfirmationError] = []

    async def reserve(each: SqliteLedger) -> None:
        try:
            await each.reserve(REQUEST, PRICE, "approval-1")
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
            "INSERT INTO attempts (id, state, day, created_at, lease_until, model, size, n, prompt, reserved_micro_usd)"
            " VALUES ('old', 'settled', '2026-12-31', 1, 1, 'dall-e-2', '256x256', 1, 'A fox', 21000)"
        )
    connection.close()
    await ledger.reserve(REQUEST, PRICE, "approval-1")
    assert await spent(ledger) == 63_000
    assert [entry.id for entry in await ledger.recent(9)][1] == "old"
