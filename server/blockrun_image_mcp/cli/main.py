"""The entry point of the command `blockrun-image-mcp`."""

import sys
from collections.abc import Mapping, Sequence

SERVE_FLAGS: Mapping[str, str] = {
    "--gateway": "gateway",
    "--spec": "spec",
    "--enrich": "enrich",
    "--default-model": "default_model",
    "--dir": "dir",
}
"""The setting of each `serve` option with a value."""

_SANDBOX_FLAG = "--sandbox"


def main() -> None:
    """Run a command; without one, serve MCP on stdin and stdout.

    A plain start loads neither the other commands nor click.
    """
    try:
        _run(serve_flags(sys.argv[1:]))
    except KeyboardInterrupt:  # while it starts
        sys.exit(130)


def _run(flags: Mapping[str, str] | None) -> None:
    if flags is None:
        from blockrun_image_mcp.cli import output  # noqa: PLC0415 - a plain start does without
        from blockrun_image_mcp.cli.group import main as run_command  # noqa: PLC0415 - loads click

        output.prepare()
        with output.failures_explained():
            run_command(prog_name="blockrun-image-mcp")
    else:
        from blockrun_image_mcp.front import open_quickly  # noqa: PLC0415 - other commands need no front

        opening = open_quickly(flags)
        if opening.is_over:
            return
        from blockrun_image_mcp.serving import serve  # noqa: PLC0415 - loads mcp, after the first answers

        serve(flags, opening)


def serve_flags(arguments: Sequence[str]) -> Mapping[str, str] | None:
    """Return the settings in the arguments of a plain start.

    Return `None` for any other command, and for a mistake that click reports.
    """
    if arguments and arguments[0] != "serve":
        return None
    flags: dict[str, str] = {}
    rest = iter(arguments[1:])
    for argument in rest:
        name, is_joined, value = argument.partition("=")
        if argument == _SANDBOX_FLAG and "gateway" not in flags:
            flags["gateway"] = "sandbox"
        elif name in SERVE_FLAGS and not (name == "--gateway" and "gateway" in flags):
            flags[SERVE_FLAGS[name]] = value if is_joined else next(rest, "--")  # click reports a missing value
        else:
            return None
    return None if any(value.startswith("--") for value in flags.values()) else flags
