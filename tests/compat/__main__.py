"""Tries an installed server with other people's clients; `make compat` builds it, installs it and runs this."""

import sys

import click
from tests.compat.clients import CLIENTS, FOLDER, Client, NotInstallableError
from tests.compat.trial import try_client

_NAMES = [client.name for client in CLIENTS]


@click.command()
@click.option("--server", type=click.Path(exists=True, resolve_path=True), required=True, help="The installed command.")
@click.argument("names", type=click.Choice(_NAMES), nargs=-1)
def main(server: str, names: tuple[str, ...]) -> None:
    """Print a line for each client; without NAMES, all are tried."""
    lines: list[str] = []
    for client in [client for client in CLIENTS if client.name in (names or _NAMES)]:
        lines.append(_tried(client, server))
        click.echo(lines[-1])
    sys.exit(any(line.startswith("failed") for line in lines))


def _tried(client: Client, server: str) -> str:
    try:
        client.install()
        steps = try_client(client, client.command, server, FOLDER / "runs" / client.name, seconds=5)
    except NotInstallableError as error:
        return f"skipped {client.name}: not installable today: {error}"
    except AssertionError as error:
        return f"failed  {client.name} {client.version}: {error}"
    left_out = "; slow is left out, for the client ends the server after each call" if client.ends_server else ""
    return f"ok      {client.name} {client.version}: {', '.join(steps)}{left_out}"


main()
