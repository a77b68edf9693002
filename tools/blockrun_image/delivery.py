"""Saves pictures that came as data, and long URLs, to files, because a result cannot hold them."""

from dataclasses import replace
from decimal import Decimal

from blockrun_image.errors import StorageError
from blockrun_image.file_names import SaveAs
from blockrun_image.images import Image, ImageRequest, ImagesResponse, PictureDetails, SavedPicture
from blockrun_image.ports import ImageStore

_MAX_URL_BYTES = 16_000
"""For all URLs of a result together."""


async def with_files(
    response: ImagesResponse, store: ImageStore | None, request: ImageRequest, save_as: SaveAs | None = None
) -> ImagesResponse:
    """Return the response to a request with a short enough URL for each picture.

    Raises `StorageError` if no picture is left to return.
    """
    # Data first: the pictures' own file: URLs are short.
    return await _with_long_urls_in_files(await _with_data_in_files(response, store, request, save_as), store)


async def _with_data_in_files(
    response: ImagesResponse, store: ImageStore | None, request: ImageRequest, save_as: SaveAs | None
) -> ImagesResponse:
    images: list[Image] = []
    failures: list[StorageError] = []
    warnings = list(response.warnings)
    for number, image in enumerate(response.images, start=1):
        if image.data is None:
            images.append(image)
            continue
        details, name = details_of(image, request, response.charged_usd), save_as and save_as.numbered(number)
        try:
            saved = await _save(image.data, store, details, name)
        except StorageError as error:  # the other pictures of the response may still be saved
            failures.append(await _keep_bytes_of(error, image.data, store))
            warnings.append(failures[-1].message)
            continue
        images.append(replace(image, url=saved.path.as_uri(), path=saved.path, id=saved.id, data=None))
        warnings.extend(f"Image {number}: {note}" for note in saved.notes)
    if failures and not images:
        raise failures[0]
    return replace(response, images=images, warnings=[*dict.fromkeys(warnings)])


def details_of(image: Image, request: ImageRequest, charged_usd: Decimal | None) -> PictureDetails:
    """Return what is known of an image; `charged_usd` is the charge for the whole request."""
    share_usd = None if charged_usd is None else charged_usd / request.n
    return PictureDetails(request.model, request.prompt, image.revised_prompt, share_usd)


async def _keep_bytes_of(error: StorageError, picture: bytes, store: ImageStore | None) -> StorageError:
    """Save an unstorable picture as raw bytes, and add their path to the error."""
    try:
        if store is not None:
            error.message += f" It is kept unchanged: {await store.keep(picture)}"
    except StorageError as failure:
        if failure.message not in error.message:
            error.message += f" {failure.message}"
        error.message += " It could not be kept."
    return error


async def _save(picture: bytes, store: ImageStore | None, details: PictureDetails, name: SaveAs | None) -> SavedPicture:
    if store is None:
        raise StorageError("A picture came as data, and this toolset has no store to keep it in.")
    return await store.save(picture, details, name)


async def _with_long_urls_in_files(response: ImagesResponse, store: ImageStore | None) -> ImagesResponse:
    """Return the response with long URLs in text files, never cut."""
    images: list[Image] = []
    warnings = list(response.warnings)
    for number, image in enumerate(response.images, start=1):
        images.append(image)
        length = len(image.url or "")
        if store is None or length <= _MAX_URL_BYTES // len(response.images):
            continue
        try:
            path = await store.save_url(image.url or "")
        except StorageError as error:
            warnings.append(error.message)
            continue
        images[-1] = replace(image, url=path.as_uri(), path=path)
        warnings.append(f"The URL of image {number} has {length:,} characters: it is in the file, in full.")
    return replace(response, images=images, warnings=[*dict.fromkeys(warnings)])
