"""Geometric marks for logos; each fits the square from -1 to 1."""

import math

from blockrun_image_sandbox.drawing.canvas import Canvas, Point
from blockrun_image_sandbox.drawing.colours import Colour, darker, lighter


def _star(canvas: Canvas, colour: Colour) -> None:
    for turn in range(6):
        petal = canvas.within((0, 0), 1, turn * 60)
        tone = colour if turn % 2 else lighter(colour, 0.45)
        petal.polygon([(0, 0), (0.26, -0.47), (0, -0.94), (-0.26, -0.47)], tone)
        petal.polygon([(0, 0), (0.26, -0.47), (0, -0.94)], darker(tone, 0.2))


def _cube(canvas: Canvas, colour: Colour) -> None:
    corners = [_at(angle, 0.92) for angle in range(-90, 270, 60)]
    for start, tone in ((0, lighter(colour, 0.5)), (2, colour), (4, darker(colour, 0.3))):
        face = [corners[(start - 1) % 6], corners[start], corners[start + 1], (0.0, 0.0)]
        canvas.polygon(face, tone)
    canvas.polygon([_at(angle, 0.34) for angle in range(-90, 270, 60)], lighter(colour, 0.85))


def _petals(canvas: Canvas, colour: Colour) -> None:
    for turn in range(8):
        petal = canvas.within((0, 0), 1, turn * 45)
        petal.blob([(0, -0.1), (0.2, -0.5), (0, -0.95), (-0.2, -0.5)], colour if turn % 2 else lighter(colour, 0.4))
    canvas.disc((0, 0), 0.2, lighter(colour, 0.85))


def _rings(canvas: Canvas, colour: Colour) -> None:
    for angle, tone in ((-90, lighter(colour, 0.5)), (30, colour), (150, darker(colour, 0.25))):
        canvas.ring(_at(angle, 0.36), 0.44, 0.16, tone)
    canvas.disc((0, 0), 0.12, lighter(colour, 0.85))


def _waves(canvas: Canvas, colour: Colour) -> None:
    canvas.disc((0.28, -0.44), 0.3, lighter(colour, 0.7))
    for level, tone in ((-0.1, lighter(colour, 0.4)), (0.24, colour), (0.58, darker(colour, 0.3))):
        half = math.sqrt(0.94**2 - level**2) - 0.08
        swell: list[Point] = [(half * step / 3, level + 0.11 * (-1) ** step) for step in range(-3, 4)]
        canvas.bow(swell, 0.19, tone)


def _at(angle: float, radius: float) -> Point:
    return radius * math.cos(math.radians(angle)), radius * math.sin(math.radians(angle))


MARKS = (_star, _cube, _petals, _rings, _waves)
