"""The composition root: settings, catalogue, timings and adapters.

Every command loads this module, so heavy imports happen where they are used: httpx2 to reach a gateway, sqlite3 to open
the ledger, the toolset to do a call.
"""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, cast

import anyio
import anyio.lowlevel

from blockrun_image.callers import Caller
from blockrun_image.catalog import Catalog
from blockrun_image.editing import operation_at, with_editing
from blockrun_image.errors import ConfigurationError, ImageError, LedgerError, SpecError
from blockrun_image.images import Defaults
from blockrun_image.joining import Scope, join
from blockrun_image.schemas import ToolSchema, tool_schemas
from blockrun_image.spec import EditOperation
from blockrun_image.text import clean
from blockrun_image_mcp.catalogs.cache import CatalogCache
from blockrun_image_mcp.catalogs.live import LiveCatalog
from blockrun_image_mcp.folders import cache_folder, state_folder
from blockrun_image_mcp.gateway.credentials import Endpoint, address_of, endpoint_for, wallet_digits
from blockrun_image_mcp.headers import AUTHORIZATION
from blockrun_image_mcp.ledger.confirmation import OpenQuestions
from blockrun_image_mcp.logs import Redactor, log_orphan
from blockrun_image_mcp.placeholders import is_placeholder
from blockrun_image_mcp.setting_values import SANDBOX
from blockrun_image_mcp.settings import RELATIVE, VARIABLES, Settings
from blockrun_image_mcp.tasks import Lazy, TaskSupervisor
from blockrun_image_mcp.timings import DEFAULT, Timings

if TYPE_CHECKING:
    from blockrun_image.attempts import Job
    from blockrun_image.ports import Attempt, ImageGateway, ImageStore, OnStatus, SpendLedger
    from blockrun_image.toolset import ImageToolset
    from blockrun_image_mcp.gateway.client import HttpGateway
    from blockrun_image_mcp.gateway.responses import ModelsAnswer
    from blockrun_image_mcp.images.input_reader import InputReader
    from blockrun_image_mcp.images.store import FolderStore
    from blockrun_image_mcp.ledger.ledger import Ledger
    from blockrun_image_mcp.ledger.sqlite.connection import SqliteConnection
    from blockrun_image_mcp.ledger.store import Account
    from blockrun_image_mcp.paid_call import PaidCalls
    from blockrun_image_mcp.payments.auth import WalletPayer

_SANDBOX_LEDGER = "sandbox.sqlite3"

_log = logging.getLogger(__name__)


class Backend:
    """The adapters behind the tools, as the `Ports` of their purchases.

    Its offline parts can be used at once. Inside `async with`, the first call that needs the gateway or the ledger
    opens it, and a paid call outlives its caller. At the end, paid requests have `drain_seconds` to be answered; jobs
    are left to the next process.

    `gateway`, `ledger` and `store` replace those of the settings. `process` is the caller of this process's own client,
    and `mistakes` are the settings' values that are not used. If the API's description cannot be used, the built-in one
    is listed, and every other use raises `ConfigurationError`, because prices may differ.
    """

    def __init__(  # noqa: PLR0913 - one for each adapter
        self,
        settings: Settings,
        catalog: Catalog | None = None,
        *,
        gateway: "ImageGateway | None" = None,
        ledger: "SpendLedger | None" = None,
        store: "ImageStore | None" = None,
        timings: Timings = DEFAULT,
    ) -> None:
        self.mistakes = settings.mistakes
        self.settings = settings.with_valid_values()
        self.timings = timings
        self.process = Caller.new()
        self.questions = OpenQuestions()
        self.paid_calls: PaidCalls | None = None
        """Where paid calls are performed, if not in this process."""
        self.announce_tools: Callable[[], Awaitable[None]] = anyio.lowlevel.checkpoint
        """Notifies the clients that listen for changed tools."""
        self._unusable_description = ""
        contract = catalog or self._load_description()
        contract = replace(contract, has_fee=not self.is_sandbox and self._may_pay_from_wallet(contract))
        self._contract = with_editing(contract, self._edit_operation(contract))
        self._given_gateway, self._given_ledger, self._given_store = gateway, ledger, store
        self._saves_elsewhere = False
        self._input_folders = _working_folder()
        self._one_input_at_a_time = anyio.CapacityLimiter(1)
        self._tasks = TaskSupervisor(log_orphan, timings.abandon_seconds)
        self._gateway = Lazy(self._tasks, lambda: self.open_gateway(pays=True))
        self._ledger = Lazy(self._tasks, self._open_ledger)
        self._advertised: Sequence[ToolSchema] | None = None
        self.models = LiveCatalog(self._cached_catalog(), self._scope, self.cache, self._fetch_list, timings)
        self.models.on_change.append(self._put_in_force)
        self._warn_of_unknown_default()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self.models.run_in(self._tasks)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with anyio.CancelScope(shield=True):
            self._begin_shutdown()
            await self._tasks.drain()
        try:
            await self._tasks.__aexit__(kind, error, traceback)
        finally:
            with anyio.CancelScope(shield=True):
                if "_database" in self.__dict__:  # the cached property, if it was ever needed
                    await self._database.close()

    @property
    def catalog(self) -> Catalog:
        """The catalogue in force: the API's description merged with the gateway's latest list."""
        return self.models.catalog

    @property
    def defaults(self) -> Defaults:
        """Defaults for a call's missing arguments, without a model that cannot exist."""
        defaults, catalog = self.settings.defaults, self.catalog
        if defaults.model is None or catalog.spellings.get(defaults.model, defaults.model) in catalog.models:
            return defaults
        may_be_listed = catalog.listing is None and self.cache is not None  # the first list may have it
        return defaults if may_be_listed else replace(defaults, model=None)

    @property
    def store(self) -> "ImageStore":
        """The store for pictures."""
        return self._given_store or self.folder

    @cached_property
    def folder(self) -> "FolderStore":
        """The images folder."""
        from blockrun_image_mcp.images.store import FolderStore  # noqa: PLC0415 - 6 modules, for pictures only

        return FolderStore(
            self.settings.dir,
            max_kept_bytes=self.settings.kept_bytes,
            is_detailed=self.settings.metadata == "full",
        )

    @property
    def reader(self) -> "InputReader":
        """The reader of pictures that calls start from."""
        from blockrun_image_mcp.images.input_reader import InputReader  # noqa: PLC0415 - for such calls only

        folders = [*self._input_folders, *self.settings.input_dirs]
        return InputReader(self.folder.folder, folders, self._one_input_at_a_time)

    def read_also_in(self, folder: Path) -> None:
        """Let calls start from pictures in another folder, which the user has named."""
        self._input_folders = [*self._input_folders, folder]

    @property
    def keeps_pictures(self) -> bool:
        """Whether each picture is saved in the images folder."""
        return self.settings.keep == "on" or self._saves_elsewhere

    def save_in(self, folder: Path, remedy: str) -> None:
        """Save every picture in another folder; `remedy` is the advice if that cannot be written."""
        from blockrun_image_mcp.images.store import FolderStore  # noqa: PLC0415 - as above

        self._given_store = FolderStore(folder, remedy, is_detailed=self.settings.metadata == "full")
        self._saves_elsewhere = True

    @cached_property
    def cache(self) -> CatalogCache | None:
        """The file with the gateway's list; `None` if no list is used."""
        address = address_of(self.settings, self._contract.spec.base_url)
        if self.is_sandbox or self._scope == "contract" or address is None:
            return None
        folder = cache_folder(self.settings.state_dir)
        return CatalogCache(folder, address.base_url, address.rail, timings=self.timings)

    @property
    def ledger_path(self) -> Path:
        """The ledger's file, shared by all processes of a user; the sandbox has its own."""
        name = _SANDBOX_LEDGER if self.is_sandbox else "ledger.sqlite3"
        return state_folder(self.settings.state_dir) / name

    @property
    def has_sandbox_ledger(self) -> bool:
        """Whether a ledger of the built-in sandbox exists."""
        with suppress(OSError):
            return self.ledger_path.with_name(_SANDBOX_LEDGER).exists()
        return False

    @cached_property
    def pays_from_wallet(self) -> bool:
        """Whether a wallet pays; its gateway quotes exact prices for free."""
        credential = next(iter(self.settings.credentials.values()), None)
        return not self.is_sandbox and credential is not None and wallet_digits(credential) is not None

    @cached_property
    def toolset(self) -> "ImageToolset":
        """The three tools, with this backend behind them; raises `ConfigurationError`."""
        self.check_description()
        from blockrun_image.toolset import ImageToolset  # noqa: PLC0415 - 14 ms, and not needed to list the tools

        tasks, timings = self._tasks, self.timings
        return ImageToolset(self.catalog, defaults=self.defaults, run=tasks.run, timings=timings, ports=self)

    @property
    def is_sandbox(self) -> bool:
        """Whether the gateway is the built-in sandbox, which spends no money."""
        return self.settings.gateway == SANDBOX

    @property
    def gateway_name(self) -> str:
        """The gateway's host, or `sandbox`; raises `ConfigurationError`."""
        if self._given_gateway is not None:
            return self._given_gateway.name
        return SANDBOX if self.is_sandbox else self._endpoint().name

    def check_description(self) -> None:
        """Raise `ConfigurationError` if the settings' description of the API cannot be used."""
        if self._unusable_description:
            raise ConfigurationError(
                f"{VARIABLES['spec']} {self._unusable_description}.",
                hint="Correct it, or unset it to use the built-in description, and restart. Until then nothing can be"
                " used, because models and prices may differ.",
            )

    def schemas(self) -> Sequence[ToolSchema]:
        """Return the three tools' schemas as they are advertised now."""
        if self._advertised is None:
            self._advertised = tool_schemas(self.catalog, self.defaults, live=self.pays_from_wallet)
        return self._advertised

    async def prepare(self) -> None:
        """Use the newest list for the next call, and wait briefly for the very first one."""
        await self.models.take_newer()
        # the wait is part of the call's own time
        limit = min(self.timings.first_list_seconds, self.timings.call_timeout_seconds / 10)
        await self.models.wait_for_first(limit)

    def resume_soon(self) -> None:
        """Finish the work of earlier processes, `resume_seconds` from now."""
        with suppress(OSError):  # the folder cannot be searched; the first paid call reports it
            if self._given_ledger is None and self.ledger_path.exists():
                self._tasks.start(self._resume)

    async def gateway(self) -> "ImageGateway":
        """Return the gateway; raises `ConfigurationError`."""
        return self._given_gateway or await self._gateway.get()

    async def ledger(self) -> "SpendLedger":
        """Return the ledger of the paying account; raises `ConfigurationError` and `LedgerError`."""
        return self._given_ledger or await self._ledger.get()

    def operator_ledger(self) -> "Ledger":
        """Return the ledger of all accounts, without the need for a credential.

        Raises `ConfigurationError` for a limit that cannot be read, and `LedgerError` if the ledger has no folder.
        """
        from blockrun_image_mcp.ledger.store import Account  # noqa: PLC0415 - 4 modules, for the ledger only

        return self._ledger_of(Account())

    @asynccontextmanager
    async def open_gateway(self, *, pays: bool = False) -> "AsyncGenerator[HttpGateway]":
        """Open the gateway of the settings; the sandbox is started in this process.

        A wallet signs only if `pays`. Raises `ConfigurationError` without a usable credential.
        """
        self.check_description()
        from blockrun_image_mcp.gateway.client import HttpGateway  # noqa: PLC0415 - loads httpx2

        if self.is_sandbox:
            from blockrun_image_sandbox.server import running_sandbox  # noqa: PLC0415 - loads uvicorn

            async with running_sandbox(self.catalog) as origin:
                headers = {AUTHORIZATION: "Bearer brk_sandbox"}
                endpoint = Endpoint(f"{origin}/v1", headers, SANDBOX, edit=self._contract.edit)
                async with HttpGateway(endpoint, timings=self.timings) as gateway:
                    yield gateway
        else:
            endpoint = self._endpoint()
            redact = Redactor(self.settings.credentials.values())
            payer = self._payer(endpoint) if pays else None
            async with HttpGateway(endpoint, redact, self.timings, payer) as gateway:
                yield gateway

    async def finish_jobs(self, on_status: "OnStatus") -> None:
        """Poll every abandoned job of the account to its end; raises the first `ImageError` after the last."""
        from blockrun_image_mcp.ledger.jobs import finish_jobs  # noqa: PLC0415 - loads the ledger

        async with self._ledger_of(self._account()) as ledger:
            await finish_jobs(ledger, lambda attempt, job: self._finish(attempt, job, on_status))

    async def finish_work(self) -> None:
        """Finish what is paid for, after the last call: requests under way, pictures, and for a while jobs."""
        await self._tasks.drain()
        ledger = self._ledger.open
        if ledger is None:
            return
        from blockrun_image_mcp.ledger.jobs import finish_jobs  # noqa: PLC0415 - the ledger has loaded it

        with anyio.move_on_after(self.timings.left_jobs_seconds):
            while True:
                with suppress(ImageError):  # the next server tries again
                    await finish_jobs(ledger, self._finish)
                if not ledger.is_working:
                    break
                await anyio.sleep(self.timings.poll_seconds)

    def keep_records(self) -> None:
        """Write the records that are missing in the ledger to disk, before the process ends."""
        if self._ledger.open is not None:
            self._ledger.open.outbox.spill_all()

    def stop_fetching(self) -> bool:
        """Stop fetching pictures that were paid for, and return whether any was being fetched."""
        gateway = self._gateway.open
        if gateway is None or not gateway.is_fetching:
            return False
        gateway.stop_fetching()
        return True

    def _may_pay_from_wallet(self, contract: Catalog) -> bool:
        address = address_of(self.settings, contract.spec.base_url)
        return address is None or address.rail == "wallet"

    def _edit_operation(self, contract: Catalog) -> EditOperation | None:
        address = address_of(self.settings, contract.spec.base_url)
        if self.is_sandbox:
            return contract.spec.edits
        return (
            None if address is None else operation_at(contract.spec, address.base_url, is_blockrun=address.is_blockrun)
        )

    @property
    def _scope(self) -> Scope:
        return cast("Scope", self.settings.catalog)

    @cached_property
    def _database(self) -> "SqliteConnection":
        """The process's only connection to the ledger's file."""
        from blockrun_image_mcp.ledger.sqlite.connection import SqliteConnection  # noqa: PLC0415 - loads sqlite3

        return SqliteConnection(self.ledger_path, self.timings)

    def _load_description(self) -> Catalog:
        """Return the API's description, or the built-in one if the settings' is unusable.

        The reason is kept for `check_description`.
        """
        spec = self.settings.spec
        try:
            if spec is None or not is_placeholder(str(spec)):
                return Catalog.load(spec)
            self._unusable_description = "still holds a placeholder instead of a file's name"
        except SpecError as error:
            is_missing = isinstance(error.__cause__, OSError) or "\0" in str(spec)
            self._unusable_description = (  # a name without a file is not quoted: it may be a key
                f"names a file that cannot be read ({type(error.__cause__).__name__})"
                if is_missing
                else f"cannot be used: {clean(error.message, 300)}"
            )
        return Catalog.load()

    def _cached_catalog(self) -> Catalog:
        if self.cache is None or not self.cache.exists:
            return self._contract
        cached = self.cache.read()
        return replace(join(self._contract, cached.listing, self._scope), strangers=cached.strangers)

    async def _fetch_list(self, etag: str) -> "ModelsAnswer":
        async with self.open_gateway() as gateway:
            return await gateway.models(etag)

    async def _put_in_force(self, catalog: Catalog) -> None:
        self._advertised = None
        self._warn_of_unknown_default()
        if "toolset" in self.__dict__:
            self.toolset.catalog, self.toolset.defaults = catalog, self.defaults

    def _warn_of_unknown_default(self) -> None:
        model = self.settings.default_model
        if model != self.defaults.model:
            _log.warning("%s: there is no model %r, so agents must name one", VARIABLES["default_model"], model)

    def _endpoint(self) -> Endpoint:
        return replace(endpoint_for(self.settings, self._contract.spec.base_url), edit=self._contract.edit)

    def _account(self) -> "Account":
        self.check_description()
        from blockrun_image_mcp.ledger.store import Account  # noqa: PLC0415 - 4 modules, for the ledger only

        if self.is_sandbox:
            return Account(SANDBOX, SANDBOX)
        endpoint = self._endpoint()
        return Account(endpoint.base_url, endpoint.principal)

    def _ledger_of(self, account: "Account") -> "Ledger":
        from blockrun_image_mcp.ledger.ledger import Ledger  # noqa: PLC0415 - 15 modules of ours
        from blockrun_image_mcp.ledger.limits import Limits  # noqa: PLC0415 - as above

        if not self.ledger_path.is_absolute():  # each working folder would have a ledger and limits of its own
            raise LedgerError(
                "There is no folder for the spending ledger, because no home folder is known."
                if self.settings.state_dir is None
                else f"{VARIABLES['state_dir']} {RELATIVE}, so that there would be several ledgers.",
                hint=f"No picture is paid for without it. Set {VARIABLES['state_dir']} to an absolute path.",
            )
        limits = Limits.of(self.settings)
        return Ledger(self._database, self.ledger_path, limits, account, timings=self.timings, process=self.process)

    @asynccontextmanager
    async def _open_ledger(self) -> "AsyncGenerator[Ledger]":
        from blockrun_image_mcp.ledger.jobs import sweeping  # noqa: PLC0415 - loads the ledger
        from blockrun_image_mcp.ledger.limits import check_names  # noqa: PLC0415 - as above

        check_names(self.settings)
        async with self._ledger_of(self._account()) as ledger, sweeping(ledger, self._finish):
            yield ledger

    async def _resume(self) -> None:
        await anyio.sleep(self.timings.resume_seconds)
        with suppress(ImageError):  # the first paid call reports it
            await self.ledger()

    async def _finish(self, attempt: "Attempt", job: "Job", on_status: "OnStatus" = lambda status: None) -> None:
        from blockrun_image.attempts import CallInfo  # noqa: PLC0415 - a start needs no purchase
        from blockrun_image.fixed_ports import run_in_place  # noqa: PLC0415 - as above
        from blockrun_image.purchase import Purchase  # noqa: PLC0415 - 11 ms of dataclasses

        purchase = Purchase(self, CallInfo(""), None, self.timings, run_in_place, listeners=[on_status])
        await purchase.finish(attempt, job)

    def _payer(self, endpoint: Endpoint) -> "WalletPayer | None":
        if endpoint.wallet_key is None:
            return None
        from blockrun_image_mcp.payments.auth import WalletPayer  # noqa: PLC0415 - loads httpx2
        from blockrun_image_mcp.payments.wallet import Wallet  # noqa: PLC0415 - 5 modules, for wallets only

        return WalletPayer(Wallet(endpoint.wallet_key.get_secret_value()), timings=self.timings)

    def _begin_shutdown(self) -> None:
        gateway = self._gateway.open
        if gateway is None:
            return
        if gateway.unanswered:
            _log.warning("closing with %d paid calls unanswered; they may be charged", gateway.unanswered)
        gateway.begin_shutdown()


def _working_folder() -> Sequence[Path]:
    """Return the folder in which this process was started, if it still exists."""
    with suppress(OSError):
        return [Path.cwd()]
    return []
