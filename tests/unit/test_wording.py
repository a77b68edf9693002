"""Messages at the command line: they name what a person types there, and leave quoted words alone."""

import click
import pytest

from blockrun_image.errors import InvalidRequestError
from blockrun_image_mcp.cli.estimate import estimate
from blockrun_image_mcp.cli.generate import generate
from blockrun_image_mcp.cli.models import models
from blockrun_image_mcp.cli.wording import OPTIONS, in_options, word_in_options


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("save_as cannot be 'a.gif': no.", "--output cannot be 'a.gif': no."),
        ("n must be a whole number, not 'two'.", "-n must be a whole number, not 'two'."),
        ("max_price_usd must be a number, not 'x'.", "--max-price-usd must be a number, not 'x'."),
        ("art_style was not used, because enrich is off.", "--art-style was not used, because enrich is off."),
        (
            "lighting 'dusk' was not added: it contradicts art_style 'noon'.",
            "--lighting 'dusk' was not added: it contradicts --art-style 'noon'.",
        ),
        (
            "Try a higher max_price_usd, or without use_case or search.",
            "Try a higher --max-price-usd, or without --use-case or --search.",
        ),
        (
            "narrow the list with search, use_case or max_price_usd.",
            "narrow the list with --search, --use-case or --max-price-usd.",
        ),
        ("list_models compares them.", "`blockrun-image-mcp models` compares them."),
        ("see the resource images://recent", "see `blockrun-image-mcp images`"),
    ],
)
def test_names_of_arguments_and_tools_become_options_and_commands(words: str, meant: str) -> None:
    assert in_options(words) == meant


@pytest.mark.parametrize(
    "words",
    [
        "There is no model 'save_as'.",
        "size 'n must be, save_as and art_style too' is none.",
        "The server's model cannot-do, and my_save_as, stay.",
        "https://pictures.example/save_as?use_case=art_style",
        'An earlier call paid for 1 image: "art_style" by dall-e-3',
        "dall-e-3 has no size '1x1'. Its sizes: 1024x1024.",
    ],
)
def test_other_words_stay(words: str) -> None:
    assert in_options(words) == words


def test_error_names_the_options() -> None:
    error = InvalidRequestError("quality cannot be 'x'.", hint="Choose another name in save_as.")
    word_in_options(error)
    assert (error.message, error.hint) == ("--quality cannot be 'x'.", "Choose another name in --output.")


def test_each_option_that_is_named_exists() -> None:
    commands = (estimate, generate, models)
    options = {
        name for command in commands for each in command.params if isinstance(each, click.Option) for name in each.opts
    }
    assert {*OPTIONS.values()} <= options
