"""Backdrops without an open sky.

They are a studio, a table, a logo's paper, space and the deep sea.
"""

import math

from blockrun_image_sandbox.drawing.canvas import Canvas, Point
from blockrun_image_sandbox.drawing.colours import CREAM, WHITE, Colour, darker, lighter, mix, see_through
from blockrun_image_sandbox.drawing.scene import Scene
from blockrun_image_sandbox.drawing.skies import stars


def studio(scene: Scene) -> None:
    """Hang a plain backdrop with one big circle."""
    poster = scene.palette.poster
    wall = lighter(poster[2], 0.25)
    scene.canvas.wash(0, scene.height, (lighter(wall, 0.2), wall))
    middle = scene.width / 2 + scene.chance.uniform(-0.08, 0.08), scene.floor * scene.chance.uniform(0.44, 0.54)
    radius = scene.chance.uniform(0.34, 0.43) * min(1, scene.floor)
    scene.canvas.disc(middle, radius, mix(wall, poster[1], 0.6))
    scene.canvas.ring(middle, radius + 0.035, 0.008, mix(wall, poster[3], 0.8))
    scene.canvas.block((0, scene.floor - 0.1, scene.width, scene.height), mix(wall, poster[0], 0.55))


def table(scene: Scene) -> None:
    """Set a wooden table before a wall with a window."""
    poster = scene.palette.poster
    room = scene.canvas.under(scene.near_light)
    wall = mix(poster[2], CREAM, 0.4)
    room.block((0, 0, scene.width, scene.height), wall)
    _window(scene, (scene.width * scene.chance.choice((0.27, 0.72)), scene.floor * 0.32))
    wood = mix((176, 118, 76), poster[0], 0.15)
    top = scene.floor - 0.24
    room.block((0, top, scene.width, scene.height), wood)
    room.block((0, top, scene.width, top + 0.018), lighter(wood, 0.25))
    for share in (0.36, 0.62, 0.9):
        y = top + (scene.height - top) * share
        room.stroke([(0, y), (scene.width, y)], 0.004, darker(wood, 0.18))


def _window(scene: Scene, at: Point) -> None:
    x, y = at
    half, tall = 0.17, min(0.24, scene.floor * 0.26)
    light = scene.palette.light
    frame = scene.canvas.under(scene.near_light)
    frame.block((x - half - 0.018, y - tall - 0.018, x + half + 0.018, y + tall + 0.018), WHITE, rounding=0.02)
    scene.canvas.block((x - half, y - tall, x + half, y + tall), light.sky[1])
    scene.canvas.block((x - half, y + tall * 0.1, x + half, y + tall), light.sky[2])
    scene.canvas.disc((x + half * 0.4, y - tall * 0.4), half * 0.3, light.sun)
    hill = mix(scene.palette.season.ground, light.sky[1], 0.3)
    scene.canvas.polygon(
        [(x - half, y + tall), (x - half, y + tall * 0.6), (x, y + tall * 0.35), (x + half, y + tall)], hill
    )
    frame.block((x - 0.006, y - tall, x + 0.006, y + tall), WHITE)
    frame.block((x - half, y - 0.006, x + half, y + 0.006), WHITE)


def paper(scene: Scene) -> None:
    """Lay out a sheet of paper with a round emblem for a logo."""
    poster = scene.palette.poster
    scene.canvas.wash(0, scene.height, (mix(CREAM, poster[2], 0.12), mix(CREAM, poster[2], 0.25)))
    for _ in range(5):
        at = scene.chance.uniform(0, scene.width), scene.chance.uniform(0, scene.height)
        scene.canvas.disc(at, scene.chance.uniform(0.1, 0.34), see_through(scene.chance.choice(poster[1:]), 0.16))
    emblem = scene.canvas.within((scene.width / 2, scene.floor * 0.5), 0.39 * min(1, scene.floor))
    scene.chance.choice((_seal, _tile, _hexagon))(emblem, poster[0], mix(poster[0], poster[2], 0.7))


def _seal(canvas: Canvas, colour: Colour, line: Colour) -> None:
    canvas.disc((0, 0), 1, colour)
    canvas.ring((0, 0), 0.9, 0.018, line)


def _tile(canvas: Canvas, colour: Colour, line: Colour) -> None:
    for half, paint in ((0.94, colour), (0.86, line), (0.843, colour)):
        canvas.block((-half, -half, half, half), paint, rounding=half * 0.3)


def _hexagon(canvas: Canvas, colour: Colour, line: Colour) -> None:
    angles = [math.radians(angle) for angle in range(-90, 270, 60)]
    for radius, paint in ((1.06, colour), (0.96, line), (0.94, colour)):
        canvas.polygon([(radius * math.cos(angle), radius * math.sin(angle)) for angle in angles], paint)


def outer_space(scene: Scene) -> None:
    """Fill the picture with stars, a nebula and far planets."""
    night: Colour = (14, 12, 38)
    glow = scene.palette.named[0] if scene.palette.named else scene.chance.choice(((98, 54, 160), (30, 92, 150)))
    scene.canvas.wash(0, scene.height, (night, mix(night, glow, 0.35), mix(night, glow, 0.6)))
    for _ in range(7):
        at = scene.chance.uniform(0, scene.width), scene.chance.uniform(0.1, scene.height)
        scene.canvas.glow(at, scene.chance.uniform(0.15, 0.32), mix(glow, (240, 120, 190), scene.chance.random() * 0.5))
    stars(scene, scene.height)
    at = scene.width * scene.chance.choice((0.16, 0.84)), scene.floor * 0.2
    world = scene.canvas.within(at, 0.1)
    world.disc((0, 0), 1, (236, 150, 104))
    world.bowl((0, 0), (1, 1), (214, 118, 92))
    world.block((-0.95, -0.2, 0.95, 0.1), (246, 188, 138), rounding=0.15)


def moonscape(scene: Scene) -> None:
    """Show a cratered moon's surface under the stars of outer space."""
    outer_space(scene)
    soil = scene.palette.tinged((150, 152, 176), 0.2)
    level = scene.floor - 0.16
    scene.canvas.polygon(scene.hills(level, 0.014), soil)
    for _ in range(round(7 * scene.width)):
        x, y = scene.chance.uniform(0, scene.width), scene.chance.uniform(level + 0.05, scene.height)
        wide = scene.chance.uniform(0.03, 0.07)
        scene.canvas.oval((x, y), (wide, wide * 0.32), darker(soil, 0.25))
        scene.canvas.oval((x, y + wide * 0.08), (wide * 0.88, wide * 0.24), darker(soil, 0.12))


def deep_sea(scene: Scene) -> None:
    """Sink into blue water with rays of light, bubbles and weeds."""
    water = scene.palette.tinged((20, 110, 164), 0.35)
    scene.canvas.wash(0, scene.height, (lighter(water, 0.45), water, darker(water, 0.5)))
    for index in range(5):
        x = scene.width * (index + scene.chance.uniform(0, 0.6)) / 5
        ray = [(x, 0), (x + 0.09, 0), (x - 0.12, scene.floor), (x - 0.34, scene.floor)]
        scene.canvas.polygon(ray, see_through(WHITE, 0.07))
    scene.canvas.polygon(scene.hills(scene.floor - 0.07, 0.02), mix((214, 188, 140), water, 0.45))
    for _ in range(round(11 * scene.width)):
        _weed(scene, scene.chance.uniform(0, scene.width))
    for _ in range(round(26 * scene.width)):
        at = scene.chance.uniform(0, scene.width), scene.chance.uniform(0.05, scene.floor)
        scene.canvas.ring(at, scene.chance.uniform(0.006, 0.016), 0.004, see_through(WHITE, 0.55))


def _weed(scene: Scene, x: float) -> None:
    tall, sway = scene.chance.uniform(0.12, 0.34), scene.chance.choice((-0.014, 0.014))
    base = scene.floor - 0.03
    points = [(x + sway * (-1) ** step, base - tall * step / 5) for step in range(6)]
    scene.canvas.bow(points, 0.02, scene.chance.choice(((28, 122, 104), (46, 146, 104), (204, 96, 110))))
