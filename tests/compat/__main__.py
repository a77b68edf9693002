"""Tries an installed server with other people's clients; `make compat` builds it, installs it and runs this."""

import sys

import click
from tests.compat.clients import CLIENTS, Client
from tests.compat.environments import FOLDER, Environment, NotInstallableError
from tests.compat.run import run_client
from tests.compat.trial import FailedError

_SECONDS = 5.0
_NAMES = [client.name for client in CLIENTS]


@click.command()
@click.option("--server", type=click.Path(exists=True, resolve_path=True), required=True, help="The installed command.")
@click.argument("names", type=click.Choice(_NAMES), nargs=-1)
def main(server: str, names: tuple[str, ...]) -> None:
    """Print a line for each client; without NAMES, all are tried."""
    lines = [_line(client, server) for client in CLIENTS if client.name in (names or _NAMES)]
    sys.exit(any(line.startswith("failed") for line in lines))


def _line(client: Client, server: str) -> str:
    environment = Environment(client)
    try:
        environment.install()
    except NotInstallableError as error:
        line = f"skipped {client.name}: not installable today: {error}"
    else:
        known_as = f"{client.name} {environment.version}"
        try:
            steps = run_client(client, environment.command, server, FOLDER / "runs" / client.name, _SECONDS)
        except FailedError as error:
            line = f"failed  {known_as}: {error}"
        else:
            left_out = "; slow is left out, for it ends the server after each call" if client.ends_server else ""
            line = f"ok      {known_as}: {', '.join(steps)}{left_out}"
    click.echo(line)
    return line


main()
