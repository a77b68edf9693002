"""The table of backdrops, and the choice among them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from blockrun_image_sandbox.drawing import interiors, landscapes, skies
from blockrun_image_sandbox.drawing.mentions import Mention
from blockrun_image_sandbox.drawing.palette import LIGHT_WORDS, RAIN_WORDS, SEASON_WORDS
from blockrun_image_sandbox.drawing.scene import Scene
from blockrun_image_sandbox.drawing.subjects import AIR, SUBJECTS

Painter = Callable[[Scene], None]


@dataclass(frozen=True)
class Backdrop:
    """One kind of surroundings, with its words."""

    paint: Painter
    words: str


INTERIORS: dict[str, Backdrop] = {
    "paper": Backdrop(interiors.paper, "logo logos emblem badge icon logotype"),
    "space": Backdrop(interiors.outer_space, "space galaxy cosmos nebula universe orbit cosmic milky"),
    "moon": Backdrop(interiors.moonscape, ""),
    "underwater": Backdrop(interiors.deep_sea, "underwater reef aquarium undersea"),
    "table": Backdrop(interiors.table, "table kitchen desk cafe indoors still"),
    "studio": Backdrop(interiors.studio, "portrait studio headshot selfie"),
}

DISTANCES: dict[str, Backdrop] = {
    "mountains": Backdrop(
        landscapes.mountains, "mountain mountains alps peak peaks summit alpine volcano cliffs himalaya landscape"
    ),
    "city": Backdrop(
        landscapes.skyline,
        "city cities skyline town downtown skyscraper skyscrapers cityscape building buildings metropolis urban "
        "futuristic cyberpunk",
    ),
    "forest": Backdrop(landscapes.woods, "forest forests woods woodland jungle trees pine pines"),
}

GROUNDS: dict[str, Backdrop] = {
    "sea": Backdrop(
        landscapes.sea,
        "sea ocean lake beach river water bay coast harbour harbor waves wave shore island "
        "seaside pond reflection tropical",
    ),
    "desert": Backdrop(landscapes.desert, "desert dune dunes sahara sand"),
    "road": Backdrop(landscapes.road, "road street highway racing"),
    "meadow": Backdrop(
        landscapes.meadow,
        "meadow meadows grass field fields garden park hill hills lawn countryside farm valley flowers",
    ),
}

# "dark", "warm" and "day" also describe things indoors.
_OPEN_AIR = frozenset({*LIGHT_WORDS, *SEASON_WORDS, *RAIN_WORDS, "sky", "clouds", "rainbow"} - {"dark", "warm", "day"})


def backdrop_for(words: Sequence[str], mentions: Sequence[Mention]) -> tuple[Painter, ...]:
    """Choose the layers behind the subjects, from back to front.

    There are none if no word asks for any.
    """
    asked = frozenset(words)
    indoors = _mentioned_in(INTERIORS, asked)
    if indoors:
        return (_surface(indoors[0], mentions),)
    far, near = _mentioned_in(DISTANCES, asked), _mentioned_in(GROUNDS, asked)
    if not (far or near):
        return _home(asked, mentions)
    ground = near[0] if near else _ground_before(far, mentions)
    return (skies.sky, *(DISTANCES[name].paint for name in far), GROUNDS[ground].paint)


def _mentioned_in(backdrops: dict[str, Backdrop], words: frozenset[str]) -> list[str]:
    return [name for name, backdrop in backdrops.items() if not words.isdisjoint(backdrop.words.split())]


def _surface(name: str, mentions: Sequence[Mention]) -> Painter:
    standing = any(SUBJECTS[mention.name].stands != AIR for mention in mentions)
    return INTERIORS["moon" if name == "space" and standing else name].paint


def _ground_before(far: Sequence[str], mentions: Sequence[Mention]) -> str:
    homes = [SUBJECTS[mention.name].home for mention in mentions if SUBJECTS[mention.name].home in GROUNDS]
    if homes:
        return homes[0]
    return "sea" if far == ["city"] and not mentions else "road" if "city" in far else "meadow"


def _home(words: frozenset[str], mentions: Sequence[Mention]) -> tuple[Painter, ...]:
    if not mentions:
        return (skies.sky, landscapes.mountains, landscapes.meadow) if words & _OPEN_AIR else ()
    home = SUBJECTS[mentions[0].name].home
    if home in INTERIORS:
        return (INTERIORS[home].paint,)
    ground = GROUNDS.get(home) or GROUNDS["meadow"]
    return (skies.sky, *([DISTANCES[home].paint] if home in DISTANCES else []), ground.paint)
