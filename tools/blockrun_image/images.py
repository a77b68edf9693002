"""The data that travels to the gateway and back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

AUTO = "auto"
"""The size of a request that leaves it to the API."""


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
    """A request that has been checked against its model.

    `size` is `auto` where it is left to the API, and `quality` is `None` where the model has no such choice. `sent_as`
    is the gateway's own spelling of the model, where it is another.
    """

    prompt: str
    model: str
    size: str
    quality: str | None
    n: int
    sent_as: str = field(default="", compare=False)

    def body(self) -> Mapping[str, object]:
        """Return the request as the API's JSON body."""
        size = {} if self.size == AUTO else {"size": self.size}
        quality = {} if self.quality is None else {"quality": self.quality}
        return {"model": self.sent_as or self.model, "prompt": self.prompt, **size, "n": self.n, **quality}


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
    """What a gateway gave for a request; `charged_usd` is `None` where it did not say what it charged.

    `raw` is the whole answer if not all of it could be used. What an earlier call has paid for is collected.
    """

    images: Sequence[Image]
    charged_usd: Decimal | None = None
    warnings: Sequence[str] = ()
    raw: bytes = field(default=b"", repr=False, compare=False)
    is_collected: bool = False


@dataclass(frozen=True)
class SavedPicture:
    """A picture in a file.

    `is_checked` tells whether its bytes were found to be whole, and `is_named` whether the file got the name of a
    picture; it keeps another one if the system does not let it be renamed.
    """

    path: Path
    is_checked: bool = True
    is_named: bool = True
