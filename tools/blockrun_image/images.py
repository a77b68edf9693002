"""The data that travels to the gateway and back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path


@dataclass(frozen=True)
class ImageArguments:
    """What was asked for, as yet unchecked; `None` or an empty text is "not set"."""

    prompt: str = ""
    model: str | None = None
    size: str | None = None
    quality: str | None = None
    n: int | None = None


@dataclass(frozen=True)
class Defaults:
    """What a call gets that does not say: its model, which may have no default, and how its prompt is enriched."""

    model: str | None = None
    enrich: str = "auto"


@dataclass(frozen=True)
class ImageRequest:
    """A request that has been checked against its model; `quality` is `None` where the model has no such choice."""

    prompt: str
    model: str
    size: str
    quality: str | None
    n: int

    def body(self) -> Mapping[str, object]:
        """Return the request as the API's JSON body."""
        body: dict[str, object] = {"model": self.model, "prompt": self.prompt, "size": self.size, "n": self.n}
        return body if self.quality is None else body | {"quality": self.quality}


@dataclass(frozen=True)
class Image:
    """One generated image: its URL, or the picture's bytes where the gateway sends it as data.

    `path` is the file that was written for it, absolute; `url` then is the same as a `file:` URL.
    """

    url: str | None = None
    path: Path | None = None
    data: bytes | None = None
    revised_prompt: str | None = None


@dataclass(frozen=True)
class ImagesResponse:
    """What a gateway gave for a request; `charged_usd` is `None` where it did not say what it charged."""

    images: Sequence[Image]
    charged_usd: Decimal | None = None
    warnings: Sequence[str] = ()
