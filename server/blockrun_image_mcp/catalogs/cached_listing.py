"""The content of a cache file."""

from pydantic import BaseModel, ConfigDict, Field

from blockrun_image.listing import Listing
from blockrun_image.model import ModelId


class CachedListing(BaseModel):
    """A gateway's last good list, with the time and result of the last request.

    `asked_at` is in seconds since 1970. `strangers` are ids of the last list, good or not, that it does not mark as
    image models.
    """

    model_config = ConfigDict(frozen=True)

    base_url: str
    rail: str
    asked_at: float = 0
    etag: str = Field(default="", max_length=500)
    failure: str = Field(default="", max_length=500)
    listing: Listing | None = None
    strangers: tuple[ModelId, ...] = ()
