"""Advises an agent on its prompt: on the one thing that would help it most."""

import re
from collections.abc import Sequence

from blockrun_image.enrichment.choice import Choice
from blockrun_image.enrichment.enriched import Advice
from blockrun_image.enrichment.reading import Reading
from blockrun_image.text import quoted

_LETTERING = frozenset({"text", "word", "label", "lettering", "letter", "caption", "writing", "title", "type"})
_LIST = re.compile(r":|,[^,]*,|,[^,]* and |\d\D+\d\D+\d")
# What refers to a picture before: "same but at night", "make it darker", "another one".
_OPENERS = r"\W*(?:(?:ok|okay|now|and|no|hm+|great|nice|perfect|thanks|cool|please|yes|but|(?:can|could) you)\b\W*)*"
_THAT_ONE = r"(?:it|that|this|him|her|them|the (?:background|previous|last|first|second|image|picture|colou?rs?))"
_COMPARATIVE = (
    r"(?:bigg|blu|bold|bright|clean|clos|cold|cool|dark|larg|light|long|sharp|short|simpl|small|soft|tall|warm|wid)er"
)
_FOLLOW_UPS = (
    r"(?:the )?same\b|(?:try )?again\b|(?:another|new) (?:one|version|variation)\b|variations?\b|v2\b|version two\b",
    r"continue\b|i (?:like|love|hate|don't like) (?:it|this|that)\b|more (?:like|of) (?:this|that|it)\b",
    rf"(?:make|do|try|turn|change|redo|fix|move|keep) {_THAT_ONE}\b|(?:remove|delete|replace|swap) (?:the|it|that)\b",
    r"(?:use|take|give me|show me|show|draw|create|generate) (?:the|this|that) (?:same|previous|last)\b",
    r"(?:like )?the (?:last|previous|first|second|third|other) (?:one|image|picture|version)\b",
    r"(?:one|two|three|a few|\d) more\b|do one\b|(?:with|in) (?:it|that|this)\b|without (?:it|that|the)\b",
    r".{0,60}\b(?:simplify|redo|fix|rotate|crop|undo) (?:it|that|them)\b",
    rf"(?:a bit |a little |much |even )?(?:{_COMPARATIVE}|as an?(?: \w+){{1,3}}|less \w+|more \w+)(?: please)?\W*\Z",
    rf"{_COMPARATIVE} (?:\w+ )?(?:and|but) (?:less|more|no|on|to)\b",
)
_FOLLOW_UP = re.compile(f"{_OPENERS}(?:{'|'.join(_FOLLOW_UPS)})", re.IGNORECASE)


def refers_back(prompt: str) -> bool:
    """Return whether a prompt changes or repeats an earlier picture, which no call knows."""
    return _FOLLOW_UP.match(prompt) is not None


def advice(prompt: str, choice: Choice, missing: Sequence[str]) -> Sequence[Advice]:
    """Return the one thing that would help a prompt most, or nothing; `missing` are the facets that it lacks."""
    if choice.reading.why_untouchable:
        return []
    if refers_back(prompt):
        return [Advice("subject", "Describe the whole picture again: no call knows an earlier one")]
    if _is_about_an_idea(prompt, choice):
        idea = choice.reading.grammar.idea
        purpose = "to show" if idea.startswith("something") else f"that stands for {quoted(idea)}"
        return [Advice("subject", f"Name one scene or object {purpose}")]
    asks = [kind.ask for _, _, kind in choice.speakers if kind.ask]
    if asks and not _says_its_words(prompt, choice.reading):
        return [Advice("subject", asks[0])]
    # Any style would do, so none is suggested.
    facets = [facet for facet in missing if facet != "style"]
    fitting = [(facet, phrase) for facet in facets for phrase in choice.suggestions(facet)]
    return [Advice(facet, choice.tips.says[facet], phrase.text) for facet, phrase in fitting[:1]]


def _is_about_an_idea(prompt: str, choice: Choice) -> bool:
    idea = choice.reading.grammar.idea
    is_told = idea.startswith("something") and "," in prompt  # "something nice, little bears"
    return bool(idea) and not is_told and not choice.given & {"composition", "lighting"}


def _says_its_words(prompt: str, reading: Reading) -> bool:
    """Return whether a prompt says what is to be written in the picture, or that nothing is."""
    is_without = not _LETTERING.isdisjoint(reading.negated_words) or "unlabelled" in reading.tags
    return is_without or reading.has_lettering or _LIST.search(prompt) is not None
