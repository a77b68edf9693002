"""Where a call comes from: whose it is, and how its answer gets there."""

from dataclasses import dataclass
from typing import Any

from mcp.server.context import ServerRequestContext

from blockrun_image.callers import Caller, Delivery
from blockrun_image_mcp.backend import Backend


@dataclass(frozen=True)
class Origin:
    """What a transport attaches to a request; without a delivery, the answer counts as delivered when it is made."""

    caller: Caller
    delivery: Delivery | None = None

    @classmethod
    def of(cls, context: ServerRequestContext[Backend, Any]) -> "Origin":
        """Return the origin of a request; one that no transport has marked is this process's own."""
        attached = context.request
        return attached if isinstance(attached, Origin) else cls(context.lifespan_context.process)
