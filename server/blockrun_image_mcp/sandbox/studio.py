"""The sandbox's work: checks a request as the API does, settles it once, and remembers what it has drawn."""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, cast

from jsonschema import Draft202012Validator

from blockrun_image.catalog import Catalog
from blockrun_image.errors import InvalidRequestError
from blockrun_image.images import ImageArguments, ImageRequest
from blockrun_image.pricing import estimate, usd
from blockrun_image.text import clean
from blockrun_image_mcp.sandbox.faults import Fault, FaultScript

_MOST_PICTURES = 2_000
_MOST_DRAWN_CHARACTERS = 2_000


@dataclass(frozen=True)
class Picture:
    """What is drawn under a picture's URL."""

    prompt: str
    width: int
    height: int
    variant: int


@dataclass(frozen=True)
class Generation:
    """Work that was done and charged: its body for the answer, and the charge in US dollars."""

    body: Mapping[str, object]
    charged_usd: Decimal


@dataclass
class Job:
    """Work that is under way: what is to be done, when it is finished, and what its polls suffer."""

    request: ImageRequest
    origin: str
    fault: Fault
    finished_at: float
    polls: FaultScript
    asked: int = 0
    generation: Generation | None = None


@dataclass
class Studio:
    """Everything that a sandbox knows."""

    catalog: Catalog
    faults: FaultScript = field(default_factory=FaultScript)
    keys: list[str] = field(default_factory=list[str])
    settlements: list[dict[str, object]] = field(default_factory=list[dict[str, object]])
    jobs: dict[str, Job] = field(default_factory=dict[str, Job])
    pictures: OrderedDict[str, Picture] = field(default_factory=OrderedDict[str, Picture])

    def check(self, body: object) -> ImageRequest:
        """Return the request of a body; raises `InvalidRequestError` for what the API would answer with 400."""
        schema = self.catalog.spec.request_schema
        validator: Any = Draft202012Validator(schema)
        fault = next(validator.iter_errors(body), None)
        if fault is not None:
            raise InvalidRequestError(clean(fault.message, 200))
        fields = cast("Mapping[str, Any]", body)
        model = self.catalog.find(fields["model"])
        if "quality" in fields and not model.qualities:
            raise InvalidRequestError(f"{model.id} does not take quality.")
        size, quality, n = fields.get("size"), fields.get("quality"), fields.get("n")
        return self.catalog.resolve(ImageArguments(fields["prompt"], model.id, size, quality, n))

    def settle(self, request: ImageRequest, origin: str, idempotency_key: str) -> Generation:
        """Do the work and charge it once, at the high end of its price."""
        price = estimate(self.catalog, request).high_usd
        self.settlements.append(
            {
                "model": request.model,
                "prompt": request.prompt[:_MOST_DRAWN_CHARACTERS],
                "size": request.size,
                "quality": request.quality,
                "n": request.n,
                "micro_usd": int(price * 1_000_000),
                "idempotency_key": idempotency_key,
            }
        )
        data = [self._image(request, origin, variant) for variant in range(request.n)]
        amount = {"amount": usd(price), "currency": self.catalog.spec.currency}
        return Generation({"created": int(time.time()), "data": data, "price": amount}, price)

    def statement(self) -> dict[str, object]:
        """Return what was charged, and how many generation requests came in."""
        total = sum(item["micro_usd"] for item in self.settlements if isinstance(item["micro_usd"], int))
        return {
            "count": len(self.settlements),
            "total_micro_usd": total,
            "posts": len(self.keys),
            "idempotency_keys": self.keys[-1_000:],
            "items": self.settlements[-1_000:],
        }

    def _image(self, request: ImageRequest, origin: str, variant: int) -> dict[str, object]:
        width, _, height = request.size.partition("x")
        picture = Picture(request.prompt[:_MOST_DRAWN_CHARACTERS], int(width), int(height), variant)
        image: dict[str, object] = {"url": f"{origin}/images/{self._remember(picture)}.png"}
        if self.catalog.find(request.model).revises_prompt:
            image["revised_prompt"] = _revised(request.prompt, variant)
        return image

    def _remember(self, picture: Picture) -> str:
        id = hashlib.sha256(repr(picture).encode("utf-8", "backslashreplace")).hexdigest()[:24]
        self.pictures[id] = picture
        self.pictures.move_to_end(id)
        if len(self.pictures) > _MOST_PICTURES:
            self.pictures.popitem(last=False)
        return id


_STYLES = ("flat shapes", "soft curves", "bold outlines", "layered paper", "broad strokes")


def _revised(prompt: str, variant: int) -> str:
    """Return the prompt with a style of our own, as a model that rewrites prompts would do it."""
    style = _STYLES[variant % len(_STYLES)]
    return f"Variation {variant + 1}, drawn in {style}: {' '.join(prompt.split())}"
