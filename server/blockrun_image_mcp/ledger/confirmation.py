"""Asks the user to approve a call, and remembers the open questions."""

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, TypeAlias

from blockrun_image.errors import ConfirmationError
from blockrun_image.text import clean, usd
from blockrun_image_mcp.settings import VARIABLES

if TYPE_CHECKING:
    from blockrun_image.attempts import Approval
    from blockrun_image.images import ImageRequest
    from blockrun_image.ports import NeedsApproval
    from blockrun_image.pricing import Estimate
    from blockrun_image.toolset import Approve


@dataclass(frozen=True)
class Question:
    """A question to the user about one call.

    It names the purchase, its price in words and the prompt. A yes covers prices up to `max_usd`, in US dollars, or
    any price if that is `None`.
    """

    what: str
    price: str
    prompt: str
    max_usd: Decimal | None

    @property
    def about(self) -> str:
        """The question without its price."""
        return f"{self.what} {self.prompt}"

    def __str__(self) -> str:
        return f"{self.what} {self.price} {self.prompt}"


Ask: TypeAlias = Callable[[Question], Awaitable["Approval"]]
"""Asks the user a question; raises `ConfirmationError` for any answer but yes."""

_SHOWN_CHARACTERS = 200
_MAX_OPEN_QUESTIONS = 1_000


class OpenQuestions:
    """The ids of the unanswered questions to the user.

    The same question about the same call has the same id. Two answers to it therefore approve only one attempt.
    """

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}

    def id_of(self, question: str) -> str:
        """Return the id of a new or an open question."""
        if question not in self._ids and len(self._ids) >= _MAX_OPEN_QUESTIONS:  # many are never answered
            del self._ids[next(iter(self._ids))]
        return self._ids.setdefault(question, str(uuid.uuid4()))

    def answered(self, id: str) -> None:
        """Forget a question; the next call asks again."""
        self._ids = {question: other for question, other in self._ids.items() if other != id}


def confirming(ask: Ask) -> "Approve":
    """Return a function that asks the user to approve a call."""

    async def approve(request: "ImageRequest", expected: "Estimate", needed: "NeedsApproval") -> "Approval":
        images = "1 image" if expected.n == 1 else f"{expected.n} images"
        prompt = f'The prompt is: "{clean(request.prompt, _SHOWN_CHARACTERS)}"'
        about = f"Make {images} with {expected.label()}{_from(request)}?"
        return await ask(Question(about, _price(expected, needed), prompt, needed.max_usd))

    return approve


def _from(request: "ImageRequest") -> str:
    """Name the pictures that a request starts from: each file by its real path."""
    if not request.images:
        return ""
    sources = [clean(picture.source, _SHOWN_CHARACTERS) for picture in request.images]
    mask = "" if request.mask is None else f", mask {clean(request.mask.source, _SHOWN_CHARACTERS)}"
    return f" from {', '.join(sources)}{mask}"


def not_confirmed(why: str) -> ConfirmationError:
    """Return the error for a call without approval.

    It names the setting, because a machine may have given the answer.
    """
    return ConfirmationError(
        f"This call needs the user's approval, and {why}.",
        hint=f"Choose something cheaper, or raise {VARIABLES['confirm_above_usd']}; an agent cannot.",
    )


def _price(expected: "Estimate", needed: "NeedsApproval") -> str:
    max_usd = needed.max_usd
    limit = "without a limit" if max_usd is None else f"at most ${usd(max_usd)}"
    if needed.is_exact:
        return f"The gateway's price is ${usd(max_usd or Decimal(0))}; the estimate was {expected.price_text()}."
    if expected.high_usd is None:
        return f"The price is not known: {expected.price_text()}, {limit}."
    if max_usd is not None and max_usd > expected.high_usd:
        return f"It can cost {limit}: such images recently cost more than the estimate of {expected.price_text()}."
    if expected.exact:
        return f"It costs {expected.price_text()}."
    return f"The estimate is {expected.price_text()}."
