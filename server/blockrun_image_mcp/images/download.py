"""Fetches generated pictures from their URLs, so that they outlive them."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx2

from blockrun_image.errors import StorageError
from blockrun_image.ports import ImageStore
from blockrun_image.text import clean

_LARGEST_PICTURE_BYTES = 64 * 2**20
_TIMEOUT_SECONDS = 60


async def download(url: str, store: ImageStore) -> Path:
    """Save the picture at `url` in the store and return its path; a `file:` URL is there already.

    Raises `StorageError`; the URL stays good.
    """
    if url.startswith("file:"):
        return Path(unquote(urlsplit(url).path))
    try:
        picture = await _fetch(url)
    except httpx2.HTTPError as error:
        raise StorageError(
            f"A picture could not be fetched ({type(error).__name__}): {clean(url, 300)}", hint="Open the URL yourself."
        ) from error
    return await store.save(picture)


async def _fetch(url: str) -> bytes:
    picture = bytearray()
    async with (
        httpx2.AsyncClient(timeout=_TIMEOUT_SECONDS, follow_redirects=False) as http,
        http.stream("GET", url) as response,
    ):
        response.raise_for_status()
        async for chunk in response.aiter_bytes():
            picture += chunk
            if len(picture) > _LARGEST_PICTURE_BYTES:
                raise httpx2.RemoteProtocolError("the picture is too large")
    return bytes(picture)
