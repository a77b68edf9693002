"""Asks the user through the client.

Up to protocol 2025-11-25, the server asks in the middle of a call. Since 2026-07-28, the call ends with the question,
and the client calls again with the answer.
"""

import json
import uuid
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolRequestParams, ElicitRequest, ElicitRequestFormParams, ElicitResult, InputRequiredResult
from mcp_types.version import is_version_at_least
from pydantic import ValidationError

from blockrun_image.attempts import Approval
from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.ledger.confirmation import Ask, OpenQuestions, Question, not_confirmed
from blockrun_image_mcp.paid_call import CallEnded

if TYPE_CHECKING:
    from blockrun_image.ports import OnStatus

_ASKS_BETWEEN_CALLS = "2026-07-28"
_KEY = "approval"
_YES_OR_NO: dict[str, Any] = {"type": "object", "properties": {}}
"""A form without fields; clients show it as yes and no."""


class InputRequired(CallEnded):
    """Raised to end a call with a question for the next call to answer."""

    def __init__(self, result: InputRequiredResult) -> None:
        super().__init__("the client must answer first")
        self.result = result


def elicitation(
    context: ServerRequestContext[Backend, Any], params: CallToolRequestParams, on_status: "OnStatus"
) -> Ask:
    """Return the function for asking this call's user.

    It raises `InputRequired` if the client must call again, and `ConfirmationError` for any answer but yes.
    """

    async def ask(question: Question) -> Approval:
        if not _shows_forms(context):
            raise not_confirmed("this client cannot ask")
        if is_version_at_least(context.protocol_version, _ASKS_BETWEEN_CALLS):
            return _answer_in(params, question, context.lifespan_context.questions)
        on_status("waiting for the user's answer")
        return await _answer_now(context, question)

    return ask


async def _answer_now(context: ServerRequestContext[Backend, Any], question: Question) -> Approval:
    if not context.session.can_send_request:
        raise not_confirmed("this connection cannot ask")
    try:
        answer = await context.session.elicit_form(str(question), _YES_OR_NO, context.request_id)
    except (MCPError, ValidationError) as error:
        raise not_confirmed("the client returned no answer") from error
    _check(answer)
    return Approval(str(uuid.uuid4()), question.max_usd)


def _answer_in(params: CallToolRequestParams, question: Question, questions: OpenQuestions) -> Approval:
    """Return the approval sent with this call, if it covers the question.

    A repeated call sends the same id, so that one approval never pays twice. Raises `InputRequired` without an answer
    to the question, and `ConfirmationError` for any answer but yes.
    """
    answer = (params.input_responses or {}).get(_KEY)
    returned = _ReturnedQuestion.read(params.request_state)
    if answer is None or returned is None or not returned.covers(question):
        form = ElicitRequestFormParams(message=str(question), requested_schema=_YES_OR_NO)
        new = _ReturnedQuestion(questions.id_of(_about(params, question)), question.about, question.max_usd)
        raise InputRequired(
            InputRequiredResult(input_requests={_KEY: ElicitRequest(params=form)}, request_state=new.to_json())
        )
    questions.answered(returned.id)
    _check(answer)
    return Approval(returned.id, returned.max_usd)


@dataclass(frozen=True)
class _ReturnedQuestion:
    """A question as the client returns it with its next call."""

    # the middleware seals this state, so that a client cannot change it

    id: str
    about: str
    max_usd: Decimal | None

    @classmethod
    def read(cls, state: str | None) -> "_ReturnedQuestion | None":
        try:
            fields = json.loads(state or "{}")
            max_usd = fields["most_usd"]
            return cls(str(fields["id"]), str(fields["about"]), None if max_usd is None else Decimal(max_usd))
        except (ValueError, TypeError, KeyError, InvalidOperation):
            return None

    def to_json(self) -> str:
        max_usd = None if self.max_usd is None else str(self.max_usd)
        return json.dumps({"id": self.id, "about": self.about, "most_usd": max_usd})

    def covers(self, question: Question) -> bool:
        return self.about == question.about and Approval(self.id, self.max_usd).covers(question.max_usd)


def _about(params: CallToolRequestParams, question: Question) -> str:
    return json.dumps([str(question), params.arguments], sort_keys=True)


def _check(answer: object) -> None:
    if not isinstance(answer, ElicitResult) or answer.action != "accept":
        raise not_confirmed("it was declined")


def _shows_forms(context: ServerRequestContext[Backend, Any]) -> bool:
    capabilities = context.session.client_capabilities
    elicitation = capabilities.elicitation if capabilities else None
    # an empty capability means forms, as it did before there were URLs
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)
