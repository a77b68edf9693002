"""Which calls the user confirms first, and in which words they are asked."""

import uuid
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

from blockrun_image.errors import ConfirmationError
from blockrun_image.text import clean, usd
from blockrun_image_mcp.settings import VARIABLES, Settings

if TYPE_CHECKING:
    from blockrun_image.images import ImageRequest
    from blockrun_image.pricing import Estimate
    from blockrun_image.toolset import Approve
    from blockrun_image_mcp.ledger.limits import Limits

Ask: TypeAlias = Callable[[str], Awaitable[str]]
"""Asks the user a question and returns the id of the approval; raises `ConfirmationError` for any other answer."""

_SHOWN_CHARACTERS = 200
_MAX_OPEN_QUESTIONS = 1_000


class OpenQuestions:
    """The ids of questions to the user that are not answered yet.

    The same question about the same call has the same id, so that two answers to it approve one attempt.
    """

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}

    def id_of(self, question: str) -> str:
        """Return the id of a question, which may have been asked before."""
        if question not in self._ids and len(self._ids) >= _MAX_OPEN_QUESTIONS:
            del self._ids[next(iter(self._ids))]
        return self._ids.setdefault(question, str(uuid.uuid4()))

    def answered(self, id: str) -> None:
        """Forget a question, so that the next call asks anew."""
        self._ids = {question: other for question, other in self._ids.items() if other != id}


def question_about(settings: Settings, prompt: str, expected: "Estimate") -> str | None:
    """Return the question that the user must answer before the call, or `None`.

    Raises `ConfigurationError` for an amount that cannot be read, and `BudgetExceededError` for a call that would be
    refused whatever the answer.
    """
    from blockrun_image_mcp.ledger.limits import Limits  # noqa: PLC0415 - loads the ports

    limits = Limits.of(settings)
    price = limits.held_for(expected.expected_cost, 0)
    if not limits.needs_approval(expected.expected_cost, price):
        return None
    limits.check(price, 0)
    return _question(limits, prompt, expected)


def _question(limits: "Limits", prompt: str, expected: "Estimate") -> str:
    price = limits.held_for(expected.expected_cost, 0)
    is_open = expected.high_usd is None and limits.call_micro_usd is None
    images = "1 image" if expected.n == 1 else f"{expected.n} images"
    return (
        f"Make {images} with {expected.what()}? {_price(expected, None if is_open else price)}"
        f' The prompt is: "{clean(prompt, _SHOWN_CHARACTERS)}"'
    )


def confirming(settings: Settings, ask: Ask) -> "Approve":
    """Return a function that asks the user to approve a call."""

    async def approve(request: "ImageRequest", expected: "Estimate") -> str:
        from blockrun_image_mcp.ledger.limits import Limits  # noqa: PLC0415 - the ledger has loaded it

        return await ask(_question(Limits.of(settings), request.prompt, expected))

    return approve


def not_confirmed(why: str) -> ConfirmationError:
    """Return the error for a call without approval; it names the setting, because a machine may have answered."""
    return ConfirmationError(
        f"This call needs the user's approval, and {why}.",
        hint=f"Ask for something cheaper, or let the user raise {VARIABLES['confirm_above_usd']}; an agent cannot.",
    )


def _price(expected: "Estimate", most_micro_usd: int | None) -> str:
    if expected.high_usd is not None:
        return f"The estimate is at most ${usd(expected.high_usd)}."
    from blockrun_image_mcp.ledger.limits import in_usd  # noqa: PLC0415 - as above

    most = "and nothing limits it" if most_micro_usd is None else f"at most {in_usd(most_micro_usd)}"
    return f"The price is not known: {expected.amount()}, {most}."
