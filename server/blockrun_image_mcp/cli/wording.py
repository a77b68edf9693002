"""Says at the command line which option is meant, where a message names an argument of a tool."""

import re

from blockrun_image.errors import ImageError

OPTIONS = {
    **{name: f"--{name.replace('_', '-')}" for name in ("art_style", "max_price_usd", "use_case")},
    **{
        name: f"--{name}"
        for name in ("composition", "enrich", "lighting", "model", "purpose", "quality", "search", "size")
    },
    "n": "-n",
    "save_as": "--output",
}
"""The option for each argument of a tool."""

_PLACES = {
    "list_models": "`blockrun-image-mcp models`",
    "the resource images://recent": "`blockrun-image-mcp images`",
    "images://recent": "`blockrun-image-mcp images`",
}
_MEANT = re.compile(
    r"(?<!\w)(?:'[^'\n]*'|\"[^\"\n]*\")"  # what others wrote
    r"|(?<![\w'\"/?&=-])(?:"
    r"(?:art_style|max_price_usd|save_as|use_case|list_models|(?:the resource )?images://recent)(?![\w'\"/?&=-])"
    # what could be a word has to be where only a name can be
    r"|(?:composition|enrich|lighting|model|n|purpose|quality|size)(?= (?:must|cannot|was not) | '[^']*' was not )"
    r"|(?<=contradicts )(?:composition|lighting)(?= ')|search(?=, use_case )|(?<=use_case or )search)"
)


def in_options(words: str) -> str:
    """Return a message with the options and commands that a person types, instead of the tools' own names.

    What a caller or a gateway wrote stands in quotes, and stays.
    """
    return _MEANT.sub(lambda found: OPTIONS.get(found[0]) or _PLACES.get(found[0], found[0]), words)


def word_in_options(error: ImageError) -> None:
    """Let an error name the options that a person types."""
    error.message, error.hint = in_options(error.message), in_options(error.hint)
