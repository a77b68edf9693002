"""The three tools as an agent's client sees them, over memory and stdio, on both protocol eras."""

import base64
import json
from pathlib import Path

import pytest
from tests.support.clients import FOX, Connect, data, over_every_transport, text
from tests.support.sandbox import Sandbox

from blockrun_image_sandbox.drawing import draw

pytestmark = pytest.mark.anyio


@over_every_transport
async def test_an_agent_gets_urls_revised_prompts_and_the_cost(connect: Connect, sandbox: Sandbox) -> None:
    async with connect(sandbox.environment) as client:
        result = await client.call_tool("generate_image", {**FOX, "n": 2})
    assert not result.is_error
    answer = data(result)
    assert len(answer["images"]) == 2
    assert answer["cost"]["estimated_usd"] == answer["cost"]["charged_usd"] == "0.084"
    assert answer["cost"]["exact"] is True
    assert answer["quality"] == "standard"
    assert answer["gateway"] == "127.0.0.1"
    for image in answer["images"]:
        assert sandbox.get(image["url"]).content.startswith(b"\x89PNG")
        assert text(result).count(image["url"]) == text(result).count(image["revised_prompt"]) == 1
    assert (sandbox.posts, sandbox.charges, sandbox.charged_micro_usd) == (1, 1, 84_000)


async def test_sent_prompt_is_the_users_words_plus_the_reported_additions(connect: Connect, sandbox: Sandbox) -> None:
    async with connect(sandbox.environment) as client:
        dry = data(await client.call_tool("estimate_cost", {"prompt": "A dog", "model": "nano-banana"}))
        result = await client.call_tool("generate_image", {"prompt": "A dog", "model": "nano-banana"})
        as_is = data(await client.call_tool("generate_image", {**FOX, "enrich": "off"}))
        advised = await client.call_tool("generate_image", {**FOX, "prompt": "A dog", "enrich": "suggest"})
    answer = data(result)
    assert dry["prompt"] == {**answer["prompt"], "original": "A dog"}
    assert [each["text"] for each in dry["applied"]] == [each["text"] for each in answer["applied"]]
    assert sandbox.prompts[-3] == answer["prompt"]["sent"]
    assert sandbox.prompts[-3].startswith("A dog. ")
    assert [addition["facet"] for addition in answer["applied"]] == ["style", "composition", "lighting"]
    for addition in answer["applied"]:
        assert addition["text"] in text(result)
    assert answer["prompt"]["sent"] not in text(result)
    assert sandbox.prompts[-2:] == [FOX["prompt"], "A dog"]
    assert as_is["prompt"] == {"sent": FOX["prompt"], "reason": "enrich is off"}
    assert {advice["facet"] for advice in data(advised)["advice"]} == {"style", "composition", "lighting"}
    assert all(advice["say"] in text(advised) for advice in data(advised)["advice"])


@over_every_transport
async def test_inline_pictures_become_files_and_no_base64_reaches_the_agent(
    connect: Connect, sandbox: Sandbox, tmp_path: Path
) -> None:
    encoded, other = (base64.b64encode(draw(words, width=512, height=512)).decode() for words in ("a fox", "a robot"))
    pictures = [{"url": f"data:image/png;base64,{encoded}"}, {"b64_json": other, "revised_prompt": "A vixen"}]
    sandbox.script([{"status": 200, "body": {"created": 1, "data": pictures}}])
    async with connect({**sandbox.environment, "BLOCKRUN_IMAGE_DIR": str(tmp_path / "pictures")}) as client:
        result = await client.call_tool("generate_image", {**FOX, "n": 2})
    assert not result.is_error
    for image in data(result)["images"]:
        assert_is_told_and_kept(image, text(result))
    assert encoded[:100] not in result.model_dump_json()
    assert len(result.model_dump_json()) < 3_000


def assert_is_told_and_kept(image: dict[str, str], told: str) -> None:
    path = Path(image["path"])
    assert path.is_absolute()
    assert image["url"] == path.as_uri()
    assert path.read_bytes().startswith(b"\x89PNG")
    assert told.count(image["path"]) == 2


async def test_tool_annotations_show_which_tool_spends(connect: Connect) -> None:
    async with connect({}) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert list(tools) == ["generate_image", "list_models", "estimate_cost"]
    for name, tool in tools.items():
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint == (name != "generate_image")
        assert tool.annotations.destructive_hint is False
        assert set(tool.input_schema) == {"type", "properties", "required"}


async def test_free_tools_work_without_a_credential(connect: Connect) -> None:
    async with connect({}) as client:
        models = await client.call_tool("list_models", {})
        estimate = await client.call_tool("estimate_cost", {"model": "dall-e-3", "size": "1024x1792"})
        refused = await client.call_tool("generate_image", FOX)
    assert "nano-banana-pro" in text(models)
    assert data(estimate)["estimates"][0]["estimated_usd"] == "0.126"
    assert refused.is_error
    assert "BLOCKRUN_API_KEY" in text(refused)
    assert data(refused)["error"]["charged"] == "no"


BAD_INPUT = [
    ({**FOX, "model": "dall-e-4"}, "dall-e-3 (from $0.042), dall-e-2 (from $0.021), nano-banana (from $0.053)"),
    ({**FOX, "model": "nano-banana", "size": "1792x1024"}, "Its sizes: 1024x1024"),
    ({**FOX, "n": 0}, "from 1 to 10"),
    ({**FOX, "n": 11}, "from 1 to 10"),
    ({**FOX, "n": 2.5}, "a whole number"),
    ({**FOX, "prompt": ""}, "prompt must not be missing"),
    ({**FOX, "prompt": " \n\t"}, "empty"),
    ({**FOX, "prompt": "x" * 4001}, "at most 4,000"),
    ({**FOX, "prompt": "x" * 2**20}, "at most 4,000"),
    ({**FOX, "seed": 7}, "prompt, model, size, quality, n"),
    ({**FOX, "enrich": "maybe"}, "auto, suggest, off"),
    ({**FOX, "purpose": "meme"}, "childrens_illustration"),
    ({**FOX, "art_style": "x" * 4_000}, "At most 120 characters"),
    ({**FOX, "lighting": 'dusk" --ar 16:9'}, "no quotes"),
    ({**FOX, "prompt": 3}, "must be text"),
    ({**FOX, "size": ["1024x1024"]}, "Its sizes: 1024x1024"),
    ({**FOX, "model": "nano-banana", "quality": "hd"}, "dall-e-3, dall-e-2"),
    ({"prompt": "A fox"}, "model must not be missing"),
]


@over_every_transport
async def test_bad_input_is_refused_with_the_valid_values_before_sending(connect: Connect, sandbox: Sandbox) -> None:
    async with connect(sandbox.environment) as client:
        for arguments, named in BAD_INPUT:
            result = await client.call_tool("generate_image", arguments)
            assert result.is_error, arguments
            assert named in text(result)
            assert len(text(result).encode()) <= 400
            assert data(result)["error"]["charged"] == "no"
    assert sandbox.posts == 0


async def test_host_spellings_of_unset_and_numeric_arguments_are_accepted(connect: Connect, sandbox: Sandbox) -> None:
    async with connect(sandbox.environment) as client:
        for more in ({"n": "3"}, {"n": 3.0}, {"size": None, "quality": "", "n": 3}, {"size": "auto", "n": 3}):
            result = await client.call_tool("generate_image", {**FOX, **more})
            assert len(data(result)["images"]) == 3, more
    assert sandbox.charges == 4


@over_every_transport
async def test_gateway_failure_is_an_error_in_text_and_structured_content(connect: Connect, sandbox: Sandbox) -> None:
    sandbox.script([{"status": 403}, {"status": 500}])
    async with connect(sandbox.environment) as client:
        refused = await client.call_tool("generate_image", FOX)
        failed = await client.call_tool("generate_image", FOX)
    error = data(refused)["error"]
    assert refused.is_error
    assert (error["type"], error["status"], error["code"]) == ("content_policy", 403, "content_policy_violation")
    assert (error["charged"], error["retryable"]) == ("no", False)
    assert "Rephrase" in text(refused)
    assert data(failed)["error"]["charged"] == "unknown"
    assert "may have been charged" in text(failed)


@over_every_transport
async def test_progress_starts_at_once_and_reports_every_wait(connect: Connect, sandbox: Sandbox) -> None:
    sandbox.script([{"status": 429, "headers": {"Retry-After": "1"}}])
    heard: list[tuple[float, str]] = []

    async def listen(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, message or ""))

    async with connect(sandbox.environment) as client:
        await client.call_tool("generate_image", FOX, progress_callback=listen)
    assert heard[0] == (0.0, "starting (0 s)")
    assert "trying again" in json.dumps(heard)
    assert [progress for progress, _ in heard] == sorted(progress for progress, _ in heard)


@over_every_transport
async def test_concurrent_calls_are_each_paid_once(connect: Connect, sandbox: Sandbox) -> None:
    import anyio

    async with connect(sandbox.environment) as client, anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(client.call_tool, "generate_image", FOX)
    assert (sandbox.posts, sandbox.charges) == (8, 8)


async def test_default_model_makes_the_model_argument_optional(connect: Connect, sandbox: Sandbox) -> None:
    async with connect({**sandbox.environment, "BLOCKRUN_IMAGE_DEFAULT_MODEL": "nano-banana"}) as client:
        tool = (await client.list_tools()).tools[0]
        result = await client.call_tool("generate_image", {"prompt": "A fox"})
    assert tool.input_schema["required"] == ["prompt"]
    assert "nano-banana" in tool.input_schema["properties"]["model"]["description"]
    assert data(result)["model"] == "nano-banana"
    assert "quality" not in data(result)


@over_every_transport
async def test_instructions_say_whether_calls_cost_real_money(connect: Connect) -> None:
    async with connect({"BLOCKRUN_IMAGE_GATEWAY": "sandbox"}) as client:
        assert "nothing costs money" in (client.instructions or "")
        assert "real money" not in (client.instructions or "")
    async with connect({}) as client:
        assert "costs real money" in (client.instructions or "")[:160]
        assert "sandbox" not in (client.instructions or "")
