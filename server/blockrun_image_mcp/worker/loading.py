"""Loads everything that a purchase will need, because an upgrade may replace the files of the packages meanwhile."""

import encodings.idna

from PIL import Image, ImageCms, ImageOps

import blockrun_image.listing
import blockrun_image.toolset
import blockrun_image_mcp.catalogs.cached_listing
import blockrun_image_mcp.gateway.client
import blockrun_image_mcp.images.store
import blockrun_image_mcp.ledger.jobs
import blockrun_image_mcp.ledger.sqlite.connection
import blockrun_image_mcp.payments.auth

LOADED = (
    encodings.idna,
    blockrun_image.listing,
    blockrun_image.toolset,
    blockrun_image_mcp.catalogs.cached_listing,
    blockrun_image_mcp.gateway.client,
    blockrun_image_mcp.images.store,
    blockrun_image_mcp.ledger.jobs,
    blockrun_image_mcp.ledger.sqlite.connection,
    blockrun_image_mcp.payments.auth,
    ImageCms,
    ImageOps,
)
"""The modules that are otherwise loaded where they are used."""


def load_formats() -> None:
    """Load the readers and writers of all formats of pictures."""
    Image.init()
