"""Compositions of plain shapes, for prompts without a known subject."""

import math

from blockrun_image_sandbox.drawing.canvas import Canvas, Point
from blockrun_image_sandbox.drawing.colours import CREAM, Colour, lighter, mix
from blockrun_image_sandbox.drawing.scene import Scene


def composition(scene: Scene) -> None:
    """Compose circles, arcs, triangles and waves in the palette's poster colours."""
    dark, main, pale, *_ = scene.palette.poster
    ground = scene.chance.choice((mix(CREAM, pale, 0.35), mix(CREAM, pale, 0.6), dark))
    scene.canvas.wash(0, scene.height, (lighter(ground, 0.06), ground))
    style = scene.chance.choice((_waves, _tiles, _orbits))
    style(scene)
    if style is not _waves:
        _dots(scene, main)


def _waves(scene: Scene) -> None:
    dark, main, pale, warm, accent = scene.palette.poster
    at = scene.width * scene.chance.choice((0.3, 0.5, 0.7)), scene.floor * 0.36
    scene.canvas.glow(at, 0.42, warm)
    for radius, colour in ((0.25, warm), (0.185, mix(warm, pale, 0.45)), (0.12, mix(warm, pale, 0.8))):
        scene.canvas.disc(at, radius, colour)
    layers = (mix(main, pale, 0.7), mix(main, pale, 0.3), main, accent, mix(main, dark, 0.6), dark)
    for index, colour in enumerate(layers):
        level = scene.floor * (0.46 + 0.095 * index)
        scene.canvas.polygon(_wave(scene, level), colour)


def _wave(scene: Scene, level: float) -> list[Point]:
    phase, length = scene.chance.uniform(0, 6.3), scene.chance.uniform(3.2, 5.6)
    outline = [
        (x, level + 0.06 * math.sin(x * length + phase) + 0.018 * math.sin(x * length * 2.3 + phase))
        for x in (scene.width * step / 60 for step in range(61))
    ]
    return [(0, scene.height), *outline, (scene.width, scene.height)]


def _tiles(scene: Scene) -> None:
    columns = max(3, round(scene.width * 4))
    side = scene.width / columns
    for row in range(math.ceil(scene.height / side)):
        for column in range(columns):
            _tile(scene, (column * side, row * side), side)


def _tile(scene: Scene, corner: Point, side: float) -> None:
    back, front, extra = scene.chance.sample(scene.palette.poster, 3)
    canvas = scene.canvas.within((corner[0] + side / 2, corner[1] + side / 2), side / 2, 90 * scene.chance.randrange(4))
    canvas.block((-1, -1, 1, 1), back)
    scene.chance.choice(_MOTIFS)(canvas, front, extra)


def _half(canvas: Canvas, front: Colour, _: Colour) -> None:
    canvas.polygon([(-1, -1), (1, -1), (-1, 1)], front)


def _quarters(canvas: Canvas, front: Colour, extra: Colour) -> None:
    for radius, colour in ((2.0, front), (1.0, extra)):
        angles = (math.radians(step * 5) for step in range(19))
        edge = [(-1 + radius * math.cos(angle), -1 + radius * math.sin(angle)) for angle in angles]
        canvas.polygon([(-1, -1), *edge], colour)


def _target(canvas: Canvas, front: Colour, extra: Colour) -> None:
    canvas.disc((0, 0), 0.72, front)
    canvas.disc((0, 0), 0.34, extra)


def _domes(canvas: Canvas, front: Colour, extra: Colour) -> None:
    canvas.dome((0, 0), (1, 1), front)
    canvas.dome((0, 1), (1, 1), extra)


def _diamond(canvas: Canvas, front: Colour, _: Colour) -> None:
    canvas.polygon([(0, -1), (1, 0), (0, 1), (-1, 0)], front)


def _stripes(canvas: Canvas, front: Colour, _: Colour) -> None:
    for y in (-0.75, -0.25, 0.25, 0.75):
        canvas.block((-1, y - 0.11, 1, y + 0.11), front)


_MOTIFS = (_half, _quarters, _target, _domes, _diamond, _stripes)


def _orbits(scene: Scene) -> None:
    poster = scene.palette.poster
    middle = scene.width * scene.chance.uniform(0.36, 0.64), scene.floor * scene.chance.uniform(0.4, 0.56)
    lean = scene.chance.uniform(0, 6.3)
    for index in range(6, 0, -1):
        radius, shift = 0.068 * index, 0.05 * (6 - index)
        centre = middle[0] + shift * math.cos(lean), middle[1] + shift * math.sin(lean)
        scene.canvas.disc(centre, radius, mix(poster[index % 5], CREAM, 0.08))
    for index in range(5):
        start = scene.chance.uniform(0, 360)
        radius = 0.47 + index * 0.045
        box = middle[0] - radius, middle[1] - radius, middle[0] + radius, middle[1] + radius
        scene.canvas.arc(box, (start, start + scene.chance.uniform(70, 200)), 0.017, poster[(index + 1) % 5])
    for index in range(5):
        turn = lean + 1.26 * index
        at = middle[0] + 0.56 * math.cos(turn), middle[1] + 0.56 * math.sin(turn)
        shape = scene.canvas.within(at, scene.chance.uniform(0.05, 0.1), math.degrees(turn))
        shape.polygon([(1, 0), (-0.5, 0.87), (-0.5, -0.87)], poster[(index + 2) % 5])


def _dots(scene: Scene, colour: Colour) -> None:
    for _ in range(round(9 * scene.width)):
        at = scene.chance.uniform(0, scene.width), scene.chance.uniform(0, scene.floor)
        scene.canvas.disc(at, scene.chance.uniform(0.005, 0.014), mix(colour, CREAM, scene.chance.random()))
