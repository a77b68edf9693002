"""Callers who are connected to another process than the one that works for them."""

import pytest
from tests.support.ledgers import CALL, Processes, collected, reserve, sent, settled

from blockrun_image.attempts import CallInfo
from blockrun_image.callers import Caller
from blockrun_image.errors import LedgerError
from blockrun_image_mcp.ledger.owners import Owners, owners_beside

pytestmark = pytest.mark.anyio


@pytest.fixture
def server(processes: Processes) -> Owners:
    """Return the lock of a server whose worker has the ledger."""
    locks = owners_beside(processes.path)
    locks.acquire()
    return locks


def call_of(server: Owners) -> CallInfo:
    assert server.id is not None
    return CallInfo(CALL.key, Caller("client", server.id))


async def test_request_is_sent_while_the_callers_process_lives(processes: Processes, server: Owners) -> None:
    worker = await processes.start()
    await (await reserve(worker, call=call_of(server))).sent()


async def test_request_is_not_sent_once_the_callers_process_has_died(processes: Processes, server: Owners) -> None:
    worker = await processes.start()
    attempt = await reserve(worker, call=call_of(server))
    server.release(remove=False)
    with pytest.raises(LedgerError, match="Nothing was sent"):
        await attempt.sent()


async def test_sent_request_is_collected_only_after_the_death_of_the_callers_process(
    processes: Processes, server: Owners
) -> None:
    worker, next_server = await processes.start(), await processes.start()
    attempt = await sent(worker, call=call_of(server))
    assert await collected(next_server) is None
    server.release(remove=False)
    assert await collected(next_server) == attempt.id


async def test_undelivered_pictures_are_collected_after_the_death_of_the_callers_process(
    processes: Processes, server: Owners
) -> None:
    worker, next_server = await processes.start(), await processes.start()
    attempt = await settled(worker, call_of(server))
    assert await collected(next_server) is None
    server.release(remove=False)
    assert await collected(next_server) == attempt.id


async def test_delivery_is_recorded_for_the_caller_at_its_process(processes: Processes, server: Owners) -> None:
    worker, next_server = await processes.start(), await processes.start()
    attempt = await settled(worker, call_of(server))
    await attempt.mark_delivered()
    server.release(remove=False)
    assert await collected(next_server) is None
