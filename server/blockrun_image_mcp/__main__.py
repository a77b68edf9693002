"""Runs the command `blockrun-image-mcp` for `python -m blockrun_image_mcp`."""

from blockrun_image_mcp.cli.main import main

main()
