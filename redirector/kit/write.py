"""The files of a kit, from what `mirror.yml` says."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import quote
from zlib import crc32

from jinja2 import Environment, PackageLoader, StrictUndefined

from redirector.kit.names import INDEXES, NEVER, regex_of, regex_of_all
from redirector.kit.wishes import Wishes

DELAY_S = 3500
"""AlmaLinux's guide spreads its mirrors over an hour; who comes more often is spread over less."""


HOMES = ("/home/", "/root/", "/run/user/")
"""What `ProtectHome=` of systemd takes away."""


@dataclass(frozen=True, slots=True)
class Written:
    """One file of the kit."""

    name: str
    text: str
    mode: int = 0o644


def render_kit(wishes: Wishes, kit: str, left_out: Sequence[str] = ()) -> Iterator[Written]:
    """All files of the kit that lies in the folder *kit* (absolute), but for `mirror.yml` and secrets.

    left_out  patterns of what is not carried, beside those of `mirror.yml`
    """
    environment = Environment(
        loader=PackageLoader("redirector.kit", "files"),
        undefined=StrictUndefined,
        autoescape=False,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "sh": shlex.quote,
        "re": re.escape,
        "unit": _for_unit,
        "unit_url": _for_unit_url,
        "nginx": _for_nginx,
    }
    values = _values(wishes, kit, left_out)
    slug = wishes.slug
    units = list(_small_units(wishes))
    values["timers"] = [f"mirror-{slug}{each}.timer" for each in ("", "-check", *(f"-{unit.name}" for unit in units))]
    for template, name, mode in (
        ("sync", "sync", 0o755),
        ("exclude", "exclude", 0o644),
        ("indexes", "indexes", 0o644),
        ("sync.service", f"mirror-{slug}.service", 0o644),
        ("sync.timer", f"mirror-{slug}.timer", 0o644),
        ("sync.cron", "sync.cron", 0o644),
        ("check", "check", 0o755),
        ("check.service", f"mirror-{slug}-check.service", 0o644),
        ("check.timer", f"mirror-{slug}-check.timer", 0o644),
        ("nginx.conf", "nginx.conf", 0o644),
        ("apache.conf", "apache.conf", 0o644),
        ("rsyncd.conf", "rsyncd.conf", 0o644),
        ("rsyncd-tier2.conf", "rsyncd-tier2.conf", 0o644),
        ("tier2.acl", "tier2.acl", 0o644),
        ("rsyncd-tier2.service", f"rsyncd-{slug}-tier2.service", 0o644),
        ("acl-update", "acl-update", 0o755),
        ("logrotate", "logrotate", 0o644),
        ("traffic-report", "traffic-report", 0o755),
        ("bitflip", "bitflip", 0o755),
        ("README.md", "README.md", 0o644),
    ):
        yield Written(name, environment.get_template(template).render(values), mode)
    for unit in units:
        for kind in ("service", "timer"):
            text = environment.get_template(f"small.{kind}").render(values, unit=unit)
            yield Written(f"mirror-{slug}-{unit.name}.{kind}", text)


@dataclass(frozen=True, slots=True)
class _Unit:
    """A script that a timer starts."""

    name: str
    script: str
    user: str
    calendar: str
    title: str
    what: str


def _small_units(wishes: Wishes) -> Iterator[_Unit]:
    if wishes.staged and wishes.read_token:
        title = f"Fetch who may pull from the mirror {wishes.slug} before a release"
        yield _Unit("acl", "acl-update", "root", "hourly", title, f"{title} (Fedora's mirroring guide).")
    if wishes.interface and wishes.report:
        title = f"Tell the registry the traffic of the mirror {wishes.slug}"
        what = f"{title} (the guide to hosting package mirrors counts it by vnStat)."
        yield _Unit("traffic", "traffic-report", wishes.user, "*-*-* 02:00", title, what)


def render_secrets(users: Sequence[str], old: str, make: Callable[[], str]) -> str:
    """The file of passwords for tier-2 mirrors: *old*'s for who had one, those that *make* makes for others.

    Who is no user any more has none.
    """
    known = dict(line.split(":", 1) for line in old.splitlines() if ":" in line and not line.startswith("#"))
    head = "# user:password of tier-2 mirrors (Fedora's mirroring guide). Made by `redirector mirror init`; 0600.\n"
    return head + "".join(f"{user}:{known.get(user) or make()}\n" for user in users)


def _values(wishes: Wishes, kit: str, left_out: Sequence[str]) -> dict[str, object]:
    excluded = tuple(dict.fromkeys((*NEVER, *wishes.exclude, *left_out)))
    own = (f"/{wishes.file_list}",) if wishes.file_list else ()
    index_names = (*INDEXES[wishes.kind], *own)
    shift = crc32(wishes.name.encode())
    return {
        "w": wishes,
        "kit": kit,
        "source": wishes.source.replace("rsync://", f"rsync://{wishes.source_user}@", 1)
        if wishes.source_user
        else wishes.source,
        "id": "mirror_" + re.sub("[^a-z0-9]", "_", wishes.slug),
        "in_home": any(each.startswith(HOMES) for each in (wishes.root, wishes.state)),
        "marker_name": PurePosixPath(wishes.marker).name,
        "trace": f"project/trace/{wishes.name}" if wishes.kind == "deb" else "",
        "excludes": excluded,
        "index_names": index_names,
        "excluded": regex_of_all(excluded),
        "indexes": "|".join(regex_of(each).removesuffix("(/|$)") + "$" for each in index_names),
        "delay_s": min(DELAY_S, wishes.every_s // 3),
        "cron_times": _cron_times(wishes.every_s, shift),
        "check_times": _cron_times(wishes.check_every_s, shift // 7),
        "traffic_minute": shift // 60 % 60,
        "tier2": wishes.tier2 + wishes.checkers,
        "access_log": f"/var/log/nginx/mirror-{wishes.slug}.log",
    }


def _cron_times(every_s: int, shift: int) -> str:
    """Five fields of cron: at another minute on every machine."""
    minute = shift % 60
    if every_s < 3600:
        every_min = every_s // 60
        return f"{minute % every_min}-59/{every_min} * * * *"
    hours = every_s // 3600
    return f"{minute} */{hours} * * *" if hours < 24 else f"{minute} {shift // 60 % 24} * * *"


def _for_unit(text: str) -> str:
    """A path in a unit: a blank separates words there, and % begins a specifier."""
    return text.replace("%", "%%").replace("\\", "\\\\").replace(" ", "\\x20")


def _for_unit_url(text: str) -> str:
    return quote(text).replace("%", "%%")


def _for_nginx(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "${dollar}") + '"'
