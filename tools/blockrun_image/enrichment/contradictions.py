"""Tells whether the words that a call wishes to be added contradict its prompt, or one another."""

from collections.abc import Iterator, Sequence

from blockrun_image.enrichment.reading import Reading, read
from blockrun_image.enrichment.tips import Label, Tips, singular

_NEGATION = Label("negation", "")
_COORDINATIONS = frozenset({"and", "nor", "or"})
_SILENT = frozenset({"and", "nor", "or", "any", "much", "too", "very"})
_GENERIC = frozenset(
    {
        *("background", "color", "colour", "composition", "effect", "framing", "light", "lighting", "look", "shot"),
        *("style", "tone", "view"),
    }
)


def contradict(tips: Tips, some: Reading, others: Reading) -> bool:
    """Tell whether the one says what the other rules out, or what does not go with it."""
    return bool(tips.conflict(some.tags, others.tags)) or denies(tips, some, others) or denies(tips, others, some)


def denies(tips: Tips, some: Reading, others: Reading) -> bool:
    """Tell whether the one negates what the other says, and not only its kind: "no harsh light" leaves a soft one."""
    return any(_is_said(tips, denied, others) for denied in _denied(tips, some))


def _is_said(tips: Tips, denied: Sequence[str], others: Reading) -> bool:
    kinds = [word for word in denied if singular(word) in _GENERIC]
    telling = frozenset(map(singular, denied)) - _GENERIC
    ruled_out = read(tips, " ".join(denied)).tags
    ruled_out = (ruled_out - read(tips, " ".join(kinds)).tags) or (ruled_out if not telling else frozenset())
    return (telling or frozenset(map(singular, kinds))) <= others.said or bool(ruled_out and ruled_out <= others.tags)


def _denied(tips: Tips, reading: Reading) -> Iterator[Sequence[str]]:
    """Yield what each negation is about: "people" in "no people in the background", and "text" and "logos" in turn."""
    is_open = False
    denied: list[str] = []
    for words, labels in tips.lexicon.walk([*reading.plain, "no"]):
        is_negation = _NEGATION in labels
        content = [word for word in words if word not in _SILENT and tips.lexicon.content_of(word)]
        is_negated = is_open and not is_negation and singular(words[-1]) in reading.negated_words
        if is_negated and content:
            denied += content
            continue
        if denied:
            yield denied
        is_open = is_negation or (is_negated and (not denied or words[0] in _COORDINATIONS))
        denied = []
