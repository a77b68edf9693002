"""Parses what a prompt depicts and what its picture is for, by the order of its words.

"A burger photo for our menu" depicts a burger, and its place is a menu. A word's sense depends on where it stands: the
noun that ends the first noun phrase says what the picture is, and the nouns after "for", "as" and "on our" say where it
goes. Nouns after "in", "at" or "with" say neither.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile

from blockrun_image.enrichment.phrases import Phrase, Span, Spans, words_in

# What people say before they name a picture.
_REQUEST = words_in(
    "please pls plz can could would will you i we i'd i'm we're need want like love to make create generate give show",
    "get design produce render draw paint sketch illustrate build me us hi hey hello have see looking for some a an",
    "the my our your this that new one just use add it's is be of should must let's try help with",
)
_POSSESSIVES = words_in("my our your his her their")
_CONTENT = frozenset({"of", "showing", "depicting", "featuring", "with", ":"})  # what is depicted follows
_MARKS = frozenset({",", ":", ";", ".", "–", "—"})
_PHOTOS = frozenset({"photo", "photograph", "snapshot"})
_ABOUT = frozenset({"about", "representing", "symbolizing", "symbolising", "illustrating"})
_ADDITION = frozenset({"and", "or", "plus", "vs", "versus", "&", "+"})
# Words after a noun that show it as a thing somewhere, and nouns that say how it looks instead.
_LYING = frozenset({"lying", "hanging", "leaning", "pinned", "stuck", "taped"})
_IN_A_PLACE = frozenset({"in", "on", "at", "over", "above", "against", "under", "near", "beside"})
_LOOKS = words_in("style background paper ground look format size grid row white black")
_NAMED = frozenset({"destination", "named_use", "head_use"})
_USES = _NAMED | {"place"}
_GENERAL = frozenset({"general"})  # nouns that say no more, such as "design" and "image"
_PICTURE = frozenset({"general", "picture"})
_MAX_PHRASES = 4
_MAX_WORDS_BEFORE_A_PLACE = 4
_MAX_WORDS_OF_A_TAIL = 4
_MAX_WORDS_OF_AN_IDEA = 6


@dataclass(frozen=True)
class Grammar:
    """The parts of a prompt.

    `use` is what the picture is or where it goes, such as a logo or a website's header. `subject` is the class of the
    thing depicted. `idea` is a topic that cannot be seen, such as "burnout". Each text is empty if the prompt does not
    tell. `is_alone` tells that nothing stands beside the subject, `is_several` that there are several of it,
    `is_joined` that something else comes with it, `is_guise` that it is no ordinary one ("lego", "robot", "grumpy"),
    `is_of_a_material` that it may be a figure of it ("glass"), and `is_of_another` that it is named after another thing
    ("a cat tree").
    """

    use: str = ""
    subject: str = ""
    idea: str = ""
    is_alone: bool = False
    is_several: bool = False
    is_joined: bool = False
    is_guise: bool = False
    is_of_a_material: bool = False
    is_of_another: bool = False


def parse(spans: Sequence[Span]) -> Grammar:
    """Return the parts of a prompt."""
    return _Parser(Spans(spans)).grammar()


@dataclass(frozen=True)
class _Parser:
    spans: Spans

    def grammar(self) -> Grammar:
        depicted = self._chain[-1]
        head, modifiers = self.spans.head(depicted), self.spans.all[depicted.start : max(depicted.end - 1, 0)]
        subject = next(head.values("subject"), "") if head else ""
        others = {each for span in modifiers for each in span.values("subject")} - {subject, "fruit"}
        return Grammar(
            use=self._use,
            subject=subject,
            idea=self._idea(),
            is_alone=all(span.is_punctuation for span in self.spans.all[self._first.end :]),
            is_several=bool(subject) and self.spans.is_plural(depicted.end - 1),
            is_joined=self.spans.word(depicted.end) in _ADDITION,
            is_guise=any(span.names("guise") for span in modifiers),
            is_of_a_material=any(span.names("material") for span in modifiers),
            is_of_another=bool(others),  # but for fruit: an apple tree is a tree
        )

    @cached_property
    def _start(self) -> int:
        """Where the first noun phrase starts, after the words of a request."""
        start = 0
        while start < len(self.spans) and self._is_of_a_request(start):
            start += 1
        return start

    @cached_property
    def _first(self) -> Phrase:
        """The first noun phrase; in "a clean, modern logo", it is "modern logo"."""
        phrase = self.spans.phrase(self._start)
        while self.spans.word(phrase.end) == "," and _is_adjective(self.spans.all[phrase.end - 1]):
            following = self.spans.phrase(phrase.end + 1)
            if not _is_use(self.spans.head(following)):
                break
            phrase = following
        return phrase

    @cached_property
    def _chain(self) -> Sequence[Phrase]:
        """The first noun phrase, and those that it leads to: "a photo", "of a bowl", "of soup"."""
        chain = [self._first]
        while len(chain) < _MAX_PHRASES:
            phrase = chain[-1]
            head = self.spans.head(phrase)
            if head is None:
                break
            holds = head.names("carrier") or head.names("count")
            if not holds and not _is_use(head) and not head.names("medium"):
                break
            start = self._content_start(phrase.end, is_use=_is_use(head), holds=holds)
            if start:
                chain.append(self.spans.phrase_after_determiners(start))
            elif phrase.end - phrase.start > 1 and not holds:  # "a burger photo"
                chain.append(Phrase(phrase.start, phrase.end - 1))
            else:
                break
        return chain

    def _content_start(self, position: int, *, is_use: bool, holds: bool) -> int:
        """Return where the words begin that say what a phrase before `position` depicts, or 0."""
        if self.spans.word(position) in (("of",) if holds else _CONTENT):
            return position + 1
        if not is_use:
            return 0
        # "profile picture for my team, a grumpy wizard"
        marks = (after for after in range(position, len(self.spans)) if self.spans.word(after) in _MARKS)
        return next(marks, -1) + 1

    def _idea(self) -> str:
        """Return the idea that the picture is about, in the prompt's words, if it is about one."""
        topics = [position + 1 for position, span in enumerate(self.spans.all) if span.word in _ABOUT]
        phrases = [self.spans.phrase_after_determiners(topic) for topic in topics]
        if not self._use:
            phrases.append(self._chain[-1])
            if self.spans.word(self._first.start) == "something":
                phrases.append(Phrase(self._first.end, self._first.end + 1))  # "something relaxing"
        for phrase in phrases:
            head = self.spans.head(phrase)
            # "Climate change as a chess game" is a scene.
            if head and head.names("concept") and self.spans.word(phrase.end) != "as":
                return " ".join(self._words_of_clause(phrase.start))
        return ""

    def _words_of_clause(self, start: int) -> Sequence[str]:
        rest = self.spans.all[start : start + _MAX_WORDS_OF_AN_IDEA]
        return [word for span in takewhile(lambda span: not span.is_punctuation, rest) for word in span.words]

    @cached_property
    def _use(self) -> str:
        """What the picture is or is for: the first use that is named, or one that is only a place."""
        for position, span in enumerate(self.spans.all):
            if not span.is_negated and not _USES.isdisjoint(label.kind for label in span.labels):
                found = ((kind, use) for kind in self._kinds_of_use(position) for use in span.values(kind))
                kind, use = next(found, ("", ""))
                if use:
                    return (self._shown_there(position) if kind == "destination" else "") or use
        return ""

    def _shown_there(self, position: int) -> str:
        """Return the use that another one shows: "a slide: bar chart of our sales" is a chart."""
        if self.spans.word(position + 1) not in ("of", "showing", ":"):
            return ""
        shown = self.spans.head(self.spans.phrase_after_determiners(position + 2))
        return next(shown.values("head_use"), "") if shown else ""

    def _kinds_of_use(self, position: int) -> Sequence[str]:
        """Return the kinds of uses that a noun can name where it stands.

        "Blog header illustration" is made for a header, but "flyer photo" is no flyer.
        """
        is_first, is_placed = self._is_in_first(position), self._is_placed(position)
        is_named = is_first or is_placed or self._is_tail(position)
        kinds: list[str] = []
        if is_named and self.spans.ends_a_phrase(position, _PICTURE):
            kinds.append("destination")
        if self.spans.ends_a_phrase(position, _GENERAL):
            kinds += ["head_use"] if is_first else []
            kinds += ["named_use"] if is_named else []
            # "A size chart for our t-shirts" and "a banner for my Etsy shop" are no pictures of goods.
            is_of_goods = not self.spans.is_plural(position) and not self._is_an_item
            kinds += ["place"] if is_placed and is_of_goods else []
        return kinds

    @cached_property
    def _is_an_item(self) -> bool:
        """Whether the picture is something else than a picture of goods, such as a sign."""
        head = self.spans.head(self._first)
        return head is not None and head.names("item")

    def _is_of_a_request(self, position: int) -> bool:
        span = self.spans.all[position]
        if span.is_punctuation or (len(span.words) == 1 and span.word in _REQUEST):
            return True
        is_vague = span.names("vague")  # "an image of"
        return is_vague and self.spans.word(position + 1) in _CONTENT | _ABOUT | {"for", "that"}

    def _is_in_first(self, position: int) -> bool:
        """Return whether a span is in the first noun phrase, or in one that this only counts."""
        # "A photo of a tattoo" shows a tattoo, and is none; so does "a poster hanging in a hallway".
        if any(span.word in _PHOTOS for span in self.spans.all[: self._start]) or self._lies_somewhere:
            return False
        heads = [self.spans.head(phrase) for phrase in self._chain]
        counting = next((count for count, head in enumerate(heads) if not (head and head.names("count"))), 0)
        return any(phrase.start <= position < phrase.end for phrase in self._chain[: counting + 1])

    @cached_property
    def _lies_somewhere(self) -> bool:
        """Whether the words after the first phrase say where it is, as those of a thing: "a card on a table"."""
        after = self.spans.word(self._first.end)
        if after in _LYING:
            return True
        place = self.spans.phrase_after_determiners(self._first.end + 1)
        head = self.spans.head(place)
        if after not in _IN_A_PLACE or head is None or place.start == self._first.end + 1:
            return False
        # "On a white background" and "in a flat style" tell how it looks.
        return head.word not in _LOOKS and not any(label.kind == "facet" for label in head.labels)

    def _is_tail(self, position: int) -> bool:
        """Return whether a span ends a short last phrase that stands apart: "a fox, sticker"."""
        start = position
        while start > 0 and position - start < _MAX_WORDS_OF_A_TAIL and not self.spans.stops(start, start):
            start -= 1
        is_apart = start > 0 and self.spans.all[start].is_punctuation and self.spans.word(start) != ":"
        is_last = all(span.is_punctuation for span in self.spans.all[position + 1 :])
        return is_apart and is_last and not self.spans.is_plural(position)

    def _is_placed(self, position: int) -> bool:
        """Return whether a span stands after "for" or "as", or after "on our"."""
        for start in range(position - 1, max(position - 2 - _MAX_WORDS_BEFORE_A_PLACE, -1), -1):
            word = self.spans.word(start)
            if word in ("for", "as"):
                return True
            if word in ("on", "to", "onto"):
                return self.spans.word(start + 1) in _POSSESSIVES
            if self.spans.stops(start, start):
                return False
        return False


def _is_use(span: Span | None) -> bool:
    return span is not None and any(label.kind in _NAMED for label in span.labels)


def _is_adjective(span: Span) -> bool:
    """Return whether a word describes and names nothing: it says a style or a mood, or is a small word."""
    kinds = {label.kind for label in span.labels}
    return not kinds.isdisjoint({"facet", "tag", "language"}) and kinds.isdisjoint(_USES | {"subject"})
