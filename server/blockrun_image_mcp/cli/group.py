"""The command line's group of commands, each loaded when it is called."""

from importlib import import_module

import click

from blockrun_image.text import did_you_mean

_COMMANDS = (
    "doctor",
    "estimate",
    "generate",
    "images",
    "models",
    "prompt",
    "prune",
    "recover",
    "sandbox",
    "serve",
    "spend",
    "wallet",
)
"""Each command is in the module of its name."""


class _Cli(click.Group):
    """Loads a command when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            raise click.UsageError(error.message + did_you_mean(args[0], _COMMANDS), ctx) from None

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = import_module(f"blockrun_image_mcp.cli.{cmd_name}")
        return getattr(module, cmd_name)


@click.group(cls=_Cli, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="blockrun-image-mcp")
def main() -> None:
    """Make pictures over the Model Context Protocol, and know what they cost.

    Without a command, it serves MCP on stdin and stdout. Settings come from the environment: see docs/settings.md.
    """
