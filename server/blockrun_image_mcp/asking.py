"""Asks the user through the client: in the middle of a call, or between two calls where the protocol has it so."""

import json
import uuid
from typing import TYPE_CHECKING, Any

from mcp.server.mcpserver import Context
from mcp.server.request_state import RequestStateSecurity
from mcp.shared.exceptions import MCPError
from mcp_types import ElicitRequest, ElicitRequestFormParams, ElicitResult, InputRequiredResult
from mcp_types.version import is_version_at_least
from pydantic import ValidationError

from blockrun_image_mcp.approval import Ask, refusal

if TYPE_CHECKING:
    from blockrun_image.ports import OnStatus

_ASKS_BETWEEN_CALLS = "2026-07-28"
_KEY = "approval"
_ANSWER_SECONDS = 30 * 86_400.0  # a question's state has to end some time; its key ends with the process
_NOTHING_BUT_YES: dict[str, Any] = {
    "type": "object",
    "properties": {},
}  # clients show a form without fields as yes and no


class InputRequired(Exception):  # noqa: N818 - no error: the client answers the question by calling again
    """Ends a call whose question the client answers with the next call."""

    def __init__(self, result: InputRequiredResult) -> None:
        super().__init__("the client must answer first")
        self.result = result


def answers_wait() -> RequestStateSecurity:
    """Return how the state of a question is sealed: for this process alone, and for as long as an answer may take."""
    return RequestStateSecurity.ephemeral(ttl=_ANSWER_SECONDS)


def asking(context: Context[Any, Any], on_status: "OnStatus") -> Ask:
    """Return what asks the user of this call; it raises `InputRequired` where the client has to call again."""

    async def ask(question: str) -> str:
        if not _shows_forms(context):
            raise refusal("this client cannot ask")
        if is_version_at_least(context.protocol_version or "", _ASKS_BETWEEN_CALLS):
            return _approval_in(context, question)
        on_status("waiting for the user's answer")
        return await _approval_now(context, question)

    return ask


async def _approval_now(context: Context[Any, Any], question: str) -> str:
    if not context.session.can_send_request:
        raise refusal("this connection cannot ask")
    try:
        answer = await context.session.elicit_form(question, _NOTHING_BUT_YES, context.request_id)
    except (MCPError, ValidationError) as error:
        raise refusal("the client brought no answer") from error
    _check(answer)
    return str(uuid.uuid4())


def _approval_in(context: Context[Any, Any], question: str) -> str:
    """Return the id of the question that this call answers, which is the same however often the call is repeated."""
    answer = (context.input_responses or {}).get(_KEY)
    asked = json.loads(context.request_state or "{}")
    if answer is None or asked.get("question") != question:
        raise InputRequired(
            InputRequiredResult(
                input_requests={
                    _KEY: ElicitRequest(
                        params=ElicitRequestFormParams(message=question, requested_schema=_NOTHING_BUT_YES)
                    )
                },
                request_state=json.dumps({"id": str(uuid.uuid4()), "question": question}),
            )
        )
    _check(answer)
    return asked["id"]


def _check(answer: object) -> None:
    if not isinstance(answer, ElicitResult) or answer.action != "accept":
        raise refusal("the answer was no")


def _shows_forms(context: Context[Any, Any]) -> bool:
    capabilities = context.client_capabilities
    elicitation = capabilities.elicitation if capabilities else None
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)
