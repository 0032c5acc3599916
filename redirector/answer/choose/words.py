"""What the comment line says of how hosts were chosen, in MirrorManager's words: `Using ASN 680 country = DE `."""

from __future__ import annotations

NETBLOCK_WORDS = "Using preferred netblock "
GLOBAL_WORDS = "country = global "


def country_words(country: str | None) -> str:
    return f"country = {country} "


def asn_words(asn: int | None) -> str:
    return f"Using ASN {asn} "
