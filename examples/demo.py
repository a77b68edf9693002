"""Starts the server on its sandbox as a host would, makes two pictures, and shows what they cost. Needs no key.

Run it with `make demo`, or `python examples/demo.py FOLDER` to choose where the pictures go.
"""

import sys
from pathlib import Path

import anyio
import click
from mcp import Client, StdioServerParameters
from mcp_types import CallToolResult, TextContent

PICTURES = [
    {"model": "dall-e-3", "prompt": "A futuristic city at sunset", "size": "1792x1024", "quality": "hd"},
    {"model": "nano-banana", "prompt": "A golden retriever puppy sitting in a sunlit meadow, soft focus background"},
]


async def main(folder: Path) -> None:
    """Act as an MCP client: list, estimate, generate."""
    serve = ["-m", "blockrun_image_mcp", "serve", "--sandbox", "--dir", str(folder)]
    async with Client(StdioServerParameters(command=sys.executable, args=serve)) as client:
        click.secho("list_models", bold=True)
        click.echo(text(await client.call_tool("list_models")))
        click.secho("\nestimate_cost", bold=True)
        for picture in PICTURES:
            asked = {name: value for name, value in picture.items() if name != "prompt"}
            click.echo(text(await client.call_tool("estimate_cost", asked)))
        click.secho("\ngenerate_image", bold=True)
        results = await generate_all(client)
        for result in results:
            click.echo(f"\n{text(result)}")


async def generate_all(client: Client) -> list[CallToolResult]:
    """Make the pictures one after the other, with a bar that counts them and shows the server's own progress."""
    said = ""
    with click.progressbar(PICTURES, label="Making pictures", item_show_func=lambda _: said) as bar:

        async def show(progress: float, total: float | None, message: str | None) -> None:  # noqa: ARG001 - MCP's
            nonlocal said
            said = message or ""
            bar.render_progress()

        return [await client.call_tool("generate_image", picture, progress_callback=show) for picture in bar]


def text(result: CallToolResult) -> str:
    """Return what a host would show of a tool's result; ends the demonstration where that is an error."""
    words = "\n".join(block.text for block in result.content if isinstance(block, TextContent))
    if result.is_error:
        raise SystemExit(words)
    return words


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1] if len(sys.argv) > 1 else "demo-pictures").absolute())
