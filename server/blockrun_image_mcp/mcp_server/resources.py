"""Serves saved pictures, and a list of the latest ones, as resources."""

import base64
import json
import logging
import re
from typing import Any

from anyio import to_thread
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    BlobResourceContents,
    ListResourcesResult,
    ListResourceTemplatesResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    TextResourceContents,
)

from blockrun_image.errors import ImageError
from blockrun_image.text import quoted
from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.ledger.report import SCHEME
from blockrun_image_mcp.mcp_server.versions import has_titles

RECENT = f"{SCHEME}recent"
"""The URI of the latest images."""

_PICTURE = re.compile(rf"{re.escape(SCHEME)}(?P<id>[0-9a-f]{{12}})(\?width=(?P<width>[0-9]{{1,5}}))?")

_log = logging.getLogger(__name__)

_JSON = "application/json"
_MAX_IMAGES = 20
_MAX_CHARACTERS = 40_000


async def list_resources(
    context: ServerRequestContext[Backend, Any], _params: PaginatedRequestParams | None
) -> ListResourcesResult:
    """Return the list of the latest images; each picture is found by it, so that listing opens no ledger."""
    recent = Resource(
        uri=RECENT,
        name="recent_images",
        title="Recent images" if has_titles(context.protocol_version) else None,
        description="The latest images: time, cost, prompt, state and URLs.",
        mime_type=_JSON,
    )
    return ListResourcesResult(resources=[recent])


async def list_resource_templates(
    context: ServerRequestContext[Backend, Any], _params: PaginatedRequestParams | None
) -> ListResourceTemplatesResult:
    """Return the template of a saved picture."""
    picture = ResourceTemplate(
        uri_template=f"{SCHEME}{{id}}{{?width}}",
        name="image",
        title="Saved image" if has_titles(context.protocol_version) else None,
        description=f"A saved image by its id in {RECENT}; width makes it smaller, in pixels of the longer side.",
    )
    return ListResourceTemplatesResult(resource_templates=[picture])


async def read_resource(
    context: ServerRequestContext[Backend, Any], params: ReadResourceRequestParams
) -> ReadResourceResult:
    """Return the latest images as JSON, newest first, or one saved picture; raises `MCPError`."""
    uri, backend = params.uri, context.lifespan_context
    named = _PICTURE.fullmatch(uri)
    if uri != RECENT and named is None:
        raise _not_found(uri)
    try:
        if named is None:
            text = await _recent_images(backend)
            return ReadResourceResult(contents=[TextResourceContents(uri=uri, text=text, mime_type=_JSON)])
        picture, media_type = await _picture(backend, uri, named["id"], int(named["width"] or 0))
    except ImageError as error:
        raise MCPError(code=INTERNAL_ERROR, message=error.message, data={"uri": uri}) from error
    except MCPError:
        raise
    except Exception as error:  # its text must not reach the client
        _log.exception("%s could not be read", uri)
        raise MCPError(code=INTERNAL_ERROR, message=f"{uri} could not be read.") from error
    blob = base64.b64encode(picture).decode()
    return ReadResourceResult(contents=[BlobResourceContents(uri=uri, blob=blob, mime_type=media_type)])


def _not_found(uri: str) -> MCPError:
    words = f"There is no resource {quoted(uri, 200)}. Resources: {RECENT}, and those that it names."
    return MCPError(code=INVALID_PARAMS, message=words, data={"uri": uri})


async def _picture(backend: Backend, uri: str, id: str, width: int) -> tuple[bytes, str]:
    """Return a saved picture and its media type; with a `width`, one of at most that many pixels a side.

    Raises `StorageError`, and `MCPError` if there is none with that id.
    """
    image = await backend.operator_ledger().picture(id)
    paths = [path for path, each in image.files if each == id] if image else []
    if not paths:
        raise _not_found(uri)
    from blockrun_image_mcp.images.reading import read_picture  # noqa: PLC0415 - only for a picture

    return await to_thread.run_sync(read_picture, paths, id, width)


async def _recent_images(backend: Backend) -> str:
    recent = await backend.operator_ledger().recent(_MAX_IMAGES)
    entries = [entry.to_dict(is_sandbox=backend.is_sandbox) for entry in recent]
    while len(text := json.dumps({"images": entries}, ensure_ascii=False)) > _MAX_CHARACTERS:
        entries.pop()
    return text
