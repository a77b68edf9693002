"""Performs paid calls in a process of its own, which finishes them when the server ends.

Hosts end a server at any time, often by force. What has been paid by then is still read, settled and saved.
"""
