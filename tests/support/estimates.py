"""Estimates, as tests ask for them."""

from typing import Any

from blockrun_image.catalog import Catalog
from blockrun_image.images import ImageArguments
from blockrun_image.pricing import Estimate, estimate


def priced(catalog: Catalog, model: str, size: str = "", quality: str | None = None, *, n: int = 1) -> Estimate:
    """Return the estimate of a cat's picture."""
    return estimate(catalog, catalog.resolve(ImageArguments("a cat", model, size, quality, n)))


def named(estimates: Any) -> list[tuple[str, str]]:
    """Return the models and amounts of estimates."""
    return [(each.model, each.price_text()) for each in estimates]
