"""The three image tools as a library, without MCP or a network."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from blockrun_image.catalog import Catalog
    from blockrun_image.enrichment import EnrichedPrompt, enrich
    from blockrun_image.errors import (
        AuthenticationError,
        BudgetExceededError,
        ConfigurationError,
        ConfirmationError,
        ContentPolicyError,
        GatewayError,
        GatewayUnavailableError,
        ImageError,
        InvalidRequestError,
        LedgerError,
        ModelNotFoundError,
        OutcomeUnknownError,
        PaymentRequiredError,
        RateLimitError,
        SpecError,
        StorageError,
        UnexpectedError,
        UnknownModelError,
    )
    from blockrun_image.images import Defaults, Image, ImageArguments, ImageRequest, ImagesResponse
    from blockrun_image.joining import join
    from blockrun_image.model import Model
    from blockrun_image.model_list import ModelList
    from blockrun_image.ports import Attempt, ImageGateway, ImageStore, SpendLedger
    from blockrun_image.pricing import Estimate
    from blockrun_image.results import CostComparison, GeneratedImages
    from blockrun_image.toolset import ImageToolset

__all__ = [
    "Attempt",
    "AuthenticationError",
    "BudgetExceededError",
    "Catalog",
    "ConfigurationError",
    "ConfirmationError",
    "ContentPolicyError",
    "CostComparison",
    "Defaults",
    "EnrichedPrompt",
    "Estimate",
    "GatewayError",
    "GatewayUnavailableError",
    "GeneratedImages",
    "Image",
    "ImageArguments",
    "ImageError",
    "ImageGateway",
    "ImageRequest",
    "ImageStore",
    "ImageToolset",
    "ImagesResponse",
    "InvalidRequestError",
    "LedgerError",
    "Model",
    "ModelList",
    "ModelNotFoundError",
    "OutcomeUnknownError",
    "PaymentRequiredError",
    "RateLimitError",
    "SpecError",
    "SpendLedger",
    "StorageError",
    "UnexpectedError",
    "UnknownModelError",
    "enrich",
    "join",
]

# In this order: an early room answers without importing the ones after it.
_ROOMS = ("errors", "model", "catalog", "images", "enrichment", "joining", "ports", "pricing", "results", "toolset")


def __getattr__(name: str) -> object:
    """Load a public name on first use.

    A starting server needs few of them.
    """
    rooms = (import_module(f"{__name__}.{room}") for room in (_ROOMS if name in __all__ else ()))
    found = next((room for room in rooms if hasattr(room, name)), None)
    if found is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(found, name)
