"""Colours, and a few ways to mix them."""

Colour = tuple[int, int, int]
Paint = tuple[int, int, int] | tuple[int, int, int, int]

OPAQUE = 3
"""The number of components of an opaque paint."""

WHITE: Colour = (255, 255, 255)
INK: Colour = (38, 36, 46)
CREAM: Colour = (250, 243, 226)
_DARK = 58


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """Blend two colours; `share` is the share of the second one."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def lighter(colour: Colour, share: float) -> Colour:
    """Move a colour towards white."""
    return mix(colour, WHITE, share)


def darker(colour: Colour, share: float) -> Colour:
    """Move a colour towards a deep blue-black.

    It looks less dirty than pure black.
    """
    return mix(colour, (16, 14, 38), share)


def see_through(colour: Colour, opacity: float) -> Paint:
    """Return a translucent paint of a colour."""
    return (*colour, round(255 * opacity))


def lit_by(paint: Paint, light: Colour) -> Paint:
    """Return a paint in a coloured light; white light leaves it unchanged."""
    red, green, blue = paint[0] * light[0] // 255, paint[1] * light[1] // 255, paint[2] * light[2] // 255
    return (red, green, blue) if len(paint) == OPAQUE else (red, green, blue, paint[3])


def is_dark(colour: Colour) -> bool:
    """Return whether a colour looks nearly black."""
    red, green, blue = colour
    return 0.30 * red + 0.59 * green + 0.11 * blue < _DARK  # luma as in ITU-R BT.601
