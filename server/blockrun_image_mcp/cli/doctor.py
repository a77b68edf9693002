"""The command doctor: finds problems with the setup.

It does not make a picture, and never shows a secret.
"""

import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import click

from blockrun_image.catalog import Catalog
from blockrun_image.errors import ImageError, StorageError
from blockrun_image.text import clean, quoted
from blockrun_image_mcp.backend import Backend
from blockrun_image_mcp.cli import options
from blockrun_image_mcp.cli.places import folder_risks
from blockrun_image_mcp.files import check_writable
from blockrun_image_mcp.folders import NAME, check_project_folder
from blockrun_image_mcp.gateway.credentials import shape_of
from blockrun_image_mcp.images.store import check_absolute
from blockrun_image_mcp.ledger.limits import check_names, confirm_above_micro_usd
from blockrun_image_mcp.logs import Redactor
from blockrun_image_mcp.setting_values import SANDBOX, SESSION, Source
from blockrun_image_mcp.settings import OWN_PREFIX, RELATIVE, SESSION_FILE, VARIABLES, Settings
from blockrun_image_mcp.startup import load_backend

if TYPE_CHECKING:
    from blockrun_image_mcp.gateway.responses import ModelsAnswer

_MAX_SHOWN = 20
_LOOK_AT_THE_BASE = "Not every gateway has one. If pictures fail too, check the base URL: many end in /v1."


@click.command("doctor")
@options.sandbox
@options.gateway
@options.spec
@options.reporting_errors
def doctor(sandbox: bool, **flags: str | None) -> None:
    """Check the settings, the credential's shape, the gateway and the folders, and say what to do. Free.

    Example: blockrun-image-mcp doctor
    """
    backend = load_backend(options.chosen(sandbox, flags))
    findings = anyio.run(examine, backend, os.environ)
    for finding in findings:
        click.echo(Redactor(backend.settings.credentials.values())(str(finding)))
    if any(finding.is_trouble for finding in findings):
        sys.exit(1)


@dataclass(frozen=True)
class Finding:
    """The result of one check: the state of its subject, and any advice."""

    subject: str
    state: str
    advice: str = ""
    is_trouble: bool = False

    def __str__(self) -> str:
        mark = "error" if self.is_trouble else "note" if self.advice else "ok"
        return f"{mark:8}{self.subject}: {self.state}" + (f"\n{'':8}{self.advice}" if self.advice else "")


async def examine(backend: Backend, environ: Mapping[str, str]) -> Sequence[Finding]:
    """Return the findings of all checks.

    The gateway gets one request, for its list of models, which is free. The list is cached.
    """
    mistakes = _mistakes(backend)
    mistaken_states = {mistake.state for mistake in mistakes}  # the gateway may fail for the same reason
    async with backend:
        return [
            Finding("version", f"{NAME} {version(NAME)}, Python {platform.python_version()}"),
            _settings(backend, environ),
            *mistakes,
            *_unknown_variables(backend, environ),
            *_credentials(backend.settings),
            *(finding for finding in await _gateway(backend) if finding.state not in mistaken_states),
            _folder(backend),
            await _ledger(backend),
            *_folder_risks(backend, environ),
        ]


def _settings(backend: Backend, environ: Mapping[str, str]) -> Finding:
    set_variables = [variable for variable in VARIABLES.values() if environ.get(variable, "").strip()]
    model = backend.defaults.model
    defaults = f"default model {model or 'none'}, enrich {backend.settings.enrich}"
    unknown = model is None and VARIABLES["default_model"] in set_variables
    advice = f"{VARIABLES['default_model']} names an unknown model, so calls must name one." if unknown else ""
    return Finding("settings", f"{', '.join(set_variables) or 'none'} in the environment; {defaults}", advice)


def _mistakes(backend: Backend) -> Sequence[Finding]:
    """Return a finding for each setting with an unusable value."""
    mistakes = [
        Finding("settings", f"{VARIABLES[field]} {mistake.words}", "Correct it, or leave it out.", is_trouble=True)
        for field, mistake in backend.mistakes.items()
    ]
    try:
        backend.check_description()
    except ImageError as error:
        mistakes.append(Finding("settings", error.message, error.hint, is_trouble=True))
    return mistakes


def _unknown_variables(backend: Backend, environ: Mapping[str, str]) -> Sequence[Finding]:
    known = list(VARIABLES.values())
    unknown = {name for name in environ if name.startswith(OWN_PREFIX) and name not in known}
    names = sorted({*unknown, *backend.settings.misspelt})  # a misspelt name may lack the prefix
    closest = {name: get_close_matches(name, known, 1, 0)[0] for name in names}
    return [
        Finding("settings", f"{quoted(name)} is not a setting", f"The closest is {closest[name]}.") for name in names
    ]


def _credentials(settings: Settings) -> Sequence[Finding]:
    """Return the shape of each credential, never a part of it.

    Only the first one is used.
    """
    return [*(_credential(source, rank) for rank, source in enumerate(settings.sources)), *_session(settings)]


def _credential(source: Source, rank: int) -> Finding:
    unused = " and is not used" if rank else ""
    try:
        shape = shape_of(source.read())
    except ImageError as error:
        return Finding("credential", f"{error.message[:-1]}{unused}", error.hint)
    return Finding("credential", f"{source.variable} looks like {shape.value}{unused}")


def _session(settings: Settings) -> Sequence[Finding]:
    """Return a note about a wallet of BlockRun's own software.

    It is not used unless a setting says so.
    """
    try:
        is_there = settings.wallet is None and Path(SESSION_FILE).expanduser().is_file()
    except (OSError, RuntimeError):
        is_there = False
    advice = f"{VARIABLES['wallet']}={SESSION} would pay from it."
    return [Finding("credential", f"{SESSION_FILE} exists, and is not used", advice)] if is_there else []


async def _gateway(backend: Backend) -> Sequence[Finding]:
    """Return whether the gateway answers, and the models, including those it lists."""
    try:
        async with backend.open_gateway() as gateway:
            answer = await gateway.models()
    except ImageError as error:
        return [Finding("gateway", error.message, error.hint, is_trouble=True), _models(backend.catalog)]
    trouble = ""
    try:
        await backend.models.take(answer)
    except ImageError as error:
        trouble = error.message
    return [_gateway_finding(answer, backend.settings), _models(backend.catalog, trouble)]


def _gateway_finding(answer: "ModelsAnswer", settings: Settings) -> Finding:
    name, status = answer.gateway, answer.status
    if answer.is_refused:
        return Finding(
            "gateway",
            f"{name} refuses the credential (HTTP {status})",
            "Set another one, or ask its host.",
            is_trouble=True,
        )
    if answer.is_web_page:
        missing = f"{VARIABLES['gateway']} must be the base URL of the API, which often ends in /v1."
        return Finding("gateway", f"{name} answers with a web page (HTTP {status})", missing, is_trouble=True)
    if status >= 500:
        return Finding("gateway", f"{name} answers HTTP {status}", "Try again later.", is_trouble=True)
    if 300 <= status < 400:
        return Finding(
            "gateway", f"{name} redirects (HTTP {status})", "Set the URL that it redirects to.", is_trouble=True
        )
    if status >= 400:  # not an error, because not every gateway has a list
        return Finding("gateway", f"{name} has no list of models (HTTP {status})", _LOOK_AT_THE_BASE)
    free = "; nothing costs money there" if settings.gateway == SANDBOX else ""
    return Finding("gateway", f"{name} answers (HTTP {status}) and does not refuse the credential{free}")


def _models(catalog: Catalog, trouble: str = "") -> Finding:
    """Return the models and their source; of many models, only the first ones."""
    ids = ", ".join([*catalog.models][:_MAX_SHOWN])
    more = f" and {len(catalog.models) - _MAX_SHOWN} more" if len(catalog.models) > _MAX_SHOWN else ""
    listing = catalog.listing
    if listing is None:
        changed = f"Describe its models in a file that {VARIABLES['spec']} names." if catalog.strangers else ""
        advice = f"{trouble} {changed or 'That changes nothing.'}" if trouble else ""
        return Finding("models", f"{ids}{more} (from {catalog.spec.source})", advice)
    listed = f"{ids}{more} (from {catalog.spec.source}, and listed by {listing.gateway} at {listing.seen})"
    unavailable = f"No longer available: {', '.join(catalog.unavailable)}." if catalog.unavailable else ""
    unusable = f"{listing.unusable} entries of the list cannot be read." if listing.unusable else ""
    fallback = f"{trouble} The previous list is used." if trouble else ""
    return Finding("models", listed, " ".join(part for part in (fallback, unavailable, unusable) if part))


async def _ledger(backend: Backend) -> Finding:
    try:
        check_names(backend.settings)
        confirm_above_micro_usd(backend.settings)
        ledger = backend.operator_ledger()
        spending = await ledger.spending_today()
    except ImageError as error:
        return Finding("ledger", error.message, error.hint, is_trouble=True)
    refused = [clean(path, 200) for path in ledger.outbox.refused]
    advice = f"Records of paid pictures that it refuses: {', '.join(refused[:3])}" if refused else ""
    users = ", ".join(str(pid) for pid in await ledger.users())
    used = f"; used by the processes {users}" if users else ""
    where = _real(ledger.path)
    simulated = ", all of it simulated" if backend.is_sandbox else ""
    return Finding("ledger", f"{spending.summary()}{simulated}{used} ({where})", advice, is_trouble=bool(refused))


def _folder_risks(backend: Backend, environ: Mapping[str, str]) -> Sequence[Finding]:
    """Return a finding for each doubt about the folder of the ledger."""
    if backend.is_sandbox or not backend.ledger_path.is_absolute():
        return []
    folder, is_named = Path(os.path.realpath(backend.ledger_path.parent)), backend.settings.state_dir is not None
    return [Finding("ledger", clean(folder, 200), risk) for risk in folder_risks(folder, environ, is_named=is_named)]


def _real(path: Path) -> str:
    """Return the real path, as text."""
    # on Windows, this shows the private copy of a folder that a packaged program sees
    try:
        return clean(os.path.realpath(path), 200)
    except OSError:
        return clean(path, 200)


def _folder(backend: Backend) -> Finding:
    """Return whether the folder of pictures can be written; nothing is left there that can be removed."""
    folder = backend.folder.folder
    advice = f"{VARIABLES['dir']} {RELATIVE}." if backend.settings.is_dir_relative else ""
    try:
        check_absolute(folder)
        if backend.settings.dir == Path():
            check_project_folder(folder)
        there = next(path for path in (folder, *folder.parents) if path.exists())  # the folder is made when needed
        left = check_writable(there)
    except OSError as error:
        return Finding(
            "images folder",
            f"{clean(folder, 200)} cannot be written ({clean(error.strerror, 80)})",
            f"Set {VARIABLES['dir']} to a writable folder.",
            is_trouble=True,
        )
    except StorageError as error:
        return Finding("images folder", error.message, error.hint, is_trouble=True)
    if left is not None:
        advice = f"{advice} Files in it cannot be removed; a trial file is left: {clean(left, 200)}".strip()
    return Finding("images folder", _real(folder), advice)
