"""The table of drawable subjects, with their words, painters and homes."""

from collections.abc import Callable
from dataclasses import dataclass

from blockrun_image_sandbox.drawing import animals, buildings, figures, plants, things, vehicles, wildlife
from blockrun_image_sandbox.drawing.canvas import Canvas
from blockrun_image_sandbox.drawing.colours import Colour

Painter = Callable[[Canvas, Colour], None]

GROUND, BACK, AIR, WATER = "ground", "back", "air", "water"


@dataclass(frozen=True)
class Drawable:
    """A drawable thing, with its words in the singular and the plural.

    `home` is its backdrop if the prompt names none, `stands` its place in the scene, and `foot` the distance from its
    middle down to the ground, in halves of its height. `dressed` is true if it takes the prompt's colour for its
    clothes.
    """

    paint: Painter
    one: str
    many: str
    colours: tuple[Colour, ...]
    home: str = "meadow"
    stands: str = GROUND
    size: float = 1.0
    foot: float = 1.0
    dressed: bool = False


SUBJECTS: dict[str, Drawable] = {
    "dog": Drawable(
        animals.dog, "dog puppy hound retriever labrador corgi pup poodle terrier", "dogs puppies",
        ((206, 150, 92), (176, 122, 82), (226, 186, 130)),
    ),
    "cat": Drawable(
        animals.cat, "cat kitten kitty tabby", "cats kittens kitties",
        ((228, 146, 72), (134, 136, 150), (86, 82, 96)),
    ),
    "fox": Drawable(animals.fox, "fox", "foxes", ((226, 112, 46),)),
    "rabbit": Drawable(
        animals.rabbit, "rabbit bunny hare", "rabbits bunnies hares", ((206, 190, 178), (176, 142, 116))
    ),
    "bear": Drawable(animals.bear, "bear teddy", "bears", ((146, 98, 66), (120, 82, 62))),
    "panda": Drawable(animals.panda, "panda", "pandas", ((248, 246, 242),)),
    "horse": Drawable(wildlife.horse, "horse pony unicorn", "horses ponies", ((150, 92, 58),), size=1.2),
    "bird": Drawable(
        wildlife.bird, "bird swallow parrot robin eagle dove seagull sparrow hummingbird",
        "birds swallows parrots eagles doves seagulls sparrows",
        ((52, 120, 190), (214, 84, 70), (60, 150, 140)), stands=AIR, size=0.8,
    ),
    "owl": Drawable(wildlife.owl, "owl", "owls", ((150, 110, 82),), home="forest", stands=AIR),
    "butterfly": Drawable(
        wildlife.butterfly, "butterfly moth", "butterflies moths",
        ((236, 132, 48), (112, 104, 206)), stands=AIR, size=0.7,
    ),
    "fish": Drawable(
        wildlife.fish, "fish goldfish clownfish", "fishes",
        ((244, 128, 50), (250, 196, 62)), "underwater", AIR,
    ),
    "whale": Drawable(wildlife.whale, "whale dolphin", "whales dolphins", ((64, 106, 156),), "sea", WATER, 1.2, 0.4),
    "person": Drawable(
        figures.person, "person man woman boy girl child kid someone human people lady wizard king queen farmer",
        "men women boys girls children kids friends", ((226, 92, 76), (48, 140, 150), (240, 172, 62)),
        dressed=True,
    ),
    "portrait": Drawable(
        figures.bust, "portrait selfie headshot face", "portraits faces",
        ((48, 110, 124), (188, 74, 76), (78, 80, 140)), "studio", size=1.4, foot=0.8, dressed=True,
    ),
    "astronaut": Drawable(
        figures.astronaut, "astronaut cosmonaut spaceman", "astronauts cosmonauts", ((240, 242, 248),), "moon", size=1.1
    ),
    "robot": Drawable(
        figures.robot, "robot android droid cyborg", "robots androids droids",
        ((126, 160, 184), (240, 160, 74), (104, 178, 160)), "studio", size=1.1,
    ),
    "car": Drawable(
        vehicles.car, "car automobile taxi convertible", "cars taxis automobiles",
        ((214, 62, 58), (42, 120, 186), (246, 190, 62)), "road", foot=0.98,
    ),
    "bicycle": Drawable(
        vehicles.bicycle, "bicycle bike", "bicycles bikes", ((214, 70, 62), (34, 132, 138)), "road", foot=0.99
    ),
    "boat": Drawable(
        vehicles.boat, "boat sailboat ship yacht", "boats sailboats ships yachts",
        ((206, 66, 60), (36, 86, 140)), "sea", WATER, foot=0.94,
    ),
    "plane": Drawable(
        vehicles.plane, "plane airplane aeroplane jet", "planes airplanes jets",
        ((42, 110, 186), (220, 76, 62)), stands=AIR,
    ),
    "rocket": Drawable(
        vehicles.rocket, "rocket spaceship spacecraft", "rockets spaceships", ((226, 74, 64), (246, 150, 56)),
        "space", AIR, 1.2,
    ),
    "balloon": Drawable(
        vehicles.balloon, "balloon", "balloons", ((226, 74, 68), (240, 160, 58), (62, 118, 190)), stands=AIR
    ),
    "planet": Drawable(
        vehicles.planet, "planet saturn jupiter mars earth", "planets",
        ((226, 160, 96), (96, 140, 206), (196, 92, 112)), "space", AIR, 1.1,
    ),
    "house": Drawable(
        buildings.house, "house cottage cabin home hut barn", "houses cottages cabins homes",
        ((190, 76, 66), (70, 110, 144)), stands=BACK,
    ),
    "castle": Drawable(
        buildings.castle, "castle palace fortress", "castles palaces",
        ((176, 174, 186), (206, 178, 164)), stands=BACK, size=1.3,
    ),
    "lighthouse": Drawable(buildings.lighthouse, "lighthouse", "lighthouses", ((214, 64, 60),), "sea", BACK, 1.3),
    "tree": Drawable(plants.round_tree, "tree oak maple", "", ((84, 152, 84),), stands=BACK, size=1.2),
    "palm": Drawable(plants.palm_tree, "palm", "palms", ((58, 146, 92),), "sea", BACK, 1.2),
    "flower": Drawable(
        plants.flower, "flower rose tulip daisy sunflower lily poppy",
        "flowers roses tulips daisies sunflowers poppies lilies",
        ((232, 84, 112), (150, 100, 200), (246, 164, 62)), size=0.9,
    ),
    "cactus": Drawable(plants.cactus, "cactus", "cacti cactuses", ((70, 146, 96),), "desert"),
    "mushroom": Drawable(
        plants.mushroom, "mushroom toadstool", "mushrooms toadstools", ((214, 62, 54),), "forest", size=0.85
    ),
    "cup": Drawable(
        things.cup, "coffee cup mug tea latte espresso cappuccino", "cups mugs",
        ((222, 110, 86), (62, 134, 142), (240, 234, 222)), "table",
    ),
    "book": Drawable(things.book, "book novel notebook", "books", ((44, 96, 140), (166, 62, 72)), "table"),
    "apple": Drawable(things.apple, "apple", "apples", ((214, 58, 54), (130, 184, 72)), "table", size=0.8),
    "fruit": Drawable(things.fruit_bowl, "fruit fruits", "", ((70, 132, 170), (232, 226, 214)), "table"),
    "cake": Drawable(things.cake, "cake birthday cupcake", "cakes cupcakes", ((244, 156, 178), (122, 78, 60)), "table"),
    "ball": Drawable(things.ball, "ball", "balls", ((222, 70, 62), (48, 120, 200)), size=0.8),
    "heart": Drawable(things.heart, "heart love valentine", "hearts", ((224, 62, 88),), "studio", AIR, 0.9),
    "guitar": Drawable(things.guitar, "guitar", "guitars", ((206, 134, 66),), "studio", size=1.15),
}  # fmt: skip
