"""Addresses that no model server has: link-local ones, where clouds hand out credentials to whoever asks.

A gateway that could be pointed there would fetch them for anybody who may edit a URL. Judged from what is written; what
a name resolves to is not known here.
"""

from __future__ import annotations

import ipaddress
import unicodedata
from urllib.parse import urlsplit

# AWS, GCP, Azure and most others answer on 169.254.169.254, which is link-local; these do not stand in such a range.
_METADATA_ADDRESSES = frozenset(map(ipaddress.ip_address, ("fd00:ec2::254", "100.100.100.200", "192.0.0.192")))
_METADATA_NAMES = frozenset(
    ("metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal")
)
# RFC 6052 and RFC 3056: an IPv4 address inside an IPv6 one, which a translator or relay would reach.
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def forbidden(url: str) -> str | None:
    """What is forbidden about the host of an expanded URL, in words; None when nothing is."""
    host = (urlsplit(url).hostname or "").partition("%")[0]  # a zone: fe80::1%eth0
    name = unicodedata.normalize("NFKC", host).lower().rstrip(".")
    if name in _METADATA_NAMES:
        return f"`{host}` is a cloud's metadata service"
    address = _address(name)
    if address is None:
        return None
    if address in _METADATA_ADDRESSES or str(address) == "169.254.169.254":
        return f"`{host}` is a cloud's metadata service"
    return f"`{host}` is a link-local address" if address.is_link_local else None


def _address(host: str) -> Address | None:
    """The address a host is, in each way a resolver takes it: also 2852039166, 0xa9fea9fe and 169.254.43518."""
    try:
        address: Address = ipaddress.ip_address(host)
    except ValueError:
        number = _as_inet_aton(host)
        return None if number is None else ipaddress.IPv4Address(number)
    if isinstance(address, ipaddress.IPv6Address):
        inside = address.ipv4_mapped or address.sixtofour
        if inside is None and address in _NAT64:
            inside = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        return inside or address
    return address


def _as_inet_aton(host: str) -> int | None:
    """inet_aton(3): one to four parts, decimal, 0octal or 0xhex; the last fills the bytes that are left."""
    parts = host.split(".")
    if not 1 <= len(parts) <= 4:
        return None
    numbers = []
    for part in parts:
        digits, base = (part[2:], 16) if part.startswith("0x") else (part, 8 if part.startswith("0") else 10)
        try:
            # int() would take blanks, signs and underscores too.
            numbers.append(int(digits, base) if digits.isascii() and digits.isalnum() else -1)
        except ValueError:
            return None
    *leading, last = numbers
    room = 256 ** (4 - len(leading))
    if any(not 0 <= number < 256 for number in leading) or not 0 <= last < room:
        return None
    return sum(number << 8 * (3 - place) for place, number in enumerate(leading)) + last
