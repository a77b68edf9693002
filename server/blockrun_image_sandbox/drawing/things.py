"""Things on a table or in the air.

Each fits the square from -1 to 1 and stands at y = 1.
"""

import math

from blockrun_image_sandbox.drawing.canvas import Canvas
from blockrun_image_sandbox.drawing.colours import CREAM, INK, WHITE, Colour, darker, lighter, mix, see_through


def cup(canvas: Canvas, colour: Colour) -> None:
    """Draw a steaming cup on a saucer."""
    for x, top in ((-0.32, -0.82), (-0.06, -0.98), (0.2, -0.8)):
        path = [(x, -0.3), (x + 0.1, top * 0.35 - 0.3), (x - 0.06, top * 0.72 - 0.1), (x + 0.05, top)]
        canvas.bow(path, 0.055, mix(WHITE, CREAM, 0.5))
    canvas.oval((0, 0.9), (0.9, 0.12), darker(colour, 0.18))
    canvas.oval((0, 0.87), (0.9, 0.1), lighter(colour, 0.45))
    canvas.ring((0.6, 0.24), 0.25, 0.12, darker(colour, 0.1))
    canvas.blob([(-0.62, -0.14), (0.5, -0.14), (0.47, 0.46), (0.26, 0.84), (-0.38, 0.84), (-0.59, 0.46)], colour)
    canvas.bow([(-0.44, 0.1), (-0.42, 0.34), (-0.3, 0.6)], 0.07, lighter(colour, 0.4))
    canvas.oval((-0.06, -0.14), (0.57, 0.14), lighter(colour, 0.5))
    canvas.oval((-0.06, -0.12), (0.48, 0.1), (96, 60, 42))
    canvas.oval((-0.12, -0.12), (0.24, 0.045), (156, 106, 72))


def book(canvas: Canvas, colour: Colour) -> None:
    """Draw an open book."""
    for side in (-1, 1):
        canvas.polygon([(side * x, y) for x, y in ((0, 0.12), (0.98, -0.1), (0.98, 0.78), (0, 1.0))], colour)
        canvas.blob(
            [(side * x, y) for x, y in ((0, 0.04), (0.4, -0.24), (0.9, -0.2), (0.9, 0.66), (0.4, 0.62), (0, 0.9))],
            CREAM,
        )
        for row in range(5):
            y = 0.06 + row * 0.12
            canvas.bow([(side * 0.14, y + 0.04), (side * 0.45, y - 0.1), (side * 0.8, y - 0.1)], 0.026, (176, 164, 150))
    canvas.stroke([(0, 0.06), (0, 0.92)], 0.03, (196, 182, 160))
    canvas.polygon([(0.42, -0.26), (0.54, -0.25), (0.54, 0.12), (0.48, 0.05), (0.42, 0.11)], (224, 78, 84))


def apple(canvas: Canvas, colour: Colour) -> None:
    """Draw an apple with a leaf."""
    outline = [
        (0, -0.42),
        (0.42, -0.6),
        (0.8, -0.26),
        (0.76, 0.34),
        (0.38, 0.94),
        (0, 0.86),
        (-0.38, 0.94),
        (-0.76, 0.34),
        (-0.8, -0.26),
        (-0.42, -0.6),
    ]
    canvas.blob(outline, colour)
    canvas.blob(
        [(0.42, -0.6), (0.8, -0.26), (0.76, 0.34), (0.38, 0.94), (0.12, 0.88), (0.54, 0.3), (0.56, -0.2)],
        darker(colour, 0.16),
    )
    canvas.oval((-0.44, -0.2), (0.12, 0.2), lighter(colour, 0.4))
    canvas.bow([(0, -0.38), (0.02, -0.66), (0.12, -0.9)], 0.09, (108, 72, 52))
    canvas.blob([(0.08, -0.62), (0.3, -0.94), (0.68, -0.94), (0.44, -0.64)], (104, 176, 84))


def fruit_bowl(canvas: Canvas, colour: Colour) -> None:
    """Draw a bowl of fruit."""
    canvas.blob([(-0.1, 0.2), (0.1, -0.56), (0.52, -0.86), (0.66, -0.8), (0.5, -0.4), (0.36, 0.3)], (250, 212, 80))
    canvas.disc((0.48, 0.06), 0.34, (244, 150, 48))
    canvas.disc((0.4, -0.02), 0.08, (250, 184, 104))
    apple(canvas.within((-0.42, -0.06), 0.44), (214, 62, 58))
    for x, y in ((-0.06, -0.02), (0.12, 0.0), (0.02, 0.14), (0.2, 0.16), (-0.1, 0.2)):
        canvas.disc((x, y), 0.12, (124, 78, 160))
        canvas.disc((x - 0.03, y - 0.04), 0.035, (182, 146, 206))
    canvas.bowl((0, 0.22), (0.94, 0.74), colour)
    canvas.block((-1, 0.16, 1, 0.3), lighter(colour, 0.3), rounding=0.07)
    canvas.block((-0.34, 0.9, 0.34, 1), darker(colour, 0.25), rounding=0.05)


def cake(canvas: Canvas, colour: Colour) -> None:
    """Draw a birthday cake with candles."""
    canvas.oval((0, 0.92), (0.98, 0.09), (214, 220, 228))
    canvas.block((-0.78, 0.24, 0.78, 0.92), mix(colour, (214, 160, 110), 0.55), rounding=0.08)
    canvas.block((-0.78, 0.56, 0.78, 0.64), CREAM)
    canvas.block((-0.52, -0.26, 0.52, 0.26), mix(colour, (214, 160, 110), 0.35), rounding=0.07)
    for half, level, drops in ((0.8, 0.24, 9), (0.54, -0.26, 6)):
        canvas.block((-half, level - 0.07, half, level + 0.1), colour, rounding=0.08)
        for step in range(drops):
            x = -half + (step + 0.5) * 2 * half / drops
            canvas.block((x - 0.07, level, x + 0.07, level + (0.26 if step % 2 else 0.18)), colour, rounding=0.07)
    for x, wax in ((-0.3, (104, 178, 222)), (0, (250, 206, 90)), (0.3, (132, 196, 120))):
        canvas.block((x - 0.045, -0.68, x + 0.045, -0.3), wax)
        canvas.under(WHITE).blob([(x, -0.98), (x + 0.075, -0.8), (x, -0.7), (x - 0.075, -0.8)], (255, 190, 70))


def ball(canvas: Canvas, colour: Colour) -> None:
    """Draw a ball with bright stripes."""
    centre, radius = (0, 0.14), 0.86
    canvas.disc(centre, radius, colour)
    for half, stripe in ((0.5, lighter(colour, 0.82)), (0.2, colour)):
        canvas.oval((0, 0.14), (half, radius), stripe)
    canvas.polygon(
        [*[(radius * math.cos(a / 20), 0.14 + radius * math.sin(a / 20)) for a in range(63)], (0, 0.5)],
        see_through(darker(colour, 0.6), 0.18),
    )
    canvas.disc((0, -0.62), 0.11, lighter(colour, 0.35))
    canvas.oval((-0.42, -0.3), (0.13, 0.2), see_through(WHITE, 0.55))


def heart(canvas: Canvas, colour: Colour) -> None:
    """Draw a heart."""
    angles = [math.radians(step * 5) for step in range(72)]
    outline = [
        (
            0.95 * math.sin(a) ** 3,
            -0.76 * math.cos(a) + 0.29 * math.cos(2 * a) + 0.12 * math.cos(3 * a) + 0.06 * math.cos(4 * a),
        )
        for a in angles
    ]
    canvas.polygon(outline, colour)
    canvas.polygon([(x * 0.8 - 0.06, y * 0.8 - 0.04) for x, y in outline], lighter(colour, 0.12))
    canvas.within((-0.46, -0.36), 1, 35).oval((0, 0), (0.1, 0.18), lighter(colour, 0.55))


def guitar(canvas: Canvas, colour: Colour) -> None:
    """Draw an acoustic guitar."""
    tilted = canvas.within((0, 0), 1, 12)
    tilted.block((-0.07, -0.86, 0.07, 0.2), (92, 62, 48))
    tilted.block((-0.12, -1.0, 0.12, -0.76), (72, 48, 40), rounding=0.04)
    shape = [(0, 0), (0.3, 0.02), (0.38, 0.2), (0.3, 0.38), (0.52, 0.66), (0.36, 0.94), (0, 1)]
    tilted.blob([*shape, *[(-x, y) for x, y in reversed(shape[1:-1])]], colour)
    tilted.disc((0, 0.38), 0.17, darker(colour, 0.4))
    tilted.disc((0, 0.38), 0.13, INK)
    tilted.block((-0.2, 0.72, 0.2, 0.79), darker(colour, 0.5), rounding=0.02)
    for x in (-0.036, 0, 0.036):
        tilted.stroke([(x, -0.84), (x, 0.74)], 0.011, CREAM)
