"""The ports of a toolset without a server."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import anyio

from blockrun_image.errors import ConfigurationError
from blockrun_image.null_ledger import NullLedger
from blockrun_image.ports import ImageGateway, ImageStore, PictureReader, SharedTask, SpendLedger

T = TypeVar("T")


@dataclass(frozen=True)
class FixedPorts:
    """`Ports` with open adapters; the gateway is optional, but needed to make images."""

    image_gateway: ImageGateway | None = None
    spend_ledger: SpendLedger | None = None
    store: ImageStore | None = None
    is_sandbox: bool = False
    keeps_pictures: bool = True
    reader: PictureReader | None = None

    @property
    def gateway_name(self) -> str:
        """The gateway's name."""
        return self._gateway().name

    async def gateway(self) -> ImageGateway:
        """Return the gateway; raises `ConfigurationError` without one."""
        return self._gateway()

    async def ledger(self) -> SpendLedger:
        """Return the ledger, by default one without records."""
        return self.spend_ledger or NullLedger()

    def _gateway(self) -> ImageGateway:
        if self.image_gateway is None:
            raise ConfigurationError("This toolset has no gateway.")
        return self.image_gateway


class _InPlace(Generic[T]):
    """Work run in the first caller's task, while other callers wait."""

    def __init__(self, work: Callable[[], Awaitable[T]]) -> None:
        self._work = work
        self._working = anyio.Lock()
        self._outcome: list[T | Exception] = []
        self._callers = 0

    async def wait(self, _timeout_seconds: float, on_abandoned: Callable[[], Awaitable[None]], /) -> T | None:
        self._callers += 1
        try:
            async with self._working:
                await self._do_once()
        except BaseException:  # cancelled, and its work with it
            # A remaining caller takes the lock and starts the work again.
            if self._callers == 1:
                with anyio.CancelScope(shield=True):
                    await on_abandoned()
            raise
        finally:
            self._callers -= 1
        outcome = self._outcome[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def _do_once(self) -> None:
        if not self._outcome:
            try:
                self._outcome.append(await self._work())
            except Exception as error:  # noqa: BLE001 - raised by `wait`, for each caller
                self._outcome.append(error)


def run_in_place(work: Callable[[], Awaitable[T]], /) -> SharedTask[T]:
    """Run the work to its end in the caller's own task; a `Runner`."""
    return _InPlace(work)
