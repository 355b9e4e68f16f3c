"""Whose an address is."""

from ipaddress import IPv4Address, IPv6Network, ip_address

PREFIX = 64  # bits; the least that a line, and so one client, is given


def network_of(address: str) -> str:
    """Return the IPv4 address, or the network of the IPv6 one, which has 2^64 to choose from.

    What is no address is itself. In SQL rendio.client_address says the same.
    """
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv4Address):
        return str(found)
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(IPv6Network((int(found), PREFIX), strict=False))
