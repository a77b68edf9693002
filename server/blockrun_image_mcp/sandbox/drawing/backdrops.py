"""The table of backdrops, and the choice among them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from blockrun_image_mcp.sandbox.drawing import interiors, landscapes, skies
from blockrun_image_mcp.sandbox.drawing.palette import LIGHT_WORDS, RAIN_WORDS, SEASON_WORDS
from blockrun_image_mcp.sandbox.drawing.reading import Wish
from blockrun_image_mcp.sandbox.drawing.scene import Scene
from blockrun_image_mcp.sandbox.drawing.subjects import AIR, SUBJECTS

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


def backdrop_for(words: Sequence[str], wishes: Sequence[Wish]) -> tuple[Painter, ...]:
    """Choose the layers behind the subjects, from back to front.

    There are none if no word asks for any.
    """
    asked = frozenset(words)
    indoors = _named(INTERIORS, asked)
    if indoors:
        return (_surface(indoors[0], wishes),)
    far, near = _named(DISTANCES, asked), _named(GROUNDS, asked)
    if not (far or near):
        return _home(asked, wishes)
    ground = near[0] if near else _ground_before(far, wishes)
    return (skies.sky, *(DISTANCES[name].paint for name in far), GROUNDS[ground].paint)


def _named(backdrops: dict[str, Backdrop], words: frozenset[str]) -> list[str]:
    return [name for name, backdrop in backdrops.items() if not words.isdisjoint(backdrop.words.split())]


def _surface(name: str, wishes: Sequence[Wish]) -> Painter:
    standing = any(SUBJECTS[wish.name].stands != AIR for wish in wishes)
    return INTERIORS["moon" if name == "space" and standing else name].paint


def _ground_before(far: Sequence[str], wishes: Sequence[Wish]) -> str:
    homes = [SUBJECTS[wish.name].home for wish in wishes if SUBJECTS[wish.name].home in GROUNDS]
    if homes:
        return homes[0]
    return "sea" if far == ["city"] and not wishes else "road" if "city" in far else "meadow"


def _home(words: frozenset[str], wishes: Sequence[Wish]) -> tuple[Painter, ...]:
    if not wishes:
        return (skies.sky, landscapes.mountains, landscapes.meadow) if words & _OPEN_AIR else ()
    home = SUBJECTS[wishes[0].name].home
    if home in INTERIORS:
        return (INTERIORS[home].paint,)
    ground = GROUNDS.get(home) or GROUNDS["meadow"]
    return (skies.sky, *([DISTANCES[home].paint] if home in DISTANCES else []), ground.paint)
