"""What words say: whether they say a term or a group of terms, and which words a prompt negates."""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache

from tests.prompts.groups import GROUPS

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_DENIED = re.compile(r"\b(?:no|not|without|free of|never)\b(?: [\w-]+){1,3}|\b\w+-free\b", re.IGNORECASE)
_QUOTED = re.compile(r'"[^"]*"|“[^”]*”|„[^“”]*[“”]|«[^»]*»|「[^」]*」|`[^`]*`|(?<!\w)[\'‘][^\'’\n]*[\'’](?!\w)')
_NEGATION = re.compile(
    r"\b(no(?! (?:matter|doubt|longer|one)\b)|without|avoid|free of|never|nothing(?! (?:but|else)\b)"
    r"|(?<!has )(?<!have )(?<!had )not(?! (?:only|just|yet|far|quite)\b)|do(?:es)?n't|isn't|aren't)"
    r"((?: [\w'-]+){1,6})",
    re.IGNORECASE,
)
_OF_NOUNS = frozenset(["no", "without", "avoid", "free of"])
_END_OF_NEGATION = frozenset(
    """
    but just only with in on at under over near against from for while because instead rather please so it's its around
    behind beside across than except then as
    """.split()  # noqa: SIM905 - a list of words reads best as words
)
_ALTERNATIVES = frozenset(["and", "or", "nor"])
_SAYING_NOTHING = frozenset(
    """
    a an the any some too very much more be is are look looks like make made it its this that these those to of add use
    want need have has having show shown include put all every each other sort kind type i you we my your need please
    no not want there at visible allowed ever single one whatsoever
    """.split()  # noqa: SIM905 - a list of words reads best as words
)
_GENERIC = frozenset(
    """
    light lighting style background backdrop colour color view framing composition scene picture image shot angle
    layout effect look tone clear
    """.split()  # noqa: SIM905 - a list of words reads best as words
)


def hits(text: str, terms: Iterable[str]) -> Sequence[str]:
    """Return, for each term that the text says, the term and the words that say it."""
    found = ((term, _said(text, term)) for term in terms)
    return [f"{term} ({words})" if term.startswith("@") else words for term, words in found if words]


def words_of(text: str) -> Sequence[str]:
    """Return the words of a text in lower case and without their plural endings."""
    return [_singular(word) for word in _WORD.findall(text.lower().replace("’", "'"))]


def negated(prompt: str) -> frozenset[str]:
    """Return the words that a prompt rules out, outside of quotations; of "no harsh light" that is "harsh"."""
    text = _QUOTED.sub(' " ', prompt.replace("’", "'"))
    found = [(negation.lower(), span.lower().split()) for negation, span in _NEGATION.findall(text)]
    return frozenset(word for negation, span in found for word in _ruled_out(negation, span))


def denied_aside(text: str) -> str:
    """Return the text without what it denies itself, such as "no text"."""
    return _DENIED.sub(" ", text)


def _said(text: str, term: str) -> str:
    searched = denied_aside(text) if term.startswith("@") and term != "@no_text" else text
    found = _pattern(term).search(searched.replace("’", "'"))
    return found[0].lower() if found else ""


@cache
def _pattern(term: str) -> re.Pattern[str]:
    words = "|".join(GROUPS[term[1:]]) if term.startswith("@") else rf"{re.escape(term)}(?:e?s)?"
    return re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE)


def _ruled_out(negation: str, span: Sequence[str]) -> Iterator[str]:
    for part in _parts(span):
        telling = [_singular(word) for word in part if word not in _SAYING_NOTHING]
        particular = [word for word in telling if word not in _GENERIC]
        yield from particular or (telling if negation in _OF_NOUNS else [])


def _parts(span: Sequence[str]) -> Sequence[Sequence[str]]:
    """Return what stands between "and" and "or", as far as the negation goes."""
    parts: list[list[str]] = [[]]
    for word in span:
        if word in _END_OF_NEGATION and any(parts):
            break
        if word in _ALTERNATIVES:
            parts.append([])
        elif word not in _END_OF_NEGATION:
            parts[-1].append(word)
    return parts


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
