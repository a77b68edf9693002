"""The parts that the settings ask for, each made or opened by itself.

Every command loads this, so that what loads much is imported where it is used: httpx2 only to reach a gateway, sqlite3
only to spend or to look at what was spent.
"""

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import platformdirs

from blockrun_image.catalog import Catalog
from blockrun_image.enrichment import MODES
from blockrun_image.images import Defaults
from blockrun_image.joining import SCOPES, Scope, join
from blockrun_image_mcp.catalogs.cache import CatalogCache
from blockrun_image_mcp.catalogs.live import LiveCatalog
from blockrun_image_mcp.gateway.credentials import Endpoint, address_of, endpoint_for, wallet_digits
from blockrun_image_mcp.logs import Redactor
from blockrun_image_mcp.settings import CALL_SECONDS, SANDBOX, VARIABLES, Settings

if TYPE_CHECKING:
    from blockrun_image_mcp.gateway.client import HttpGateway
    from blockrun_image_mcp.gateway.responses import ModelsAnswer
    from blockrun_image_mcp.ledger.sqlite import SqliteLedger
    from blockrun_image_mcp.payments.auth import Payees, Payer

NAME = "blockrun-image-mcp"

_log = logging.getLogger(__name__)


def with_known_defaults(settings: Settings, catalog: Catalog) -> Settings:
    """Return the settings without defaults that do not exist, which are warned about: a server must not die of them."""
    mended: dict[str, str | None] = {}
    if settings.catalog not in SCOPES:
        _log.warning("%s is none of %s, so it is both", VARIABLES["catalog"], ", ".join(SCOPES))
        mended["catalog"] = "both"
    if known_defaults(settings, catalog).model != settings.default_model:
        words = "%s: there is no model %r, so agents must name one"
        _log.warning(words, VARIABLES["default_model"], settings.default_model)
        mended["default_model"] = None
    if settings.enrich not in MODES:
        _log.warning("%s is none of %s, so prompts are sent as they are", VARIABLES["enrich"], ", ".join(MODES))
        mended["enrich"] = "off"
    if settings.patience_seconds is None:
        _log.warning("%s cannot be read, so calls wait %s seconds", VARIABLES["call_seconds"], CALL_SECONDS)
        mended["call_seconds"] = CALL_SECONDS
    for field in ("max_cost_usd", "daily_budget_usd"):
        if getattr(settings, field).lower() == "none":
            _log.warning("%s is none: nothing limits what is spent", VARIABLES[field])
    return settings.model_copy(update=mended)


def known_defaults(settings: Settings, catalog: Catalog) -> Defaults:
    """Return the defaults without a model that is neither known nor one that a list may have which was never seen."""
    id, defaults = settings.default_model, settings.defaults
    if id is None or id in catalog.models or catalog.spellings.get(id) in catalog.models:
        return defaults
    may_be_listed = catalog.listing is None and catalog_cache(settings, catalog) is not None
    return defaults if may_be_listed else replace(defaults, model=None)


def catalog_in_force(settings: Settings) -> Catalog:
    """Return the catalogue, joined with the gateway's list where one was seen; raises `SpecError`."""
    contract = Catalog.load(settings.spec)
    cache = catalog_cache(settings, contract)
    if cache is None or not cache.exists:
        return contract
    return join(contract, cache.read().listing, _scope(settings))


def live_catalog(settings: Settings, catalog: Catalog) -> LiveCatalog:
    """Return what keeps the catalogue up to date with the list of the gateway that the settings name."""

    async def fetch(etag: str) -> "ModelsAnswer":
        async with open_gateway(settings, catalog) as gateway:
            return await gateway.models(etag)

    return LiveCatalog(catalog, _scope(settings), catalog_cache(settings, catalog), fetch)


def catalog_cache(settings: Settings, catalog: Catalog) -> CatalogCache | None:
    """Return where the list of the gateway is kept that the settings name; `None` where no list counts."""
    address = address_of(settings, catalog.spec.base_url)
    if settings.gateway == SANDBOX or _scope(settings) == "contract" or address is None:
        return None
    return CatalogCache(platformdirs.user_cache_path(NAME) / "catalogs", address.base_url, address.rail)


def _scope(settings: Settings) -> Scope:
    return cast("Scope", settings.catalog if settings.catalog in SCOPES else "both")


@asynccontextmanager
async def open_gateway(
    settings: Settings, catalog: Catalog, payees: "Payees | None" = None
) -> AsyncGenerator["HttpGateway"]:
    """Open the gateway that the settings name; the sandbox is started in this process.

    A wallet pays only where there is something that remembers whom it has paid. Raises `ConfigurationError` when there
    is no credential that can be used.
    """
    from blockrun_image_mcp.gateway.client import HttpGateway  # noqa: PLC0415 - loads httpx2

    if settings.gateway == SANDBOX:
        from blockrun_image_mcp.sandbox.server import running_sandbox  # noqa: PLC0415 - loads uvicorn

        async with running_sandbox(catalog) as origin:
            endpoint = Endpoint(f"{origin}/v1", {"Authorization": "Bearer brk_sandbox"}, SANDBOX)
            async with HttpGateway(endpoint) as gateway:
                yield gateway
    else:
        endpoint = endpoint_for(settings, catalog.spec.base_url)
        redact = Redactor(settings.credentials.values())
        async with HttpGateway(endpoint, redact, payer=_payer_of(endpoint, payees)) as gateway:
            yield gateway


def gateway_name(settings: Settings, catalog: Catalog) -> str:
    """Return what to call the gateway, also before it is opened; raises `ConfigurationError`."""
    return SANDBOX if settings.gateway == SANDBOX else endpoint_for(settings, catalog.spec.base_url).name


def pays_from_wallet(settings: Settings) -> bool:
    """Tell whether a wallet pays, whose gateway tells its exact prices for free."""
    credential = next(iter(settings.credentials.values()), None)
    return settings.gateway != SANDBOX and credential is not None and wallet_digits(credential) is not None


def ledger_of(settings: Settings, catalog: Catalog | None = None) -> "SqliteLedger":
    """Return the ledger that all processes of this user share; the sandbox has one of its own.

    With a catalogue it is that of the account which the settings name, whose attempts can be finished and collected.
    Raises `ConfigurationError` for a limit that cannot be read, and for a credential that cannot be used.
    """
    from blockrun_image_mcp.ledger.attempts import Account  # noqa: PLC0415 - loads sqlite3
    from blockrun_image_mcp.ledger.limits import Limits  # noqa: PLC0415 - loads the ports
    from blockrun_image_mcp.ledger.sqlite import SqliteLedger  # noqa: PLC0415 - loads sqlite3

    account = Account()
    if catalog is not None and settings.gateway == SANDBOX:
        account = Account(SANDBOX, SANDBOX)
    elif catalog is not None:
        endpoint = endpoint_for(settings, catalog.spec.base_url)
        account = Account(endpoint.base_url, endpoint.principal)
    return SqliteLedger(ledger_path(settings), Limits.of(settings), account)


def ledger_path(settings: Settings) -> Path:
    """Return the ledger's file, which may not be there yet."""
    name = "sandbox.sqlite3" if settings.gateway == SANDBOX else "ledger.sqlite3"
    return platformdirs.user_state_path(NAME) / name


def _payer_of(endpoint: "Endpoint", payees: "Payees | None") -> "Payer | None":
    if endpoint.wallet_key is None or payees is None:
        return None
    from blockrun_image_mcp.payments.auth import Payer  # noqa: PLC0415 - loads httpx2
    from blockrun_image_mcp.payments.wallet import Wallet  # noqa: PLC0415 - what signs: only for who pays from a wallet

    return Payer(Wallet(endpoint.wallet_key.get_secret_value()), payees)
