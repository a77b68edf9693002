"""A command that is run in the process of the tests does what a process of its own does, and leaves nothing behind."""

import logging
import os
import re
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Mapping
from functools import _lru_cache_wrapper  # pyright: ignore[reportPrivateUsage] - the class of what it decorates
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from types import ModuleType
from typing import Any

import anyio
import anyio.to_thread
import click
import pytest
from tests.support.commands import run, run_process
from tests.support.isolation import Ended, run_isolated
from tests.support.payments import KEY, PAYEE
from tests.support.sandbox import Sandbox

import blockrun_image
import blockrun_image_mcp
from blockrun_image_mcp.cli import group

ODD = "A fox \N{FOX FACE} 狐狸 żółw \u200f naïve"
FOX = ("generate", "A fox", "--model", "dall-e-2")
ENDLESS = {"sandbox", "serve"}
"""Commands that end at a signal, or with their input; other tests start these as processes."""
CASES: Mapping[str, tuple[tuple[str, ...], Mapping[str, str], str]] = {
    "version": (("--version",), {}, ""),
    "help": (("--help",), {"COLUMNS": "60"}, ""),
    "no such command": (("generat",), {}, ""),
    "doctor": (("doctor",), {"BLOCKRUN_IMAGE_DIRR": "x", "BLOCKRUN_IMAGE_LOG_LEVEL": "loud"}, ""),
    "estimate": (("estimate", "--size", "1792x1024"), {}, ""),
    "generate": (FOX, {}, ""),
    "generate at debug level": (("generate", "A fox"), {"BLOCKRUN_IMAGE_LOG_LEVEL": "debug"}, ""),
    "generate on a sandbox": ((*FOX, "--sandbox", "--json"), {}, ""),
    "generate in ASCII": (("generate", ODD, *FOX[2:], "--sandbox"), {"PYTHONIOENCODING": "ascii"}, ""),
    "generate that is refused": ((*FOX, "--json"), {"BLOCKRUN_API_KEY": ""}, ""),
    "generate without a terminal": (FOX, {"BLOCKRUN_IMAGE_CONFIRM_ABOVE_USD": "0"}, "y\n"),
    "images": (("images",), {}, ""),
    "images in cp1252": (("images", "--json"), {"PYTHONIOENCODING": "cp1252"}, ""),
    "models": (("models",), {"BLOCKRUN_IMAGE_DEFAULT_MODEL": "gone", "BLOCKRUN_IMAGE_CATALOG": "contract"}, ""),
    "models of no text": (("models", "--search", "\udcff"), {}, ""),
    "prompt": (("prompt", ODD), {"COLUMNS": "70"}, ""),
    "prompt in ASCII": (("prompt", ODD), {"PYTHONIOENCODING": "ascii"}, ""),
    "prompt in cp1252": (("prompt", ODD, "--json"), {"PYTHONIOENCODING": "cp1252"}, ""),
    "prune": (("prune", "--before", "90d", "--yes"), {}, ""),
    "prune that is declined": (("prune", "--before", "90d"), {}, "n\n"),
    "prune without an answer": (("prune", "--before", "90d"), {}, ""),
    "recover": (("recover",), {}, ""),
    "spend": (("spend", "--by", "model", "--json"), {}, ""),
    "spend of no ledger": (("spend",), {"BLOCKRUN_IMAGE_STATE_DIR": os.devnull}, ""),
    "wallet": (("wallet", "show"), {"BLOCKRUN_WALLET_KEY": KEY}, ""),
    "wallet that trusts": (("wallet", "trust", "blockrun.ai", PAYEE), {}, ""),
}


@pytest.mark.parametrize(("arguments", "settings", "input"), CASES.values(), ids=CASES)
def test_command_says_the_same_as_a_process(
    arguments: tuple[str, ...], settings: Mapping[str, str], input: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    settings = {**sandbox.environment, "BLOCKRUN_IMAGE_DIR": str(tmp_path / "pictures"), **settings}
    run(*FOX, settings=sandbox.environment)  # so that there is something to show
    apart = run_process(*arguments, settings=settings, input=input)
    here = run(*arguments, settings=settings, input=input)
    assert (here.returncode, without_chance(here.stdout)) == (apart.returncode, without_chance(apart.stdout))
    assert without_chance(here.stderr) == without_chance(apart.stderr)


def without_chance(written: str) -> str:
    """Return what was written without times, and the names and numbers of pictures and ports."""
    chance = r"\d\d:\d\d:\d\d[,.\d]*|(?<=127\.0\.0\.1:)\d+|[\w-]+(?=\.png)|[0-9a-f]{8,}|(?<=Variation )\d+"
    return re.sub(chance, "…", written)


def test_every_command_that_ends_is_compared() -> None:
    compared = {arguments[0] for arguments, _, _ in CASES.values()} & set(group.main.commands or names())
    assert compared == set(names()) - ENDLESS


def names() -> list[str]:
    return group.main.list_commands(click.Context(group.main))


def isolated(main: Callable[[], Any], environ: Mapping[str, str] | None = None, input: str = "") -> Ended:
    return run_isolated(main, ["program"], environ or {}, input)


def state() -> tuple[Any, ...]:
    """Return what a program could leave behind."""
    root = logging.getLogger()
    streams = (sys.stdin, sys.stdout, sys.stderr, sys.__stdin__, sys.__stdout__, sys.__stderr__)
    signals = (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))
    return (
        dict(os.environ),
        *sys.argv,
        *map(id, streams),
        *root.handlers,
        root.level,
        *warnings.filters,
        warnings.showwarning,
        *signals,
    )


def test_program_leaves_nothing_behind() -> None:
    def main() -> None:
        os.environ["BLOCKRUN_IMAGE_DIR"] = "changed"
        sys.argv.append("changed")
        logging.basicConfig(level="DEBUG", force=True)
        warnings.simplefilter("error")
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for name in ("stdin", "stdout", "stderr"):
            setattr(sys, name, None)

    before = state()
    assert isolated(main) == Ended(0, b"", b"")
    assert state() == before


def test_log_and_warnings_of_a_program_go_to_its_stderr_alone(caplog: pytest.LogCaptureFixture) -> None:
    def main() -> None:
        logging.getLogger("before").warning("one")
        logging.basicConfig(level="INFO", force=True, format="%(message)s")
        logging.getLogger("after").info("two")
        warnings.warn("three", RuntimeWarning, stacklevel=1)
        warnings.warn("four", DeprecationWarning, stacklevel=1)

    said = isolated(main).stderr.decode()
    assert [word for word in ("one", "two", "RuntimeWarning: three", "four") if word in said] == [
        *("one", "two", "RuntimeWarning: three")
    ]
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("raised", "status", "said"),
    [
        (SystemExit(), 0, ""),
        (SystemExit(3), 3, ""),
        (SystemExit("words"), 1, "words\n"),
        (ValueError("words"), 1, "ValueError: words\n"),
    ],
)
def test_exit_status_is_that_of_a_process(raised: BaseException, status: int, said: str) -> None:
    def main() -> None:
        raise raised

    ended = isolated(main)
    assert (ended.status, ended.stderr.decode().endswith(said), ended.stdout) == (status, True, b"")


def test_what_others_write_meanwhile_is_not_the_programs() -> None:
    begin, end = threading.Event(), threading.Event()

    def write() -> None:
        begin.wait()
        sys.stderr.write("of another")
        end.set()

    def main() -> None:
        begin.set()
        end.wait()
        own = threading.Thread(target=lambda: sys.stdout.write("of its own"))
        own.start()
        own.join()

    other = threading.Thread(target=write)
    other.start()
    assert isolated(main) == Ended(0, b"of its own", b"")
    other.join()


@pytest.mark.anyio
async def test_command_can_be_run_from_a_test_whose_event_loop_runs(sandbox: Sandbox) -> None:
    here = run("doctor", settings=sandbox.environment)
    apart = await anyio.to_thread.run_sync(lambda: run("doctor", settings=sandbox.environment))
    assert (here.returncode, apart.returncode) == (0, 0)
    assert (here.args[0], apart.args[0]) == ("blockrun-image-mcp", sys.executable)
    assert without_chance(here.stdout) == without_chance(apart.stdout)


def test_no_cache_of_the_code_holds_what_a_setting_says() -> None:
    caches = {
        f"{module.__name__}.{name}"
        for package in (blockrun_image, blockrun_image_mcp)
        for module in modules_of(package)
        for holder in (module, *(each for each in [*vars(module).values()] if isinstance(each, type)))
        for name, value in [*vars(holder).items()]
        if isinstance(getattr(value, "__func__", value), _lru_cache_wrapper)
        and getattr(value, "__module__", "") == module.__name__
    }
    assert caches == {
        "blockrun_image.enrichment._built_in_catalog",  # the packaged description
        "blockrun_image.enrichment.tips.built_in",  # the packaged vocabulary
        "blockrun_image.joining._from",  # by its arguments alone
        "blockrun_image_mcp.network.user_agent",  # the version
    }


def modules_of(package: ModuleType) -> list[ModuleType]:
    found = walk_packages(package.__path__, f"{package.__name__}.")
    return [package, *(import_module(each.name) for each in found if not each.name.endswith("__main__"))]
