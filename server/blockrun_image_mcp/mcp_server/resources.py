"""Serves the latest images as a resource."""

import json
import logging
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    ListResourcesResult,
    ListResourceTemplatesResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
    TextResourceContents,
)

from blockrun_image.errors import ImageError
from blockrun_image.text import quoted
from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.mcp_server.versions import has_titles

RECENT = "images://recent"
"""The URI of the latest images."""

_log = logging.getLogger(__name__)

_JSON = "application/json"
_MAX_IMAGES = 20
_MAX_CHARACTERS = 40_000


async def list_resources(
    context: ServerRequestContext[Backend, Any], _params: PaginatedRequestParams | None
) -> ListResourcesResult:
    """Return the only resource."""
    recent = Resource(
        uri=RECENT,
        name="recent_images",
        title="Recent images" if has_titles(context.protocol_version) else None,
        description="The latest images: time, cost, prompt, state and URLs.",
        mime_type=_JSON,
    )
    return ListResourcesResult(resources=[recent])


async def list_resource_templates(
    _context: ServerRequestContext[Backend, Any], _params: PaginatedRequestParams | None
) -> ListResourceTemplatesResult:
    """Return an empty list of templates."""
    # hosts request it from any server with resources
    return ListResourceTemplatesResult(resource_templates=[])


async def read_resource(
    context: ServerRequestContext[Backend, Any], params: ReadResourceRequestParams
) -> ReadResourceResult:
    """Return the latest images as JSON, newest first; raises `MCPError`."""
    if params.uri != RECENT:
        words = f"There is no resource {quoted(params.uri, 200)}. Resources: {RECENT}."
        raise MCPError(code=INVALID_PARAMS, message=words, data={"uri": params.uri})
    try:
        text = await _recent_images(context.lifespan_context)
    except ImageError as error:
        raise MCPError(code=INTERNAL_ERROR, message=error.message, data={"uri": params.uri}) from error
    except Exception as error:  # its text must not reach the client
        _log.exception("%s could not be read", RECENT)
        raise MCPError(code=INTERNAL_ERROR, message=f"{RECENT} could not be read.") from error
    return ReadResourceResult(contents=[TextResourceContents(uri=RECENT, text=text, mime_type=_JSON)])


async def _recent_images(backend: Backend) -> str:
    recent = await backend.operator_ledger().recent(_MAX_IMAGES)
    entries = [entry.to_dict(is_sandbox=backend.is_sandbox) for entry in recent]
    while len(text := json.dumps({"images": entries}, ensure_ascii=False)) > _MAX_CHARACTERS:
        entries.pop()
    return text
