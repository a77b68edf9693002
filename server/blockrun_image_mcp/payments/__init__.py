"""Pays a price quote from a wallet, at most once, under the rules of x402."""
