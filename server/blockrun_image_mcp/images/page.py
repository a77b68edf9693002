"""Makes one HTML page of pictures, which needs no other file and no network."""

import base64
import hashlib
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from html import escape
from importlib import resources
from io import BytesIO
from pathlib import Path
from string import Template
from typing import TypeAlias
from urllib.parse import quote

from blockrun_image.errors import StorageError
from blockrun_image.images import Image
from blockrun_image.text import clean, clip, usd
from blockrun_image_mcp.formats import MAX_PICTURE_BYTES
from blockrun_image_mcp.images.conversion import reduced

Reduce: TypeAlias = Callable[[bytes, int, int], tuple[bytes, str]]
"""Makes a picture smaller: takes its bytes, the most pixels on a side and the most bytes; returns bytes and MIME type.

Raises `StorageError` if it cannot.
"""

VIEWED_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".avif", ".bmp", ".tif", ".tiff"})
"""The suffixes of files that are opened as pictures; not `.svg`, in which browsers run scripts."""

_MAX_THUMBNAIL_PIXELS = 960  # a column is at most 400 pixels wide, and many screens show two in place of one
_MAX_THUMBNAIL_BYTES = 160 * 2**10
_MIN_THUMBNAIL_BYTES = 24 * 2**10
_MAX_THUMBNAILS_BYTES = 24 * 2**20
_MAX_PROMPT = 8_000
_MAX_UNFOLDED = 300
_MAX_WHERE = 60
_MAX_START = 220
_MAX_ALT = 250
_MAX_NAME = 60
_MAX_URL = 8_192
_WEB = ("https://", "http://")
_MAX_CHIPS = 20
_MAX_RATIO = 3


@dataclass(frozen=True)
class PageEntry:
    """The pictures of one call.

    `created_at` is in seconds since 1970. `prompt` is `None` to leave out the prompts, and `cost_usd` to leave out the
    costs. If the cost is not exact, it is the most that the call can have cost.
    """

    model: str
    size: str
    created_at: float
    images: Sequence[Image]
    prompt: str | None
    cost_usd: Decimal | None
    is_cost_exact: bool = True


def picture_page(entries: Sequence[PageEntry], folder: Path | None, reduce: Reduce = reduced) -> str:
    """Return the page of the pictures of one or more calls, as HTML.

    `folder` is the page's own: pictures below it are linked by a relative path, others by a `file:` URL. With `None`,
    the page has no links, and names no path or URL. Pictures that cannot be shown have a placeholder.
    """
    count = sum(len(entry.images) for entry in entries)
    models = list(dict.fromkeys(entry.model for entry in entries))
    limit = max(_MIN_THUMBNAIL_BYTES, min(_MAX_THUMBNAIL_BYTES, _MAX_THUMBNAILS_BYTES // max(count, 1)))
    cards = _Cards(folder.resolve() if folder else None, reduce, limit, models)
    style, script = _file("page.css"), _file("page.js")
    heading = "1 picture" if count == 1 else f"{count:,} pictures"
    days = _range([entry.created_at for entry in entries])
    return Template(_file("page.html")).substitute(
        policy=f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(script)}';"
        " base-uri 'none'; form-action 'none'",
        style=style,
        script=script,
        title=f"{heading}, {days}",
        heading=heading,
        summary=" · ".join(filter(None, [days, _models_text(models), _total(entries)])),
        filters=_filters(models, has_search=any(entry.prompt is not None for entry in entries)) if count > 1 else "",
        count=count,
        cards="\n".join(cards.of(entry, number) for entry in entries for number in range(len(entry.images))),
    )


def is_file(path: Path) -> bool:
    """Return whether there is such a file, as far as the system tells."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


@dataclass(frozen=True)
class _Cards:
    """Makes the part of the page for each picture; a thumbnail has at most `max_bytes`."""

    folder: Path | None
    reduce: Reduce
    max_bytes: int
    models: Sequence[str]

    def of(self, entry: PageEntry, number: int) -> str:
        """Return the card of one of the call's pictures."""
        image = entry.images[number]
        return (
            f'<li class="card" data-model="{self.models.index(entry.model)}"><figure>\n'
            f"{self._picture(entry, number)}\n"
            f"<figcaption>\n{_prompt(entry, image)}{_facts(entry)}</figcaption>\n</figure></li>"
        )

    def _picture(self, entry: PageEntry, number: int) -> str:
        image, alt = entry.images[number], _alt(entry, number)
        try:
            data, width, height = self._thumbnail(image.path)
        except _NoPreviewError as error:
            return self._placeholder(entry.size, image, f"{alt} ({error})", str(error))
        shown = f'<img src="{data}" width="{width}" height="{height}" alt="{escape(alt)}">'
        target = self._target(image)
        return f'<a class="picture"{_link(target)}>{shown}</a>' if target else f'<div class="picture">{shown}</div>'

    def _thumbnail(self, path: Path | None) -> tuple[str, int, int]:
        """Return a small copy as a `data:` URL, its width and its height; raises `_NoPreviewError`."""
        from PIL import Image as Picture  # noqa: PLC0415 - loads slowly, and only this needs it

        picture = _read(path)
        try:
            thumbnail, kind = self.reduce(picture, _MAX_THUMBNAIL_PIXELS, self.max_bytes)
        except StorageError:
            raise _NoPreviewError("No preview") from None
        with Picture.open(BytesIO(thumbnail)) as opened:
            width, height = opened.size
        return f"data:{kind};base64,{base64.b64encode(thumbnail).decode()}", width, height

    def _placeholder(self, size: str, image: Image, alt: str, why: str) -> str:
        width, height = _ratio(size)
        box = f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(alt)}"></svg>'
        return f'<div class="picture">{box}<p class="note"><span>{why}</span>{self._where(image)}</p></div>'

    def _where(self, image: Image) -> str:
        """Return where a picture is that is not shown: as a link, if it can be linked."""
        if self.folder is None:
            return ""
        target = self._target(image)
        where = image.path.name if image.path and not _is_web(target) else image.url
        words = escape(clean(where or "", _MAX_WHERE))
        return f'<a class="where"{_link(target)}>{words}</a>' if target else f'<span class="where">{words}</span>'

    def _target(self, image: Image) -> str | None:
        """Return the URL of a picture that the page may link to."""
        if self.folder is None:
            return None
        if image.path and is_file(image.path):
            return _url_of(image.path, self.folder)
        return image.url if _is_web(image.url) else None


class _NoPreviewError(Exception):
    """Raised if a picture cannot be shown; its text is shown instead."""


def _read(path: Path | None) -> bytes:
    """Return a file's content; raises `_NoPreviewError`."""
    if path is None:
        raise _NoPreviewError("Not saved")
    if not is_file(path):  # a pipe would never end
        raise _NoPreviewError("File missing")
    try:
        with path.open("rb") as file:
            content = file.read(MAX_PICTURE_BYTES + 1)
    except OSError:
        raise _NoPreviewError("File not readable") from None
    if len(content) > MAX_PICTURE_BYTES:
        raise _NoPreviewError("No preview: the file is too large")
    return content


def _url_of(path: Path, folder: Path) -> str | None:
    if path.suffix.lower() not in VIEWED_SUFFIXES or not path.is_absolute():
        return None
    path = path.parent.resolve() / path.name
    return quote(os.fsencode(path.relative_to(folder).as_posix())) if path.is_relative_to(folder) else path.as_uri()


def _is_web(url: str | None) -> bool:
    """Return whether a URL is of the web; others could run a script, or name a file."""
    return url is not None and len(url) <= _MAX_URL and url.isprintable() and url.lower().startswith(_WEB)


def _link(target: str | None) -> str:
    return f' href="{escape(target or "")}" target="_blank" rel="noopener noreferrer"'


def _ratio(size: str) -> tuple[int, int]:
    """Return the width and the height of a placeholder, for a size such as `1024x1792`; others are square."""
    sides = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", size)
    width, height = (int(sides[1]), int(sides[2])) if sides else (1, 1)
    is_usual = max(width, height) <= _MAX_RATIO * min(width, height)
    return (width, height) if is_usual else (1, 1)


def _alt(entry: PageEntry, number: int) -> str:
    words = clean(entry.prompt, _MAX_ALT) if entry.prompt else f"Picture by {clean(entry.model, _MAX_NAME)}"
    return f"{words} ({number + 1} of {len(entry.images)})" if len(entry.images) > 1 else words


def _prompt(entry: PageEntry, image: Image) -> str:
    if entry.prompt is None:
        return ""
    prompt, revised = clean(entry.prompt, _MAX_PROMPT), clean(image.revised_prompt or "", _MAX_PROMPT)
    words = f'<div class="prompt" data-searched>{_folded(prompt)}</div>\n'
    if revised and revised != prompt:
        text = f'<p lang="" dir="auto" data-searched>{escape(revised)}</p>'
        words += (
            f'<details class="revised"><summary><span class="more">Revised prompt</span></summary>{text}</details>\n'
        )
    return words


def _folded(text: str) -> str:
    """Return a text, the rest of a long one folded away."""
    whole = f'<p lang="" dir="auto">{escape(text)}</p>'
    if len(text) <= _MAX_UNFOLDED:
        return whole
    start = f'<span class="start"><span lang="" dir="auto">{escape(clip(text, _MAX_START))}</span>'
    return f'<details><summary>{start} <span class="more">More</span></span></summary>{whole}</details>'


def _facts(entry: PageEntry) -> str:
    created = datetime.fromtimestamp(entry.created_at, UTC)
    facts = [
        f'<span class="model" data-searched>{escape(clean(entry.model, _MAX_NAME))}</span>',
        f"<span>{escape(clean(entry.size, 20)).replace('x', '&times;')}</span>",
        f'<time datetime="{created:%Y-%m-%dT%H:%M:%SZ}">{created.day} {created:%b %Y}</time>',
        *([f"<span>{_cost(entry)}</span>"] if entry.cost_usd is not None else []),
    ]
    return f'<p class="facts">{"".join(facts)}</p>\n'


def _cost(entry: PageEntry) -> str:
    cost = _amount(entry.cost_usd or Decimal(0), is_exact=entry.is_cost_exact)
    return f"{cost} for {len(entry.images)} pictures" if len(entry.images) > 1 else cost


def _total(entries: Sequence[PageEntry]) -> str | None:
    costs = [entry.cost_usd for entry in entries if entry.cost_usd is not None]
    return _amount(sum(costs, Decimal(0)), is_exact=all(entry.is_cost_exact for entry in entries)) if costs else None


def _amount(amount_usd: Decimal, *, is_exact: bool) -> str:
    return f"${usd(amount_usd)}" if is_exact else f"up to ${usd(amount_usd)}"


def _models_text(models: Sequence[str]) -> str:
    return escape(clean(models[0], _MAX_NAME)) if len(models) == 1 else f"{len(models)} models"


def _range(times: Sequence[float]) -> str:
    """Return the days of several times, such as `2 &ndash; 22 November 2026`, as HTML."""
    first, last = (datetime.fromtimestamp(each(times), UTC) for each in (min, max))
    end = f"{last.day} {last:%B %Y}"
    if first.date() == last.date():
        return end
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day} &ndash; {end}"
    return f"{first.day} {first:%B}{'' if first.year == last.year else f' {first.year}'} &ndash; {end}"


def _filters(models: Sequence[str], *, has_search: bool) -> str:
    """Return the controls, which the script shows: a search box, and a button for each model."""
    search = '<input type="search" placeholder="Search" aria-label="Search prompts and models" autocomplete="off">'
    names = [("", "All"), *((str(number), clean(model, _MAX_NAME)) for number, model in enumerate(models[:_MAX_CHIPS]))]
    buttons = "".join(f'<button type="button" data-model="{id}">{escape(name)}</button>' for id, name in names)
    chips = f'<div class="models" role="group" aria-label="Models">{buttons}</div>' if len(models) > 1 else ""
    if not has_search and not chips:
        return ""
    controls = "\n".join(filter(None, [search if has_search else "", chips, '<output aria-live="polite"></output>']))
    return f'<div class="filters" role="search" hidden>\n{controls}\n</div>'


def _file(name: str) -> str:
    return resources.files("blockrun_image_mcp.images").joinpath(name).read_text("utf-8")


def _hash(content: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}"
