"""The entry point: which starts are plain, and that their options are those of the command `serve`."""

from collections.abc import Mapping

import click
import pytest

from blockrun_image_mcp.cli.main import SERVE_FLAGS, serve_flags
from blockrun_image_mcp.cli.serve import serve


@pytest.mark.parametrize(
    ("arguments", "flags"),
    [
        ([], {}),
        (["serve"], {}),
        (["serve", "--sandbox"], {"gateway": "sandbox"}),
        (["serve", "--gateway", "https://x.example/v1"], {"gateway": "https://x.example/v1"}),
        (["serve", "--gateway=https://x.example/v1?a=b"], {"gateway": "https://x.example/v1?a=b"}),
        (["serve", "--dir", ".", "--enrich=off"], {"dir": ".", "enrich": "off"}),
        (["serve", "--default-model", "dall-e-3", "--spec", "x.json"], {"default_model": "dall-e-3", "spec": "x.json"}),
    ],
)
def test_plain_start_is_read_without_click(arguments: list[str], flags: Mapping[str, str]) -> None:
    assert serve_flags(arguments) == flags


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["--sandbox"],
        ["generate", "A fox"],
        ["serve", "--help"],
        ["serve", "-h"],
        ["serve", "--gateway"],
        ["serve", "--gateway", "--sandbox"],
        ["serve", "--sandbox", "--gateway", "https://x.example/v1"],
        ["serve", "--gateway=https://x.example/v1", "--sandbox"],
        ["serve", "--no-such-option", "x"],
        ["serve", "more"],
    ],
)
def test_other_commands_and_mistakes_go_to_click(arguments: list[str]) -> None:
    assert serve_flags(arguments) is None


def test_plain_start_knows_each_option_of_serve() -> None:
    options = {name for option in serve.params if isinstance(option, click.Option) for name in option.opts}
    assert options == {"--sandbox", *SERVE_FLAGS}
    assert {option.name for option in serve.params} == {"sandbox", *SERVE_FLAGS.values()}
