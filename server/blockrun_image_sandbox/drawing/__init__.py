"""The sandbox's artist: draws a prompt's picture without a model."""

from blockrun_image_sandbox.drawing.picture import draw

__all__ = ["draw"]
