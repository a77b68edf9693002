"""What is kept of a gateway's list, as it stands in a file."""

from pydantic import BaseModel, ConfigDict, Field

from blockrun_image.listing import Listing
from blockrun_image.model import ModelId


class Kept(BaseModel):
    """What is known of a gateway's list: the last good one, and when and with what result it was asked for.

    `strangers` are the ids that the last one of any kind has without saying that they make images.
    """

    model_config = ConfigDict(frozen=True)

    base_url: str
    rail: str
    asked_at: float = 0
    etag: str = Field(default="", max_length=500)
    failure: str = Field(default="", max_length=500)
    listing: Listing | None = None
    strangers: tuple[ModelId, ...] = ()
