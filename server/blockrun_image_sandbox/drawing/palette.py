"""Chooses colours, light and weather from the words of a prompt."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from blockrun_image_sandbox.drawing.colours import Colour, darker, lighter, lit_by, mix

COLOURS: dict[str, Colour] = {
    "red": (214, 48, 49), "crimson": (178, 24, 48), "scarlet": (226, 44, 36), "ruby": (190, 20, 66),
    "orange": (240, 132, 38), "amber": (246, 170, 36), "peach": (250, 184, 146),
    "yellow": (250, 208, 52), "golden": (232, 176, 62), "gold": (228, 174, 50), "blonde": (236, 200, 120),
    "green": (66, 160, 82), "emerald": (22, 150, 104), "lime": (160, 208, 62), "olive": (128, 132, 60),
    "mint": (140, 214, 178), "teal": (20, 140, 142), "turquoise": (48, 190, 186), "cyan": (44, 186, 222),
    "blue": (44, 104, 206), "azure": (52, 144, 230), "navy": (30, 46, 104), "indigo": (74, 60, 160),
    "purple": (128, 68, 176), "violet": (140, 88, 206), "lavender": (182, 162, 224), "magenta": (210, 50, 150),
    "pink": (242, 130, 172), "rose": (226, 94, 124), "brown": (138, 92, 60), "tan": (206, 170, 126),
    "beige": (228, 210, 180), "silver": (182, 190, 200), "grey": (140, 146, 154), "gray": (140, 146, 154),
    "black": (48, 46, 56), "white": (244, 244, 240), "copper": (190, 112, 72), "bronze": (172, 122, 64),
}  # fmt: skip


@dataclass(frozen=True)
class Light:
    """The look of the sky, and its effect on everything under it."""

    sky: tuple[Colour, Colour, Colour]
    shine: Colour
    sun: Colour
    low_sun: bool = False
    starry: bool = False
    sunless: bool = False


LIGHTS: dict[str, Light] = {
    "day": Light(((70, 156, 220), (136, 202, 238), (228, 244, 246)), (255, 255, 255), (255, 222, 110)),
    "afternoon": Light(((92, 172, 190), (252, 220, 158), (255, 238, 204)), (255, 246, 226), (255, 196, 84)),
    "dawn": Light(((116, 138, 204), (244, 182, 192), (255, 226, 192)), (255, 232, 226), (255, 244, 206), low_sun=True),
    "sunset": Light(((70, 46, 116), (230, 90, 88), (255, 192, 92)), (238, 182, 160), (255, 238, 168), low_sun=True),
    "night": Light(((10, 16, 46), (24, 40, 92), (66, 88, 152)), (116, 134, 196), (246, 240, 212), starry=True),
    "overcast": Light(
        ((104, 120, 138), (150, 166, 178), (208, 215, 217)), (206, 212, 220), (236, 236, 230), sunless=True
    ),
    "neon": Light(((20, 10, 52), (98, 26, 126), (255, 92, 154)), (164, 136, 222), (255, 226, 120), starry=True),
}

LIGHT_WORDS: dict[str, str] = {
    "sunset": "sunset", "sunsets": "sunset", "dusk": "sunset", "evening": "sunset", "twilight": "sunset",
    "night": "night", "midnight": "night", "moon": "night", "moonlight": "night", "moonlit": "night",
    "star": "night", "stars": "night", "starry": "night", "dark": "night", "nocturnal": "night",
    "dawn": "dawn", "sunrise": "dawn", "morning": "dawn", "pastel": "dawn",
    "sunny": "day", "day": "day", "noon": "day", "daylight": "day", "summer": "day", "sun": "day",
    "afternoon": "afternoon", "warm": "afternoon", "autumn": "afternoon", "vintage": "afternoon",
    "storm": "overcast", "stormy": "overcast", "rain": "overcast", "rainy": "overcast", "raining": "overcast",
    "cloudy": "overcast", "fog": "overcast", "foggy": "overcast", "mist": "overcast", "misty": "overcast",
    "neon": "neon", "cyberpunk": "neon", "synthwave": "neon", "vaporwave": "neon",
}  # fmt: skip


@dataclass(frozen=True)
class Season:
    """The effect of a season on the ground and the leaves."""

    ground: Colour
    leaves: tuple[Colour, ...]


SUMMER = Season((112, 176, 84), ((60, 138, 84), (84, 158, 82), (46, 118, 88)))
SEASONS: dict[str, Season] = {
    "autumn": Season((204, 164, 84), ((222, 116, 44), (236, 160, 52), (190, 68, 48))),
    "winter": Season((226, 235, 248), ((70, 112, 110), (92, 134, 130), (56, 94, 100))),
    "spring": Season((140, 198, 96), ((240, 164, 186), (248, 190, 204), (130, 190, 104))),
}

SEASON_WORDS: dict[str, str] = {
    "autumn": "autumn", "fall": "autumn", "autumnal": "autumn", "october": "autumn",
    "winter": "winter", "snow": "winter", "snowy": "winter", "snowing": "winter", "ice": "winter", "icy": "winter",
    "snowflakes": "winter", "frozen": "winter", "arctic": "winter", "christmas": "winter",
    "spring": "spring", "blossom": "spring", "blossoms": "spring", "cherry": "spring", "sakura": "spring",
}  # fmt: skip

RAIN_WORDS = frozenset({"rain", "rainy", "raining", "storm", "stormy"})

POSTERS: tuple[tuple[Colour, ...], ...] = (
    ((28, 53, 87), (69, 123, 157), (168, 218, 220), (241, 196, 83), (230, 84, 75)),
    ((45, 49, 66), (79, 93, 117), (239, 131, 84), (247, 197, 159), (191, 192, 192)),
    ((22, 66, 60), (58, 125, 104), (233, 196, 106), (244, 162, 97), (231, 111, 81)),
    ((53, 33, 89), (112, 72, 168), (235, 94, 140), (255, 166, 117), (255, 222, 156)),
    ((11, 57, 84), (8, 126, 139), (191, 215, 234), (255, 90, 95), (200, 29, 77)),
    ((61, 52, 139), (118, 120, 237), (247, 184, 1), (241, 135, 1), (243, 91, 4)),
    ((38, 70, 83), (42, 157, 143), (138, 201, 166), (233, 216, 166), (238, 155, 0)),
)


@dataclass(frozen=True)
class Palette:
    """The colours of one picture."""

    light: Light
    season: Season
    named: tuple[Colour, ...]
    poster: tuple[Colour, ...]
    snowing: bool = False
    raining: bool = False

    @property
    def horizon(self) -> Colour:
        """The colour of distant haze."""
        return self.light.sky[2]

    def hazy(self, colour: Colour, distance: float) -> Colour:
        """Return a landscape colour as seen from a distance.

        The distance is from 0 (here) to 1 (lost in the haze).
        """
        red, green, blue, *_ = lit_by(colour, self.light.shine)
        return mix((red, green, blue), self.horizon, distance)

    def tinged(self, colour: Colour, share: float) -> Colour:
        """Move a colour towards the first one named by the prompt."""
        return mix(colour, self.named[0], share) if self.named else colour


def palette_for(words: Sequence[str], chance: random.Random) -> Palette:
    """Choose the palette from the words, or by chance if they do not say."""
    named = tuple(dict.fromkeys(COLOURS[word] for word in words if word in COLOURS))
    season = next((SEASON_WORDS[word] for word in words if word in SEASON_WORDS), "")
    return Palette(
        light=_tinged_sky(_light_for(words, chance), named),
        season=SEASONS.get(season, SUMMER),
        named=named,
        poster=_poster_of(named, chance),
        snowing=season == "winter",
        raining=any(word in RAIN_WORDS for word in words),
    )


def _light_for(words: Sequence[str], chance: random.Random) -> Light:
    by_chance = chance.choice(("day", "day", "afternoon", "dawn"))
    asked = [LIGHT_WORDS[word] for word in words if word in LIGHT_WORDS]
    return LIGHTS["neon" if "neon" in asked else next(iter(asked), by_chance)]


def _tinged_sky(light: Light, named: tuple[Colour, ...]) -> Light:
    if not named:
        return light
    top, middle, low = light.sky
    share = 0.5 if light.starry else 1.0  # a night sky must stay dark
    sky = (mix(top, named[0], 0.12 * share), mix(middle, named[0], 0.3 * share), mix(low, named[0], 0.46 * share))
    return replace(light, sky=sky)


def _poster_of(named: tuple[Colour, ...], chance: random.Random) -> tuple[Colour, ...]:
    by_chance = chance.choice(POSTERS)
    if not named:
        return by_chance
    main, *others = named
    second, third, *_ = *others, lighter(main, 0.35), lighter(main, 0.55)
    return darker(main, 0.6), main, lighter(main, 0.72), second, third
