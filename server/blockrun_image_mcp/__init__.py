"""Serves the tools over MCP, and connects them to gateways, disks and wallets."""

import time

STARTED_AT = time.monotonic()
"""The approximate start of the process, in seconds by the monotonic clock."""
