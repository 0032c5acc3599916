"""English for what the program names: states, fields and their rules. The sentences of pages are in `templates/`;
whoever translates the pages needs both.
"""

from __future__ import annotations

from collections.abc import Mapping

from redirector.registry.public import REASONS

STATES: Mapping[str, str] = {
    "ok": "ok",
    "site-draft": "not asked for",
    "site-waiting": "waits for approval",
    "site-refused": "refused",
    "site-suspended": "suspended",
    "site-off": "site off",
    "host-off": "off",
    "maintenance": "maintenance",
    "no-url": "no http URL",
    "no-network": "no network",
    "unchecked": "unchecked",
    "unknown": "unknown",
    "unreachable": "unreachable",
    "stale": "stale",
    "embargo": "embargo",
    "cloud": "cloud only",
}

WHAT_TO_DO: Mapping[str, str] = {
    "ok": "Nothing: it is listed.",
    "site-draft": "Ask for approval on the page of the site.",
    "site-waiting": "Wait for the distribution's decision; it comes by mail.",
    "site-refused": "Read the decision on the page of the site, mend what it names, and ask again.",
    "site-suspended": "Write to the distribution: it alone can lift that.",
    "site-off": "Switch the site on.",
    "host-off": "Switch the host on.",
    "maintenance": "Nothing: it comes back when the window ends. Or end the maintenance now.",
    "no-url": "Enter a public http or https URL; rsync alone serves other mirrors.",
    "no-network": "Enter a network or an AS number whose clients shall be given it.",
    "unchecked": "Wait for the first visit, some minutes; “Check my mirror” says at once what it will find.",
    "unknown": "Nothing could be learnt for a day. “Check my mirror” says why.",
    "unreachable": "See below what was asked and what came; “Check my mirror” asks again at once.",
    "stale": "Run the sync and look at its log; the next visit takes it in again.",
    "embargo": "Nothing: it is listed when the release is public.",
    "cloud": "Nothing: strangers are never given it, and the clients of its cloud are.",
}

SHAPES: Mapping[str, str] = {"ok": "circle", "stale": "triangle", "unreachable": "square"}
"""By shape, too: colours are not for all. Everything else is a diamond."""


def kind_of(state: str) -> str:
    """Which colour and shape a state has."""
    if state in SHAPES:
        return state
    return "resting" if state in ("maintenance", "host-off", "site-off", "embargo", "cloud") else "unknown"


FIELDS: Mapping[str, tuple[str, str]] = {
    "site.name": ("Name of the site", "Who runs the mirrors: a university, a company. Unique among all sites."),
    "site.url": ("Its web page", "An http or https URL, shown beside your mirrors."),
    "site.contacts": (
        "Contact mail addresses",
        "One a line. They get notices about your mirrors once each is verified; nobody else sees them.",
    ),
    "site.private": ("Private", "None of its hosts is in any public list, whatever they say themselves."),
    "site.enabled": ("Switched on", "Off takes all its hosts from every list at once. You alone switch it on again."),
    "site.pulled_by": (
        "Who may pull from it",
        "`all` for all approved sites, or numbers of sites, separated by commas: they see your URLs for mirrors.",
    ),
    "site.comment": ("Comment for those who pull from it", "One line, such as a time when not to."),
    "host.name": ("Host name", "The machine's full DNS name. Unique among all mirrors. A new name is checked anew."),
    "host.country": ("Country", "Two letters (ISO 3166), such as DE."),
    "host.state": ("State or province", "As its people write it; may be empty."),
    "host.city": ("City", "As its people write it; may be empty."),
    "host.latitude": ("Latitude", "Degrees from -90 to 90; both or none. It beats what our tables say."),
    "host.longitude": ("Longitude", "Degrees from -180 to 180; both or none."),
    "host.bandwidth_mbit": ("Bandwidth", "Mbit/s to the internet, 1 to 1,000,000: the more, the more clients come."),
    "host.private": ("Private", "Given to its own networks alone; never visited, in no list and on no map."),
    "host.monopoly": ("Alone for its networks", "Clients of its networks get no other mirror. It needs a network."),
    "host.own_asn": ("AS number that it is in", "Clients of that AS are given it first. Digits, or empty."),
    "host.serves_own_asn": ("Serves its own AS", "Off where clients of the AS shall not prefer it."),
    "host.update_frequency": ("Updates every", "A number and m, h or d, such as 3h; may be empty."),
    "host.cloud_type": ("Cloud", "aws, gcp, azure or oci where it serves that cloud's clients alone; else empty."),
    "host.cloud_regions": ("Regions of the cloud", "Separated by commas."),
    "host.new_releases": ("Takes new releases", "It is told of staged content before a release is public."),
    "host.tier": ("Tier", "0, 1 or 2, or empty: how far from the masters it is."),
    "host.pulls_from": ("Pulls from", "The name of a mirror, or `master`. It gives no right to pull."),
    "host.enabled": ("Switched on", "Off takes it from every list at once. You alone switch it on again."),
    "maintenance.from": ("From", "UTC, such as 2026-11-28T06:00:00Z."),
    "maintenance.to": ("To", "UTC: then it is listed again by itself, if its content is current."),
    "carried.category": ("Category", "What it carries; its URLs are entered below."),
    "carried.always_current": ("Always current", "Trusted without looking; distribution admins alone may set it."),
    "carried.exclusions": ("What is left out", "Path patterns below the top, one a line, such as */isos/*."),
    "url.category": ("Category", "One that the host carries."),
    "url.url": (
        "URL",
        "The category's top directory: http, https or rsync, with a slash at its end; no user, no query.",
    ),
    "url.audience": ("For whom", "`public`, or `mirrors`: those alone who may pull from the site."),
    "url.user": ("User", "For rsync URLs for mirrors alone."),
    "url.password": ("Password", "Kept encrypted; those who may pull see it. Empty keeps what is there."),
    "network.network": (
        "Network",
        "A CIDR without bits beyond its prefix, such as 192.0.2.0/24, or the DNS name of a NAT gateway. "
        "Wider than /16 (IPv4) or /32 (IPv6) waits for the distribution.",
    ),
    "network.name": ("Label", "For yourself; may be empty."),
    "asn.asn": ("AS number", "1 to 4,294,967,295; one that is not your own waits for the distribution."),
    "country.country": ("Country allowed", "Two letters: with any entered, clients of others are not given it."),
    "acl.address": ("Address", "What it pulls from the masters with: an address, a network up to /24 or /48, a name."),
    "token.scope": ("For", "`check-in`: reports what it has; `read`, `write`: the API."),
    "token.days": ("Days until it ends", "1 to 3650; empty: 90, and none for check-in."),
    "admin.account": ("Login or mail address", "Whom to invite. They accept it themselves, by a link."),
    "approval.text": ("Text", "One line; it is mailed with the decision."),
    "note.text": ("Note", "One line; distribution admins alone read it."),
    "category.name": ("Name", "Unique."),
    "category.top": ("Top directory", "A path below the masters' root, without slashes outside."),
    "category.product": ("Product", "May be empty."),
    "category.joinable": ("Joinable by all", "Off: distribution admins sign hosts up."),
    "category.for_people": ("For people", "Shown on the pages."),
    "repository.prefix": ("Prefix", "The name that clients ask by: `repo=`, without the architecture."),
    "repository.arch": ("Architecture", "As clients ask: `arch=`, such as x86_64."),
    "repository.directory": ("Directory", "Whole, from the masters' root: pub/linux/10/BaseOS/x86_64/os."),
    "repository.enabled": ("Switched on", "Off: clients are told that it is disabled."),
    "redirect.kind": (
        "Kind",
        "What leads to what: a prefix to a prefix, a country to its continent, a network to a country.",
    ),
    "redirect.source": ("From", "A prefix, a country or a network, by its kind."),
    "redirect.target": ("To", "A prefix, a continent (AF, AN, AS, EU, NA, OC, SA) or a country, by its kind."),
    "release.product": ("Product", "As categories name it."),
    "release.version": ("Version", "As directories name it."),
    "release.arches": ("Architectures", "Separated by commas; empty: all."),
    "release.not_before": ("Not before", "UTC, such as 2026-11-28T14:00:00Z: under embargo until then."),
}
"""Noun and field -> (label, rule)."""

GROUPS: Mapping[str, str] = {
    "host.name": "The machine, and where it is",
    "host.private": "Who is given it",
    "host.update_frequency": "How it is kept",
}
"""Field of a long form -> heading of the fields from it on."""

ADVICE: Mapping[str, str] = {
    "answer": "See that the name leads to this machine, that the server runs, and that the firewall lets it through.",
    "redirect": "Serve files where they are asked for: take the redirection out of the server's configuration.",
    "size": "Let the synchronization run to its end, and look at its log: the file is not the master's.",
    "hash": "Let the synchronization run to its end, and look at its log: the file is not the master's.",
    "age": "Synchronize oftener, or see why the last run did not end well.",
    "missing": "Answer 404 for what is not there, without a page of your own that says 200 and without a redirection.",
    "type": "Send packages and images as application/octet-stream.",
    "encoding": "Switch compression off for files that are compressed already.",
    "cache": "Send `Cache-Control: no-cache` with metadata, and with nothing else.",
    "keep-alive": "Let connections stay open for some requests: keepalive_timeout in nginx, KeepAlive in Apache.",
    "range": "Let clients ask for parts of files: resumed downloads need it.",
    "certificate": "Renew the certificate for this name, with its whole chain, and let that happen by itself.",
    "staged": "Content that is not released yet must be hidden: mode 0750, and a server that is not of its group.",
    "temporary": "Hide `.~tmp~`: exclude it in the server's configuration.",
    "checksum": "Add `refuse options = checksum` to rsyncd.conf.",
    "write": "Add `read only = yes` to the module in rsyncd.conf.",
}
"""What to change, by what a look at a mirror found amiss."""

KINDS: Mapping[str, str] = {
    "ok": "ok",
    "stale": "stale",
    "unreachable": "unreachable",
    "resting": "resting: in maintenance, off, or for a cloud",
    "unknown": "not known, or no URL",
}
"""What a colour and shape stand for."""

__all__ = ["ADVICE", "FIELDS", "GROUPS", "KINDS", "REASONS", "SHAPES", "STATES", "WHAT_TO_DO", "kind_of"]
