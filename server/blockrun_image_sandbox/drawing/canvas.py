"""A canvas for simple shapes, in its own units instead of pixels."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from PIL import Image, ImageDraw

from blockrun_image_sandbox.drawing.colours import OPAQUE, WHITE, Colour, Paint, lit_by

Point = tuple[float, float]
Box = tuple[float, float, float, float]

_CURVE_STEPS = 7  # between two points: enough to look smooth after the picture is reduced


@dataclass(frozen=True)
class Sheet:
    """The picture being drawn, with pens for opaque and for translucent paint."""

    image: Image.Image
    solid: ImageDraw.ImageDraw
    glaze: ImageDraw.ImageDraw

    @classmethod
    def blank(cls, width: int, height: int) -> "Sheet":
        """Return a new white sheet; its size is in pixels."""
        image = Image.new("RGB", (width, height), WHITE)
        return cls(image, ImageDraw.Draw(image), ImageDraw.Draw(image, "RGBA"))


@dataclass(frozen=True)
class Canvas:
    """A place on a sheet with its own origin, unit length, tilt and light.

    y runs downwards.
    """

    sheet: Sheet
    origin: Point
    unit: float
    light: Colour = WHITE
    mirrored: bool = False
    tilt: float = 0.0

    def within(self, centre: Point, scale: float, tilt: float = 0.0) -> "Canvas":
        """Return a smaller canvas around a point of this one.

        The tilt is in degrees.
        """
        return replace(self, origin=self._pixel(centre), unit=self.unit * scale, tilt=self.tilt + tilt)

    def under(self, light: Colour) -> "Canvas":
        """Return the same canvas in another light."""
        return replace(self, light=light)

    def flipped(self, mirrored: bool) -> "Canvas":
        """Return the same canvas, mirrored if asked."""
        return replace(self, mirrored=mirrored)

    def wash(self, top: float, bottom: float, colours: Sequence[Colour]) -> None:
        """Fill the sheet's full width between two heights with a vertical gradient."""
        first, last = round(self._pixel((0, top))[1]), round(self._pixel((0, bottom))[1])
        image = self.sheet.image
        if last <= first:
            return
        # One column is stretched to the full height, then to the full width, instead of drawing line by line.
        strip = Image.frombytes("RGB", (1, len(colours)), bytes(part for colour in colours for part in colour))
        column = _stretch(strip, (1, last - first), Image.Resampling.BILINEAR)
        image.paste(_stretch(column, (image.width, last - first), Image.Resampling.NEAREST), (0, first))

    def polygon(self, points: Iterable[Point], paint: Paint) -> None:
        """Fill a shape with straight edges."""
        pen = self.sheet.solid if len(paint) == OPAQUE else self.sheet.glaze
        pen.polygon([self._pixel(point) for point in points], fill=lit_by(paint, self.light))

    def blob(self, points: Sequence[Point], paint: Paint) -> None:
        """Fill a shape with a smooth edge through the points."""
        self.polygon(_smooth(points), paint)

    def oval(self, centre: Point, radii: Point, paint: Paint) -> None:
        """Fill an oval."""
        self.polygon(_arc_points(centre, radii, (0, 360)), paint)

    def disc(self, centre: Point, radius: float, paint: Paint) -> None:
        """Fill a circle."""
        self.oval(centre, (radius, radius), paint)

    def dome(self, centre: Point, radii: Point, paint: Paint) -> None:
        """Fill the upper half of an oval."""
        self.polygon(_arc_points(centre, radii, (180, 360)), paint)

    def bowl(self, centre: Point, radii: Point, paint: Paint) -> None:
        """Fill the lower half of an oval."""
        self.polygon(_arc_points(centre, radii, (0, 180)), paint)

    def block(self, box: Box, paint: Paint, rounding: float = 0.0) -> None:
        """Fill a rectangle, with rounded corners if asked."""
        left, top, right, bottom = box
        round_by = min(rounding, (right - left) / 2, (bottom - top) / 2)
        if round_by <= 0:
            self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], paint)
            return
        corners = (
            ((right - round_by, bottom - round_by), 0),
            ((left + round_by, bottom - round_by), 90),
            ((left + round_by, top + round_by), 180),
            ((right - round_by, top + round_by), 270),
        )
        radii = (round_by, round_by)
        self.polygon([p for at, turn in corners for p in _arc_points(at, radii, (turn, turn + 90))], paint)

    def stroke(self, points: Sequence[Point], thickness: float, paint: Paint) -> None:
        """Draw a line with round ends along the points."""
        width = max(1, round(thickness * self.unit))
        lit = lit_by(paint, self.light)
        pen = self.sheet.solid if len(paint) == OPAQUE else self.sheet.glaze
        pen.line([self._pixel(point) for point in points], fill=lit, width=width, joint="curve")
        if len(paint) == OPAQUE:  # a translucent end would be darker where it lies over the line
            self.disc(points[0], thickness / 2, paint)
            self.disc(points[-1], thickness / 2, paint)

    def bow(self, points: Sequence[Point], thickness: float, paint: Paint) -> None:
        """Draw a smoothly bent line through the points."""
        self.stroke(_smooth(points, closed=False), thickness, paint)

    def ring(self, centre: Point, radius: float, thickness: float, paint: Paint) -> None:
        """Draw the outline of a circle."""
        far, near = radius + thickness / 2, radius - thickness / 2
        outer, inner = _arc_points(centre, (far, far), (0, 360)), _arc_points(centre, (near, near), (0, 360))
        # One polygon, not two discs: translucent paint must leave the middle as it is.
        self.polygon([*outer, outer[0], inner[0], *reversed(inner)], paint)

    def arc(self, oval: Box, sweep: Point, thickness: float, paint: Paint) -> None:
        """Draw part of an oval's outline.

        The sweep is in degrees, clockwise from the right.
        """
        left, top, right, bottom = oval
        centre, radii = ((left + right) / 2, (top + bottom) / 2), ((right - left) / 2, (bottom - top) / 2)
        self.stroke(_arc_points(centre, radii, sweep), thickness, paint)

    def glow(self, centre: Point, radius: float, colour: Colour) -> None:
        """Lay a soft halo of light around a point."""
        for step in range(6):
            self.disc(centre, radius * (1 - step / 6.5), (*colour, 14 + 4 * step))

    def _pixel(self, point: Point) -> Point:
        x, y = point
        if self.mirrored:
            x = -x
        if self.tilt:
            cosine, sine = math.cos(math.radians(self.tilt)), math.sin(math.radians(self.tilt))
            x, y = x * cosine - y * sine, x * sine + y * cosine
        return self.origin[0] + x * self.unit, self.origin[1] + y * self.unit


def _stretch(image: Image.Image, size: tuple[int, int], how: Image.Resampling) -> Image.Image:
    return image.transform(size, Image.Transform.EXTENT, (0, 0, *image.size), how)


def _arc_points(centre: Point, radii: Point, sweep: Point) -> list[Point]:
    start, end = sweep
    steps = max(4, round(abs(end - start) / 5))
    angles = (math.radians(start + (end - start) * step / steps) for step in range(steps + 1))
    return [(centre[0] + radii[0] * math.cos(angle), centre[1] + radii[1] * math.sin(angle)) for angle in angles]


def _smooth(points: Sequence[Point], closed: bool = True) -> list[Point]:
    around = [points[-1], *points, points[0], points[1]] if closed else [points[0], *points, points[-1]]
    curve = [
        _between(around[index : index + 4], step / _CURVE_STEPS)
        for index in range(len(around) - 3)
        for step in range(_CURVE_STEPS)
    ]
    return curve if closed else [*curve, points[-1]]


def _between(points: Sequence[Point], share: float) -> Point:
    """Return a point on the Catmull-Rom curve between the two middle points."""
    before, start, end, after = points
    squared, cubed = share * share, share**3
    weights = (
        (-cubed + 2 * squared - share) / 2,
        (3 * cubed - 5 * squared + 2) / 2,
        (-3 * cubed + 4 * squared + share) / 2,
        (cubed - squared) / 2,
    )
    corners = tuple(zip(weights, (before, start, end, after), strict=True))
    return sum(w * p[0] for w, p in corners), sum(w * p[1] for w, p in corners)
