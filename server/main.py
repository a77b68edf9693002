"""The launcher of the bundle, whose environment `uv run` makes from `pyproject.toml`."""

from blockrun_image_mcp.cli.main import main

if __name__ == "__main__":
    main()
