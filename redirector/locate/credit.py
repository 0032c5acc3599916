"""Whose data says where addresses are: the words that its licence asks for."""

from __future__ import annotations

_CREDITS = (
    ("ipfire", "IPFire Location database (https://location.ipfire.org), CC BY-SA 4.0"),
    ("dbip", "IP Geolocation by DB-IP (https://db-ip.com), CC BY 4.0"),
    ("db-ip", "IP Geolocation by DB-IP (https://db-ip.com), CC BY 4.0"),
    ("ipinfo", "IP address data powered by IPinfo (https://ipinfo.io), CC BY-SA 4.0"),
    ("geolite2", "This product includes GeoLite2 Data created by MaxMind, available from https://www.maxmind.com"),
    ("geoip2", "GeoIP2 by MaxMind (https://www.maxmind.com)"),
)
"""What an MMDB calls itself, or says of itself -> the words. IPFire's comes in MaxMind's form, so it stands first."""


def credit_of(database_type: str, description: str) -> str:
    """The words for a database; what it says of itself where it is none that is known."""
    told = f"{database_type} {description}".lower()
    known = next((words for name, words in _CREDITS if name in told), None)
    return known or description or database_type
