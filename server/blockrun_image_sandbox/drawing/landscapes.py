"""Open country: distant mountains, towns and woods, and the ground before them."""

from blockrun_image_sandbox.drawing.canvas import Canvas, Point
from blockrun_image_sandbox.drawing.colours import WHITE, Colour, Paint, darker, lighter, mix, see_through
from blockrun_image_sandbox.drawing.plants import pine_tree, round_tree
from blockrun_image_sandbox.drawing.scene import Scene

_ROCK: Colour = (92, 106, 138)
_WATER: Colour = (38, 118, 164)
_SAND: Colour = (232, 192, 124)


def mountains(scene: Scene) -> None:
    """Raise two ranges of mountains with sunlit and shaded sides."""
    for distance, height, count in ((0.62, 0.42, 5), (0.25, 0.32, 4)):
        rock = scene.palette.hazy(scene.palette.tinged(_ROCK, 0.6), distance)
        spacing = scene.width / (count - 1.4)
        start = scene.chance.uniform(-0.3, 0.1) * spacing
        for index in range(count):
            at = start + index * spacing, scene.horizon + 0.06
            rise = min(height * scene.chance.uniform(0.7, 1.12), scene.horizon * 0.74)
            _mountain(scene, scene.canvas.within(at, rise), rock)


def _mountain(scene: Scene, canvas: Canvas, rock: Colour) -> None:
    lean = scene.chance.uniform(-0.12, 0.12)
    wide = scene.chance.uniform(0.85, 1.1)
    foot = 0.5 * lean
    canvas.polygon([(-wide, 0), (lean, -1), (wide, 0)], rock)
    shade = [(lean, -1), (wide, 0), (foot + 0.15, 0), (lean + 0.16, -0.38), (lean - 0.06, -0.66)]
    canvas.polygon(shade, darker(rock, 0.22))
    snow = scene.palette.hazy((250, 250, 252), 0.12)
    left, right = (lean - 0.31 * (wide + lean), -0.69), (lean + 0.31 * (wide - lean), -0.69)
    jagged = [(lean + 0.14, -0.61), (lean + 0.03, -0.71), (lean - 0.09, -0.6), (lean - 0.17, -0.7)]
    canvas.polygon([(lean, -1), right, *jagged, left], snow)
    canvas.polygon([(lean, -1), right, (lean + 0.14, -0.61), (lean + 0.03, -0.71)], mix(snow, rock, 0.3))


def skyline(scene: Scene) -> None:
    """Build a town in three rows, the nearest one darkest and with lit windows."""
    base = mix(scene.palette.light.sky[0], (44, 50, 84), 0.6)
    for distance, height in ((0.62, 0.5), (0.34, 0.4), (0.0, 0.27)):
        colour = mix(base, scene.palette.light.sky[1], distance)
        x = -scene.chance.uniform(0, 0.05)
        while x < scene.width:
            width = scene.chance.uniform(0.055, 0.12)
            tall = min(height * scene.chance.uniform(0.5, 1.15), scene.horizon * 0.85)
            if abs(x + width / 2 - scene.sun_x) < _SUN_GAP:
                tall *= 0.5  # low houses leave the sun in view
            _tower(scene, (x, scene.horizon - tall, x + width, scene.horizon + 0.03), colour)
            x += width + scene.chance.choice((0.0, 0.004, 0.015))
    if scene.asks_for(*_FUTURE):
        _flying_cars(scene)


_SUN_GAP = 0.17
_FUTURE = ("futuristic", "future", "cyberpunk", "neon", "scifi", "sci", "utopia", "utopian", "synthwave")
_ROOFS = ("flat", "flat", "step", "spire", "slant")
_FUTURE_ROOFS = ("dome", "needle", "fin", "disc", "spire")


def _tower(scene: Scene, box: tuple[float, float, float, float], colour: Colour) -> None:
    left, top, right, bottom = box
    roof = scene.chance.choice(_FUTURE_ROOFS if scene.asks_for(*_FUTURE) else _ROOFS)
    _roof(scene.canvas.within(((left + right) / 2, top), (right - left) / 2), roof, colour)
    scene.canvas.block(box, colour)
    scene.canvas.block((right - (right - left) * 0.22, top, right, bottom), darker(colour, 0.14))
    _windows(scene, box, colour)


def _roof(canvas: Canvas, roof: str, colour: Colour) -> None:
    if roof == "step":
        canvas.block((-0.6, -0.4, 0.6, 0.1), colour)
        canvas.block((-0.25, -0.8, 0.25, 0), colour)
    elif roof == "slant":
        canvas.polygon([(-1, 0.05), (1, -0.8), (1, 0.05)], colour)
    elif roof in ("spire", "needle"):
        canvas.polygon([(-0.6, 0.05), (0, -1.1), (0.6, 0.05)], colour)
        canvas.stroke([(0, -0.5), (0, -2.1)], 0.1, colour)
    elif roof == "dome":
        canvas.dome((0, 0.05), (1, 1), colour)
        canvas.stroke([(0, -0.8), (0, -1.6)], 0.1, colour)
    elif roof == "fin":
        canvas.polygon([(-1, 0.05), (-0.2, -1.5), (1, -0.3), (1, 0.05)], colour)
    elif roof == "disc":
        canvas.block((-0.3, -0.9, 0.3, 0.1), colour)
        canvas.oval((0, -0.9), (1.35, 0.32), lighter(colour, 0.15))
        canvas.dome((0, -0.95), (0.7, 0.6), colour)


def _windows(scene: Scene, box: tuple[float, float, float, float], colour: Colour) -> None:
    left, top, right, bottom = box
    dark = scene.palette.light.starry
    lamps: tuple[Colour, ...] = ((255, 214, 120), (255, 232, 170))
    if scene.asks_for(*_FUTURE):
        lamps = ((90, 232, 240), (255, 110, 196), (255, 222, 130))
    columns = max(2, round((right - left) / 0.024))
    step = (right - left) / (columns + 0.6)
    for row in range(int((bottom - top - 0.02) / 0.034)):
        for column in range(columns):
            if scene.chance.random() < (0.5 if dark else 0.62):
                x, y = left + step * (column + 0.5), top + 0.02 + row * 0.034
                lamp = scene.chance.choice(lamps)
                scene.canvas.block((x, y, x + step * 0.55, y + 0.015), mix(lamp, colour, 0.1 if dark else 0.45))


def _flying_cars(scene: Scene) -> None:
    for _ in range(5):
        at = scene.chance.uniform(0.08, scene.width - 0.08), scene.horizon * scene.chance.uniform(0.3, 0.72)
        canvas = scene.canvas.within(at, scene.chance.uniform(0.018, 0.03))
        canvas.polygon([(-1, 0.1), (-4.4, 0.02), (-4.4, 0.18)], see_through((255, 150, 210), 0.6))
        canvas.oval((0, 0.08), (1.2, 0.34), (230, 236, 246))
        canvas.dome((0.1, -0.05), (0.6, 0.5), (60, 214, 230))


def woods(scene: Scene) -> None:
    """Plant rows of trees, the far ones pale."""
    leafy = scene.palette.season.leaves
    for distance, size, count in ((0.6, 0.15, 17), (0.36, 0.2, 12), (0.08, 0.26, 8)):
        level = scene.horizon + 0.05 * (1 - distance)
        for index in range(round(count * max(1.0, scene.width))):
            x = (index + scene.chance.uniform(-0.3, 0.6)) / count
            tree = scene.canvas.within((x, level - size * 0.8), size * scene.chance.uniform(0.8, 1.15))
            plant = pine_tree if scene.palette.snowing else scene.chance.choice((pine_tree, pine_tree, round_tree))
            leaves = scene.palette.tinged(scene.chance.choice(leafy), 0.25)
            plant(tree, scene.palette.hazy(leaves, distance))


def meadow(scene: Scene) -> None:
    """Roll out hills of grass, or of snow in winter, with tufts or flowers."""
    ground = scene.palette.tinged(scene.palette.season.ground, 0.22)
    near = scene.palette.hazy(ground, 0)
    far = scene.palette.light.sky[0] if scene.palette.snowing else scene.palette.horizon
    scene.canvas.polygon(scene.hills(scene.horizon + 0.01, 0.03), mix(near, far, 0.4))
    scene.canvas.polygon(scene.hills(scene.horizon + 0.07, 0.022), mix(near, far, 0.18))
    scene.canvas.polygon(scene.hills(scene.horizon + 0.16, 0.018), near)
    if not scene.palette.snowing:
        _tufts(scene, near)


def _tufts(scene: Scene, ground: Colour) -> None:
    blooms: tuple[Colour, ...] = (WHITE, (255, 214, 90), (244, 130, 150))
    blooming = scene.asks_for("flower", "flowers", "meadow", "garden", "spring", "wildflowers", "blossom", "blossoms")
    for _ in range(round(46 * scene.width)):
        at = scene.chance.uniform(0, scene.width), scene.chance.uniform(scene.horizon + 0.2, scene.height)
        tuft = scene.canvas.within(at, 0.016 + (at[1] - scene.horizon) * 0.03)
        blade = darker(ground, 0.18)
        tuft.polygon(
            [(-0.9, -0.8), (-0.2, 0), (-0.1, -1.2), (0.15, 0), (0.9, -0.9), (0.35, 0.15), (-0.35, 0.15)], blade
        )
        if blooming:
            bloom = tuft.under(scene.near_light)
            bloom.disc((0, -1.3), 0.45, scene.chance.choice(blooms))
            bloom.disc((0, -1.3), 0.16, (250, 196, 60))


def sea(scene: Scene) -> None:
    """Fill the foreground with water, glittering in the light, and a beach if asked for."""
    light = scene.palette.light
    water = scene.palette.hazy(scene.palette.tinged(_WATER, 0.3), 0.0)
    far = mix(water, mix(light.sky[1], light.sky[2], 0.3), 0.5)
    scene.canvas.wash(scene.horizon, scene.height, (far, water, darker(water, 0.25)))
    for _ in range(round(64 * scene.width)):
        depth = scene.chance.random() ** 1.3  # more ripples towards the horizon
        y = scene.horizon + 0.012 + depth * (scene.height - scene.horizon)
        x, half = scene.chance.uniform(0, scene.width), 0.02 + 0.07 * depth
        _ripple(scene.canvas, (x, y), half, see_through(light.sky[scene.chance.choice((1, 2))], 0.42))
    if not light.sunless:
        _glitter(scene)
    if scene.asks_for("beach", "beaches", "shore", "coast", "island", "seaside", "tropical"):
        sand = scene.palette.hazy(_SAND, 0)
        scene.canvas.polygon(scene.hills(scene.floor - 0.085, 0.02), lighter(sand, 0.55))
        scene.canvas.polygon(scene.hills(scene.floor - 0.065, 0.02), sand)


def _glitter(scene: Scene) -> None:
    """Reflect the sun or moon as a column of bright ripples, wider towards the viewer."""
    for step in range(22):
        depth = (step / 22) ** 1.3
        x = scene.sun_x + scene.chance.uniform(-0.05, 0.05) * (0.6 + depth)
        y = scene.horizon + 0.008 + depth * (scene.height - scene.horizon)
        _ripple(scene.canvas, (x, y), 0.045 + 0.06 * depth, see_through(scene.palette.light.sun, 0.75 - 0.35 * depth))


def _ripple(canvas: Canvas, at: Point, half: float, paint: Paint) -> None:
    x, y = at
    canvas.polygon([(x - half, y), (x, y - half * 0.07), (x + half, y), (x, y + half * 0.07)], paint)


def desert(scene: Scene) -> None:
    """Pile up dunes of sand."""
    sand = scene.palette.tinged(_SAND, 0.25)
    for distance, drop, swell in ((0.45, 0.0, 0.035), (0.2, 0.07, 0.03), (0.0, 0.16, 0.026)):
        colour = scene.palette.hazy(sand, distance)
        scene.canvas.polygon(scene.hills(scene.horizon + drop, swell), colour)
        scene.canvas.polygon(scene.hills(scene.horizon + drop + 0.05, swell), darker(colour, 0.07))


def road(scene: Scene) -> None:
    """Lay a street with a kerb and lane marks."""
    grey = scene.palette.hazy((92, 96, 110), 0)
    scene.canvas.block((0, scene.horizon, scene.width, scene.height), lighter(grey, 0.35))
    top = scene.floor - 0.2
    scene.canvas.block((0, top, scene.width, scene.height), grey)
    scene.canvas.block((0, top - 0.012, scene.width, top), lighter(grey, 0.6))
    for index in range(round(scene.width * 6) + 1):
        scene.canvas.block((index / 6, scene.floor - 0.05, index / 6 + 0.09, scene.floor - 0.036), lighter(grey, 0.7))
