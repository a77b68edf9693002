import pytest

from blockrun_image.errors import ContentPolicyError, GatewayError, ModelNotFoundError
from blockrun_image_mcp.gateway import refusals
from blockrun_image_mcp.gateway.error_words import ErrorWords


@pytest.mark.parametrize(
    "said",
    [
        "Model 'x' not found",
        "The model `dall-e-2` does not exist",
        "The model gpt-image-9 does not exist or you do not have access to it",
        "model x is deprecated",
        "Model x has been retired",
        "Unknown image model: x",
        "400: {'error': '/image/generations: Invalid model name passed in model=x. Call `/v1/models`.'}",
    ],
)
@pytest.mark.parametrize("status", [400, 404])
def test_model_not_found_is_recognised_by_its_words(status: int, said: str) -> None:
    assert refusals.classify(status, "no", ErrorWords(said, ("400",))).error is ModelNotFoundError


@pytest.mark.parametrize("code", ["model_not_found", "unknown_model", "MODEL_NOT_SUPPORTED", "model_retired"])
def test_model_not_found_is_recognised_by_its_code(code: str) -> None:
    assert refusals.classify(400, "no", ErrorWords("No.", (code,))).error is ModelNotFoundError


@pytest.mark.parametrize(
    "said",
    [
        "Model dall-e-3: size 99x99 is not supported",
        "size not supported by model dall-e-3",
        "quality is not supported for model dall-e-3",
        "The model dall-e-3 does not take quality",
        "Invalid prompt: 'a model not found in any catalogue'",
    ],
)
def test_other_refusal_that_names_a_model_is_not_model_not_found(said: str) -> None:
    assert refusals.classify(400, "no", ErrorWords(said, ("invalid_request",))).error is GatewayError


def test_refused_prompt_about_a_model_is_a_content_refusal() -> None:
    said = "Content policy violation: a retired model on a catwalk"
    assert refusals.classify(400, "no", ErrorWords(said, ("content_policy_violation",))).error is ContentPolicyError


@pytest.mark.parametrize("status", [401, 402, 413, 500, 502])
def test_inconclusive_status_is_not_model_not_found(status: int) -> None:
    saying = ErrorWords("Model x not found", ("model_not_found",))
    assert refusals.classify(status, "unknown", saying).error is not ModelNotFoundError
