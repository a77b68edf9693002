"""Finds placeholders and examples in place of a value."""

import re

_PLACEHOLDER = re.compile(
    r"\$\{[^{}]*\}|\$\([^()]*\)|\{\{[^{}]*\}\}|\{[^{}]*\}|<[^<>]*>"  # ${X}, $(X), {{X}}, {X}, <X>
    r"|\$[A-Za-z_]\w*(?::\w+)?"  # $X, $env:X
    r"|%[A-Za-z_]\w*%(?![0-9A-Fa-f]{2})"  # %X%, which is not a percent-encoded letter
)
_EXAMPLE = re.compile(
    r"(?i)(?:brk|sk)?[_-]?(?:\.{2,}|\u2026|x{3,}|\*{3,}|your[ _-]?(?:[a-z]+[ _-]?){0,3}(?:key|token|credential))"
    r"(?:[ _-]?here)?"
)


def has_placeholder(url: str) -> bool:
    """Return whether a URL holds a placeholder, such as `${HOST}`, or a part of one."""
    return bool(_PLACEHOLDER.search(url) or set("{}<>") & set(url))


def is_placeholder(text: str) -> bool:
    """Return whether a value is nothing but placeholders, such as `${KEY}` or `<your-key>`."""
    if not text:
        return False
    rest, before = text, ""
    while rest != before:  # one may stand in another, as in ${KEY:-${OTHER}}
        rest, before = _PLACEHOLDER.sub("", rest), rest
    return not rest.strip()


def is_example(credential: str) -> bool:
    """Return whether a credential is a placeholder or an example, such as `brk_...` or `your-api-key`."""
    return is_placeholder(credential) or _EXAMPLE.fullmatch(credential) is not None
