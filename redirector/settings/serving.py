"""Config: every option of the answering half once, with its flag, unit, default and the reason for it.

The parser, `--help`, the table in the README and the messages are all made from the fields of `Config`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_network

from redirector.model import Network
from redirector.settings.cpus import usable_cpus
from redirector.settings.option import (
    Address,
    Option,
    number,
    one_of,
    option_field,
    options_of,
    or_none,
    parse_address,
    parse_flag,
    parse_host_name,
    parse_key_url,
    parse_line,
    parse_link,
    parse_log_path,
    parse_network,
    parse_path,
    parse_target,
    seconds,
    whole,
)

COMPATIBLE_WINDOW_S = 0
"""The order window with `compatibility: mirrormanager`, whose server draws a fresh order for every request."""

_LOOPBACK: tuple[Network, ...] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))

_PRIVATE: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10")
)
"""RFC 1918, 3927, 4193 and 4291: where Prometheus usually stands."""


X_FORWARDED_FOR = "X-Forwarded-For"
CLIENT_HEADERS = (X_FORWARDED_FOR, "X-Real-IP", "CF-Connecting-IP", "True-Client-IP", "Forwarded")


@dataclass(frozen=True, slots=True)
class Config:
    """What the operator wants. Every field has its `Option` in the field's metadata; `options_of` lists them."""

    source: str = field(
        metadata={
            "option": Option(
                "--source",
                "PATH",
                parse_path,
                "a directory with config.yml and mirror files (AlmaLinux dialect), or a MirrorManager snapshot file; "
                "told apart by looking",
                reason="nobody serves made-up mirrors by accident",
                shown="none: exit 2 without it",
            )
        }
    )
    config: str | None = option_field(
        None, Option("--config", "FILE", parse_path, "YAML file of these keys", in_file=False)
    )
    health: str | None = option_field(
        None,
        Option(
            "--health",
            "FILE",
            or_none(parse_path),
            "JSON of what a checker found out about the mirrors; a new one is heeded within 30 s, and for a day",
            shown="what the tree's config.yml names",
        ),
    )
    geoip: str | None = option_field(
        None,
        Option(
            "--geoip",
            "FILE",
            or_none(parse_path),
            "MMDB with countries and, if it is a City database, coordinates",
            reason="without it nobody has a country, and a warning says so",
        ),
    )
    asn: str | None = option_field(
        None,
        Option(
            "--asn",
            "FILE",
            or_none(parse_path),
            "AS numbers: MMDB, or text lines `PREFIX ASN` (also .gz, .xz)",
            reason="without it AS numbers choose nobody; a warning says so if the source has some",
        ),
    )
    continents: str | None = option_field(
        None, Option("--continents", "FILE", or_none(parse_path), "CSV of `CC,CONTINENT`", shown="the gazetteer's")
    )
    minimum: int = option_field(
        5,
        Option(
            "--minimum",
            "N",
            whole(0, 10_000),
            "MirrorManager sources: with fewer hosts than this after netblock, AS, country and continent, "
            "the global tier is added",
            unit="hosts",
            reason="what MirrorManager's server adds up to",
        ),
    )
    compatibility: str | None = option_field(
        None,
        Option(
            "--compatibility",
            "NAME",
            or_none(one_of("mirrormanager")),
            "mirrormanager: answers as mirrorlist-server 3.1 gives them; a MirrorManager source is needed",
            reason="its known defects are not repeated unless asked for",
        ),
    )
    choice: str | None = option_field(
        None,
        Option(
            "--choice",
            "NAME",
            or_none(one_of("nearness", "distance", "tiers")),
            "the rule of choosing, behind networks and AS: nearness (a weight, balanced), distance (AlmaLinux's) or "
            "tiers (MirrorManager's)",
            shown="`nearness` for trees, and for snapshots that carry places; else, and with `compatibility`, `tiers`",
        ),
    )
    share_limit: float = option_field(
        5.0,
        Option(
            "--share-limit",
            "X",
            number(0.01, 1_000_000),
            "with `nearness`: no host is first more often than X times its share of the bandwidth (unknown: the median "
            "of the known), where others can take over",
            unit="times",
            reason="less sends clients farther for little",
        ),
    )
    clients: str | None = option_field(
        None,
        Option(
            "--clients",
            "FILE",
            or_none(parse_path),
            "CSV of `CC,WEIGHT`: where clients come from, for balancing and `diff`",
            shown="the address space of each country",
        ),
    )
    order_window_s: int = option_field(
        3600,
        Option(
            "--order-window",
            "SECONDS",
            whole(0, 30 * 86_400),
            "how long one client (IPv4 address, IPv6 /64) keeps one order; 0: a fresh draw per request",
            unit="seconds",
            reason="all repositories of a transaction then come from one mirror",
            shown="3600 seconds (0 with `mirrormanager`)",
        ),
    )
    listen: tuple[Address, ...] = option_field(
        (Address("127.0.0.1", 8080),),
        Option(
            "--listen",
            "ADDRESS",
            parse_address,
            "HOST:PORT, [IPV6]:PORT ([::] takes both families) or unix:PATH; port 0 picks a free one; "
            "sockets that systemd hands over come first",
            reason="a proxy stands in front of most installations",
            repeat=True,
            filled=True,
            restart=True,
        ),
    )
    admin: Address | None = option_field(
        Address("127.0.0.1", 9180),
        Option(
            "--admin",
            "ADDRESS",
            or_none(parse_address),
            "the operator's listener: metrics, health, reload; `none` switches it off",
            restart=True,
        ),
    )
    admin_allow: tuple[Network, ...] = option_field(
        _LOOPBACK,
        Option(
            "--admin-allow",
            "CIDR",
            parse_network,
            "who may use /snapshot, /explain and /-/reload; peers on a unix socket always may",
            repeat=True,
            shown="loopback",
        ),
    )
    metrics_allow: tuple[Network, ...] = option_field(
        (*_LOOPBACK, *_PRIVATE),
        Option(
            "--metrics-allow",
            "CIDR",
            parse_network,
            "who may use /metrics, beside admin_allow; peers on a unix socket always may",
            repeat=True,
            shown="loopback and private ranges",
        ),
    )
    admin_hosts: tuple[str, ...] = option_field(
        (),
        Option(
            "--admin-host",
            "NAME",
            parse_host_name,
            "a name by which operators may ask, beside addresses and localhost",
            reason="a page from elsewhere may have made a name of its own lead here",
            repeat=True,
            shown="none",
        ),
    )
    page: bool = option_field(
        True,
        Option(
            "--no-page",
            "",
            parse_flag,
            "no page for people at /, and none of ISO images; in the file `page: false`",
            shown="there is one",
            switch="false",
        ),
    )
    page_title: str = option_field(
        "Mirrors", Option("--page-title", "TEXT", parse_line, "the title of the page for people")
    )
    page_logo: str = option_field(
        "", Option("--page-logo", "TEXT", parse_line, "a line above the title of the page", shown="none")
    )
    page_links: tuple[tuple[str, str], ...] = option_field(
        (),
        Option(
            "--page-link",
            "'TEXT URL'",
            parse_link,
            "a link below the title of the page",
            repeat=True,
            shown="none",
        ),
    )
    gpgkey: str | None = option_field(
        None,
        Option(
            "--gpgkey",
            "URL",
            or_none(parse_key_url),
            "where the keys lie that packages are signed with: the page's snippets for dnf and zypper name it",
        ),
    )
    workers: int = field(
        default_factory=usable_cpus,
        metadata={
            "option": Option(
                "--workers",
                "N",
                whole(1, 1024),
                "processes that answer",
                unit="processes",
                reason="one loop keeps one CPU busy",
                shown="min(CPU affinity, cgroup quota rounded up)",
            )
        },
    )
    trusted_proxies: tuple[Network, ...] = option_field(
        _LOOPBACK,
        Option(
            "--trusted-proxy",
            "CIDR",
            parse_network,
            "who may say X-Forwarded-For; peers on a unix socket always may",
            reason="anybody else could pose as anybody",
            repeat=True,
            shown="loopback",
        ),
    )
    client_header: str = option_field(
        X_FORWARDED_FOR,
        Option(
            "--client-header",
            "NAME",
            one_of(*CLIENT_HEADERS),
            "where trusted proxies say who asks: X-Forwarded-For, X-Real-IP, CF-Connecting-IP, True-Client-IP or "
            "Forwarded (RFC 7239)",
            reason="a header that the proxy does not set can be set by anybody",
        ),
    )
    pages: str | None = option_field(
        None,
        Option(
            "--pages",
            "DIR",
            or_none(parse_path),
            "pages that `redirector pages` or `registry publish --pages` wrote: held in memory, 64 MB at most, and "
            "served beside `/`; read again at every reload",
        ),
    )
    state: str | None = option_field(
        None,
        Option(
            "--state",
            "DIR",
            or_none(parse_path),
            "where copies of the last served input files are kept; they are served if the inputs cannot be at start",
            restart=True,
        ),
    )
    access_log: str | None = option_field(
        None,
        Option(
            "--access-log",
            "PATH",
            or_none(parse_log_path),
            "where each answer gets a line; `-` is standard output",
            reason="the metrics answer most questions at no price",
        ),
    )
    access_log_format: str = option_field(
        "mirrormanager",
        Option(
            "--access-log-format",
            "NAME",
            one_of("mirrormanager", "combined", "json"),
            "mirrormanager, combined or json",
            reason="the statistics jobs of today's operators read it",
        ),
    )
    mask_addresses: bool = option_field(
        False,
        Option(
            "--mask-addresses",
            "",
            parse_flag,
            "access logs hold the network of a client, IPv4 /24 and IPv6 /48, and not its address",
            shown="false",
            switch="true",
        ),
    )
    log_level: str = option_field(
        "info",
        Option(
            "--log-level",
            "NAME",
            one_of("debug", "info", "warning", "error"),
            "debug, info, warning or error: what is worth a line on standard error",
        ),
    )
    log_format: str = option_field(
        "text",
        Option("--log-format", "NAME", one_of("text", "json"), "text or json: how the server's own log lines look"),
    )
    shutdown_delay_s: float = option_field(
        0.0,
        Option(
            "--shutdown-delay",
            "SECONDS",
            seconds(0, 3600),
            "after SIGTERM: not ready, but still accepting, for balancers that need time",
            unit="seconds",
        ),
    )
    drain_timeout_s: float = option_field(
        30.0,
        Option(
            "--drain-timeout",
            "SECONDS",
            seconds(0, 3600),
            "how long what is under way may finish",
            unit="seconds",
            reason="below the 90 s after which systemd kills",
        ),
    )
    load_timeout_s: float = option_field(
        600.0,
        Option(
            "--load-timeout",
            "SECONDS",
            seconds(0.1, 86_400),
            "how long a start or reload may read and compile; then it is refused",
            unit="seconds",
            reason="the largest data takes ten; a mount that does not answer takes for ever",
        ),
    )
    keep_alive_s: float = option_field(
        75.0,
        Option(
            "--keep-alive",
            "SECONDS",
            seconds(0, 3600),
            "how long a connection without a request stays open",
            unit="seconds",
            reason="above the 60 s of proxies, so that they are the ones who close",
        ),
    )
    header_timeout_s: float = option_field(
        10.0,
        Option(
            "--header-timeout",
            "SECONDS",
            seconds(0.1, 3600),
            "how long a client may take to send a request that it began",
            unit="seconds",
            reason="a request fits into one packet; three lost ones are sent again within 7 s",
        ),
    )
    write_timeout_s: float = option_field(
        30.0,
        Option(
            "--write-timeout",
            "SECONDS",
            seconds(0.1, 3600),
            "how long a client may read nothing of its answer",
            unit="seconds",
            reason="answers that nobody reads hold memory",
        ),
    )
    max_connections: int = option_field(
        16_384,
        Option(
            "--max-connections",
            "N",
            whole(1, 1_000_000),
            "open connections of one worker; further ones wait to be accepted, and quiet ones are closed for them",
            unit="connections",
            reason="a few kilobytes each",
        ),
    )
    max_target_bytes: int = option_field(
        8190,
        Option(
            "--max-target",
            "BYTES",
            whole(256, 65_536),
            "longest request target; a longer one is answered with 414",
            unit="bytes",
            reason="the limit of aiohttp, nginx and Apache",
        ),
    )
    watch_s: float = option_field(
        0.0,
        Option(
            "--watch",
            "SECONDS",
            seconds(0, 86_400),
            "look at the input files this often and reload when they have changed and settled; 0: never",
            unit="seconds",
            reason="whoever writes the files knows best when they are complete",
        ),
    )
    canaries: tuple[str, ...] = option_field(
        (),
        Option(
            "--canary",
            "TARGET",
            parse_target,
            "a target that a snapshot must answer with a mirror (a metalink also with its sha512) before it is served",
            repeat=True,
            shown="none",
        ),
    )
    lineup_pool_mb: int = option_field(
        64,
        Option(
            "--lineup-pool",
            "MB",
            whole(1, 65_536),
            "upper limit of the line-ups that one worker keeps for the next answers",
            unit="megabytes",
            reason="Fedora's size fills most of it",
        ),
    )
    newest_s: float = option_field(
        0.0,
        Option(
            "--newest",
            "SECONDS",
            seconds(0, 30 * 86_400),
            "file redirects: a file of the primary tree younger than this goes to primary_url; 0: none does",
            unit="seconds",
            reason="mirrors are asked even for what they may not have yet; clients try the next one",
        ),
    )


def restart_keys(old: Config, new: Config) -> tuple[str, ...]:
    """Keys that differ although a reload cannot change them."""
    return tuple(key for key, option in options_of(Config) if option.restart and getattr(old, key) != getattr(new, key))
