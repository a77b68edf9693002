"""Pays a price quote from a wallet, once, under the rules of x402."""
