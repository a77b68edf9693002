"""Free-standing buildings.

Each fits the square from -1 to 1 and stands at y = 1.
"""

from blockrun_image_sandbox.drawing.canvas import Canvas, Point
from blockrun_image_sandbox.drawing.colours import CREAM, WHITE, Colour, darker, lighter, mix, see_through

_LAMP: Colour = (255, 222, 130)


def house(canvas: Canvas, colour: Colour) -> None:
    """Draw a cottage with a chimney."""
    wall = lighter(colour, 0.78)
    canvas.block((0.36, -0.82, 0.56, -0.3), (150, 92, 80))
    canvas.block((0.33, -0.86, 0.59, -0.77), (124, 74, 68))
    canvas.block((-0.72, -0.1, 0.72, 1), wall)
    canvas.block((0.46, -0.1, 0.72, 1), darker(wall, 0.1))
    canvas.polygon([(-0.72, -0.05), (0, -0.72), (0.72, -0.05)], wall)
    canvas.polygon([(0, -0.9), (0.98, 0.02), (0.86, 0.12), (0, -0.66), (-0.86, 0.12), (-0.98, 0.02)], colour)
    canvas.disc((0, -0.26), 0.13, darker(colour, 0.25))
    canvas.disc((0, -0.26), 0.09, _LAMP)
    canvas.block((-0.18, 0.36, 0.18, 1), darker(colour, 0.35), rounding=0.06)
    canvas.disc((0.1, 0.7), 0.035, _LAMP)
    for x in (-0.45, 0.45):
        canvas.block((x - 0.17, 0.2, x + 0.17, 0.56), WHITE, rounding=0.03)
        canvas.under(mix(canvas.light, WHITE, 0.8)).block((x - 0.13, 0.24, x + 0.13, 0.52), _LAMP)
        canvas.stroke([(x, 0.24), (x, 0.52)], 0.03, WHITE)
        canvas.stroke([(x - 0.13, 0.38), (x + 0.13, 0.38)], 0.03, WHITE)


def castle(canvas: Canvas, colour: Colour) -> None:
    """Draw a castle with four towers."""
    roof: Colour = (92, 92, 164)
    for x, top in ((-0.36, -0.5), (0.36, -0.5)):
        _turret(canvas, (x, top), darker(colour, 0.14), roof)
    canvas.block((-0.6, 0.05, 0.6, 1), colour)
    for step in range(6):
        canvas.block((-0.6 + step * 0.22, -0.07, -0.5 + step * 0.22, 0.06), colour)
    _turret(canvas, (0, -0.34), lighter(colour, 0.12), roof)
    for x in (-0.76, 0.76):
        _turret(canvas, (x, -0.14), lighter(colour, 0.08), roof)
    canvas.dome((0, 0.72), (0.2, 0.22), darker(colour, 0.55))
    canvas.block((-0.2, 0.7, 0.2, 1), darker(colour, 0.55))


def _turret(canvas: Canvas, top: Point, wall: Colour, roof: Colour) -> None:
    x, y = top
    canvas.block((x - 0.19, y, x + 0.19, 1), wall)
    canvas.block((x + 0.07, y, x + 0.19, 1), darker(wall, 0.12))
    canvas.polygon([(x - 0.25, y + 0.02), (x, y - 0.44), (x + 0.25, y + 0.02)], roof)
    canvas.polygon([(x, y - 0.44), (x + 0.25, y + 0.02), (x + 0.06, y + 0.02)], darker(roof, 0.2))
    canvas.polygon([(x, y - 0.58), (x + 0.16, y - 0.52), (x, y - 0.46)], (226, 78, 78))
    canvas.stroke([(x, y - 0.4), (x, y - 0.58)], 0.02, (90, 80, 90))
    canvas.under(mix(canvas.light, WHITE, 0.8)).block((x - 0.05, y + 0.16, x + 0.05, y + 0.36), _LAMP, rounding=0.05)


def lighthouse(canvas: Canvas, colour: Colour) -> None:
    """Draw a striped lighthouse with its beam on."""
    beam = canvas.under(WHITE)
    beam.polygon([(0, -0.66), (1.9, -1.1), (1.9, -0.3)], see_through((255, 240, 180), 0.4))
    canvas.blob([(-0.8, 1.04), (-0.5, 0.82), (0, 0.76), (0.5, 0.84), (0.84, 1.04)], (112, 108, 116))
    for step in range(5):
        top, low = -0.5 + step * 0.28, -0.22 + step * 0.28
        half, wide = 0.18 + step * 0.035, 0.215 + step * 0.035
        canvas.polygon([(-half, top), (half, top), (wide, low), (-wide, low)], CREAM if step % 2 else colour)
    canvas.polygon([(0.06, -0.5), (0.18, -0.5), (0.355, 0.9), (0.14, 0.9)], see_through((30, 30, 60), 0.16))
    canvas.block((-0.26, -0.56, 0.26, -0.48), (60, 62, 80), rounding=0.02)
    beam.block((-0.14, -0.78, 0.14, -0.55), (255, 236, 150))
    canvas.stroke([(0, -0.78), (0, -0.56)], 0.03, (60, 62, 80))
    canvas.dome((0, -0.76), (0.2, 0.2), darker(colour, 0.2))
