"""A panel's own prompts, as their file has them: a prompt a line, or JSON Lines."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from blockrun_image.spec import is_size


def _said(prompt: str) -> str:
    if not prompt.strip():
        raise ValueError("it is empty")
    return prompt


def _size(size: str) -> str:
    if not is_size(size):
        raise ValueError("a size is like 1024x1024")
    return size


class AskedPrompt(BaseModel):
    """One prompt, and the size that goes with it; without an `id`, its place among the prompts is its name."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    prompt: Annotated[str, AfterValidator(_said)]
    size: Annotated[str, AfterValidator(_size)] | None = None
    id: int | Annotated[str, Field(pattern=r"^[\w.-]{1,40}$")] | None = None


def text_of(path: Path) -> str:
    """Read a file; raises `ValueError` with the number of the first line that is not UTF-8."""
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ValueError(f"line {line}: it is not UTF-8") from error


def read(text: str) -> Mapping[str, AskedPrompt]:
    """Return the prompts by name; raises `ValueError` with the number of the line that cannot be used."""
    # Only a line feed ends a line: a prompt may hold the other characters that `splitlines` knows.
    lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not lines:
        raise ValueError("there are no prompts in it")
    is_json = lines[0][1].startswith("{")
    prompts: dict[str, AskedPrompt] = {}
    places: dict[object, int] = {}
    for number, line in lines:
        if line.startswith("{") != is_json:
            raise ValueError(f"line {number}: plain lines and JSON, which begins with {{, are not mixed")
        each = _parsed(number, line) if is_json else AskedPrompt(prompt=line)
        name = str(len(prompts) + 1 if each.id is None else each.id)
        for key, what in ((_likeness(each), "prompt"), (name, f"id {name}")):
            if key in places:
                raise ValueError(f"line {number}: the {what} is there already, in line {places[key]}")
            places[key] = number
        prompts[name] = each
    return prompts


def _parsed(number: int, line: str) -> AskedPrompt:
    try:
        return AskedPrompt.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        place = " ".join(map(str, first["loc"][:1]))
        raise ValueError(f"line {number}: {place}{': ' if place else ''}{first['msg']}") from error


def _likeness(asked: AskedPrompt) -> Sequence[str | None]:
    """Return what two prompts share that are sent in the same way, apart from case and spaces."""
    return (" ".join(asked.prompt.casefold().split()), asked.size)
