"""Shows a call to a person at a terminal: its progress, result and saved files."""

import itertools
import os
import sys
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import anyio
import click

from blockrun_image.attempts import Approval
from blockrun_image.enrichment import EnrichedPrompt
from blockrun_image.errors import ConfigurationError, ImageError
from blockrun_image.ports import OnStatus
from blockrun_image.results import GeneratedImages, Result
from blockrun_image.text import clip
from blockrun_image.toolset import ImageToolset
from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.cli import output
from blockrun_image_mcp.cli.wording import in_options
from blockrun_image_mcp.ledger.confirmation import Ask, Question, not_confirmed
from blockrun_image_mcp.settings import VARIABLES
from blockrun_image_mcp.signals import ending_signals
from blockrun_image_mcp.tasks import run_alongside, run_in_daemon_thread
from blockrun_image_mcp.timings import Timings

_URL_ENDS = "The URL stops working when this command ends; the file stays."
_URLS_END = "The URLs stop working when this command ends; the files stay."
_STOPPING = "\nStopping. A request already sent gets ten seconds; Ctrl-C again exits at once."
_OWN_WORDS = ("Warning: ", "No model matches.")
_NARROW = "narrow the list with search, use_case or max_price_usd."
_SHOWN_LINES = 8
_SHOWN_CHARACTERS = 240
_SHOWN_TAIL = 40

Call = Callable[[ImageToolset, OnStatus, Ask], Awaitable[GeneratedImages]]


async def generate(backend: Backend, call: Call, as_json: bool) -> None:
    """Do the call, and print its result.

    Raises `click.Abort` if a signal comes before the result.
    """
    if backend.is_sandbox and not backend.keeps_pictures:  # its URLs stop working when this command ends
        backend.save_in(backend.folder.folder, f"Set {VARIABLES['dir']} to a writable folder.")
    stop = _Stop(backend)
    async with run_alongside(stop.on_signals), backend:
        await backend.prepare()
        backend.models.schedule_refresh()
        result: GeneratedImages | None = None
        with stop.scope:
            async with _progress_bar(backend.timings) as progress:

                async def ask(question: Question) -> Approval:
                    approval = await _ask(question, progress)
                    await backend.prepare()  # prices may have changed while the user decided
                    return approval

                result = await call(backend.toolset, progress.note, ask)
        if result is not None:  # even if a signal came at the same moment
            _show_pictures(backend, result, as_json)
    if result is None:
        raise click.Abort


async def estimate(backend: Backend, arguments: Mapping[str, Any], *, live: bool, as_json: bool) -> None:
    """Print the estimate of a call's cost; with `live`, the gateway's own quote."""
    async with backend:
        if live:
            await backend.prepare()
        show(await backend.toolset.estimate_cost_live(live=live, **arguments), as_json)


def fetch_list_if_needed(backend: Backend, model: str | None) -> None:
    """Fetch the gateway's list if none was fetched before, and the model is unknown without it."""
    catalog = backend.catalog
    is_known = model is None or catalog.spellings.get(model, model) in catalog.models
    cache = None if is_known or catalog.listing is not None else backend.cache
    if cache is not None and cache.take_turn():
        with suppress(ImageError):  # the error for the unknown model says enough
            anyio.run(refresh, backend)


async def refresh(backend: Backend) -> None:
    """Fetch the gateway's current list and use it; raises `ImageError` if there is none."""
    if backend.cache is None:
        raise ConfigurationError(
            "There is no gateway whose list could be used.",
            hint=f"To use a gateway's list, set a credential, and {VARIABLES['catalog']} to live or both. The sandbox"
            " has no list.",
        )
    await backend.models.refresh()


def show(result: Result, as_json: bool) -> None:
    """Print a result as an agent gets it, as text or as structured content."""
    if as_json:
        output.print_json(result.to_dict())
    else:
        click.echo(output.shown("\n".join(map(_in_options, result.to_text().split("\n")))))


def _in_options(line: str) -> str:
    """Return a line of a result; what others wrote, such as a revised prompt, stays."""
    return in_options(line) if line.startswith(_OWN_WORDS) or line.endswith(_NARROW) else line


def show_enrichment(enriched: EnrichedPrompt, model: str, as_json: bool) -> None:
    """Print the enrichment of a prompt on one screen; long texts are cut."""
    if as_json:
        about = {"model": model, **enriched.to_dict(), "present": enriched.present, "warnings": enriched.warnings}
        output.print_json(about)
        return
    yours = enriched.original
    is_cut = len(yours) > _SHOWN_CHARACTERS or yours.count("\n") >= _SHOWN_LINES
    rows = [("Your words", clip(yours, _SHOWN_CHARACTERS)), ("Found in it", ", ".join(enriched.present) or "nothing")]
    rows += [("Added", f"{each.text}\n{each.why} [{each.rule}]") for each in enriched.applied]
    rows += [("Not added", enriched.reason)] if enriched.reason else []
    rows += [("Missing", ", ".join(enriched.missing))] if enriched.missing else []
    rows += [("Advice", str(each)) for each in enriched.advice]
    rows += [("Warning", in_options(warning)) for warning in enriched.warnings]
    rows.append((f"For {model}", _prompt_to_send(enriched, is_cut)))
    rows += [("Note", f"The prompt has {len(yours):,} characters; it is cut only here.")] if is_cut else []
    for head, words in rows:
        click.echo(output.row(head, words, _SHOWN_LINES))


def _prompt_to_send(enriched: EnrichedPrompt, is_cut: bool) -> str:
    """Return the prompt to send; of a long one, only the end with the additions."""
    if not enriched.changed:
        return "your words unchanged"
    tail = len(enriched.prompt) - len(enriched.original) + _SHOWN_TAIL
    return f"…{' '.join(enriched.prompt[-tail:].split())}" if is_cut else enriched.prompt


@dataclass
class _Stop:
    """Ends a command on signals: the first cancels `scope`, the next exits at once."""

    backend: Backend
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    async def on_signals(self) -> None:
        """Wait for signals, for ever."""
        with ending_signals(hangup=True) as signals:
            async for number in signals:
                if self.scope.cancel_called:
                    self.backend.keep_records()
                    os._exit(128 + number)  # a sent request is shielded from cancellation
                with suppress(OSError):  # after SIGHUP, the terminal is closed
                    click.echo(_STOPPING, err=True)
                if not self.backend.stop_fetching():  # else the result is there, and is still printed
                    self.scope.cancel()


def _show_pictures(backend: Backend, result: GeneratedImages, as_json: bool) -> None:
    """Print a result; raises `click.exceptions.Exit` if a picture that should be saved is not."""
    show(result, as_json)
    if not as_json and backend.is_sandbox and result.images:
        click.echo(_URL_ENDS if len(result.images) == 1 else _URLS_END)
    if backend.keeps_pictures and any(image.path is None for image in result.images):
        click.echo("Error: Not every picture could be saved; the result's warnings say why.", err=True)
        raise click.exceptions.Exit(1)


@dataclass
class _Progress:
    """The status of a call; the bar pauses while a person is asked."""

    status: str = ""
    is_paused: bool = False

    def note(self, words: str) -> None:
        self.status = words


async def _ask(question: Question, progress: _Progress) -> Approval:
    """Ask a person at the terminal; raises `ConfirmationError` unless the answer is yes."""
    if not sys.stdin.isatty():
        raise not_confirmed("there is no terminal to ask on")
    progress.is_paused = True
    try:
        is_yes = await run_in_daemon_thread(lambda: click.confirm(f"\n{question}", err=True))
    except click.Abort:
        is_yes = False
    progress.is_paused = False
    if not is_yes:
        raise not_confirmed("it was declined")
    return Approval(str(uuid.uuid4()), question.max_usd)


@asynccontextmanager
async def _progress_bar(timings: Timings) -> AsyncGenerator[_Progress]:
    """Show a progress bar with the call's status, if stderr is a terminal."""
    progress, start = _Progress(), anyio.current_time()
    if not sys.stderr.isatty():
        yield progress
        return

    def show(_: object) -> str:
        return f"{progress.status} ({anyio.current_time() - start:.0f} s)"

    with click.progressbar(itertools.count(), label="Drawing", item_show_func=show, file=sys.stderr) as bar:

        async def keep_moving() -> None:
            while True:
                if not progress.is_paused:
                    bar.update(1)
                await anyio.sleep(timings.progress_bar_seconds)

        async with run_alongside(keep_moving):
            yield progress
