"""Tells the public internet from private networks, by a peer's address or a URL's host."""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

_PUBLIC_IPV6 = ip_network("2000::/3")  # everything else is local, reserved or not assigned (RFC 4291)
_NAT64 = ip_network("64:ff9b::/96")  # the public IPv4 internet as seen from an IPv6 network (RFC 6052)
_NOT_PUBLIC = tuple(
    ip_network(network)
    for network in (
        # `ipaddress` counts these as global, some of them only in older versions of Python
        "168.63.129.16/32",  # Azure's own services for each virtual machine
        "192.0.0.0/24",  # protocol assignments, and Oracle's metadata
        "192.88.99.0/24",  # relays of 6to4
        "2001::/23",  # protocol assignments, among them Teredo, which embeds IPv4 addresses
        "2002::/16",  # 6to4, which embeds IPv4 addresses
        "3fff::/20",  # documentation
    )
)
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*")
_NAME = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)+")
_PRIVATE_DOMAINS = (
    # RFC 6761, 6762 (with its appendix G) and 8375, ICANN's .internal, and the default of many resolvers
    *(".localhost", ".local", ".home.arpa", ".internal", ".localdomain"),
    *(".intranet", ".private", ".corp", ".home", ".lan"),
)


def is_public_address(address: str) -> bool:
    """Return whether an IP address is on the public internet; `False` if it is no address."""
    try:
        ip = _translated(ip_address(address))
    except ValueError:
        return False
    is_assigned = isinstance(ip, IPv4Address) or ip in _PUBLIC_IPV6
    return is_assigned and ip.is_global and not ip.is_multicast and not any(ip in network for network in _NOT_PUBLIC)


def is_public_host(host: str) -> bool:
    """Return whether a URL's host may be on the public internet, by its name or address alone.

    Addresses count only in their usual spelling, because programs differ in how they read others, such as `0177.1`.
    """
    name = host.lower().removesuffix(".")
    if ":" in name or _NUMERIC.fullmatch(name.rpartition(".")[2]):  # no top-level domain is a number
        return is_public_address(name)
    return _NAME.fullmatch(name) is not None and not name.endswith(_PRIVATE_DOMAINS)


def _translated(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that an IPv6 address stands for, if it does."""
    if isinstance(ip, IPv4Address):
        return ip
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.ipv4_mapped or ip
