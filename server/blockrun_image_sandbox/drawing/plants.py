"""Trees, flowers, a cactus and a mushroom.

Each fits the square from -1 to 1 and stands at y = 1.
"""

import math

from blockrun_image_sandbox.drawing.canvas import Canvas
from blockrun_image_sandbox.drawing.colours import CREAM, Colour, darker, lighter, mix

_BARK: Colour = (116, 80, 60)
_LEAF: Colour = (74, 142, 82)


def round_tree(canvas: Canvas, colour: Colour) -> None:
    """Draw a leafy tree."""
    bark = mix(_BARK, colour, 0.25)
    canvas.polygon([(-0.1, -0.1), (0.1, -0.1), (0.16, 1), (-0.16, 1)], bark)
    canvas.stroke([(0, 0.35), (0.26, 0.02)], 0.09, bark)
    for x, y, radius in ((-0.36, -0.02, 0.36), (0.38, -0.05, 0.35), (0, -0.12, 0.44)):
        canvas.disc((x, y), radius, darker(colour, 0.16))
    for x, y, radius in ((-0.26, -0.34, 0.4), (0.28, -0.36, 0.38), (0, -0.58, 0.4)):
        canvas.disc((x, y), radius, colour)
    for x, y, radius in ((-0.2, -0.58, 0.17), (0.2, -0.48, 0.11)):
        canvas.disc((x, y), radius, lighter(colour, 0.16))


def pine_tree(canvas: Canvas, colour: Colour) -> None:
    """Draw a fir with four tiers."""
    canvas.block((-0.08, 0.6, 0.08, 1), mix(_BARK, colour, 0.35))
    for top, low, half in ((0.0, 0.78, 0.6), (-0.35, 0.42, 0.5), (-0.68, 0.06, 0.4), (-1.0, -0.36, 0.28)):
        canvas.polygon([(0, top), (half, low), (-half, low)], colour)
        canvas.polygon([(0, top), (half, low), (half * 0.12, low)], darker(colour, 0.16))


def palm_tree(canvas: Canvas, colour: Colour) -> None:
    """Draw a palm with a bent trunk."""
    canvas.blob([(-0.9, 1.04), (-0.5, 0.92), (0, 0.86), (0.5, 0.93), (0.9, 1.04)], (232, 196, 130))
    canvas.bow([(-0.12, 0.96), (-0.06, 0.4), (0.06, -0.1), (0.14, -0.45)], 0.14, (162, 116, 76))
    for reach, drop in ((-0.95, 0.1), (-0.7, -0.3), (0.9, -0.3), (1.0, 0.1), (0.7, 0.42), (-0.55, 0.42)):
        tip = 0.14 + reach * 0.8, -0.45 + drop
        middle = 0.14 + reach * 0.42, -0.72 + drop * 0.4
        under = middle[0], middle[1] + 0.2
        canvas.blob([(0.14, -0.46), middle, tip, under], darker(colour, 0.15 * (drop > 0)))
    for x, y in ((0.06, -0.38), (0.22, -0.36), (0.14, -0.3)):
        canvas.disc((x, y), 0.085, (122, 82, 54))


def flower(canvas: Canvas, colour: Colour) -> None:
    """Draw a flower with eight petals."""
    canvas.bow([(0, 1), (0.06, 0.5), (0, -0.2)], 0.08, _LEAF)
    canvas.blob([(0.04, 0.7), (0.3, 0.3), (0.55, 0.26), (0.36, 0.6)], lighter(_LEAF, 0.12))
    canvas.blob([(0.02, 0.88), (-0.28, 0.52), (-0.52, 0.5), (-0.34, 0.8)], _LEAF)
    for petal in range(8):
        angle = math.radians(petal * 45)
        canvas.within((0.34 * math.sin(angle), -0.42 - 0.34 * math.cos(angle)), 1, petal * 45).oval(
            (0, 0), (0.16, 0.25), colour if petal % 2 else lighter(colour, 0.16)
        )
    canvas.disc((0, -0.42), 0.2, (250, 196, 62))
    canvas.disc((0, -0.42), 0.12, (226, 150, 44))


def cactus(canvas: Canvas, colour: Colour) -> None:
    """Draw a cactus with two arms."""
    canvas.bow([(0.1, 0.3), (0.55, 0.26), (0.6, -0.3)], 0.26, darker(colour, 0.1))
    canvas.bow([(-0.1, 0.5), (-0.52, 0.46), (-0.58, 0.02)], 0.24, darker(colour, 0.1))
    canvas.block((-0.26, -0.95, 0.26, 1), colour, rounding=0.26)
    for x in (-0.12, 0, 0.12):
        canvas.stroke([(x, -0.72), (x, 0.92)], 0.025, darker(colour, 0.22))
    canvas.disc((0.6, -0.42), 0.1, (240, 104, 140))
    canvas.disc((0, -0.95), 0.12, (240, 104, 140))


def mushroom(canvas: Canvas, colour: Colour) -> None:
    """Draw a spotted toadstool."""
    canvas.blob([(-0.22, -0.1), (0.22, -0.1), (0.3, 0.9), (0, 1), (-0.3, 0.9)], CREAM)
    canvas.oval((0, -0.04), (0.72, 0.16), darker(CREAM, 0.16))
    canvas.dome((0, 0), (0.88, 0.9), colour)
    canvas.oval((0, 0), (0.6, 0.09), darker(CREAM, 0.1))
    for x, y, radius in ((-0.4, -0.32, 0.13), (0.06, -0.6, 0.16), (0.46, -0.3, 0.12), (0.02, -0.2, 0.1)):
        canvas.disc((x, y), radius, CREAM)
