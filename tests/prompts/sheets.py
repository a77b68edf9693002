"""The sheet of a panel as text: written with blanks, and read when they are filled in.

Each line is known by how it begins, and no line begins with words of a prompt.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from tests.prompts.blocks import TOLD, Block, Judgement

from blockrun_image.text import quoted

HEAD = """\
# Think of the picture that would come out, and write one letter into each [ ], such as [H].
# Each addition was appended to the prompt:
#   H  it helps: it is specific and fits this prompt; a professional would say it
#   N  it is neutral: true of nearly any picture, or it decides nothing
#   X  it harms: it contradicts, misreads, changes medium or mood, or takes the destination for the depiction
# The whole is the prompt with its additions, beside the prompt alone: B better, S the same, W worse.
# Advice is told to whoever sent the prompt: U useful, V vague, W wrong.
# Leave all other lines as they are. A line that begins with # is a remark; ⏎ is a line break in the prompt.
"""

_HOLDS = "# This sheet holds"
_BEGIN = re.compile(r"===\s*([\w.-]+)")
_JUDGED = re.compile(r"\[([^\]]*)\]\s*(whole|[^\s:]+: .+)")
_MAX_FAULTS = 20


def written(blocks: Sequence[Block]) -> str:
    """Return the sheet to fill in."""
    return "\n\n".join([f"{HEAD}{_held(blocks)}", *map(str, blocks)]) + "\n"


def read(text: str) -> Mapping[str, Block]:
    """Return the blocks of a sheet that is filled in; raises `ValueError` for any line or mark that is not as it was.

    The head's line that tells what the sheet holds may be missing. If it is there, no block and no blank may be lost.
    """
    blocks = _parsed(text)
    said = next((line.strip() for line in text.split("\n") if line.startswith(_HOLDS)), _held(blocks))
    if said != _held(blocks):
        raise ValueError(f"something is lost: its head says {said[2:]!r}, but now {_held(blocks)[2:]!r}")
    _refuse(_unmarked(blocks))
    return {block.name: block for block in blocks}


def read_second(text: str, first: Mapping[str, Block]) -> Mapping[str, Block]:
    """Return the blocks that are filled in; raises `ValueError` if they are unlike those of the first sheet."""
    begun = {block.name: block for block in _parsed(text) if block.is_begun}
    if not begun:
        raise ValueError("nothing is filled in")
    unlike = [name for name, block in begun.items() if name not in first or first[name].labels != block.labels]
    _refuse(f"block {name}: it is not as in the first sheet" for name in unlike)
    _refuse(_unmarked(begun.values()))
    return begun


def _parsed(text: str) -> Sequence[Block]:
    blocks: dict[str, Block] = {}
    faults: list[str] = []
    name = ""
    for number, line in enumerate(map(str.strip, text.split("\n")), 1):
        if not line or line.startswith("#"):
            continue
        begins = _BEGIN.fullmatch(line)
        if begins and begins[1] not in blocks:
            name = begins[1]
            blocks[name] = Block(name, [], [])
        elif begins or not name or not (more := _with(blocks[name], line)):
            where = f"block {name}, " if name else ""
            why = "the block is there twice" if begins else "no line of a sheet begins like this"
            faults.append(f"{where}line {number}: {why}: {quoted(line)}")
        else:
            blocks[name] = more
    _refuse(faults)
    _refuse(f"block {each.name}: a line is missing or there twice" for each in blocks.values() if not each.is_complete)
    if not blocks:
        raise ValueError("there are no blocks in it")
    return list(blocks.values())


def _with(block: Block, line: str) -> Block | None:
    """Return the block with one more line, or nothing for a line that is none of a block."""
    if line.startswith(TOLD):
        return replace(block, told=[*block.told, line])
    found = _JUDGED.fullmatch(line)
    if not found:
        return None
    return replace(block, judgements=[*block.judgements, Judgement(found[2], found[1].strip().upper())])


def _held(blocks: Sequence[Block]) -> str:
    kinds = [each.kind for block in blocks for each in block.judgements]
    additions, advice = kinds.count("addition"), kinds.count("advice")
    return f"{_HOLDS} {len(blocks)} prompts with {additions} additions and {advice} pieces of advice."


def _unmarked(blocks: Iterable[Block]) -> Iterator[str]:
    for block in blocks:
        yield from (f"block {block.name}: {each.fault}" for each in block.judgements if not each.word)


def _refuse(faults: Iterable[str]) -> None:
    lines = list(faults)
    if lines:
        more = [f"and {len(lines) - _MAX_FAULTS} more"] if len(lines) > _MAX_FAULTS else []
        raise ValueError("\n".join([*lines[:_MAX_FAULTS], *more]))
