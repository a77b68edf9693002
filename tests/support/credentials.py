"""Credentials of every kind, and the base URLs of their gateway."""

CONTRACT = "https://blockrun.ai/api/v1"
ACCOUNT = "https://api.blockrun.ai/v1"
PRIVATE_KEY = "0x" + "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"
SOLANA = "zY9" * 29


SECRET = "brk_very_secret_0123456789"
