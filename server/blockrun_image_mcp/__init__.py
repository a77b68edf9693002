"""How the tools are served over MCP, and how they reach the world."""

import time

STARTED_AT = time.monotonic()
"""About when the process started, in seconds by the monotonic clock."""
