"""The scene of backdrops and subjects, measured in short sides of the picture."""

import math
import random
from dataclasses import dataclass

from blockrun_image_sandbox.drawing.canvas import Canvas, Point
from blockrun_image_sandbox.drawing.colours import WHITE, Colour, mix
from blockrun_image_sandbox.drawing.palette import Palette


@dataclass(frozen=True)
class Scene:
    """A picture in progress; x runs from 0 to `width`, and y down from 0.

    The caption begins at y = `floor`.
    """

    canvas: Canvas
    width: float
    height: float
    floor: float
    palette: Palette
    chance: random.Random
    sun_x: float
    words: tuple[str, ...]

    @property
    def horizon(self) -> float:
        """The y of the line between sky and ground."""
        return self.floor * 0.66

    @property
    def near_light(self) -> Colour:
        """The light on near things.

        It is softer than on the landscape, so that they stay visible.
        """
        return mix(self.palette.light.shine, WHITE, 0.6)

    def asks_for(self, *words: str) -> bool:
        """Return whether the prompt has one of the words."""
        return not set(words).isdisjoint(self.words)

    def hills(self, level: float, swell: float) -> list[Point]:
        """Return the outline of softly rolling ground around a level, closed at the bottom."""
        phase, second = self.chance.uniform(0, 6.3), self.chance.uniform(0, 6.3)
        steps = 60
        outline = [
            (x, level - swell * (math.sin(x * 3.1 + phase) + 0.45 * math.sin(x * 6.7 + second)))
            for x in (self.width * (step / steps * 1.04 - 0.02) for step in range(steps + 1))
        ]
        return [(-0.1, self.height), *outline, (self.width + 0.1, self.height)]
