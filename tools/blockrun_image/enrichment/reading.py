"""Reads a prompt: its named facets, its negations, and reasons to leave it alone."""

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from blockrun_image.enrichment.grammar import Grammar, parse
from blockrun_image.enrichment.lexicon import ENGLISH, FOREIGN, NEGATION, Label, in_lower_case, singular
from blockrun_image.enrichment.phrases import Span
from blockrun_image.enrichment.tips import Tips
from blockrun_image.text import is_unicode

_SCANNED_CHARACTERS = 2_000
_MIN_LETTERS = 3
_LATIN_SHARE = 0.6

# Quoted text is to be written in the picture, so it says nothing about the picture.
_QUOTED = re.compile(
    r'"[^"]{1,400}"|“[^”]{1,400}”|„[^„“”]{1,400}[“”]|«[^»]{1,400}»|「[^」]{1,400}」|`[^`]{1,400}`'
    r"|‘[^’]{1,400}’(?!\w)|(?<!\w)'[^'\n]{1,400}'(?!\w)"
)
_TOKEN = re.compile(r"[^\W_]+(?:'[^\W_]+)*|[^\w\s'/-]|\n")
_LETTERS = re.compile(r"[^\W\d_]+")
_APOSTROPHE = re.compile(r"(?<=\w)’(?=\w)")
_LAST_LATIN_LETTER = "ɏ"  # U+024F, the end of the block Latin Extended-B
# Characters that change the direction of others, so that a text reads otherwise than it is stored.
_BIDI_CONTROL = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# A prompt that is JSON as a whole, or a Mermaid diagram.
_CODE = re.compile(
    r"\s*(?:[\[{].*[\]}]\s*\Z|(?:graph|flowchart)\s+(?:td|tb|bt|rl|lr)\b|(?:sequence|class|state|er)diagram\b)",
    re.IGNORECASE | re.DOTALL,
)
# Parts that words after them would break: fences, tags, flags such as "--ar", weights such as "(cat:1.2)", code,
# LoRA and wildcard brackets, diagrams, Markdown headings, and lists of "key: value" lines.
_CODE_WITHIN = re.compile(
    r"```|<(?:/?[A-Za-z][^<>]*>|[A-Za-z]+:|\|)|(?<!\S)--[A-Za-z]|\((?:[^()]*:\d[\d.]*\)|\()|(?<=\w)\([)\"'\d]|::-?\d"
    r"|(?<=[\w\s])[:=]\s*[{\[]|\w = f?[\"']|\bdef \w+\(|\bSELECT\b.+\bFROM\b|(?:\A|\n)(?:import \w|@start\w)"
    r"|!\[|\[\[|\{\s*\"|\{[^{}]*\|[^{}]*\}|\{\{|\\\w+\{|-->|->>|(?:\A|\n)#+ \w|\b(?:steps|seed|cfg|sampler) ?[:=] ?\w"
    r"|(?:\A|\n)[-* ]{0,4}[A-Za-z][\w ]{0,20}:[^\n]*\n[-* ]{0,4}[A-Za-z][\w ]{0,20}:"
)
# "Do not change my prompt" and "no enhancements", in their many forms.
_CHANGES = (
    r"(?:addition|alteration|change|edit|embellish|enhanc|enrich|flourish|improv|modif|paraphras|rephras|reword|rewrit"
    r"|tweak|prompt (?:engineer|expan)|creative libert)"
)
_LET_BE = re.compile(
    r"\b(?:do not|don't|dont|never|no need to|without) \w+ (?:my|the|this) (?:prompt|wording|phrasing|text|words)\b"
    r"|\b(?:do not|don't|dont|never|no need to) (?:alter|beautify|change|edit|elaborate|embellish|enhance|enrich|expand"
    r"|extend|improve|modify|paraphrase|reinterpret|rephrase|reword|rewrite|tweak|(?:be|get) creative|make it fanc)"
    r"|\b(?:do not|don't|dont|never|no need to|without) add(?:ing)?(?: to (?:it|this|my|the))?"
    r"(?: anything| any (?:extra|more|other|detail|word)| extra| more| detail| word|[^\w ]|\Z)"
    rf"|\b(?:no|without|zero|skip)(?: any| the)?(?: added| additional| creative| extra| prompt)? {_CHANGES}"
    r"|\b(?:no|without) (?:added|additional|extra) (?:detail|word|anything|extras)"
)
_MAX_WORDS_OF_A_LIST = 8
_CLAUSE_ENDS = frozenset({".", ";", ":", "\n", "but", "with", "and"})
_LANGUAGES = frozenset({ENGLISH, FOREIGN})
_OPT_OUT = Label("opt_out", "")
_SMALL_KINDS = frozenset({"language", "negation", "opt_out"})  # the labels of words that describe nothing


@dataclass(frozen=True)
class Reading:
    """The meaning of a prompt's words, outside of quoted text.

    `nouns` are the sorts of nouns that it has, such as `concept`, and `sources` the sources of light that it names.
    `words` counts all words, quoted ones included; `unknown` counts the words that the vocabulary lacks, without
    negated ones. `affirmed` are the words that carry meaning and are not negated. Words under a negation, up to the
    next punctuation mark, are only in `negated_words` and `negated_tags`. `why_untouchable` is the reason why nothing
    may be added, `why_unclear` the reason why the words cannot be judged; both are empty for most prompts.
    """

    words: int
    unknown: int
    plain: Sequence[str]
    present: frozenset[str]
    tags: frozenset[str]
    nouns: frozenset[str]
    sources: frozenset[str]
    has_lettering: bool
    grammar: Grammar
    affirmed: AbstractSet[str]
    negated_words: AbstractSet[str]
    negated_tags: AbstractSet[str]
    why_untouchable: str
    why_unclear: str

    def named_facets(self) -> Sequence[str]:
        """Return the named facets, including the subject."""
        return sorted([*self.present, *(["subject"] if self.grammar.subject else [])])

    def has_words(self, words: Sequence[str]) -> bool:
        """Return whether the prompt has exactly these words in a row."""
        return f" {' '.join(words)} " in f" {' '.join(self.plain)} "

    def rules_out(self, words: AbstractSet[str], tags: AbstractSet[str]) -> bool:
        """Return whether the prompt negates one of these words or tags."""
        return bool(words & self.negated_words or tags & self.negated_tags)


def read(tips: Tips, prompt: str) -> Reading:
    """Read the first 2,000 characters of a prompt."""
    text = _APOSTROPHE.sub("'", prompt[:_SCANNED_CHARACTERS])
    unquoted = _QUOTED.sub(' " ', text)  # the mark ends a negation, like other punctuation
    lowered = in_lower_case(unquoted)
    scan = _Scan(tips)
    scan.walk(_TOKEN.findall(lowered))
    scan.opts_out |= _LET_BE.search(lowered) is not None
    scan.foreign += sum(_is_foreign(tips, word) for word in ([] if unquoted.isascii() else _LETTERS.findall(unquoted)))
    return Reading(
        words=len(text.split()),
        unknown=scan.unknown,
        plain=scan.plain,
        present=scan.values("facet"),
        tags=scan.values("tag"),
        nouns=scan.values("noun"),
        sources=scan.values("source"),
        has_lettering=_QUOTED.search(text) is not None,
        grammar=parse(scan.spans),
        affirmed=scan.affirmed,
        negated_words=scan.negated_words,
        negated_tags=scan.negated_tags,
        why_untouchable=_why_untouchable(scan, prompt, text),
        why_unclear=_why_unclear(scan, unquoted),
    )


def _is_foreign(tips: Tips, word: str) -> bool:
    """Return whether a word has letters that English lacks.

    Names are exempt, as they come from anywhere.
    """
    return not word.isascii() and word[0].islower() and not tips.lexicon.has(word)


@dataclass
class _Scan:
    """One walk over the tokens of a prompt."""

    tips: Tips
    spans: list[Span] = field(default_factory=list[Span])
    plain: list[str] = field(default_factory=list[str])
    labels: set[Label] = field(default_factory=set[Label])
    affirmed: set[str] = field(default_factory=set[str])
    negated_words: set[str] = field(default_factory=set[str])
    negated_tags: set[str] = field(default_factory=set[str])
    opts_out: bool = False
    has_content: bool = False
    unknown: int = 0
    english: int = 0
    foreign: int = 0

    def walk(self, tokens: Sequence[str]) -> None:
        negating, position = False, 0
        for words, labels in self.tips.lexicon.walk(tokens):
            span = Span(words, labels, negating or NEGATION in labels)
            position += len(words)
            if span.is_punctuation:  # it ends a negation, but for a list: "without cake, balloons or candles"
                negating = negating and words[0] == "," and _is_list(tokens[position:])
                self.spans.append(span._replace(is_negated=False))
                continue
            self.spans.append(span)
            self.plain += words
            if labels:
                self._count(labels)
            if NEGATION in labels:
                negating = True
            elif negating:
                self._negate(words, labels)
            else:
                self._take(words, labels)

    def values(self, kind: str) -> frozenset[str]:
        return frozenset(label.value for label in self.labels if label.kind == kind)

    def _count(self, labels: AbstractSet[Label]) -> None:
        self.opts_out |= _OPT_OUT in labels
        if _LANGUAGES.isdisjoint(labels):
            self.english += any(label.kind not in _SMALL_KINDS for label in labels)
        elif not labels >= _LANGUAGES:
            self.english += ENGLISH in labels
            self.foreign += FOREIGN in labels

    def _negate(self, words: Sequence[str], labels: AbstractSet[Label]) -> None:
        self.negated_words.update(map(singular, words))
        self.negated_tags.update(label.value for label in labels if label.kind == "tag")

    def _take(self, words: Sequence[str], labels: AbstractSet[Label]) -> None:
        self.has_content |= _LANGUAGES.isdisjoint(labels)
        self.unknown += not labels
        if ENGLISH not in labels:
            self.affirmed.update(map(singular, words))
        self.labels |= labels


def _is_list(tokens: Sequence[str]) -> bool:
    """Return whether the words after a comma go on with a list that ends in "or"."""
    for token in tokens[:_MAX_WORDS_OF_A_LIST]:
        if token in ("or", "nor"):
            return True
        if token in _CLAUSE_ENDS:
            return False
    return False


def _why_untouchable(scan: _Scan, prompt: str, text: str) -> str:
    if scan.opts_out:
        return "it asks to be sent unchanged"
    if not is_unicode(prompt) or _BIDI_CONTROL.search(prompt):
        return "it has characters that change how others are read"
    return "it looks like code or has flags" if _CODE.match(text) or _CODE_WITHIN.search(text) else ""


def _why_unclear(scan: _Scan, text: str) -> str:
    letters = [character for character in text if character.isalpha()]
    latin = sum(letter <= _LAST_LATIN_LETTER for letter in letters)
    is_english = scan.english > scan.foreign or not scan.foreign
    if len(letters) < _MIN_LETTERS or not (scan.has_content or scan.foreign):
        return "it has too few words"
    return "" if latin >= _LATIN_SHARE * len(letters) and is_english else "it is not recognisably English"
