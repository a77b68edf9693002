"""The command, run as a person would."""

import json
import os
import re
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.support.commands import images, run, spend, states
from tests.support.credentials import SECRET
from tests.support.payments import ADDRESS, KEY, PAYEE
from tests.support.platforms import only_on_posix
from tests.support.processes import process_environment
from tests.support.sandbox import CONTRACT_FILE, Sandbox

from blockrun_image_mcp.cli.output import columns_of

if sys.platform != "win32":
    import pty


def test_models_prints_the_table_and_the_cheapest() -> None:
    done = run("models")
    assert done.returncode == 0
    assert "| nano-banana-pro | Google" in done.stdout
    assert "Cheapest: dall-e-2 standard 1024x1024 at $0.021" in done.stdout
    assert done.stderr == ""


def test_models_filters_as_the_tool_does() -> None:
    done = run("models", "--use-case", "fast_and_cheap", "--max-price-usd", "0.06", "--json")
    assert [model["id"] for model in json.loads(done.stdout)["models"]] == ["nano-banana"]


def test_estimate_prices_one_model_or_compares_all() -> None:
    assert "$0.126" in run("estimate", "--model", "dall-e-3", "--quality", "hd", "--size", "1792x1024").stdout
    compared = json.loads(run("estimate", "-n", "2", "--json").stdout)["estimates"]
    assert [each["model"] for each in compared] == ["dall-e-2", "dall-e-3", "nano-banana", "nano-banana-pro"]


@pytest.mark.parametrize(
    "arguments", [("models",), ("estimate",), ("estimate", "--prompt", "A dog"), ("prompt", "A dog"), ("--help",)]
)
def test_offline_commands_do_not_import_mcp(arguments: tuple[str, ...]) -> None:
    absent = {"mcp", "httpx2", "starlette", "uvicorn", "PIL"}
    assert all(map(find_spec, absent))
    code = (
        "import sys\nfrom blockrun_image_mcp.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"loaded = {absent} & set(sys.modules)\n"
        "sys.exit(f'loaded: {loaded}' if loaded else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_generate_prints_url_revised_prompt_and_cost_and_saves_the_picture(sandbox: Sandbox, tmp_path: Path) -> None:
    done = run("generate", "A red fox", "--model", "dall-e-3", "--save", str(tmp_path), settings=sandbox.environment)
    assert done.returncode == 0
    assert f"{sandbox.origin}/images/" in done.stdout
    assert "Revised prompt: Variation 1, drawn in flat shapes: A red fox. " in done.stdout
    assert "Added to the prompt: " in done.stdout
    assert done.stdout.startswith("1 image by dall-e-3 standard 1024x1024, charged $0.042.\n")
    (picture,) = tmp_path.iterdir()
    assert f"Saved: {picture}" in done.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert done.stderr == ""


def test_generate_takes_prompt_options_and_the_enrich_setting(sandbox: Sandbox) -> None:
    asked = ("generate", "A dog", "--model", "dall-e-3", "--art-style", "ink_wash", "--purpose", "portrait", "--json")
    made = json.loads(run(*asked, settings=sandbox.environment).stdout)
    assert made["prompt"]["sent"].startswith("A dog. Ink wash painting style, ")
    off = json.loads(run(*asked, settings={**sandbox.environment, "BLOCKRUN_IMAGE_ENRICH": "off"}).stdout)
    assert off["prompt"]["sent"] == "A dog"
    assert off["warnings"] == ["art_style was not used, because enrich is off."]
    auto = run(*asked, "--enrich", "auto", settings={**sandbox.environment, "BLOCKRUN_IMAGE_ENRICH": "off"})
    assert json.loads(auto.stdout)["prompt"]["sent"].startswith("A dog. ")


def test_unknown_enrich_setting_warns_and_adds_nothing(sandbox: Sandbox) -> None:
    settings = {**sandbox.environment, "BLOCKRUN_IMAGE_ENRICH": "yes please"}
    done = run("generate", "A dog", "--model", "dall-e-3", "--json", settings=settings)
    assert "BLOCKRUN_IMAGE_ENRICH must be one of auto, suggest, off" in done.stderr
    assert json.loads(done.stdout)["prompt"]["sent"] == "A dog"


def test_prompt_warns_about_features_the_model_does_not_promise() -> None:
    assert "does not promise a transparent background" in run("prompt", "A logo on a transparent background").stdout


def test_prompt_previews_the_enrichment_and_sends_nothing(sandbox: Sandbox) -> None:
    asked = ("prompt", "A dog with a sign 'no'", "--lighting", "at dusk", "--size", "1792x1024")
    shown = run(*asked, settings=sandbox.environment).stdout
    for words in ("Your words", "Found in it", "subject", "arguments.lighting", "For dall-e-3", ". At dusk."):
        assert words in shown
    alone = run("prompt", "A cat, exactly as written", "--art-style", "anime").stdout
    assert "Not added           it asks to be sent unchanged\n" in alone
    assert "Missing             style, composition, lighting\n" in alone
    assert "Warning             --art-style 'anime style' was not added: " in alone
    advised = run("prompt", "A flyer for our bake sale").stdout
    assert "Advice              Give the words to print in quotation marks" in advised
    default = run("prompt", "A dog", settings={"BLOCKRUN_IMAGE_DEFAULT_MODEL": "nano-banana"}).stdout
    assert "For nano-banana     A dog. " in default
    about = json.loads(run("prompt", "A dog", "--model", "dall-e-2", "--json").stdout)
    assert (about["model"], about["present"]) == ("dall-e-2", ["subject"])
    assert sandbox.posts == 0


@pytest.mark.parametrize(
    "asked",
    [
        ("A dog",),
        ("A knight on a bridge at night", "--lighting", "golden hour", "--art-style", "anime"),
        ('A poster that says "SUMMER JAZZ, no cover charge"', "--size", "1024x1792"),
        ("un perro en la nieve",),
        ("雪の中の赤い狐が森の中で静かに歩いていて、空には星がたくさん輝いている夜の風景です",),
        ('{"subject": "a dog", "style": {"medium": "oil"}}',),
        ("a dog that runs through the tall wet grass " * 33,),
        ("a dog that runs\n" * 60, "--lighting", "at dusk"),
        ("A very-" + "long-" * 60 + "word",),
    ],
    ids=lambda asked: asked[0][:20],
)
def test_prompt_output_fits_80_columns_and_24_lines(asked: tuple[str, ...]) -> None:
    done = run("prompt", *asked, settings={"COLUMNS": "80"})
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) < 24
    assert max(map(columns_of, lines)) <= 80


def test_long_prompt_is_truncated_only_on_screen_and_shows_additions() -> None:
    prompt = "a dog that runs through the tall wet grass " * 33
    shown = run("prompt", prompt, "--lighting", "at dusk").stdout
    assert f"Note                The prompt has {len(prompt):,} characters; it is cut only here.\n" in shown
    assert "For dall-e-3        …" in shown
    assert shown.count("At dusk.") == 1
    sent = json.loads(run("prompt", prompt, "--lighting", "at dusk", "--json").stdout)["prompt"]["sent"]
    assert sent.startswith(prompt)


def test_prompt_output_keeps_its_columns_for_any_content(tmp_path: Path) -> None:
    document = json.loads(CONTRACT_FILE.read_text(encoding="utf-8"))
    id = "a-model-of-a-very-long-name"
    document["x-models"][id] = document["x-models"]["nano-banana"]
    spec = tmp_path / "openapi.json"
    spec.write_text(json.dumps(document), encoding="utf-8")
    shown = run("prompt", "A \x1b[31mdog\n  in a box, as is", "--model", id, "--spec", str(spec)).stdout
    assert shown == (
        "Your words          A \ufffd[31mdog\n"
        "                      in a box, as is\n"
        "Found in it         nothing\n"
        "Not added           it asks to be sent unchanged\n"
        "Missing             style, composition, lighting\n"
        f"For {id} your words unchanged\n"
    )


def test_estimate_with_a_prompt_is_a_dry_run() -> None:
    shown = run("estimate", "--prompt", "A dog", "--enrich", "suggest").stdout
    assert "Prompt for dall-e-2, dall-e-3, nano-banana, nano-banana-pro: A dog\n" in shown
    assert "Advice: Name its style, such as " in shown


def test_wallet_show_prints_the_address_and_never_the_key(tmp_path: Path) -> None:
    done = run("wallet", "show", settings={"BLOCKRUN_WALLET_KEY": KEY})
    assert (done.returncode, done.stdout) == (0, f"{ADDRESS} (from BLOCKRUN_WALLET_KEY)\n")
    (tmp_path / "key").write_text(KEY)
    behind = {"BLOCKRUN_WALLET_KEY_FILE": str(tmp_path / "key"), "BLOCKRUN_API_KEY": SECRET}
    done = run("wallet", "show", settings=behind)
    assert f"{ADDRESS} (from BLOCKRUN_WALLET_KEY_FILE)" in done.stdout
    assert "It does not pay: BLOCKRUN_API_KEY takes precedence." in done.stdout
    assert KEY[2:] not in done.stdout + done.stderr
    none = run("wallet", "show", settings={"BLOCKRUN_WALLET_KEY": "opaque"})
    assert (none.returncode, "No wallet's private key is set" in none.stderr) == (2, True)
    zero = run("wallet", "show", settings={"BLOCKRUN_WALLET_KEY": "0" * 64})
    assert (zero.returncode, "is not the private key of an Ethereum account" in zero.stderr) == (1, True)


def test_wallet_trust_sets_the_payee_of_a_host() -> None:
    done = run("wallet", "trust", "https://BlockRun.ai/api", PAYEE)
    assert (done.returncode, done.stdout) == (0, f"blockrun.ai is paid at {PAYEE} from now on.\n")
    assert run("wallet", "trust", "127.0.0.1:8402", PAYEE, "--sandbox").returncode == 0
    for wrong in (["a b", PAYEE], ["blockrun.ai", PAYEE[:-1]], ["blockrun.ai", "0x" + "0" * 40]):
        assert run("wallet", "trust", *wrong).returncode == 2


def test_sandbox_and_gateway_options_exclude_each_other() -> None:
    done = run("generate", "A fox", "--model", "dall-e-2", "--sandbox", "--gateway", "https://x.example/v1")
    assert done.returncode == 2
    assert "exclude each other" in done.stderr


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ((), "The cheapest for this call is dall-e-2 standard 1024x1024 ($0.021): --model dall-e-2."),
        (("--size", "1792x1024"), "The cheapest for this call is dall-e-3 standard 1792x1024"),
        (("--size", "2x2"), "size cannot be '2x2'"),
    ],
)
def test_generate_without_a_model_names_the_cheapest(sandbox: Sandbox, size: tuple[str, ...], words: str) -> None:
    done = run("generate", "A fox", *size, settings=sandbox.environment)
    assert done.returncode > 0
    assert words in done.stderr
    assert sandbox.posts == 0


def test_json_output_of_a_failed_call_is_its_error(sandbox: Sandbox) -> None:
    sandbox.script([{"status": 403}])
    done = run("generate", "A fox", "--model", "dall-e-2", "--json", settings=sandbox.environment)
    error = json.loads(done.stdout)["error"]
    assert (done.returncode, error["type"], error["charged"]) == (1, "content_policy", "no")
    assert error["message"] in done.stderr
    assert json.loads(run("models", "--max-price-usd", "-1", "--json").stdout)["error"]["type"] == "invalid_request"


def test_command_line_errors_are_not_worded_for_agents(sandbox: Sandbox) -> None:
    sandbox.script([{"status": 400}])
    done = run("generate", "A fox", "--model", "dall-e-2", settings=sandbox.environment)
    assert "Nothing was charged." in done.stderr
    assert "resend" not in done.stderr


def test_unknown_command_suggests_the_closest_one() -> None:
    assert "No such command 'generat'. Did you mean generate?" in run("generat", "A fox").stderr
    assert "Did you mean" not in run("paint", "A fox").stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("generate", "A fox", "--model", "dalle"), "There is no model 'dalle'"),
        (("generate", "A fox", "--model", "dall-e-2", "-n", "11"), "from 1 to 10"),
        (("generate", "A fox", "--model", "dall-e-2", "-n", "two"), "a whole number"),
        (("generate", " ", "--model", "dall-e-2"), "empty"),
        (("generate", "\udcff", "--model", "dall-e-2"), "lone surrogates"),
        (("estimate", "--size", "1x1"), "size cannot be '1x1'"),
        (("models", "--max-price-usd", "-1"), "at least 0"),
        (("models", "--spec", "/no/such/file"), "names a file that cannot be read"),
    ],
)
def test_invalid_arguments_are_reported_on_stderr(sandbox: Sandbox, arguments: tuple[str, ...], words: str) -> None:
    done = run(*arguments, settings=sandbox.environment)
    assert done.returncode == 1
    assert words in done.stderr
    assert done.stdout == ""
    assert sandbox.posts == 0


def test_gateway_error_states_whether_money_was_charged(sandbox: Sandbox) -> None:
    sandbox.script([{"cut": "after"}])
    done = run("generate", "A fox", "--model", "dall-e-2", settings=sandbox.environment)
    assert done.returncode == 1
    assert "It may have been charged." in done.stderr


def test_unusable_setting_is_named_and_the_command_continues() -> None:
    done = run("models", settings={"BLOCKRUN_IMAGE_LOG_LEVEL": "loud"})
    assert done.returncode == 0
    assert "BLOCKRUN_IMAGE_LOG_LEVEL must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL" in done.stderr


def test_unknown_default_model_is_reported_and_not_used(sandbox: Sandbox) -> None:
    settings = {**sandbox.environment, "BLOCKRUN_IMAGE_DEFAULT_MODEL": "gone"}
    done = run("generate", "A fox", settings={**settings, "BLOCKRUN_IMAGE_CATALOG": "contract"})
    assert "there is no model 'gone'" in done.stderr
    assert "Error: There is no model 'gone'. Models" in done.stderr
    assert "BLOCKRUN_IMAGE_DEFAULT_MODEL sets it." in done.stderr


def test_default_model_missing_from_the_gateway_list_is_refused(sandbox: Sandbox) -> None:
    done = run("generate", "A fox", settings={**sandbox.environment, "BLOCKRUN_IMAGE_DEFAULT_MODEL": "gone"})
    assert "Error: There is no model 'gone'. Models: dall-e-3 (from $0.042)" in done.stderr


@only_on_posix("signals")
def test_sandbox_runs_until_it_is_terminated() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "blockrun_image_mcp", "sandbox", "--port", "0"],
        env=process_environment({}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    origin = re.search(r"http://127\.0\.0\.1:(\d+)", process.stdout.readline())
    assert origin is not None
    again = run("sandbox", "--port", origin[1])
    assert "cannot have port" in again.stderr
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")


@only_on_posix("pseudo terminals")
@pytest.mark.parametrize(("status", "code", "words"), [(200, 0, "waiting for dall-e-2"), (403, 1, "Error: The prompt")])
def test_terminal_shows_a_progress_bar_while_a_picture_is_made(
    sandbox: Sandbox, status: int, code: int, words: str
) -> None:
    fault = {"delay_seconds": 0.6} if status == 200 else {"delay_seconds": 0.6, "status": status}
    sandbox.script([fault])
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "blockrun_image_mcp", "generate", "A fox", "--model", "dall-e-2"],
        env=process_environment({**sandbox.environment, "TERM": "xterm"}),
        stdout=subprocess.DEVNULL,
        stderr=terminal,
    )
    assert process.wait(timeout=30) == code
    os.close(terminal)
    screen = os.read(controller, 65536).decode()
    os.close(controller)
    assert "Drawing  [" in screen
    assert words in screen
    assert "Traceback" not in screen


@only_on_posix("signals")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_signal_does_not_lose_a_picture_being_paid_for(sandbox: Sandbox, name: str) -> None:
    sandbox.script([{"delay_seconds": 1.5}])
    process = subprocess.Popen(
        [sys.executable, "-m", "blockrun_image_mcp", "generate", "A fox", "--model", "dall-e-2"],
        env=process_environment(sandbox.environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not sandbox.posts:
        pass
    process.send_signal(signal.Signals[name])
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert f"{sandbox.origin}/images/" in err
    assert '"charged_usd": "0.021"' in err
    assert "Stopping" in err


@only_on_posix("pseudo terminals")
def test_closed_terminal_does_not_lose_a_picture_being_paid_for(sandbox: Sandbox) -> None:
    sandbox.script([{"delay_seconds": 1.5}])
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "blockrun_image_mcp", "generate", "A fox", "--model", "dall-e-2"],
        env=process_environment({**sandbox.environment, "TERM": "xterm"}),
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    while not sandbox.posts:
        pass
    os.close(controller)
    process.send_signal(signal.SIGHUP)
    process.wait(timeout=30)
    assert (states(), spend()["spent_usd"], len(images()[0]["images"])) == ({"settled": 1}, "0.021", 1)
