"""The judge's own view of each purpose: what is foreign to it, and what is plainly of it.

The terms are as in a judged prompt's `never`: words, phrases and groups.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Fit:
    """What additions must not say for a purpose, and of what they must say something."""

    foreign: Sequence[str]
    fitting: Sequence[str]


FITS: Mapping[str, Fit] = {
    "photo": Fit(
        foreign=["@drawn", "@vector", "@3d", "pixel art", "layout", "repeating", "shading"],
        fitting=[
            *("@photo", "@daylight", "@studio", "@low_view", "@high_view", "@level_view", "@off_centre", "@close"),
            *("@wide", "@blur", "cinematic", "editorial", "documentary", "natural", "side lighting", "backlit"),
        ],
    ),
    "portrait": Fit(
        foreign=[
            *("flat lay", "overhead", "aerial", "layout", "repeating", "leading lines", "panoramic", "establishing"),
            *("into the distance", "product", "macro", "food", "architectural", "automotive"),
        ],
        fitting=[
            *("@person", "@close", "@level_view", "@blur", "medium shot", "full-length", "full length"),
            *("three-quarter", "window light", "studio", "softbox", "rembrandt", "catchlight", "rim light"),
            *("side lighting", "side light", "key light", "painterly", "waist-up", "@soft"),
        ],
    ),
    "product": Fit(
        foreign=[
            *("@person", "@drawn", "@night", "aerial", "establishing", "panoramic", "leading lines", "low-key"),
            *("into the distance", "foreground", "repeating", "horizon"),
        ],
        fitting=[
            *("@studio", "@background_plain", "@clean", "@centred", "@high_view", "commercial", "three-quarter"),
            *("product", "packshot", "catalogue", "catalog", "still-life", "still life", "advertising", "reflection"),
            *("subtle shadow", "close-up", "editorial", "side lighting", "@soft"),
        ],
    ),
    "landscape": Fit(
        foreign=[
            *("@indoors", "@studio", "@person", "@background_plain", "@one", "@close", "product", "flat lay", "layout"),
            *("fashion", "food", "repeating"),
        ],
        fitting=[
            *("@wide", "@daylight", "@outdoors", "@off_centre", "aerial", "leading lines", "foreground", "depth"),
            *("distance", "distant", "atmospheric", "layered", "layer", "mist", "misty", "haze", "moonlight", "nature"),
            *("travel-magazine", "natural", "high viewpoint", "vantage"),
        ],
    ),
    "illustration": Fit(
        foreign=["@photo", "@studio", "softbox", "commercial", "repeating"],
        fitting=[
            *("@drawn", "@vector", "digital art", "editorial", "graphic", "stylised", "stylized", "palette", "shading"),
            *("paper cutout", "papercut", "print", "linocut", "screenprint", "risograph", "texture"),
        ],
    ),
    "childrens_illustration": Fit(
        foreign=["@photo", "@gloom", "@studio", "@hard", "low-key", "gritty", "cinematic", "commercial", "editorial"],
        fitting=[
            *("@drawn", "@cheer", "@soft", "storybook", "picture-book", "children's", "rounded", "friendly"),
            *("whimsical", "warm", "bright", "crayon", "pastel", "cosy", "cozy", "bold"),
        ],
    ),
    "logo_icon": Fit(
        foreign=[
            *("@photo", "@scene_light", "@background_scene", "@blur", "@person", "@busy", "wide angle", "panoramic"),
            *("close-up", "aerial", "low angle", "macro", "painterly", "eye level", "rule of thirds"),
        ],
        fitting=[
            *("@vector", "@clean", "@centred", "@background_plain", "icon", "mark", "emblem", "badge", "logo", "bold"),
            *("margin", "monogram", "geometric", "scalable", "silhouette"),
        ],
    ),
    "diagram": Fit(
        foreign=[
            *("@photo", "@scene_light", "@background_scene", "@blur", "@no_text", "@gloom", "@low_view", "@person"),
            *("painterly", "rule of thirds", "aerial", "close-up", "macro", "off-center", "off-centre"),
        ],
        fitting=[
            *("@vector", "@clean", "layout", "label", "labelled", "labeled", "spacing", "diagram", "arrow"),
            *("infographic", "schematic", "legible", "readable", "structured", "grid", "left to right"),
            *("top to bottom", "chart"),
        ],
    ),
    "ui_mockup": Fit(
        foreign=[
            *("@photo", "@scene_light", "@background_scene", "@blur", "@no_text", "@drawn", "@low_view", "@person"),
            *("rule of thirds", "aerial", "close-up", "macro", "off-center", "off-centre"),
        ],
        fitting=[
            *("@clean", "@modern", "@vector", "interface", "layout", "ui", "screen", "grid", "spacing", "straight-on"),
            *("hierarchy", "aligned", "front view", "dashboard", "margin"),
        ],
    ),
    "pixel_art": Fit(
        foreign=[
            *("@photo", "@blur", "@studio", "@3d", "painterly", "watercolor", "watercolour", "oil", "brushwork"),
            *("vector", "smooth", "storybook", "wide angle", "macro", "softbox"),
        ],
        fitting=[
            *("pixel", "pixels", "pixelated", "sprite", "8-bit", "16-bit", "limited palette", "side view", "side-on"),
            *("isometric", "tile", "crisp edge", "dithering", "dithered", "@centred", "@background_plain", "@clean"),
            *("top-down", "@wide", "@tall"),
        ],
    ),
    "texture_pattern": Fit(
        foreign=[
            *("@centred", "@off_centre", "@one", "@person", "@background_scene", "@blur", "@low_view", "@gloom"),
            *("leading lines", "perspective", "vignette", "three-quarter", "clear focus", "horizon"),
        ],
        fitting=[
            *("seamless", "seamlessly", "tile", "tileable", "tiling", "repeating", "repeat", "all-over"),
            *("edge to edge", "pattern", "even", "evenly", "flat", "overhead", "straight-on", "uniform", "top-down"),
            *("macro",),
        ],
    ),
    "poster_text": Fit(
        foreign=["@no_text", "flat lay", "repeating", "interface", "wide angle", "into the distance"],
        fitting=[
            *("layout", "typography", "typographic", "lettering", "bold", "graphic", "headline", "space for", "margin"),
            *("poster", "central", "legible", "readable", "hierarchy", "@centred", "@tall", "@vector", "screen print"),
        ],
    ),
}

UNLIT = frozenset(["logo_icon", "diagram", "ui_mockup", "pixel_art", "texture_pattern", "poster_text"])
"""The purposes whose pictures need no light."""
