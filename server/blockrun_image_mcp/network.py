"""Which hosts are this machine, which proxy the environment names for the others, and what they say as JSON."""

import json
import urllib.request
from ipaddress import ip_address
from typing import Any

import httpx2

_MOST_BRACKETS = 2_000


def json_from(content: bytes, **loading: Any) -> object:  # noqa: ANN401 - as json.loads has them
    """Return what JSON from elsewhere holds, `None` where it is none, or has more brackets than an honest answer.

    `loading` is for `json.loads`.
    """
    if content.count(b"[") + content.count(b"{") > _MOST_BRACKETS:
        return None
    try:
        return json.loads(content, **loading)
    except (ValueError, RecursionError):
        return None


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine, by its name or address alone."""
    try:
        return host == "localhost" or ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def proxy_for(url: httpx2.URL) -> str | None:
    """Return the proxy that the environment names for `url`; there is none for this machine."""
    if is_loopback(url.host) or urllib.request.proxy_bypass(url.host):
        return None
    proxy = urllib.request.getproxies().get(url.scheme)
    return proxy if proxy is None or "://" in proxy else f"http://{proxy}"
