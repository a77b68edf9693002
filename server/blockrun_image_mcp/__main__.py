"""`python -m blockrun_image_mcp` is the command `blockrun-image-mcp`."""

from blockrun_image_mcp.cli import main

main()
