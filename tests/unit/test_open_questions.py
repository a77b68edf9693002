"""The ids of questions to the user: one for each question that is open."""

import json
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from mcp_types import CallToolRequestParams, ElicitResult, InputRequiredResult

from blockrun_image.attempts import Approval
from blockrun_image_mcp.ledger.confirmation import OpenQuestions, Question
from blockrun_image_mcp.mcp_server.elicitation import InputRequired, elicitation


def test_same_question_has_the_same_id_until_it_is_answered() -> None:
    questions = OpenQuestions()
    id = questions.id_of("A fox for $0.042?")
    assert questions.id_of("A fox for $0.042?") == id
    questions.answered(id)
    assert questions.id_of("A fox for $0.042?") != id


def test_each_question_has_its_own_id() -> None:
    questions = OpenQuestions()
    assert len({questions.id_of(f"{number} foxes?") for number in range(9)}) == 9


def test_answer_closes_only_its_own_question() -> None:
    questions = OpenQuestions()
    fox, owl = questions.id_of("A fox?"), questions.id_of("An owl?")
    questions.answered(fox)
    assert questions.id_of("An owl?") == owl


def test_answer_to_a_question_that_is_not_open_changes_nothing() -> None:
    questions = OpenQuestions()
    id = questions.id_of("A fox?")
    questions.answered("no such id")
    assert questions.id_of("A fox?") == id


def test_oldest_of_too_many_questions_is_forgotten() -> None:
    questions = OpenQuestions()
    ids = [questions.id_of(f"{number} foxes?") for number in range(1_000)]
    newest = questions.id_of("1000 foxes?")
    questions.answered(ids[500])
    assert questions.id_of("1 foxes?") == ids[1]
    assert questions.id_of("1000 foxes?") == newest
    assert questions.id_of("0 foxes?") != ids[0]


def test_repeating_a_question_does_not_forget_another() -> None:
    questions = OpenQuestions()
    ids = [questions.id_of(f"{number} foxes?") for number in range(1_000)]
    for _ in range(3):
        questions.id_of("999 foxes?")
    assert questions.id_of("0 foxes?") == ids[0]


# questions that end a call, which the next one answers

FOX = Question("Make 1 image?", "It costs $0.042.", "The prompt is: a fox", Decimal("0.042"))


async def answered(questions: OpenQuestions, question: Question, prompt: str, **brought: Any) -> Approval:
    """Ask a question in a call that brings the answer to an earlier one."""
    form = SimpleNamespace(elicitation=SimpleNamespace(form=True, url=None))
    context: Any = SimpleNamespace(
        session=SimpleNamespace(client_capabilities=form),
        protocol_version="2026-07-28",
        lifespan_context=SimpleNamespace(questions=questions),
    )
    params = CallToolRequestParams(name="generate_image", arguments={"prompt": prompt}, **brought)
    return await elicitation(context, params, lambda status: None)(question)


async def asked(questions: OpenQuestions, question: Question, prompt: str, **brought: Any) -> dict[str, Any]:
    """Return what a client brings that was told yes."""
    with pytest.raises(InputRequired) as caught:
        await answered(questions, question, prompt, **brought)
    result: InputRequiredResult = caught.value.result
    return {"request_state": result.request_state, "input_responses": {"approval": ElicitResult(action="accept")}}


def id_in(brought: dict[str, Any]) -> str:
    return json.loads(brought["request_state"])["id"]


@pytest.mark.anyio
async def test_same_words_about_two_calls_are_two_questions() -> None:
    questions, words = OpenQuestions(), "x" * 200
    first, again, other = [await asked(questions, FOX, f"{words}{end}") for end in ("a fox", "a fox", "an owl")]
    assert id_in(first) == id_in(again) != id_in(other)


@pytest.mark.anyio
async def test_answer_covers_only_what_was_asked_about() -> None:
    questions = OpenQuestions()
    yes = await asked(questions, FOX, "a fox")
    other = replace(FOX, what="Make 2 images?")
    assert id_in(await asked(questions, other, "a fox", **yes)) != id_in(yes)
    cheaper = replace(FOX, price="It costs $0.04.", max_usd=Decimal("0.04"))
    assert await answered(questions, cheaper, "a fox", **yes) == Approval(id_in(yes), FOX.max_usd)
    dearer = replace(FOX, price="It costs $0.05.", max_usd=Decimal("0.05"))
    assert id_in(await asked(questions, dearer, "a fox", **yes)) != id_in(yes)


@pytest.mark.anyio
async def test_answer_during_a_call_covers_prices_up_to_the_one_shown() -> None:
    async def elicit_form(message: str, *_: object) -> ElicitResult:
        return ElicitResult(action="accept")

    form = SimpleNamespace(elicitation=SimpleNamespace(form=True, url=None))
    session = SimpleNamespace(client_capabilities=form, can_send_request=True, elicit_form=elicit_form)
    context: Any = SimpleNamespace(session=session, protocol_version="2025-11-25", request_id=1)
    ask = elicitation(context, CallToolRequestParams(name="generate_image"), lambda status: None)
    for max_usd in (FOX.max_usd, None):
        assert (await ask(replace(FOX, max_usd=max_usd))).max_usd == max_usd
