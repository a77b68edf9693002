"""Flying, swimming and running animals.

Each fits the square from -1 to 1 and looks to the right.
"""

from blockrun_image_sandbox.drawing.canvas import Canvas
from blockrun_image_sandbox.drawing.colours import INK, WHITE, Colour, darker, is_dark, lighter


def bird(canvas: Canvas, colour: Colour) -> None:
    """Draw a bird in flight."""
    canvas.polygon([(-0.42, 0.06), (-1.0, -0.08), (-0.92, 0.12), (-1.0, 0.3), (-0.36, 0.26)], darker(colour, 0.3))
    canvas.blob([(0.22, 0.02), (0.1, -0.5), (-0.3, -0.86), (-0.42, -0.5), (-0.2, 0.08)], darker(colour, 0.38))
    canvas.blob([(0.78, -0.08), (0.5, -0.26), (0, -0.1), (-0.5, 0.1), (-0.3, 0.36), (0.2, 0.42), (0.62, 0.22)], colour)
    canvas.blob([(0.66, 0.14), (0.3, 0.2), (-0.16, 0.34), (0.2, 0.42), (0.5, 0.32)], lighter(colour, 0.6))
    wing = [(0.26, 0.04), (-0.02, -0.42), (-0.46, -0.92), (-0.74, -0.86), (-0.62, -0.3), (-0.24, 0.18), (0.08, 0.22)]
    canvas.blob(wing, darker(colour, 0.16))
    canvas.bow([(0.06, 0.08), (-0.2, -0.2), (-0.56, -0.66)], 0.035, darker(colour, 0.34))
    canvas.polygon([(0.74, -0.12), (1.0, 0.0), (0.72, 0.08)], (246, 168, 60))
    canvas.disc((0.58, -0.08), 0.055, INK)
    canvas.disc((0.6, -0.1), 0.02, WHITE)


def owl(canvas: Canvas, colour: Colour) -> None:
    """Draw an owl on a branch."""
    canvas.bow([(-0.9, 0.86), (0, 0.78), (0.9, 0.84)], 0.13, (110, 78, 60))
    for side in (-1, 1):
        canvas.polygon([(side * x, y) for x, y in ((0.06, -0.72), (0.48, -0.98), (0.5, -0.4))], darker(colour, 0.25))
    canvas.blob(
        [(0, -0.82), (0.46, -0.66), (0.56, 0), (0.4, 0.66), (0, 0.82), (-0.4, 0.66), (-0.56, 0), (-0.46, -0.66)], colour
    )
    canvas.oval((0, 0.3), (0.34, 0.42), lighter(colour, 0.5))
    for x, y in ((-0.14, 0.12), (0.14, 0.12), (0, 0.26), (-0.14, 0.4), (0.14, 0.4)):
        canvas.bowl((x, y), (0.08, 0.08), darker(colour, 0.1))
    for side in (-1, 1):
        canvas.blob(
            [(side * x, y) for x, y in ((0.48, -0.2), (0.66, 0.2), (0.42, 0.66), (0.36, 0.1))], darker(colour, 0.3)
        )
        canvas.disc((side * 0.21, -0.4), 0.23, lighter(colour, 0.75))
        canvas.disc((side * 0.21, -0.4), 0.15, (250, 196, 60))
        canvas.disc((side * 0.2, -0.4), 0.085, INK)
        canvas.disc((side * 0.2 + 0.03, -0.44), 0.03, WHITE)
        canvas.oval((side * 0.16, 0.8), (0.12, 0.06), (240, 160, 60))
    canvas.polygon([(-0.08, -0.3), (0.08, -0.3), (0, -0.12)], (240, 160, 60))


def fish(canvas: Canvas, colour: Colour) -> None:
    """Draw a striped fish."""
    fin = darker(colour, 0.25)
    canvas.blob([(-0.48, 0), (-0.9, -0.46), (-0.98, -0.3), (-0.82, 0), (-0.98, 0.3), (-0.9, 0.46)], fin)
    canvas.blob([(-0.34, -0.3), (-0.2, -0.68), (0.2, -0.62), (0.34, -0.36)], fin)
    canvas.blob([(-0.16, 0.34), (-0.28, 0.66), (0.06, 0.6), (0.2, 0.36)], fin)
    canvas.blob(
        [(0.9, 0.02), (0.6, -0.32), (0.1, -0.46), (-0.4, -0.24), (-0.62, 0), (-0.4, 0.24), (0.1, 0.46), (0.6, 0.36)],
        colour,
    )
    for x, half in ((-0.2, 0.3), (0.18, 0.41)):
        stripe = [
            (x - 0.07, -half),
            (x + 0.07, -half * 1.04),
            (x + 0.12, 0),
            (x + 0.07, half * 1.04),
            (x - 0.07, half),
            (x, 0),
        ]
        canvas.blob(stripe, lighter(colour, 0.75))
    canvas.blob([(0.3, 0.06), (0.02, 0.0), (-0.06, 0.18), (0.1, 0.28)], fin)
    canvas.disc((0.58, -0.1), 0.11, WHITE)
    canvas.disc((0.6, -0.1), 0.06, INK)
    canvas.bow([(0.84, 0.12), (0.72, 0.16), (0.66, 0.12)], 0.03, darker(colour, 0.5))


def whale(canvas: Canvas, colour: Colour) -> None:
    """Draw a whale blowing water."""
    for side in (-1, 1):
        canvas.bow([(0.36, -0.34), (0.36 + side * 0.06, -0.66), (0.36 + side * 0.26, -0.7)], 0.06, (196, 230, 246))
    canvas.blob(
        [(-0.58, 0.2), (-0.82, -0.1), (-1.0, -0.42), (-0.74, -0.34), (-0.6, -0.5), (-0.52, -0.2), (-0.3, 0.1)], colour
    )
    body = [
        (0.96, 0.1),
        (0.84, -0.26),
        (0.4, -0.38),
        (-0.1, -0.24),
        (-0.5, 0.0),
        (-0.62, 0.3),
        (0, 0.56),
        (0.6, 0.5),
        (0.9, 0.36),
    ]
    canvas.blob(body, colour)
    canvas.blob([(0.94, 0.2), (0.4, 0.26), (-0.4, 0.4), (0.1, 0.56), (0.6, 0.5), (0.86, 0.4)], lighter(colour, 0.65))
    canvas.blob([(0.3, 0.3), (0.02, 0.42), (-0.08, 0.74), (0.26, 0.6)], darker(colour, 0.25))
    canvas.disc((0.62, 0.02), 0.055, INK)


def butterfly(canvas: Canvas, colour: Colour) -> None:
    """Draw a butterfly with open wings."""
    for side in (-1, 1):
        upper = [(0.05, -0.1), (0.3, -0.66), (0.78, -0.86), (0.96, -0.5), (0.7, -0.06), (0.3, 0.06)]
        lower = [(0.05, 0.04), (0.4, 0.06), (0.74, 0.26), (0.66, 0.66), (0.36, 0.74), (0.12, 0.4)]
        canvas.blob([(side * x, y) for x, y in lower], darker(colour, 0.3))
        canvas.blob([(side * x, y) for x, y in upper], colour)
        canvas.oval((side * 0.62, -0.5), (0.2, 0.18), lighter(colour, 0.6))
        canvas.oval((side * 0.44, 0.4), (0.14, 0.16), lighter(colour, 0.35))
        canvas.bow([(0, -0.4), (side * 0.1, -0.7), (side * 0.26, -0.84)], 0.03, INK)
    canvas.oval((0, 0.02), (0.075, 0.46), INK)


def horse(canvas: Canvas, colour: Colour) -> None:
    """Draw a horse at a trot."""
    mane = lighter(colour, 0.3) if is_dark(colour) else darker(colour, 0.5)
    canvas.bow([(-0.52, -0.12), (-0.82, 0.02), (-0.84, 0.5)], 0.15, mane)
    _legs(canvas, darker(colour, 0.25), 0.09)
    body = [(-0.58, 0.0), (-0.4, -0.24), (0, -0.16), (0.3, -0.26), (0.46, 0.0), (0.36, 0.26), (0, 0.3), (-0.4, 0.32)]
    canvas.blob(body, colour)
    _legs(canvas, colour, 0)
    canvas.polygon([(0.14, -0.1), (0.34, -0.72), (0.56, -0.86), (0.62, -0.5), (0.46, 0.08)], colour)
    canvas.blob([(0.4, -0.84), (0.6, -0.88), (0.92, -0.54), (0.9, -0.38), (0.76, -0.4), (0.52, -0.52)], colour)
    canvas.polygon([(0.42, -0.78), (0.44, -1.0), (0.56, -0.84)], colour)
    canvas.blob([(0.42, -0.92), (0.24, -0.74), (0.06, -0.2), (0.22, -0.24), (0.36, -0.62), (0.52, -0.8)], mane)
    canvas.disc((0.62, -0.68), 0.04, INK)
    canvas.disc((0.86, -0.47), 0.022, darker(colour, 0.6))


def _legs(canvas: Canvas, colour: Colour, shift: float) -> None:
    hoof = darker(colour, 0.55)
    for hip, knee, foot in (((-0.42, 0.2), (-0.5, 0.56), (-0.44, 0.93)), ((0.32, 0.16), (0.42, 0.54), (0.36, 0.93))):
        points = [(x + shift * (2 if x < 0 else -2), y) for x, y in (hip, knee, foot)]
        canvas.stroke(points, 0.13, colour)
        canvas.block((points[2][0] - 0.075, 0.9, points[2][0] + 0.085, 1), hoof, rounding=0.03)
