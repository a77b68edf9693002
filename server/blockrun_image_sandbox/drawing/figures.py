"""People and humanoid figures.

Each fits the square from -1 to 1 and stands at y = 1.
"""

from blockrun_image_sandbox.drawing.canvas import Canvas
from blockrun_image_sandbox.drawing.colours import INK, WHITE, Colour, darker, lighter

_SKIN: Colour = (232, 180, 142)
_HAIR: Colour = (74, 50, 46)


def person(canvas: Canvas, colour: Colour) -> None:
    """Draw someone standing, waving a hand."""
    trousers: Colour = (58, 68, 104)
    for side in (-1, 1):
        canvas.stroke([(side * 0.11, 0.35), (side * 0.14, 0.9)], 0.17, trousers)
        canvas.block((side * 0.16 - 0.13, 0.89, side * 0.16 + 0.15, 1), INK, rounding=0.05)
    canvas.bow([(0.2, -0.16), (0.42, -0.2), (0.52, -0.58)], 0.13, darker(colour, 0.12))
    canvas.disc((0.53, -0.64), 0.085, _SKIN)
    canvas.bow([(-0.22, -0.14), (-0.36, 0.1), (-0.34, 0.34)], 0.13, darker(colour, 0.12))
    canvas.disc((-0.34, 0.38), 0.08, _SKIN)
    canvas.block((-0.28, -0.26, 0.28, 0.45), colour, rounding=0.14)
    canvas.block((-0.08, -0.4, 0.08, -0.2), darker(_SKIN, 0.12))
    canvas.oval((0, -0.64), (0.27, 0.3), _HAIR)
    canvas.oval((0, -0.57), (0.22, 0.25), _SKIN)
    canvas.blob(
        [(-0.24, -0.6), (-0.1, -0.7), (0.16, -0.74), (0.24, -0.58), (0.22, -0.86), (0, -0.96), (-0.22, -0.86)], _HAIR
    )
    for side in (-1, 1):
        canvas.disc((side * 0.085, -0.56), 0.03, INK)
    canvas.bow([(-0.07, -0.44), (0, -0.41), (0.07, -0.44)], 0.024, (176, 84, 80))


def bust(canvas: Canvas, colour: Colour) -> None:
    """Draw a portrait down to the shoulders."""
    canvas.blob(
        [(-0.42, -0.3), (-0.3, -0.86), (0, -1.0), (0.3, -0.86), (0.44, -0.3), (0.44, 0.04), (0, 0.1), (-0.44, 0.04)],
        _HAIR,
    )
    shoulders = [(-0.98, 1), (-0.86, 0.6), (-0.42, 0.44), (0, 0.4), (0.42, 0.44), (0.86, 0.6), (0.98, 1)]
    canvas.polygon([(-0.98, 1), *shoulders[1:-1], (0.98, 1)], colour)
    canvas.polygon([(-0.15, 0.1), (0.15, 0.1), (0.26, 0.46), (0, 0.68), (-0.26, 0.46)], darker(_SKIN, 0.14))
    canvas.polygon([(-0.28, 0.42), (-0.36, 0.5), (0, 0.92), (0.36, 0.5), (0.28, 0.42), (0, 0.7)], lighter(colour, 0.35))
    for side in (-1, 1):
        canvas.oval((side * 0.35, -0.24), (0.06, 0.1), darker(_SKIN, 0.1))
    canvas.blob(
        [(-0.34, -0.5), (0, -0.72), (0.34, -0.5), (0.33, -0.1), (0.17, 0.17), (0, 0.24), (-0.17, 0.17), (-0.33, -0.1)],
        _SKIN,
    )
    canvas.blob(
        [
            (-0.37, -0.3),
            (-0.24, -0.52),
            (0.1, -0.58),
            (0.36, -0.3),
            (0.4, -0.6),
            (0.1, -0.9),
            (-0.3, -0.8),
            (-0.42, -0.5),
        ],
        _HAIR,
    )
    _face(canvas)


def _face(canvas: Canvas) -> None:
    for side in (-1, 1):
        canvas.oval((side * 0.15, -0.26), (0.07, 0.048), WHITE)
        canvas.disc((side * 0.15, -0.26), 0.042, (66, 86, 90))
        canvas.bow([(side * 0.07, -0.36), (side * 0.15, -0.4), (side * 0.24, -0.36)], 0.03, _HAIR)
        canvas.oval((side * 0.22, -0.1), (0.075, 0.05), (238, 156, 130))
    canvas.bow([(0.02, -0.22), (0.055, -0.09), (-0.02, -0.07)], 0.026, darker(_SKIN, 0.25))
    canvas.blob([(-0.11, 0.04), (0, 0.03), (0.11, 0.04), (0, 0.1)], (190, 78, 84))


def astronaut(canvas: Canvas, colour: Colour) -> None:
    """Draw an astronaut with a golden visor."""
    shade = darker(colour, 0.16)
    canvas.block((-0.42, -0.2, 0.42, 0.44), darker(colour, 0.34), rounding=0.12)
    for side in (-1, 1):
        canvas.stroke([(side * 0.16, 0.4), (side * 0.2, 0.86)], 0.25, shade)
        canvas.block((side * 0.21 - 0.16, 0.82, side * 0.21 + 0.16, 1), (96, 104, 128), rounding=0.08)
    canvas.bow([(-0.26, -0.06), (-0.52, 0.14), (-0.46, 0.4)], 0.2, shade)
    canvas.bow([(0.26, -0.06), (0.56, -0.1), (0.68, -0.42)], 0.2, shade)
    canvas.disc((0.69, -0.47), 0.11, (224, 92, 70))
    canvas.disc((-0.46, 0.44), 0.11, (224, 92, 70))
    canvas.block((-0.32, -0.2, 0.32, 0.56), colour, rounding=0.16)
    canvas.block((-0.17, 0.06, 0.17, 0.28), (76, 90, 122), rounding=0.04)
    for x, lamp in ((-0.1, (240, 92, 80)), (0, (250, 206, 80)), (0.1, (104, 208, 140))):
        canvas.disc((x, 0.17), 0.036, lamp)
    canvas.disc((0, -0.54), 0.44, colour)
    canvas.block((-0.33, -0.76, 0.33, -0.3), (58, 50, 74), rounding=0.2)
    canvas.block((-0.29, -0.72, 0.29, -0.34), (238, 172, 66), rounding=0.17)
    canvas.bow([(-0.2, -0.5), (-0.16, -0.62), (-0.04, -0.65)], 0.05, (255, 230, 170))


def robot(canvas: Canvas, colour: Colour) -> None:
    """Draw a friendly robot."""
    joint, glow = (96, 104, 120), (110, 236, 240)
    canvas.stroke([(0, -0.7), (0, -0.92)], 0.05, joint)
    canvas.disc((0, -0.93), 0.075, (240, 92, 80))
    for side in (-1, 1):
        canvas.stroke([(side * 0.18, 0.5), (side * 0.18, 0.88)], 0.13, joint)
        canvas.block((side * 0.2 - 0.18, 0.84, side * 0.2 + 0.18, 1), darker(colour, 0.25), rounding=0.08)
    canvas.bow([(-0.4, 0.02), (-0.62, 0.16), (-0.62, 0.36)], 0.11, joint)
    canvas.bow([(0.4, 0.02), (0.64, -0.06), (0.72, -0.3)], 0.11, joint)
    for x, y in ((-0.62, 0.44), (0.73, -0.38)):
        canvas.ring((x, y), 0.1, 0.09, darker(colour, 0.2))
    canvas.block((-0.12, -0.2, 0.12, 0), joint)
    canvas.block((-0.42, -0.08, 0.42, 0.6), colour, rounding=0.12)
    canvas.block((-0.42, 0.42, 0.42, 0.6), darker(colour, 0.18), rounding=0.12)
    canvas.block((-0.25, 0.06, 0.25, 0.34), lighter(colour, 0.55), rounding=0.06)
    canvas.disc((-0.13, 0.2), 0.065, (240, 92, 80))
    for x, high in ((0.02, 0.24), (0.09, 0.14), (0.16, 0.19)):
        canvas.block((x - 0.02, high, x + 0.025, 0.29), darker(colour, 0.4))
    for side in (-1, 1):
        canvas.block((side * 0.5 - 0.07, -0.56, side * 0.5 + 0.07, -0.32), darker(colour, 0.25), rounding=0.05)
    canvas.block((-0.48, -0.74, 0.48, -0.16), colour, rounding=0.18)
    canvas.block((-0.37, -0.64, 0.37, -0.26), (36, 42, 66), rounding=0.13)
    eyes = canvas.under(WHITE)
    for side in (-1, 1):
        eyes.disc((side * 0.17, -0.48), 0.085, glow)
        eyes.disc((side * 0.17 + 0.025, -0.505), 0.03, WHITE)
    eyes.bow([(-0.1, -0.345), (0, -0.315), (0.1, -0.345)], 0.03, glow)
