"""Performs a paid call in this process."""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from blockrun_image.arguments import check_arguments, unchecked_arguments
from blockrun_image.errors import ImageError, InvalidRequestError, ModelNotFoundError, UnexpectedError
from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.ledger.confirmation import Ask, Question, confirming
from blockrun_image_mcp.paid_call import CallEnded, Outcome, PaidCall

if TYPE_CHECKING:
    from blockrun_image.attempts import Approval
    from blockrun_image.results import GeneratedImages

_log = logging.getLogger(__name__)


async def perform(backend: Backend, call: PaidCall) -> Outcome:
    """Perform a call in this process; the only exception that it raises is `CallEnded`."""
    try:
        images = await _generate(backend, call)
        paths = [image.path for image in images.images if image.path is not None]
        return Outcome(images.to_text(), images.to_dict(), paths=paths)
    except CallEnded:
        raise
    except ImageError as error:
        return Outcome.of_error(error)
    except Exception:  # noqa: BLE001 - its text must not reach the model
        _log.exception("generate_image failed unexpectedly")
        return Outcome.of_error(UnexpectedError("generate_image failed unexpectedly."))
    finally:
        backend.models.schedule_refresh()


async def _generate(backend: Backend, call: PaidCall) -> "GeneratedImages":
    checked, refusal = await _check(backend, call)
    try:
        return await backend.toolset.generate_image(
            **checked,
            refusal=refusal,
            on_status=call.on_status,
            approve=confirming(_then_prepare(backend, call.ask)),
            caller=call.caller,
            delivery=call.delivery,
            arrived_at=call.arrived_at,
        )
    except ModelNotFoundError:  # the gateway's list may have changed
        backend.models.mark_stale()
        raise


async def _check(backend: Backend, call: PaidCall) -> tuple[Mapping[str, Any], InvalidRequestError | None]:
    """Return the call's arguments, and why they are refused, if they are."""
    try:
        backend.check_description()  # first: the arguments are checked against it
        await backend.prepare()  # the first list may put other schemas in force
        schema = next(each for each in backend.schemas() if each.spends)
        try:
            return check_arguments(schema, call.arguments), None
        except InvalidRequestError as error:  # an earlier call with the same arguments may have been paid for
            return unchecked_arguments(schema, call.arguments), error
    except ImageError:
        raise
    except Exception as error:
        _log.exception("the arguments could not be checked")
        raise UnexpectedError("The call failed before anything was sent.", charged="no") from error


def _then_prepare(backend: Backend, ask: Ask) -> Ask:
    """Return a function to ask the user, and then load the newest model list."""

    async def ask_and_prepare(question: Question) -> "Approval":
        approval = await ask(question)
        await backend.prepare()  # the user may take long, and prices may change
        return approval

    return ask_and_prepare
