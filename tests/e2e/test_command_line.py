"""The command, run as a person would."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from threading import Thread

import pytest
from tests.support.commands import run
from tests.support.platforms import only_on_posix
from tests.support.processes import process_environment
from tests.support.sandbox import CONTRACT_FILE, Sandbox

from blockrun_image_mcp.cli.output import columns_of
from blockrun_image_mcp.settings import VARIABLES

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
    code = (
        "import sys\nfrom blockrun_image_mcp.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "loaded = {'mcp', 'httpx2', 'starlette', 'uvicorn', 'PIL'} & set(sys.modules)\n"
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


def test_generate_takes_words_for_the_prompt_and_the_operators_way_with_it(sandbox: Sandbox) -> None:
    asked = ("generate", "A dog", "--model", "dall-e-3", "--art-style", "ink_wash", "--purpose", "portrait", "--json")
    made = json.loads(run(*asked, settings=sandbox.environment).stdout)
    assert made["prompt"]["sent"].startswith("A dog. Ink wash painting style, ")
    off = json.loads(run(*asked, settings={**sandbox.environment, "BLOCKRUN_IMAGE_ENRICH": "off"}).stdout)
    assert off["prompt"]["sent"] == "A dog"
    assert off["warnings"] == ["art_style was not used, because enrich is off."]
    auto = run(*asked, "--enrich", "auto", settings={**sandbox.environment, "BLOCKRUN_IMAGE_ENRICH": "off"})
    assert json.loads(auto.stdout)["prompt"]["sent"].startswith("A dog. ")


def test_a_way_to_enrich_that_does_not_exist_is_warned_about_and_adds_nothing(sandbox: Sandbox) -> None:
    settings = {**sandbox.environment, "BLOCKRUN_IMAGE_ENRICH": "yes please"}
    done = run("generate", "A dog", "--model", "dall-e-3", "--json", settings=settings)
    assert "BLOCKRUN_IMAGE_ENRICH must be one of auto, suggest, off" in done.stderr
    assert json.loads(done.stdout)["prompt"]["sent"] == "A dog"


def test_prompt_warns_of_what_a_model_does_not_promise() -> None:
    assert "does not promise a transparent background" in run("prompt", "A logo on a transparent background").stdout


def test_prompt_shows_on_one_screen_what_would_happen_and_sends_nothing(sandbox: Sandbox) -> None:
    asked = ("prompt", "A dog with a sign 'no'", "--lighting", "at dusk", "--size", "1792x1024")
    shown = run(*asked, settings=sandbox.environment).stdout
    for words in ("Your words", "It names", "subject", "arguments.lighting", "For dall-e-3", ", at dusk."):
        assert words in shown
    alone = run("prompt", "A cat, exactly as written", "--art-style", "anime").stdout
    assert "Not added           it asks to be sent unchanged\n" in alone
    assert "Missing             style, composition, lighting\n" in alone
    assert "Warning             art_style 'anime style' was not added: " in alone
    advised = run("prompt", "A cat at sunset").stdout
    assert "Missing             style: Name a medium or a rendering, such as " in advised
    assert "Example             A cat at sunset" in advised
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
def test_what_prompt_shows_fits_a_screen_of_80_columns_and_24_lines(asked: tuple[str, ...]) -> None:
    done = run("prompt", *asked, settings={"COLUMNS": "80"})
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) < 24
    assert max(map(columns_of, lines)) <= 80


def test_a_long_prompt_is_cut_on_the_screen_only_and_its_end_shows_what_is_added() -> None:
    prompt = "a dog that runs through the tall wet grass " * 33
    shown = run("prompt", prompt, "--lighting", "at dusk").stdout
    assert f"Note                The prompt has {len(prompt):,} characters; it is cut only here.\n" in shown
    assert "For dall-e-3        …" in shown
    assert shown.count("At dusk.") == 1
    sent = json.loads(run("prompt", prompt, "--lighting", "at dusk", "--json").stdout)["prompt"]["sent"]
    assert sent.startswith(prompt)


def test_prompt_keeps_its_columns_whatever_stands_in_them(tmp_path: Path) -> None:
    document = json.loads(CONTRACT_FILE.read_text(encoding="utf-8"))
    id = "a-model-of-a-very-long-name"
    document["x-models"][id] = document["x-models"]["nano-banana"]
    spec = tmp_path / "openapi.json"
    spec.write_text(json.dumps(document), encoding="utf-8")
    shown = run("prompt", "A \x1b[31mdog\n  in a box, as is", "--model", id, "--spec", str(spec)).stdout
    assert shown == (
        "Your words          A \ufffd[31mdog\n"
        "                      in a box, as is\n"
        "It names            subject\n"
        "Not added           it asks to be sent unchanged\n"
        "Missing             style, composition, lighting\n"
        f"For {id} your words unchanged\n"
    )


def test_estimate_is_a_dry_run_where_it_is_given_a_prompt() -> None:
    shown = run("estimate", "--prompt", "A dog", "--enrich", "suggest").stdout
    assert "Prompt for dall-e-2, dall-e-3, nano-banana, nano-banana-pro: A dog\n" in shown
    assert "Missing from the prompt: style, such as " in shown


SECRET = "brk_very_secret_0123456789"

unmakeable = only_on_posix("a folder that cannot be made")


def test_doctor_finds_nothing_wrong_where_nothing_is(sandbox: Sandbox, tmp_path: Path) -> None:
    folder = tmp_path / "not" / "there yet"
    settings = {**sandbox.environment, "BLOCKRUN_API_KEY": SECRET, "BLOCKRUN_IMAGE_DIR": str(folder)}
    done = run("doctor", settings=settings)
    assert (done.returncode, done.stderr) == (0, "")
    assert "BLOCKRUN_API_KEY looks like a BlockRun account key" in done.stdout
    assert "127.0.0.1 answers (HTTP 200) and does not refuse the credential" in done.stdout
    assert str(folder) in done.stdout
    assert "$0.00 spent, $10.00 of $10.00 left" in done.stdout
    assert SECRET not in done.stdout
    assert list(tmp_path.iterdir()) == []
    assert sandbox.posts == 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"BLOCKRUN_API_KEY": ""}, "No credential is set"),
        ({"BLOCKRUN_API_KEY": "opaque-0123"}, "refuses the credential (HTTP 401)"),
        ({"BLOCKRUN_API_KEY": "0x" + "ab" * 32}, "BLOCKRUN_API_KEY looks like a wallet's private key"),
        ({"BLOCKRUN_API_KEY": "[" + "12," * 63 + "7]"}, "looks like a Solana secret"),
        ({"BLOCKRUN_IMAGE_GATEWAY": "http://127.0.0.1:1/v1"}, "refused the connection"),
        ({"BLOCKRUN_IMAGE_GATEWAY": "http://x.example/v1"}, "is not a base URL that a credential may be sent to"),
        pytest.param({"BLOCKRUN_IMAGE_DIR": "/proc/pictures"}, "/proc/pictures cannot be written", marks=unmakeable),
        pytest.param(
            {"BLOCKRUN_IMAGE_DIR": "/tmp/" + "x" * 300}, "cannot be written (File name too long)", marks=unmakeable
        ),
        ({"BLOCKRUN_IMAGE_MAX_COST_USD": "much"}, "BLOCKRUN_IMAGE_MAX_COST_USD cannot be read"),
        pytest.param({"XDG_STATE_HOME": "/proc"}, "The spending ledger cannot be used", marks=unmakeable),
    ],
)
def test_doctor_names_the_trouble_and_what_to_do_and_never_a_secret(
    sandbox: Sandbox, settings: Mapping[str, str], words: str
) -> None:
    done = run("doctor", settings={**sandbox.environment, **settings})
    assert done.returncode == 1
    assert words in done.stdout
    assert re.search(r"^error .*\n +\S", done.stdout, re.MULTILINE)
    key = settings.get("BLOCKRUN_API_KEY", "")
    assert len(key) < 10 or key not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("500 Broken", "127.0.0.1 answers HTTP 500"),
        ("200 OK\r\nX-Page: <!doctype html>", "127.0.0.1 answers with a web page (HTTP 200)"),
        ("404 Not Found\r\nX-Page: <html>", "127.0.0.1 answers with a web page (HTTP 404)"),
        ("301 Moved\r\nLocation: /v2", "127.0.0.1 redirects (HTTP 301)"),
        ("403 Forbidden", "127.0.0.1 refuses the credential (HTTP 403)"),
    ],
)
def test_doctor_says_where_a_gateway_fails(answer: str, words: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
        head, _, page = answer.partition("\r\nX-Page: ")
        whole = f"HTTP/1.1 {head}\r\nContent-Length: {len(page)}\r\n\r\n{page}".encode()
        thread = Thread(target=answer_once, args=(listener, whole))
        thread.start()
        failing = run("doctor", settings={"BLOCKRUN_API_KEY": SECRET, "BLOCKRUN_IMAGE_GATEWAY": f"{origin}/v1"})
        thread.join()
    assert words in failing.stdout
    assert failing.returncode == 1


def test_doctor_says_where_a_gateway_only_lacks_a_list_of_models(sandbox: Sandbox) -> None:
    lacking = run("doctor", settings={**sandbox.environment, "BLOCKRUN_IMAGE_GATEWAY": f"{sandbox.origin}/v2"})
    assert "note    gateway: 127.0.0.1 has no list of models (HTTP 404)" in lacking.stdout
    assert "many end in /v1" in lacking.stdout
    assert lacking.returncode == 0


def test_doctor_names_a_default_model_that_does_not_exist_whatever_is_logged() -> None:
    settings = {"BLOCKRUN_IMAGE_DEFAULT_MODEL": "gone", "BLOCKRUN_IMAGE_LOG_LEVEL": "CRITICAL"}
    done = run("doctor", "--sandbox", settings=settings)
    assert "BLOCKRUN_IMAGE_DEFAULT_MODEL names an unknown model" in done.stdout
    assert done.returncode == 0


KEYS = ["0x" + "ab12" * 16, "zY9" * 29, "[" + "12, " * 63 + "7]", "brk_ab12ab12ab12"]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("alone", ["BLOCKRUN_IMAGE_SPEC", "BLOCKRUN_IMAGE_GATEWAY", ""])
def test_doctor_never_shows_a_key_in_whichever_variable_it_is(alone: str, key: str) -> None:
    others = set(VARIABLES.values()) - {"BLOCKRUN_IMAGE_SPEC", "BLOCKRUN_IMAGE_ENRICH", "BLOCKRUN_IMAGE_LOG_LEVEL"}
    settings = {alone: key} if alone else dict.fromkeys(others, key) | {"BLOCKRUN_IMAGE_GATEWAY": "sandbox"}
    done = run("doctor", settings=settings)
    said = done.stdout + done.stderr
    assert "BLOCKRUN_IMAGE" in said or "Cannot read" in said
    assert "Traceback" not in said
    assert key[4:16] not in said


def answer_once(listener: socket.socket, answer: bytes) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(answer)


def test_doctor_notices_a_misspelt_setting_and_a_credential_that_does_not_count(sandbox: Sandbox) -> None:
    settings = {**sandbox.environment, "BLOCKRUN_IMAGE_DIRR": SECRET, "BLOCKRUN_WALLET_KEY": "opaque-0123"}
    done = run("doctor", settings=settings)
    assert "'BLOCKRUN_IMAGE_DIRR' is not a setting" in done.stdout
    assert "The closest is BLOCKRUN_IMAGE_DIR." in done.stdout
    assert "BLOCKRUN_WALLET_KEY looks like a token and is not used" in done.stdout
    assert SECRET not in done.stdout
    assert done.returncode == 0


WALLET_KEY = "0x4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"
WALLET = "0x2c7536E3605D9C16a7a3D7b1898e529396a65c23"
PAYEE = "0x1111222233334444555566667777888899990000"


def test_doctor_mentions_a_wallets_session_that_is_not_used_and_shows_nothing_of_it(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / ".blockrun").mkdir()
    (tmp_path / ".blockrun/.session").write_text(WALLET_KEY)
    settings = {**sandbox.environment, "HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    done = run("doctor", settings=settings)
    assert "note    credential: ~/.blockrun/.session exists, and is not used" in done.stdout
    assert "BLOCKRUN_IMAGE_WALLET=session would pay from it." in done.stdout
    assert done.returncode == 0
    used = run("doctor", settings={**settings, "BLOCKRUN_API_KEY": "", "BLOCKRUN_IMAGE_WALLET": "session"})
    assert "BLOCKRUN_IMAGE_WALLET looks like a wallet's private key" in used.stdout
    assert "is not used" not in used.stdout
    assert WALLET_KEY[2:] not in done.stdout + used.stdout + used.stderr


def test_doctor_says_which_file_cannot_be_read_and_tells_the_shape_of_a_key_in_one(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text(f"{SECRET}\n")
    settings = {**sandbox.environment, "BLOCKRUN_API_KEY": "", "BLOCKRUN_API_KEY_FILE": str(tmp_path / "key")}
    done = run("doctor", settings=settings)
    assert "BLOCKRUN_API_KEY_FILE looks like a BlockRun account key" in done.stdout
    assert (done.returncode, SECRET in done.stdout) == (0, False)
    lost = run("doctor", settings={**settings, "BLOCKRUN_API_KEY_FILE": "/none/such"})
    assert "BLOCKRUN_API_KEY_FILE names a file that cannot be read (FileNotFoundError)" in lost.stdout
    assert lost.returncode == 1
    assert run("models", settings={"BLOCKRUN_API_KEY_FILE": "/none/such"}).returncode == 0


def test_what_is_logged_of_a_key_that_is_in_a_file_is_redacted(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("opaque-0123456789\n")
    settings = {"BLOCKRUN_API_KEY_FILE": str(tmp_path / "key"), "BLOCKRUN_IMAGE_DEFAULT_MODEL": "opaque-0123456789"}
    settings["BLOCKRUN_IMAGE_CATALOG"] = "contract"
    done = run("models", settings=settings)
    assert "there is no model '[redacted]'" in done.stderr


def test_the_wallets_address_is_shown_and_never_its_key(tmp_path: Path) -> None:
    done = run("wallet", "show", settings={"BLOCKRUN_WALLET_KEY": WALLET_KEY})
    assert (done.returncode, done.stdout) == (0, f"{WALLET} (from BLOCKRUN_WALLET_KEY)\n")
    (tmp_path / "key").write_text(WALLET_KEY)
    behind = {"BLOCKRUN_WALLET_KEY_FILE": str(tmp_path / "key"), "BLOCKRUN_API_KEY": SECRET}
    done = run("wallet", "show", settings=behind)
    assert f"{WALLET} (from BLOCKRUN_WALLET_KEY_FILE)" in done.stdout
    assert "It does not pay: BLOCKRUN_API_KEY takes precedence." in done.stdout
    assert WALLET_KEY[2:] not in done.stdout + done.stderr
    none = run("wallet", "show", settings={"BLOCKRUN_WALLET_KEY": "opaque"})
    assert (none.returncode, "No wallet's private key is set" in none.stderr) == (2, True)
    zero = run("wallet", "show", settings={"BLOCKRUN_WALLET_KEY": "0" * 64})
    assert (zero.returncode, "is not the private key of an Ethereum account" in zero.stderr) == (1, True)


def test_a_payee_is_trusted_by_the_operator_for_a_host() -> None:
    done = run("wallet", "trust", "https://BlockRun.ai/api", PAYEE)
    assert (done.returncode, done.stdout) == (0, f"blockrun.ai is paid at {PAYEE} from now on.\n")
    assert run("wallet", "trust", "127.0.0.1:8402", PAYEE, "--sandbox").returncode == 0
    for wrong in (["a b", PAYEE], ["blockrun.ai", PAYEE[:-1]], ["blockrun.ai", "0x" + "0" * 40]):
        assert run("wallet", "trust", *wrong).returncode == 2


def test_a_sandbox_and_another_gateway_exclude_each_other() -> None:
    done = run("generate", "A fox", "--model", "dall-e-2", "--sandbox", "--gateway", "https://x.example/v1")
    assert done.returncode == 2
    assert "exclude each other" in done.stderr


def test_pictures_of_a_sandbox_that_ends_with_the_command_are_kept(tmp_path: Path) -> None:
    settings = {"BLOCKRUN_IMAGE_DIR": str(tmp_path), "HTTP_PROXY": "http://127.0.0.1:9"}
    done = run("generate", "A fox", "--model", "nano-banana", "--sandbox", settings=settings)
    (picture,) = tmp_path.iterdir()
    assert f"Saved: {picture}" in done.stdout


def test_a_picture_is_saved_too_whose_url_is_too_long_to_tell(sandbox: Sandbox, tmp_path: Path) -> None:
    asked = ("generate", "A fox", "--model", "dall-e-2")
    settings = {**sandbox.environment, "BLOCKRUN_IMAGE_DIR": str(tmp_path / "urls")}
    (image,) = json.loads(run(*asked, "--json", settings=settings).stdout)["images"]
    long = f"{image['url']}?{'s' * 20_000}"
    sandbox.script([{"body": {"data": [{"url": long}]}}])
    done = run(*asked, "--save", str(tmp_path / "pictures"), settings=settings)
    assert (done.returncode, done.stderr) == (0, "")
    (kept,), (saved,) = (tmp_path / "urls").iterdir(), (tmp_path / "pictures").iterdir()
    assert kept.read_text() == long
    assert kept.as_uri() in done.stdout
    assert saved.read_bytes().startswith(b"\x89PNG")


def test_generate_works_on_a_sandbox_of_its_own(tmp_path: Path) -> None:
    done = run("generate", "A fox", "--model", "nano-banana", "-n", "2", "--sandbox", "--save", str(tmp_path))
    assert done.returncode == 0
    first = "2 images by nano-banana 1024x1024. Sandbox: nothing was charged (a real call: $0.106)."
    assert done.stdout.splitlines()[0] == first
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("where", [("--save", "out"), ("--output", "out/fox.png"), ()])
def test_json_is_one_document_that_holds_the_files(tmp_path: Path, where: tuple[str, ...]) -> None:
    option = [each if each.startswith("--") else str(tmp_path / each) for each in where]
    settings = {"BLOCKRUN_IMAGE_DIR": str(tmp_path / "kept")}
    done = run("generate", "A fox", "--model", "dall-e-2", "--sandbox", "--json", *option, settings=settings)
    (image,) = json.loads(done.stdout)["images"]
    (saved,) = (tmp_path / ("out" if where else "kept")).iterdir()
    assert (done.returncode, image["path"]) == (0, str(saved))
    assert saved.read_bytes().startswith(b"\x89PNG")


def test_json_of_a_picture_that_cannot_be_fetched_is_printed_all_the_same(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.script([{"body": {"data": [{"url": "http://127.0.0.1:9/fox.png"}]}}])
    asked = ("generate", "A fox", "--model", "dall-e-2", "--json", "--save", str(tmp_path))
    done = run(*asked, settings=sandbox.environment)
    assert (done.returncode, json.loads(done.stdout)["images"]) == (1, [{"url": "http://127.0.0.1:9/fox.png"}])
    assert "could not be fetched" in done.stderr


def test_one_picture_is_saved_under_the_name_that_was_given(sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "new" / "hero.png"
    asked = ("generate", "A fox", "--model", "dall-e-2", "--output", str(file))
    done = run(*asked, settings=sandbox.environment)
    assert done.stdout.endswith(f"Saved: {file}\n")
    assert list(file.parent.iterdir()) == [file]
    assert file.read_bytes().startswith(b"\x89PNG")
    assert f"Saved: {file}" in run("images").stdout
    assert json.loads(run("images", "--json").stdout)[0]["files"] == [str(file)]


def test_a_name_with_another_formats_suffix_is_noticed(sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "hero.jpg"
    done = run("generate", "A fox", "--model", "dall-e-2", "--output", str(file), settings=sandbox.environment)
    assert file.read_bytes().startswith(b"\x89PNG")
    assert done.stderr == f"{file} is a PNG picture.\n"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--output", "there.png"), "exists, and is not overwritten. Nothing was charged."),
        (("--output", "there.png/hero.png"), "cannot be written"),
        (("--save", "there.png/below"), "Name another folder with --save."),
        (("--save", "hero.png"), "looks like a file. To name the file, use --output"),
        (("--output", "hero.png", "-n", "2"), "use --save FOLDER for several"),
        (("--output", "hero.png", "--save", "out"), "exclude each other"),
    ],
)
def test_where_nothing_can_be_saved_nothing_is_paid(
    sandbox: Sandbox, tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    (tmp_path / "there.png").touch()
    names = [str(tmp_path / each) if "." in each or each == "out" else each for each in options]
    done = run("generate", "A fox", "--model", "dall-e-2", *names, settings=sandbox.environment)
    assert done.returncode > 0
    assert words in done.stderr
    assert (sandbox.posts, [*tmp_path.iterdir()]) == (0, [tmp_path / "there.png"])


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


def test_json_of_a_call_that_fails_is_its_error(sandbox: Sandbox) -> None:
    sandbox.script([{"status": 403}])
    done = run("generate", "A fox", "--model", "dall-e-2", "--json", settings=sandbox.environment)
    error = json.loads(done.stdout)["error"]
    assert (done.returncode, error["type"], error["charged"]) == (1, "content_policy", "no")
    assert error["message"] in done.stderr
    assert json.loads(run("models", "--max-price-usd", "-1", "--json").stdout)["error"]["type"] == "invalid_request"


def test_an_error_at_a_terminal_does_not_speak_to_an_agent(sandbox: Sandbox) -> None:
    sandbox.script([{"status": 400}])
    done = run("generate", "A fox", "--model", "dall-e-2", settings=sandbox.environment)
    assert "Nothing was charged." in done.stderr
    assert "resend" not in done.stderr


def test_a_command_that_does_not_exist_is_answered_with_the_nearest() -> None:
    assert "No such command 'generat'. Did you mean generate?" in run("generat", "A fox").stderr
    assert "Did you mean" not in run("paint", "A fox").stderr


def test_a_picture_that_cannot_be_saved_is_not_lost(sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "taken"
    file.touch()
    done = run("generate", "A fox", "--model", "dall-e-2", "--save", str(file / "below"), settings=sandbox.environment)
    assert (done.returncode, done.stdout, sandbox.posts) == (1, "", 0)
    assert "cannot be written" in done.stderr
    sandbox.script([{"body": {"data": [{"url": f"{sandbox.origin}/gone.png"}]}}])
    done = run("generate", "A fox", "--model", "dall-e-2", "--save", str(tmp_path), settings=sandbox.environment)
    assert f"{sandbox.origin}/gone.png" in done.stdout
    assert "could not be fetched" in done.stderr


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
def test_what_cannot_be_done_is_said_on_stderr(sandbox: Sandbox, arguments: tuple[str, ...], words: str) -> None:
    done = run(*arguments, settings=sandbox.environment)
    assert done.returncode == 1
    assert words in done.stderr
    assert done.stdout == ""
    assert sandbox.posts == 0


def test_an_error_of_the_gateway_says_what_happened_to_the_money(sandbox: Sandbox) -> None:
    sandbox.script([{"cut": "after"}])
    done = run("generate", "A fox", "--model", "dall-e-2", settings=sandbox.environment)
    assert done.returncode == 1
    assert "It may have been charged." in done.stderr


def test_a_setting_that_cannot_be_used_is_named_and_ends_nothing() -> None:
    done = run("models", settings={"BLOCKRUN_IMAGE_LOG_LEVEL": "loud"})
    assert done.returncode == 0
    assert "BLOCKRUN_IMAGE_LOG_LEVEL must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL" in done.stderr


def test_a_default_model_that_does_not_exist_is_warned_about_and_not_used(sandbox: Sandbox) -> None:
    settings = {**sandbox.environment, "BLOCKRUN_IMAGE_DEFAULT_MODEL": "gone"}
    done = run("generate", "A fox", settings={**settings, "BLOCKRUN_IMAGE_CATALOG": "contract"})
    assert "there is no model 'gone'" in done.stderr
    assert "Error: There is no model 'gone'. Models" in done.stderr
    assert "BLOCKRUN_IMAGE_DEFAULT_MODEL sets it." in done.stderr


def test_a_default_model_that_not_even_the_gateways_list_has_is_refused(sandbox: Sandbox) -> None:
    done = run("generate", "A fox", settings={**sandbox.environment, "BLOCKRUN_IMAGE_DEFAULT_MODEL": "gone"})
    assert "Error: There is no model 'gone'. Models: dall-e-3 (from $0.042)" in done.stderr


@only_on_posix("signals")
def test_the_sandbox_runs_until_it_is_told_to_stop() -> None:
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
def test_a_terminal_is_shown_a_bar_while_a_picture_is_made(
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
def test_signal_does_not_lose_a_picture_that_is_being_paid_for(sandbox: Sandbox, name: str) -> None:
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
