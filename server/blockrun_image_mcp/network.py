"""Loopback hosts, proxies, and the User-Agent."""

import urllib.request
from fnmatch import fnmatchcase
from functools import cache
from importlib.metadata import version
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from blockrun_image_mcp.folders import NAME
from blockrun_image_mcp.tasks import run_in_daemon_thread

if TYPE_CHECKING:
    import httpx2


@cache
def user_agent() -> str:
    """Return this program's User-Agent header."""
    return f"{NAME}/{version(NAME)}"


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, by its name or address alone."""
    try:
        return host == "localhost" or ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


async def look_up_proxy(url: "httpx2.URL") -> str | None:
    """Return the proxy for `url` without blocking the event loop."""
    if is_loopback(url.host):
        return None
    # on Windows, the look-up may ask a name server, for which only this call must wait
    return await run_in_daemon_thread(lambda: proxy_for(url))


def proxy_for(url: "httpx2.URL") -> str | None:
    """Return the environment's or the system's proxy for `url`; `None` for this machine.

    `HTTPS_PROXY` takes precedence over `ALL_PROXY`. `NO_PROXY` may hold names, names with a port, addresses and CIDR
    blocks.
    """
    if is_loopback(url.host):
        return None
    proxies = urllib.request.getproxies()
    if _is_bypassed(url, proxies.get("no", "")):
        return None
    proxy = proxies.get(url.scheme) or proxies.get("all")
    return proxy if not proxy or "://" in proxy else f"http://{proxy}"


def _is_bypassed(url: "httpx2.URL", no_proxy: str) -> bool:
    port = url.port or (443 if url.scheme == "https" else 80)
    if urllib.request.proxy_bypass(url.host) or urllib.request.proxy_bypass(f"{url.host}:{port}"):
        return True
    patterns = [each.strip() for each in no_proxy.split(",")]
    return any(_is_in_block(url.host, each) or fnmatchcase(url.host, each.lower()) for each in patterns)


def _is_in_block(host: str, block: str) -> bool:
    try:
        return ip_address(host.strip("[]")) in ip_network(block, strict=False)
    except ValueError:
        return False
