"""What is set wrong is named, with what was meant, by the call that needs it and by `doctor`."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.support.sandbox import CONTRACT_FILE

from blockrun_image.errors import ConfigurationError, ImageError
from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.cli.doctor import examine
from blockrun_image_mcp.settings import Settings

pytestmark = pytest.mark.anyio


def started(settings: Mapping[str, str]) -> Backend:
    return Backend(Settings.read({"BLOCKRUN_IMAGE_SPEC": str(CONTRACT_FILE), **settings}))


async def examined(settings: Mapping[str, str]) -> str:
    """Return what doctor prints, which must be that something is wrong."""
    findings = await examine(started(settings), settings)
    assert any(finding.is_trouble for finding in findings)
    return "\n".join(map(str, findings))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"BLOCKRUN_IMAGE_GATEWAY": "sandboxx"}, "Did you mean sandbox?"),
        ({"BLOCKRUN_IMAGE_GATEWAY": "sand-box", "BLOCKRUN_IMAGE_CREDENTIAL": "abcdefgh"}, "Did you mean sandbox?"),
        ({"BLOCKRUN_API_KYE": "brk_abcdefgh"}, "did you mean BLOCKRUN_API_KEY?"),
        ({"BLOCKRUN_IMAGE_CREDENTAIL": "abcdefgh"}, "did you mean BLOCKRUN_IMAGE_CREDENTIAL?"),
        (
            {"BLOCKRUN_IMAGE_GATEWAY": "sandbox", "BLOCKRUN_IMAGE_DAILY_BUGDET_USD": "1"},
            "BLOCKRUN_IMAGE_DAILY_BUGDET_USD is not a setting; did you mean BLOCKRUN_IMAGE_DAILY_BUDGET_USD?",
        ),
        ({"BLOCKRUN_IMAGE_GATEWAY": "sandbox", "BLOCKRUN_DAILY_BUDGET_USD": "1"}, "BLOCKRUN_IMAGE_DAILY_BUDGET_USD?"),
        ({"BLOCKRUN_IMAGE_GATEWAY": "sandbox", "BLOCKRUN_IMAGE_MAX_SPEND": "1"}, "No picture is paid for"),
        ({"BLOCKRUN_API_KEY": "brk_..."}, "BLOCKRUN_API_KEY still holds a placeholder"),
        ({"BLOCKRUN_API_KEY": "your-api-key-here"}, "BLOCKRUN_API_KEY still holds a placeholder"),
        ({"BLOCKRUN_API_KEY": "sk-proj-abcdefgh"}, "holds another provider's key"),
        ({"BLOCKRUN_IMAGE_CREDENTIAL": "AIzaabcdefgh"}, "holds another provider's key"),
        ({"BLOCKRUN_IMAGE_GATEWAY": "http://127.0.0.1:9/v1"}, "BLOCKRUN_IMAGE_CREDENTIAL"),
        (
            {"BLOCKRUN_IMAGE_GATEWAY": "http://127.0.0.1:9/v1", "BLOCKRUN_IMAGE_CREDENTIAL": "x"},
            "http://127.0.0.1:9/v1 refused the connection",
        ),
        ({"BLOCKRUN_IMAGE_GATEWAY": "https://no-such-host.invalid/v1", "BLOCKRUN_IMAGE_CREDENTIAL": "x"}, "looked up"),
    ],
)
async def test_mistaken_setting_is_named_by_the_call_and_by_doctor(settings: Mapping[str, str], words: str) -> None:
    async with started(settings) as backend:
        with pytest.raises(ImageError) as caught:
            await backend.toolset.generate_image("A fox", "dall-e-3")
    told, found = caught.value.to_text(), await examined(settings)
    assert caught.value.charged == "no"
    assert words in told
    assert words in found
    for secret in ("abcdefgh", "sandboxx"):
        assert secret not in told + found


async def test_a_misspelt_limit_does_not_hide_what_was_spent() -> None:
    async with started({"BLOCKRUN_IMAGE_DAILY_BUGDET_USD": "1", "BLOCKRUN_IMAGE_GATEWAY": "sandbox"}) as backend:
        assert (await backend.operator_ledger().spending_today()).spent_micro_usd == 0


@pytest.mark.parametrize(
    ("models", "words"),
    [
        ({"a": {"provider": "X", "sizez": ["1x1"]}}, "x-models.a.sizez: is not a known key (is sizes meant?)"),
        ({"a": {"provider": "X", "sizes": ["big"]}}, "x-models.a.sizes.0: must be WIDTHxHEIGHT"),
        ({"a": {"sizes": ["1x1"]}}, "x-models.a.provider: is missing"),
        ({"a": {"provider": "X", "max_images": "lots"}}, "x-models.a.max_images: must be a number, not 'lots'"),
    ],
)
async def test_catalogue_fault_is_reported_in_plain_words(tmp_path: Path, models: object, words: str) -> None:
    file = tmp_path / "own.json"
    file.write_text(json.dumps({"x-models": models}), encoding="utf-8")
    settings = {"BLOCKRUN_IMAGE_SPEC": str(file), "BLOCKRUN_IMAGE_GATEWAY": "sandbox"}
    with pytest.raises(ConfigurationError) as caught:
        started(settings).check_description()
    assert words in caught.value.message
    assert words in await examined(settings)
