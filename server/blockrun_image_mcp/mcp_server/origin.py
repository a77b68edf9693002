"""The origin of a call: its caller, and the delivery of its answer."""

from dataclasses import dataclass
from typing import Any

from mcp.server.context import ServerRequestContext

from blockrun_image.callers import Caller, Delivery
from blockrun_image_mcp.backend import Backend


@dataclass(frozen=True)
class Origin:
    """The data a transport attaches to a request.

    Without a delivery, an answer counts as delivered as soon as it exists. `arrived_at` is in seconds by anyio's clock,
    and minus infinity if the request may have waited before it was read.
    """

    caller: Caller
    delivery: Delivery | None = None
    arrived_at: float | None = None

    @classmethod
    def of(cls, context: ServerRequestContext[Backend, Any]) -> "Origin":
        """Return the origin of a request; without one, the caller is this process."""
        attached = context.request
        return attached if isinstance(attached, Origin) else cls(context.lifespan_context.process)
