"""The open sky, its lights and clouds, and falling snow or rain."""

from blockrun_image_sandbox.drawing.canvas import Canvas, Point
from blockrun_image_sandbox.drawing.colours import CREAM, WHITE, Colour, darker, lighter, mix, see_through
from blockrun_image_sandbox.drawing.scene import Scene


def sky(scene: Scene) -> None:
    """Fill the sky to below the horizon."""
    light = scene.palette.light
    scene.canvas.wash(0, scene.horizon + 0.02, light.sky)
    scene.canvas.wash(scene.horizon + 0.02, scene.height, (light.sky[2], light.sky[2]))
    if light.starry:
        stars(scene, scene.horizon)
    if light.starry and not scene.asks_for("neon", "cyberpunk", "synthwave", "vaporwave", "sun"):
        _moon(scene)
    elif not light.sunless:
        _sun(scene)
    if not light.starry:
        _clouds(scene)
    if scene.asks_for("rainbow", "rainbows"):
        _rainbow(scene)


def stars(scene: Scene, down_to: float) -> None:
    """Scatter stars over the top of the picture."""
    for _ in range(round(70 * scene.width * scene.height)):
        # The exponent gathers the stars at the top, away from the glow at the horizon.
        at = scene.chance.uniform(0, scene.width), down_to * scene.chance.random() ** 1.4
        radius = scene.chance.choice((0.0016, 0.0022, 0.0036))
        scene.canvas.disc(at, radius, mix(CREAM, scene.palette.light.sky[1], scene.chance.uniform(0, 0.5)))
    if scene.asks_for("star", "stars", "starry"):
        for _ in range(6):
            at = scene.chance.uniform(0.05, scene.width - 0.05), scene.chance.uniform(0.08, down_to * 0.7)
            _sparkle(scene.canvas.within(at, scene.chance.uniform(0.02, 0.045)))


def weather(scene: Scene) -> None:
    """Draw snow or rain over the finished scene."""
    area = scene.width * scene.height
    if scene.palette.snowing:
        for _ in range(round(110 * area)):
            at = scene.chance.uniform(0, scene.width), scene.chance.uniform(0, scene.height)
            scene.canvas.disc(at, scene.chance.choice((0.004, 0.006, 0.009)), see_through(WHITE, 0.85))
    if scene.palette.raining:
        for _ in range(round(150 * area)):
            x, y = scene.chance.uniform(0, scene.width + 0.1), scene.chance.uniform(-0.05, scene.height)
            scene.canvas.stroke([(x, y), (x - 0.014, y + 0.05)], 0.003, see_through((222, 234, 246), 0.6))


def _sun(scene: Scene) -> None:
    light = scene.palette.light
    at = _sky_place(scene, 0.84 if light.low_sun else 0.34)
    radius = 0.15 if light.low_sun else 0.085
    scene.canvas.glow(at, radius * 2.3, light.sun)
    scene.canvas.disc(at, radius, light.sun)


def _moon(scene: Scene) -> None:
    light = scene.palette.light
    at = _sky_place(scene, 0.3)
    scene.canvas.glow(at, 0.2, light.sun)
    scene.canvas.disc(at, 0.085, light.sun)
    for x, y, radius in ((-0.03, -0.025, 0.018), (0.025, 0.02, 0.024), (-0.02, 0.04, 0.012), (0.04, -0.035, 0.01)):
        scene.canvas.disc((at[0] + x, at[1] + y), radius, darker(light.sun, 0.1))


def _sky_place(scene: Scene, share: float) -> Point:
    return scene.sun_x, scene.horizon * share + scene.chance.uniform(-0.02, 0.02)


def _clouds(scene: Scene) -> None:
    light = scene.palette.light
    colour = mix(light.sky[2], WHITE, 0.45) if not light.sunless else mix(light.sky[2], light.sky[1], 0.35)
    for _ in range(round(3 * scene.width) + (4 if light.sunless else 0)):
        at = scene.chance.uniform(0, scene.width), scene.horizon * scene.chance.uniform(0.1, 0.66)
        _cloud(scene.canvas.within(at, scene.chance.uniform(0.06, 0.13)), colour)


def _cloud(canvas: Canvas, colour: Colour) -> None:
    canvas.block((-1.3, -0.12, 1.35, 0.22), colour, rounding=0.17)
    for x, y, radius in ((-0.62, -0.08, 0.34), (-0.05, -0.25, 0.5), (0.6, -0.06, 0.36)):
        canvas.disc((x, y), radius, colour)


def _sparkle(canvas: Canvas) -> None:
    waist = 0.16
    outline = [(0, -1), (waist, -waist), (1, 0), (waist, waist), (0, 1), (-waist, waist), (-1, 0), (-waist, -waist)]
    canvas.polygon(outline, lighter((255, 226, 140), 0.3))


def _rainbow(scene: Scene) -> None:
    bands = ((228, 78, 78), (244, 156, 66), (250, 218, 90), (108, 190, 112), (76, 146, 222), (136, 96, 200))
    for index, colour in enumerate(bands):
        radius = 0.56 - index * 0.024
        scene.canvas.ring((scene.width * 0.5, scene.horizon), radius, 0.0245, see_through(colour, 0.75))
