"""Sitting animals that face the viewer.

Each fits the square from -1 to 1 and sits at y = 1.
"""

from blockrun_image_sandbox.drawing.canvas import Canvas
from blockrun_image_sandbox.drawing.colours import INK, WHITE, Colour, darker, is_dark, lighter

_PINK: Colour = (240, 140, 150)


def dog(canvas: Canvas, colour: Colour) -> None:
    """Draw a puppy with floppy ears and its tongue out."""
    dark, pale = _shades(colour)
    canvas.bow([(0.3, 0.75), (0.66, 0.66), (0.8, 0.3), (0.74, 0.12)], 0.17, colour)
    _seated_body(canvas, colour, pale)
    _collar(canvas, (214, 62, 62))
    canvas.oval((0, -0.42), (0.47, 0.45), colour)
    canvas.blob([(-0.06, -0.84), (-0.3, -0.8), (-0.38, -0.5), (-0.2, -0.32), (-0.02, -0.5)], dark)
    for side in (-1, 1):
        ear = [(0.3, -0.8), (0.52, -0.76), (0.68, -0.4), (0.62, -0.02), (0.46, -0.04), (0.38, -0.42)]
        canvas.blob([(side * x, y) for x, y in ear], dark)
    canvas.block((-0.1, -0.16, 0.1, 0.12), (236, 108, 124), rounding=0.1)
    canvas.oval((-0.13, -0.2), (0.19, 0.16), pale)
    canvas.oval((0.13, -0.2), (0.19, 0.16), pale)
    canvas.oval((0, -0.32), (0.15, 0.16), pale)
    canvas.stroke([(0, -0.3), (0, -0.14)], 0.03, INK)
    canvas.oval((0, -0.34), (0.12, 0.085), INK)
    canvas.oval((-0.03, -0.37), (0.04, 0.02), (150, 146, 160))
    _round_eyes(canvas, 0.2, -0.5)


def cat(canvas: Canvas, colour: Colour) -> None:
    """Draw a cat with whiskers, stripes and a curled tail."""
    dark, pale = _shades(colour)
    canvas.bow([(0.26, 0.86), (0.74, 0.84), (0.86, 0.46), (0.62, 0.22), (0.6, 0.02)], 0.15, dark)
    _seated_body(canvas, colour, pale)
    _pointed_ears(canvas, colour)
    canvas.oval((0, -0.4), (0.5, 0.42), colour)
    for x, low in ((-0.13, -0.62), (0, -0.56), (0.13, -0.62)):
        canvas.stroke([(x, -0.78), (x * 0.8, low)], 0.055, dark)
    canvas.oval((-0.1, -0.2), (0.15, 0.12), pale)
    canvas.oval((0.1, -0.2), (0.15, 0.12), pale)
    for side in (-1, 1):
        canvas.oval((side * 0.21, -0.42), (0.105, 0.12), (170, 208, 92))
        canvas.oval((side * 0.21, -0.42), (0.042, 0.105), INK)
        canvas.disc((side * 0.21 + 0.03, -0.47), 0.026, WHITE)
        for y in (-0.24, -0.17):
            canvas.stroke([(side * 0.2, -0.2), (side * 0.66, y * 1.5 + 0.1)], 0.016, lighter(pale, 0.4))
    canvas.polygon([(-0.06, -0.29), (0.06, -0.29), (0, -0.22)], _PINK)
    canvas.bow([(-0.12, -0.16), (-0.05, -0.14), (0, -0.21), (0.05, -0.14), (0.12, -0.16)], 0.024, INK)


def fox(canvas: Canvas, colour: Colour) -> None:
    """Draw a fox with a bushy tail."""
    white: Colour = (252, 244, 234)
    tail = [(0.22, 0.95), (0.34, 0.5), (0.66, 0.02), (0.92, -0.12), (0.98, 0.4), (0.78, 0.86), (0.46, 1.0)]
    canvas.blob(tail, darker(colour, 0.08))
    canvas.blob([(0.69, 0.0), (0.92, -0.14), (1.0, 0.24), (0.9, 0.2), (0.8, 0.26)], white)
    _seated_body(canvas, colour, white)
    _pointed_ears(canvas, colour)
    face = [(-0.36, -0.74), (0.36, -0.74), (0.6, -0.34), (0.3, -0.14), (0, 0.04), (-0.3, -0.14), (-0.6, -0.34)]
    canvas.blob(face, colour)
    for side in (-1, 1):
        cheek = [(0.0, 0.03), (0.04, -0.2), (0.3, -0.32), (0.58, -0.32), (0.3, -0.12)]
        canvas.blob([(side * x, y) for x, y in cheek], white)
    canvas.oval((0, -0.02), (0.09, 0.07), INK)
    _round_eyes(canvas, 0.22, -0.42)


def rabbit(canvas: Canvas, colour: Colour) -> None:
    """Draw a rabbit with long ears."""
    _, pale = _shades(colour)
    canvas.disc((0.48, 0.76), 0.18, pale)
    _seated_body(canvas, colour, pale)
    for side in (-1, 1):
        ear = canvas.within((side * 0.22, -0.68), 1, side * 9)
        ear.oval((0, -0.02), (0.15, 0.36), colour)
        ear.oval((0, 0.0), (0.075, 0.26), _PINK)
    canvas.oval((0, -0.28), (0.42, 0.38), colour)
    canvas.oval((-0.1, -0.12), (0.14, 0.11), pale)
    canvas.oval((0.1, -0.12), (0.14, 0.11), pale)
    canvas.block((-0.06, -0.08, 0.06, 0.07), WHITE, rounding=0.03)
    canvas.polygon([(-0.06, -0.22), (0.06, -0.22), (0, -0.14)], _PINK)
    _round_eyes(canvas, 0.2, -0.33)


def bear(canvas: Canvas, colour: Colour) -> None:
    """Draw a bear with round ears."""
    dark, pale = _shades(colour)
    _seated_body(canvas.within((0, -0.03), 1.03), colour, pale)
    for side in (-1, 1):
        canvas.disc((side * 0.38, -0.74), 0.19, dark)
        canvas.disc((side * 0.38, -0.74), 0.1, pale)
    canvas.oval((0, -0.4), (0.54, 0.46), colour)
    canvas.oval((0, -0.22), (0.25, 0.2), pale)
    canvas.oval((0, -0.31), (0.11, 0.075), INK)
    canvas.bow([(-0.1, -0.15), (0, -0.12), (0.1, -0.15)], 0.028, INK)
    _round_eyes(canvas, 0.22, -0.48)


def panda(canvas: Canvas, colour: Colour) -> None:
    """Draw a panda: a bear in two colours."""
    black: Colour = (52, 50, 60)
    _seated_body(canvas.within((0, -0.03), 1.03), black, colour)
    for side in (-1, 1):
        canvas.disc((side * 0.38, -0.74), 0.18, black)
    canvas.oval((0, -0.4), (0.54, 0.46), colour)
    for side in (-1, 1):
        canvas.within((side * 0.22, -0.44), 1, side * 28).oval((0, 0), (0.13, 0.17), black)
        canvas.disc((side * 0.2, -0.46), 0.075, WHITE)
    canvas.oval((0, -0.28), (0.09, 0.06), INK)
    canvas.bow([(-0.1, -0.16), (0, -0.12), (0.1, -0.16)], 0.028, INK)
    _round_eyes(canvas, 0.2, -0.46)


def _shades(colour: Colour) -> tuple[Colour, Colour]:
    return (lighter(colour, 0.16) if is_dark(colour) else darker(colour, 0.34)), lighter(colour, 0.62)


def _seated_body(canvas: Canvas, colour: Colour, chest: Colour) -> None:
    shade = darker(colour, 0.12)
    for side in (-1, 1):
        canvas.oval((side * 0.36, 0.74), (0.26, 0.25), shade)
        canvas.oval((side * 0.42, 0.95), (0.2, 0.075), shade)
    canvas.blob([(-0.28, -0.1), (0.28, -0.1), (0.42, 0.45), (0.38, 0.95), (-0.38, 0.95), (-0.42, 0.45)], colour)
    canvas.oval((0, 0.32), (0.23, 0.34), chest)
    for side in (-1, 1):
        canvas.block((side * 0.15 - 0.11, 0.4, side * 0.15 + 0.11, 0.98), colour, rounding=0.11)
        canvas.oval((side * 0.15, 0.94), (0.14, 0.08), chest)
    canvas.stroke([(0, 0.62), (0, 0.9)], 0.026, darker(colour, 0.3))


def _collar(canvas: Canvas, colour: Colour) -> None:
    canvas.bow([(-0.3, -0.02), (0, 0.09), (0.3, -0.02)], 0.1, colour)
    canvas.disc((0, 0.17), 0.08, (244, 198, 70))


def _pointed_ears(canvas: Canvas, colour: Colour) -> None:
    for side in (-1, 1):
        canvas.polygon([(side * x, y) for x, y in ((0.06, -0.7), (0.42, -1.0), (0.5, -0.42))], colour)
        canvas.polygon([(side * x, y) for x, y in ((0.17, -0.72), (0.37, -0.89), (0.42, -0.55))], _PINK)


def _round_eyes(canvas: Canvas, apart: float, level: float) -> None:
    for side in (-1, 1):
        canvas.disc((side * apart, level), 0.072, INK)
        canvas.disc((side * apart + 0.024, level - 0.026), 0.026, WHITE)
