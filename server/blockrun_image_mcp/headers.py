"""The names of HTTP headers that several modules use."""

AUTHORIZATION = "Authorization"
DATE = "Date"
PAYMENT_SIGNATURE = "PAYMENT-SIGNATURE"
"""The signed payment of x402."""
USER_AGENT = "User-Agent"

MAX_ENCODED_CHARACTERS = 16_384
"""The longest header in base64 that is decoded."""
