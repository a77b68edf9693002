"""Downloads pictures, because their URLs expire."""

from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import anyio
import httpx2

from blockrun_image.errors import StorageError
from blockrun_image.ports import ImageStore
from blockrun_image.text import clean
from blockrun_image_mcp.headers import USER_AGENT
from blockrun_image_mcp.images.store import URL_SUFFIX
from blockrun_image_mcp.network import look_up_proxy, user_agent
from blockrun_image_mcp.timings import DEFAULT, Timings

_MAX_PICTURE_BYTES = 64 * 2**20


async def download(
    url: str, store: ImageStore, timings: Timings = DEFAULT, max_bytes: int = _MAX_PICTURE_BYTES
) -> Path:
    """Save the picture at `url` and return its path.

    `url` may be of the web, of a file with the picture, or of a file with the picture's URL. Raises `StorageError`; the
    URL can still be used then.
    """

    async def picture_at(url: str) -> bytes:
        parts = urlsplit(url)
        _ = parts.port  # raises ValueError for a port out of range
        return await (_read(url) if parts.scheme == "file" else _fetch(httpx2.URL(url), timings, max_bytes))

    try:
        if URL_SUFFIX in url and urlsplit(url).scheme == "file":
            picture = await picture_at((await _read(url)).decode())
        else:
            picture = await picture_at(url)
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
        raise StorageError(
            f"A picture could not be fetched ({type(error).__name__}): {clean(url, 300)}", hint="Open the URL yourself."
        ) from error
    return (await store.save(picture)).path


async def _read(url: str) -> bytes:
    return await anyio.Path(path_of(url)).read_bytes()


def path_of(url: str) -> str:
    """Return the path in a file's URL; on Windows, its host is a server with shares."""
    parts = urlsplit(url)
    host = "" if parts.netloc in ("", "localhost") else f"//{parts.netloc}"
    return url2pathname(f"{host}{parts.path}")


async def _fetch(url: httpx2.URL, timings: Timings, max_bytes: int) -> bytes:
    picture = bytearray()
    async with (
        httpx2.AsyncClient(
            timeout=timings.download_seconds, transport=httpx2.AsyncHTTPTransport(proxy=await look_up_proxy(url))
        ) as http,
        http.stream("GET", url, headers={USER_AGENT: user_agent()}) as response,
    ):
        response.raise_for_status()
        async for chunk in response.aiter_bytes():
            picture += chunk
            if len(picture) > max_bytes:
                raise httpx2.RemoteProtocolError("the picture is too large")
    return bytes(picture)
