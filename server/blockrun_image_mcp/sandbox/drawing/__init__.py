"""The sandbox's artist, which draws a prompt's picture where a real service would ask a model for it."""

from blockrun_image_mcp.sandbox.drawing.picture import draw

__all__ = ["draw"]
