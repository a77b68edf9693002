"""Vehicles, and a planet to travel to.

Each fits the square from -1 to 1 and heads to the right.
"""

from blockrun_image_sandbox.drawing.canvas import Canvas
from blockrun_image_sandbox.drawing.colours import CREAM, INK, WHITE, Colour, darker, lighter, see_through

_GLASS: Colour = (176, 218, 234)


def car(canvas: Canvas, colour: Colour) -> None:
    """Draw a car from the side."""
    canvas.oval((0, 0.97), (0.98, 0.06), see_through(INK, 0.3))
    cabin = [(-0.62, 0.3), (-0.42, -0.1), (-0.28, -0.18), (0.16, -0.18), (0.32, -0.1), (0.58, 0.3)]
    canvas.polygon(cabin, darker(colour, 0.12))
    canvas.polygon([(-0.5, 0.28), (-0.35, -0.05), (-0.26, -0.09), (-0.04, -0.09), (-0.04, 0.28)], _GLASS)
    canvas.polygon([(0.04, 0.28), (0.04, -0.09), (0.15, -0.09), (0.25, -0.05), (0.46, 0.28)], _GLASS)
    canvas.polygon([(0.1, 0.28), (0.2, -0.08), (0.28, -0.01), (0.2, 0.28)], lighter(_GLASS, 0.5))
    canvas.block((-0.98, 0.26, 0.98, 0.76), colour, rounding=0.18)
    canvas.block((-0.98, 0.58, 0.98, 0.76), darker(colour, 0.2), rounding=0.09)
    canvas.block((0.88, 0.36, 1.0, 0.5), (255, 236, 150), rounding=0.05)
    canvas.block((-1.0, 0.36, -0.9, 0.5), (230, 70, 60), rounding=0.04)
    canvas.stroke([(0.0, 0.32), (0.0, 0.6)], 0.018, darker(colour, 0.3))
    canvas.stroke([(0.08, 0.4), (0.2, 0.4)], 0.035, lighter(colour, 0.5))
    for x in (-0.54, 0.56):
        _wheel(canvas.within((x, 0.74), 0.25))


def _wheel(canvas: Canvas) -> None:
    canvas.disc((0, 0), 1, (44, 44, 54))
    canvas.disc((0, 0), 0.56, (206, 212, 220))
    canvas.disc((0, 0), 0.2, (110, 116, 128))


def bicycle(canvas: Canvas, colour: Colour) -> None:
    """Draw a bicycle."""
    for x in (-0.56, 0.56):
        canvas.ring((x, 0.54), 0.42, 0.07, INK)
        for tip in ((x - 0.4, 0.54), (x, 0.14), (x + 0.28, 0.26), (x + 0.28, 0.82)):
            canvas.stroke([tip, (2 * x - tip[0], 1.08 - tip[1])], 0.012, (150, 154, 166))
    seat, crank, head = (-0.26, -0.02), (-0.04, 0.54), (0.38, -0.06)
    for line in ([(-0.56, 0.54), crank, head, seat, (-0.56, 0.54)], [seat, crank], [(0.32, -0.3), (0.56, 0.54)]):
        canvas.stroke(line, 0.075, colour)
    canvas.stroke([seat, (-0.3, -0.18)], 0.06, INK)
    canvas.stroke([(-0.44, -0.2), (-0.18, -0.2)], 0.1, INK)
    canvas.bow([(0.32, -0.3), (0.5, -0.36), (0.58, -0.24)], 0.06, INK)
    canvas.disc(crank, 0.1, (110, 116, 128))


def boat(canvas: Canvas, colour: Colour) -> None:
    """Draw a sailing boat."""
    canvas.stroke([(0, 0.5), (0, -0.98)], 0.05, (124, 86, 62))
    canvas.blob([(0.06, -0.92), (0.5, -0.3), (0.74, 0.36), (0.06, 0.38)], CREAM)
    canvas.polygon([(-0.06, -0.7), (-0.06, 0.38), (-0.6, 0.38)], lighter(colour, 0.4))
    canvas.polygon([(0, -0.98), (0.3, -0.9), (0, -0.82)], colour)
    canvas.polygon([(-0.84, 0.48), (0.92, 0.48), (0.66, 0.96), (-0.62, 0.96)], colour)
    canvas.polygon([(-0.84, 0.48), (0.92, 0.48), (0.87, 0.58), (-0.81, 0.58)], CREAM)
    canvas.polygon([(-0.72, 0.78), (0.76, 0.78), (0.66, 0.96), (-0.62, 0.96)], darker(colour, 0.25))
    for x in (-0.9, -0.3, 0.3, 0.9):
        canvas.oval((x, 0.97), (0.36, 0.035), see_through(WHITE, 0.7))


def plane(canvas: Canvas, colour: Colour) -> None:
    """Draw an aeroplane."""
    canvas.polygon([(0.14, -0.06), (-0.2, -0.62), (-0.36, -0.62), (-0.2, -0.06)], darker(colour, 0.3))
    canvas.polygon([(-0.66, -0.06), (-0.96, -0.5), (-0.8, -0.5), (-0.4, -0.1)], darker(colour, 0.2))
    body = [
        (1.0, 0.06),
        (0.8, -0.12),
        (0.4, -0.17),
        (-0.5, -0.13),
        (-0.96, -0.06),
        (-0.6, 0.12),
        (0.4, 0.2),
        (0.86, 0.17),
    ]
    canvas.blob(body, lighter(colour, 0.75))
    canvas.blob([(0.97, 0.1), (0.4, 0.08), (-0.8, 0.0), (-0.6, 0.12), (0.4, 0.2), (0.86, 0.17)], colour)
    for step in range(7):
        canvas.disc((-0.36 + step * 0.15, -0.05), 0.038, (70, 110, 160))
    canvas.polygon([(0.78, -0.1), (0.68, -0.0), (0.94, 0.0)], (70, 110, 160))
    canvas.polygon([(0.24, 0.08), (-0.28, 0.74), (-0.46, 0.74), (-0.16, 0.08)], darker(colour, 0.15))


def rocket(canvas: Canvas, colour: Colour) -> None:
    """Draw a rocket taking off."""
    flame = canvas.under(WHITE)
    flame.blob([(-0.18, 0.56), (0.18, 0.56), (0.14, 0.8), (0, 1.02), (-0.14, 0.8)], (250, 138, 52))
    flame.blob([(-0.1, 0.56), (0.1, 0.56), (0.07, 0.7), (0, 0.84), (-0.07, 0.7)], (255, 224, 120))
    for side in (-1, 1):
        fin = [(side * x, y) for x, y in ((0.26, 0.1), (0.6, 0.46), (0.58, 0.78), (0.24, 0.5))]
        canvas.polygon(fin, darker(colour, 0.16))
    hull: Colour = (240, 242, 246)
    body = [
        (0, -1.0),
        (0.22, -0.66),
        (0.34, -0.2),
        (0.28, 0.4),
        (0.2, 0.56),
        (-0.2, 0.56),
        (-0.28, 0.4),
        (-0.34, -0.2),
        (-0.22, -0.66),
    ]
    canvas.blob(body, hull)
    canvas.blob([(0, -1.0), (0.22, -0.66), (0.28, -0.46), (0, -0.5), (-0.28, -0.46), (-0.22, -0.66)], colour)
    canvas.polygon([(-0.27, 0.42), (0.27, 0.42), (0.21, 0.57), (-0.21, 0.57)], colour)
    canvas.disc((0, -0.16), 0.18, darker(colour, 0.3))
    canvas.disc((0, -0.16), 0.125, _GLASS)
    canvas.block((-0.05, 0.22, 0.05, 0.62), darker(colour, 0.25), rounding=0.05)


def balloon(canvas: Canvas, colour: Colour) -> None:
    """Draw a hot-air balloon."""
    for x in (-0.14, 0.14):
        canvas.stroke([(x * 1.7, 0.34), (x, 0.74)], 0.025, (110, 84, 66))
    shape = [
        (0, -1.0),
        (0.46, -0.86),
        (0.68, -0.42),
        (0.52, 0.04),
        (0.22, 0.42),
        (-0.22, 0.42),
        (-0.52, 0.04),
        (-0.68, -0.42),
        (-0.46, -0.86),
    ]
    for share, stripe in ((1.0, colour), (0.66, CREAM), (0.3, darker(colour, 0.12))):
        canvas.blob([(x * share, y) for x, y in shape], stripe)
    canvas.block((-0.22, 0.37, 0.22, 0.45), darker(colour, 0.35), rounding=0.03)
    canvas.block((-0.19, 0.72, 0.19, 1.0), (166, 116, 74), rounding=0.06)
    canvas.block((-0.22, 0.7, 0.22, 0.78), (128, 86, 58), rounding=0.04)


def planet(canvas: Canvas, colour: Colour) -> None:
    """Draw a planet with a ring around it."""
    tilted = canvas.within((0, 0), 1, -18)
    ring = lighter(colour, 0.5)
    tilted.arc((-1.0, -0.27, 1.0, 0.27), (180, 360), 0.09, darker(ring, 0.25))
    tilted.disc((0, 0), 0.64, colour)
    tilted.bowl((0, 0.02), (0.64, 0.62), darker(colour, 0.14))
    for left, top, right, low in ((-0.58, -0.26, 0.58, -0.12), (-0.5, -0.46, 0.3, -0.38), (-0.5, 0.26, 0.52, 0.36)):
        tilted.block((left, top, right, low), lighter(colour, 0.25), rounding=0.07)
    tilted.arc((-1.0, -0.27, 1.0, 0.27), (0, 180), 0.1, ring)
