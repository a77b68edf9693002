"""What a call is answered if an earlier attempt at it is over."""

from dataclasses import replace

from blockrun_image.attempts import AttemptState, AttemptStatus
from blockrun_image.errors import OutcomeUnknownError
from blockrun_image.images import ImagesResponse

_COLLECTED = "An earlier call with the same arguments paid for this; nothing more was charged."
_REPEATED = (
    "These pictures are from the same call moments ago; nothing more was charged. For different ones, change the"
    " prompt, or ask for several at once with n, if the model supports n."
)
_BUYS_ANEW = "First check whether the earlier call was charged: repeating the call buys a new picture."


def response_of(status: AttemptStatus, *, is_repeat: bool) -> ImagesResponse | None:
    """Return the pictures of an earlier attempt that is over, or `None` if it was not charged.

    With `is_repeat`, they were delivered moments ago.

    Raises `OutcomeUnknownError` if it was or may have been charged, and has no pictures.
    """
    if status.state is AttemptState.SETTLED and status.response is not None:
        if not status.response.images:
            raise _charged_for_nothing(status.response)
        warning = _REPEATED if is_repeat else _COLLECTED
        return replace(status.response, warnings=[*status.response.warnings, warning], is_collected=True)
    if status.state in (AttemptState.SENT, AttemptState.UNKNOWN):
        raise OutcomeUnknownError(
            "An earlier call with the same arguments was sent, and its answer never came; nothing was sent now.",
            hint=_BUYS_ANEW,
        )
    if status.state is AttemptState.HELD:
        raise OutcomeUnknownError(
            "An earlier call with the same arguments was refused, but its signed payment can still be used,"
            " so it counts towards today's budget; nothing was sent now.",
            hint=_BUYS_ANEW,
        )
    return None


def _charged_for_nothing(response: ImagesResponse) -> OutcomeUnknownError:
    """Return the error for an earlier call that was charged without a picture."""
    words = " ".join(["An earlier call with the same arguments returned no picture.", *response.warnings])
    error = OutcomeUnknownError(words, hint="Repeating the call buys a new picture.", charged="yes")
    error.charged_usd = response.charged_usd
    return error
