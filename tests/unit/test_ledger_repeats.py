"""Pictures that were delivered to callers who may have given up, and pictures that nobody has received."""

from collections.abc import Sequence
from dataclasses import replace

import anyio
import pytest
from tests.support.fakes import Clock
from tests.support.ledgers import (
    CALL,
    PRICE,
    RESPONSE,
    URL,
    Processes,
    attempt_of,
    called_by,
    die,
    order,
    reserve,
    rows,
    sent,
    settled,
    spent,
)

from blockrun_image.attempts import CallInfo, UncollectedPictures
from blockrun_image.errors import BudgetExceededError
from blockrun_image.file_names import SaveAs
from blockrun_image.images import Image, ImagesResponse
from blockrun_image.ports import Begun, Collected, NothingFound, Reserved
from blockrun_image_mcp.ledger.ledger import Ledger
from blockrun_image_mcp.timings import DEFAULT

pytestmark = pytest.mark.anyio

SESSION, OTHER = called_by("session"), called_by("other session")


async def repeated(ledger: Ledger, call: CallInfo) -> str | None:
    begun = await ledger.begin(call, None)
    assert not isinstance(begun, Collected) or begun.is_repeat
    return begun.attempt.id if isinstance(begun, Collected) else None


async def test_pictures_are_repeated_only_to_a_caller_who_may_have_given_up(ledger: Ledger) -> None:
    await (await settled(ledger, SESSION)).mark_delivered()
    assert await repeated(ledger, SESSION) is None
    attempt = await settled(ledger, SESSION)
    await attempt.mark_delivered(is_repeatable=True)
    assert await repeated(ledger, SESSION) == attempt.id


async def test_call_that_names_another_file_gets_no_delivered_picture_again(ledger: Ledger) -> None:
    named, other = (replace(SESSION, save_as=SaveAs.parse(name, 1)) for name in ("a.png", "b.png"))
    attempt = await settled(ledger, named)
    await attempt.mark_delivered(is_repeatable=True)
    assert [await repeated(ledger, call) for call in (other, SESSION)] == [None, None]
    assert await repeated(ledger, named) == attempt.id


async def test_undelivered_picture_is_collected_under_any_name(ledger: Ledger) -> None:
    attempt = await settled(ledger, SESSION)
    await attempt.mark_abandoned()
    begun = await ledger.begin(replace(SESSION, save_as=SaveAs.parse("a.png", 1)), order())
    assert isinstance(begun, Collected)
    assert begun.attempt.id == attempt.id


async def test_repeated_pictures_are_free_and_delivered_again(ledger: Ledger) -> None:
    attempt = await settled(ledger)
    await attempt.mark_delivered(is_repeatable=True)
    begun = await ledger.begin(CALL, order())
    assert isinstance(begun, Collected)
    assert begun.is_repeat
    again = attempt_of(begun)
    assert ((await again.status()).response, await spent(ledger)) == (RESPONSE, 42_000)
    await again.mark_delivered()
    assert await repeated(ledger, CALL) == attempt.id


async def test_lost_repeated_pictures_are_collected(ledger: Ledger) -> None:
    attempt = await settled(ledger)
    await attempt.mark_delivered(is_repeatable=True)
    await attempt_of(await ledger.begin(CALL, None)).mark_abandoned()
    begun = await ledger.begin(CALL, None)
    assert isinstance(begun, Collected)
    assert (begun.attempt.id, begun.is_repeat) == (attempt.id, False)


async def test_pictures_that_may_be_missed_are_repeated_to_any_caller_of_any_process(processes: Processes) -> None:
    ledger, other = await processes.start(), await processes.start()
    attempt = await settled(ledger, SESSION)
    await attempt.mark_delivered()
    assert await repeated(other, OTHER) is None
    await attempt.mark_delivered(is_repeatable=True)
    await attempt.mark_delivered()  # which takes nothing back
    assert await repeated(ledger, OTHER) == attempt.id
    await attempt_of(await other.begin(OTHER, None)).mark_delivered()
    assert await repeated(other, called_by("a third session")) == attempt.id


async def test_a_delivery_noted_by_an_older_version_counts(ledger: Ledger) -> None:
    attempt = await settled(ledger, SESSION)
    await attempt.mark_delivered(is_repeatable=True)
    rows(ledger.path, "UPDATE spending SET repeatable = 2 RETURNING id")
    assert await repeated(ledger, OTHER) == attempt.id


async def test_another_process_repeats_pictures_for_two_minutes_of_wall_time(
    processes: Processes, clock: Clock
) -> None:
    gone, here = await processes.start(), await processes.start()
    attempt = await settled(gone)
    await attempt.mark_delivered(is_repeatable=True)
    die(gone)
    clock.now += DEFAULT.repeatable_seconds - 1
    assert await repeated(here, CALL) == attempt.id
    clock.now += 1
    assert await repeated(here, CALL) is None
    assert isinstance(await here.begin(CALL, order()), Reserved)


@pytest.mark.parametrize("step", [86_400, -86_400])
async def test_wrong_wall_clock_does_not_cause_a_second_purchase(processes: Processes, clock: Clock, step: int) -> None:
    monotonic = processes.monotonic = Clock(0.0)
    ledger = await processes.start()
    await (await settled(ledger)).mark_delivered(is_repeatable=True)
    die(ledger)
    clock.now += step
    monotonic.now += DEFAULT.repeatable_seconds - 1
    assert await repeated(await processes.start(), CALL) is not None


@pytest.mark.parametrize("restarted", [1.0, 1_000_000.0])
async def test_restarted_monotonic_clock_is_ignored(processes: Processes, clock: Clock, restarted: float) -> None:
    monotonic = processes.monotonic = Clock(1_000.0)
    ledger = await processes.start()
    await (await settled(ledger)).mark_delivered(is_repeatable=True)
    die(ledger)
    monotonic.now = restarted  # the machine was started again
    clock.now += DEFAULT.repeatable_seconds - 1
    assert await repeated(await processes.start(), CALL) is not None
    clock.now += 1
    assert await repeated(await processes.start(), CALL) is None


@pytest.mark.parametrize(("waited", "is_repeat"), [(0, False), (9, False), (11, True), (60, True), (None, False)])
async def test_repeat_window_is_measured_to_the_calls_arrival(
    processes: Processes, clock: Clock, waited: float | None, is_repeat: bool
) -> None:
    ledger = await processes.start()
    await (await settled(ledger)).mark_delivered(is_repeatable=True)
    clock.now += DEFAULT.repeatable_seconds + 10
    arrived_at = None if waited is None else anyio.current_time() - waited
    assert (await repeated(ledger, replace(CALL, arrived_at=arrived_at)) is not None) == is_repeat


async def test_several_variations_are_repeated_in_turn(ledger: Ledger) -> None:
    attempts = [await settled(ledger), await settled(ledger)]
    for attempt in attempts:
        await attempt.mark_delivered(is_repeatable=True)
    ids = [await repeated(ledger, CALL) for _ in range(4)]
    assert set(ids[:2]) == set(ids[2:]) == {each.id for each in attempts}


async def test_undelivered_pictures_come_before_repeated_ones(ledger: Ledger) -> None:
    await (await settled(ledger)).mark_delivered(is_repeatable=True)
    lost = attempt_of(await ledger.begin(CallInfo("x"), order()))
    await lost.sent()
    await lost.settled(RESPONSE)
    await lost.mark_abandoned()
    begun = await ledger.begin(CallInfo("x"), None)
    assert isinstance(begun, Collected)
    assert not begun.is_repeat


def told(begun: Begun) -> Sequence[str]:
    assert isinstance(begun, Reserved | Collected | NothingFound)
    return [each.attempt_id for each in begun.uncollected]


async def lost(ledger: Ledger, key: str = "a lost call", call: CallInfo = CALL) -> str:
    """Return the id of an attempt whose pictures nobody has received."""
    attempt = await settled(ledger, replace(call, key=key))
    await attempt.mark_abandoned()
    return attempt.id


async def test_uncollected_pictures_are_reported_with_any_other_call(ledger: Ledger) -> None:
    id = await lost(ledger)
    begun = await ledger.begin(CALL, order())
    assert isinstance(begun, Reserved)
    (each,) = begun.uncollected
    assert each == UncollectedPictures(id, begun.attempt.request, [URL])
    assert each.to_text() == f'An earlier call paid for 1 image that nobody received: "A red fox" by dall-e-3: {URL}'


@pytest.mark.parametrize(("step", "is_collected"), [(2 * DEFAULT.pictures_seconds, False), (-86_400.0, True)])
async def test_undelivered_pictures_are_collected_or_named_whatever_the_wall_clock_says(
    processes: Processes, clock: Clock, step: float, is_collected: bool
) -> None:
    monotonic = processes.monotonic = Clock(1_000.0)
    ledger = await processes.start()
    id = await lost(ledger)
    die(ledger)
    monotonic.now = 1.0  # the machine was started again, with a wrong clock
    clock.now += step
    begun = await (await processes.start()).begin(CallInfo("a lost call"), order())
    assert (attempt_of(begun).id == id, told(begun)) == (is_collected, [] if is_collected else [id])


async def test_uncollected_pictures_are_reported_until_an_answer_names_them(ledger: Ledger) -> None:
    id = await lost(ledger)
    assert told(await ledger.begin(CALL, order())) == [id]  # in an answer that is lost
    begun = await ledger.begin(CALL, order())
    assert told(begun) == [id]
    attempt = attempt_of(begun)
    await attempt.sent()
    await attempt.mark_delivered(mentioned_ids=[id])
    assert told(await ledger.begin(CALL, order())) == []


async def test_named_pictures_are_still_collected_by_the_same_call(ledger: Ledger) -> None:
    id = await lost(ledger)
    await (await settled(ledger)).mark_delivered(mentioned_ids=[id])
    begun = await ledger.begin(CallInfo("a lost call"), None)
    assert isinstance(begun, Collected)
    assert begun.attempt.id == id


async def test_call_that_collects_pictures_gets_no_report_of_them(ledger: Ledger) -> None:
    id, other = await lost(ledger), await lost(ledger, "another lost call")
    begun = await ledger.begin(CallInfo("a lost call"), None)
    assert isinstance(begun, Collected)
    assert (begun.attempt.id, told(begun)) == (id, [other])


async def test_pictures_a_caller_waits_for_are_not_reported(ledger: Ledger) -> None:
    await settled(ledger, CallInfo("a call whose answer is under way"))
    assert told(await ledger.begin(CALL, None)) == []


async def test_pictures_of_another_live_caller_are_not_reported(processes: Processes) -> None:
    ledger, other = await processes.start(), await processes.start()
    id = await lost(ledger, call=SESSION)
    assert told(await ledger.begin(OTHER, None)) == []
    assert told(await other.begin(OTHER, None)) == []
    assert told(await ledger.begin(SESSION, None)) == [id]
    die(ledger)
    assert told(await other.begin(OTHER, None)) == [id]


async def test_attempt_without_pictures_is_not_reported(ledger: Ledger) -> None:
    attempt = await sent(ledger, call=CallInfo("charged for nothing"))
    await attempt.settled(ImagesResponse((), PRICE))
    await attempt.mark_abandoned()
    assert told(await ledger.begin(CALL, None)) == []


async def test_refused_call_also_reports_uncollected_pictures(ledger: Ledger) -> None:
    await lost(ledger)
    with pytest.raises(BudgetExceededError) as caught:
        await reserve(ledger, PRICE * 100)
    assert f'paid for 1 image that nobody received: "A red fox" by dall-e-3: {URL}' in caught.value.hint


async def test_newest_three_uncollected_pictures_are_reported(processes: Processes, clock: Clock) -> None:
    ledger = await processes.start()
    ids: list[str] = []
    for number in range(4):
        ids.append(await lost(ledger, f"lost {number}"))
        clock.now += 1
    assert told(await ledger.begin(CALL, None)) == ids[:0:-1]


async def test_picture_with_an_oversized_url_is_not_stored(ledger: Ledger) -> None:
    attempt = await sent(ledger)
    await attempt.settled(ImagesResponse([Image(f"https://x/{'1' * 100_000}"), Image(URL), Image(None, data=b"x")]))
    response = (await attempt.status()).response
    assert response is not None
    assert [image.url for image in response.images] == [URL]


async def test_delivery_time_is_that_of_the_last_possibly_missed_delivery(ledger: Ledger, clock: Clock) -> None:
    attempt = await settled(ledger)
    await attempt.mark_delivered()
    clock.now += 60
    await attempt.mark_delivered(is_repeatable=True)
    missed = clock.now
    clock.now += 60
    await attempt.mark_delivered()
    assert rows(ledger.path, "SELECT delivered_at FROM spending") == [(missed,)]


async def test_pictures_missed_again_stay_repeatable_for_the_same_time(processes: Processes, clock: Clock) -> None:
    ledger = await processes.start()
    attempt = await settled(ledger)
    await attempt.mark_delivered(is_repeatable=True)
    clock.now += DEFAULT.repeatable_seconds - 1
    assert await repeated(ledger, CALL) == attempt.id
    await attempt.mark_delivered(is_repeatable=True)
    clock.now += DEFAULT.repeatable_seconds - 1
    assert await repeated(ledger, CALL) == attempt.id
    await attempt.mark_delivered()  # read at once: this one does not count
    clock.now += 1
    assert await repeated(ledger, CALL) is None
