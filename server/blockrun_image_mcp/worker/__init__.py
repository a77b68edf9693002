"""Performs paid calls in a separate process.

Hosts end a server at any time, often by force. The worker then cancels the calls, but finishes what was paid for.
"""
