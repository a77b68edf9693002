"""Places and sizes the subjects of a prompt in the scene."""

from collections.abc import Sequence
from dataclasses import dataclass

from blockrun_image_sandbox.drawing.canvas import Point
from blockrun_image_sandbox.drawing.colours import Colour, mix
from blockrun_image_sandbox.drawing.marks import MARKS
from blockrun_image_sandbox.drawing.mentions import Mention
from blockrun_image_sandbox.drawing.scene import Scene
from blockrun_image_sandbox.drawing.subjects import AIR, BACK, GROUND, SUBJECTS, WATER, Drawable

_SIDES = (0.5, 0.34, 0.66, 0.42, 0.58)
_BROAD = 1.2


@dataclass(frozen=True)
class _Place:
    """The place of one object: its feet or middle, half its height, and its colour."""

    subject: Drawable
    at: Point
    reach: float
    colour: Colour


def arrange(scene: Scene, mentions: Sequence[Mention]) -> None:
    """Draw the prompt's subjects, from the back to the front."""
    for stands in (BACK, WATER, AIR, GROUND):
        for place in _places(scene, mentions, stands):
            _put(scene, place)


def emblem(scene: Scene, mentions: Sequence[Mention]) -> None:
    """Draw the first subject, or a geometric mark, as a logo's emblem."""
    middle = scene.canvas.within((scene.width / 2, scene.floor * 0.5), 0.235 * min(1, scene.floor))
    poster = scene.palette.poster
    if not mentions:
        scene.chance.choice(MARKS)(middle, poster[3])
        return
    subject = SUBJECTS[mentions[0].name]
    subject.paint(middle, mentions[0].dye or mix(subject.colours[0], poster[3], 0.2))


def _places(scene: Scene, mentions: Sequence[Mention], stands: str) -> list[_Place]:
    items = [(order, mention) for order, mention in enumerate(mentions) if SUBJECTS[mention.name].stands == stands]
    items = [item for item in items for _ in range(item[1].count)]  # "three dogs" is one mention and three items
    crowded = len(items) < sum(mention.count for mention in mentions)
    places: list[_Place] = []
    for index, (order, mention) in enumerate(items):
        subject = SUBJECTS[mention.name]
        alone = (order + 0.5) / len(mentions) if crowded else _middle(scene)
        share = (index + 0.5) / len(items) if len(items) > 1 else alone
        reach = _reach(scene, len(items), crowded) * subject.size * scene.chance.uniform(0.9, 1.06)
        colour = mention.dye or _own_colour(scene, subject)
        places.append(_Place(subject, _spot(scene, subject, share), reach, colour))
    return sorted(places, key=lambda place: place.at[1])  # what stands lower is nearer, and drawn over the others


def _middle(scene: Scene) -> float:
    return scene.chance.choice(_SIDES) if scene.width > _BROAD else 0.5


def _own_colour(scene: Scene, subject: Drawable) -> Colour:
    """Return the prompt's colour for clothes, else the subject's own."""
    named = scene.palette.named
    return named[0] if subject.dressed and named else scene.chance.choice(subject.colours)


def _reach(scene: Scene, count: int, crowded: bool) -> float:
    tallest = (0.21 if crowded else 0.29) * min(1.25, max(0.9, scene.floor))
    return min(tallest, 0.56 * scene.width / count)


def _spot(scene: Scene, subject: Drawable, share: float) -> Point:
    x = scene.width * (0.5 + (share - 0.5) * 0.92) + scene.chance.uniform(-0.015, 0.015)
    shift = scene.chance.uniform(-1, 1)
    heights = {
        BACK: scene.horizon + 0.13 * scene.floor + 0.01 * shift,
        WATER: scene.horizon + 0.17 * scene.floor + 0.05 * shift,
        AIR: scene.floor * (0.42 + 0.09 * shift),
        GROUND: scene.floor - 0.045 + 0.018 * shift,
    }
    return x, heights[subject.stands]


def _put(scene: Scene, place: _Place) -> None:
    subject, (x, y) = place.subject, place.at
    centre = (x, y) if subject.stands == AIR else (x, y - place.reach * subject.foot)
    canvas = scene.canvas.within(centre, place.reach).under(scene.near_light)
    if subject.stands == GROUND:  # its shadow
        canvas.oval((0, subject.foot), (0.8, 0.07), (20, 20, 50, 60))
    subject.paint(canvas.flipped(scene.chance.choice((True, False))), place.colour)
