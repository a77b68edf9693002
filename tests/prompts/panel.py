"""A panel judges the enricher on its own prompts; `make panel` runs this, and PANEL.md tells how one is held."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import click
from tests.prompts import asked, sheets
from tests.prompts.asked import AskedPrompt
from tests.prompts.blocks import MARKS, Block
from tests.prompts.metrics import Bar, shown
from tests.prompts.tables import table

from blockrun_image import Catalog, enrich

BARS: Mapping[str, Bar] = {
    "helps": Bar(70, is_least=True),
    "harms": Bar(4),
    "better": Bar(30, is_least=True),
    "worse": Bar(2),
}
_MISSED = "MISSED"
_HEADS = ["judgement", "bar", "count", "per cent", ""]
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_MODELS = click.Choice([model.id for model in Catalog.load()])

_Read = TypeVar("_Read")


class BadFileError(click.ClickException):
    """Raised for a file of prompts or a sheet that cannot be used."""

    exit_code = 2


@click.command()
@click.option("--prompts", type=_FILE, help="Print the sheet for these prompts: one a line, or JSON Lines.")
@click.option("--model", type=_MODELS, default="dall-e-3", help="The model that they are enriched for.")
@click.option("--sheet", type=_FILE, help="Score this sheet, which is filled in.")
@click.option("--second", type=_FILE, help="Tell how far this second sheet agrees; blocks of it may be blank.")
def main(prompts: Path | None, model: str, sheet: Path | None, second: Path | None) -> None:
    """Print the sheet that a panel fills in, or its score; the exit status is 1 if a bar is missed."""
    if prompts and not sheet and not second:
        blocks = [_block(name, each, model) for name, each in _used(prompts, asked.read).items()]
        # In bytes: the encoding of the terminal may lack what a prompt has.
        click.echo(sheets.written(blocks).encode(), nl=False)
        return
    if prompts or not sheet:
        raise click.UsageError(
            "Give PROMPTS=file to get a sheet, or SHEET=file, perhaps with SECOND=file, to score it."
        )
    first = _used(sheet, sheets.read)
    again: Mapping[str, Block] = _used(second, lambda text: sheets.read_second(text, first)) if second else {}
    rows = list(_scored(first))
    click.echo(f"{len(first)} prompts.\n\n{table([_HEADS, *rows, *_agreeing(first, again)])}")
    sys.exit(any(row[-1] == _MISSED for row in rows))


def _used(path: Path, read: Callable[[str], _Read]) -> _Read:
    try:
        return read(asked.text_of(path))
    except ValueError as error:
        raise BadFileError(f"{path.name}: {error}") from error


def _block(name: str, each: AskedPrompt, model: str) -> Block:
    return Block.of(name, each.size, enrich(each.prompt, model=model, size=each.size))


def _scored(blocks: Mapping[str, Block]) -> Iterator[Sequence[str]]:
    """Yield a row for the enriched prompts, and for each word that a mark stands for."""
    found = Counter(each.word for block in blocks.values() for each in block.judgements)
    yield _row("enriched", sum("whole" in block.labels for block in blocks.values()), len(blocks))
    for kind, marks in MARKS.items():
        whole = sum(found[word] for word in marks.values())
        for word in marks.values():
            yield _row(f"advice {word}" if kind == "advice" else word, found[word], whole, BARS.get(word))


def _agreeing(first: Mapping[str, Block], second: Mapping[str, Block]) -> Iterator[Sequence[str]]:
    """Yield a row of the marks that were given again, by what is judged and then of all."""
    pairs = [
        pair for name, block in second.items() for pair in zip(first[name].judgements, block.judgements, strict=True)
    ]
    if not pairs:
        return
    for kind in (*MARKS, "all"):
        same = [once == again for once, again in pairs if kind in (once.kind, "all")]
        yield _row(f"agreement, {kind}", sum(same), len(same))


def _row(name: str, count: int, whole: int, bar: Bar | None = None) -> Sequence[str]:
    value = 100 * count / whole if whole else None
    verdict = "nothing to judge" if value is None else "met" if bar and bar.is_met(value) else _MISSED if bar else ""
    return [name, str(bar or "-"), f"{count} of {whole}", shown(value), verdict]


if __name__ == "__main__":
    main()
