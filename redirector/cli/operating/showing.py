"""What a running server says, as lines for people. Every function here takes the JSON of the admin listener."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from redirector.counted import counted
from redirector.model import utc

SHOWN = 20
"""Lines of one kind; `--json` has all."""


def show_status(told: Mapping[str, Any]) -> str:
    """The whole server in a few lines."""
    counts, hosts = told["counts"], told["hosts"]
    workers = counted(told["workers"], "workers")
    lines = [
        f"version   {told['version']}, {workers}, {'ready' if told['ready'] else 'NOT READY'}",
        f"source    {told['source']}, made {utc(told['built'])}, loaded {utc(told['loaded'])}",
        f"hosts     {counts['hosts']:,}: {', '.join(f'{count:,} {state}' for state, count in hosts.items() if count)}",
        f"content   {', '.join(counted(counts[name], name) for name in ('repositories', 'directories'))}",
        f"lists     {told['lists_per_minute']:,.1f} a minute",
        f"health    {'nobody says' if told['health_checked'] is None else 'checked ' + utc(told['health_checked'])}",
        f"problems  {', '.join(counted(count, f'{name}s') for name, count in told['problems'].items())}",
    ]
    if told["rolled_back"]:
        lines.append("rollback  holds: earlier inputs are served until the next `redirector reload`")
    elif told["fallback"]:
        lines.append("fallback  COPIES OF EARLIER INPUTS ARE SERVED: mend the inputs and reload")
    lines += [f"broken    {path}: what was read of it before is used" for path in told["broken"][:SHOWN]]
    lines += [f"off       {_off(each)}" for each in told["off"]]
    if told["last_reload"] is not None:
        lines += ["", *_outcome_lines("last reload", told["last_reload"])]
    return "\n".join(lines) + "\n"


def show_outcome(told: Mapping[str, Any]) -> str:
    """How a reload ended, and what it changed."""
    lines = [*_outcome_lines("reload", told)]
    if told.get("note"):
        lines.append(told["note"])
    return "\n".join(lines) + "\n"


def _outcome_lines(what: str, told: Mapping[str, Any]) -> Iterator[str]:
    yield f"{what} {told['outcome']} at {utc(told['began'])}, in {told['duration_s']:.1f} s"
    changes = told["changes"] or {}
    for kind, difference in changes.items():
        for verb in ("came", "went", "changed"):
            if count := difference[verb]:
                names = difference[f"{verb}_names"]
                more = f" and {count - len(names):,} more" if count > len(names) else ""
                yield f"  {counted(count, kind)} {verb}: {', '.join(names)}{more}"
    if changes and not any(each[verb] for each in changes.values() for verb in ("came", "went", "changed")):
        yield "  nothing changed"
    yield from (f"  broken: {path}: what was read of it before is used" for path in told["broken"])
    new = "" if told["outcome"] == "refused" else "new "
    for problem in told["problems"][:SHOWN]:
        yield f"  {new}{problem['severity']}: {problem['path']}: {problem['key']}: {problem['text']}"
    if (more_problems := len(told["problems"]) - SHOWN) > 0:
        yield f"  and {more_problems:,} more; --json has all"
    if told["problems_gone"]:
        yield f"  {counted(told['problems_gone'], 'problems')} gone"
    if told["problems_same"]:
        yield f"  {counted(told['problems_same'], 'problems')} as before; `redirector check` shows all"


def show_hosts(hosts: Sequence[Mapping[str, Any]]) -> str:
    """A table of hosts, and how many there are of each state."""
    rows = [
        [
            each["host"],
            _state(each),
            each["country"] or "-",
            f"{each['first_per_minute']:.1f}",
            _tiers(each["tiers"]),
            str(each["problems"] or "-"),
            _why(each),
        ]
        for each in hosts
    ]
    states: dict[str, int] = {}
    for each in hosts:
        states[each["state"]] = states.get(each["state"], 0) + 1
    by_state = ", ".join(f"{count:,} {state}" for state, count in sorted(states.items()))
    head = ["host", "state", "in", "first/min", "by tier", "problems", "since, why"]
    return table([head, *rows]) + counted(len(hosts), "hosts") + (f": {by_state}" if by_state else "") + "\n"


def show_host(told: Mapping[str, Any]) -> str:
    """All that is known of one host."""
    place = f"{told['latitude']:.4f}, {told['longitude']:.4f}" if told["latitude"] is not None else "unknown"
    families = [name for name in ("ipv4", "ipv6") if told[name]]
    rows = [
        ["state", f"{told['state']}, {told['visibility']}"],
        ["why", _why(told)],
        ["checked", "" if told["checked"] is None else utc(told["checked"])],
        ["lag", "" if told["lag_s"] is None else f"{told['lag_s']:,.0f} s"],
        ["first", f"{told['first_per_minute']:.2f} a minute"],
        ["by tier", _tiers(told["tiers"])],
        ["place", ", ".join(filter(None, (told["city"], told["country"] or "no country", place)))],
        ["bandwidth", f"{told['bandwidth_mbit']:,} Mbit/s" if told["bandwidth_mbit"] > 1 else "nobody says"],
        ["AS", "" if told["own_asn"] is None else str(told["own_asn"])],
        ["for AS", ", ".join(map(str, told["asns"]))],
        ["networks", ", ".join(told["netblocks"])],
        ["families", ", ".join(families)],
        ["carries", f"{counted(told['directories'], 'directories')}"],
        ["sponsor", told["sponsor"]],
        ["file", told["file"]],
        *(["URL", url] for url in told["urls"]),
        *([problem["severity"], f"{problem['key']}: {problem['text']}"] for problem in told["problems"]),
    ]
    return f"{told['host']}\n" + table([row for row in rows if row[1]])


def _state(told: Mapping[str, Any]) -> str:
    """Who is withheld is given to nobody, public or not."""
    is_plain = told["visibility"] == "public" or told["state"] == "withheld"
    return str(told["state"]) if is_plain else f"{told['state']} ({told['visibility']})"


def _why(told: Mapping[str, Any]) -> str:
    """Since when and why a host does not stand `up`, or what its checker says of it."""
    reason = told["reason"] or (told["condition"] if told["condition"] != "ok" else "")
    since = f"since {utc(told['since'])}" if told["since"] is not None and "since" not in reason else ""
    return ", ".join(filter(None, (reason, since if reason else "")))


def _tiers(shares: Mapping[str, float]) -> str:
    ordered = sorted(shares.items(), key=lambda each: -each[1])
    return " ".join(f"{tier} {share:.0%}" for tier, share in ordered) or "-"


def _off(told: Mapping[str, Any]) -> str:
    until = "" if told["until"] is None else f" until {utc(told['until'])}"
    return f"{told['host']} since {utc(told['since'])}{until}" + (f": {told['why']}" if told["why"] else "")


def table(rows: Sequence[Sequence[str]]) -> str:
    """*rows* in columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))] if rows else []
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "".join(f"{line}\n" for line in lines)
