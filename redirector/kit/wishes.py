"""`mirror.yml`: what the admin of a mirror wants; its keys, its questions, and all that is wrong with it at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import PurePosixPath
from typing import Any

from redirector.errors import ConfigError, ConfigErrors
from redirector.kit.values import (
    Wrong,
    parse_below,
    parse_categories,
    parse_country,
    parse_deletions,
    parse_every,
    parse_folder,
    parse_folder_or_none,
    parse_folder_prefix,
    parse_hook_url,
    parse_host_name,
    parse_interface,
    parse_kind,
    parse_login_or_none,
    parse_logins,
    parse_mail_or_none,
    parse_mirror_urls,
    parse_module,
    parse_networks,
    parse_patterns,
    parse_source,
    parse_source_or_none,
    parse_text,
    parse_url_path,
    parse_user,
    parse_web_url,
    parse_whole,
    parse_yes_or_no,
    seconds_of,
)
from redirector.near_names import find_nearest
from redirector.plain_yaml import Value, parse_yaml

FILE_NAME = "mirror.yml"
TEXTS = ("name", "path", "source", "first_from", "file_list", "file_list_prefix", "marker", "country", "module")


@dataclass(frozen=True, slots=True)
class Wish:
    """One key of `mirror.yml`.

    parse     the value in the file -> the value that is used
    sample    how it stands in a file that nobody filled in
    question  asked on a terminal; "": only the file can say it
    """

    parse: Callable[[Value], object]
    sample: str
    help: str
    question: str = ""


def _wish(parse: Callable[[Value], object], sample: str, help: str, question: str = "") -> Any:
    return field(metadata={"wish": Wish(parse, sample, help, question)})


@dataclass(frozen=True, slots=True)
class Wishes:
    """What `mirror.yml` says. Every key but `name`, `source` and `root` may be left out."""

    name: str = _wish(
        parse_host_name, "mirror.example.org", "what the world calls this machine", "What is this mirror's host name?"
    )
    private: bool = _wish(
        parse_yes_or_no, "no", "for the networks of its own organisation alone: nobody visits it, so it reports",
        "Is it private, for the networks of your organisation alone (yes or no)?",
    )  # fmt: skip
    kind: str = _wish(
        parse_kind,
        "rpm",
        "rpm trees, Debian-like archives (deb), or plain files",
        "What does it carry: rpm, deb or plain?",
    )
    source: str = _wish(
        parse_source,
        "rsync://master.example.org/example/",
        "where it synchronizes from, by rsync; a private mirror from a public one, never from the master: if this line "
        "is left out, the registry's list of tiers has one",
        "Where does it synchronize from (rsync://HOST/MODULE/)?",
    )
    source_user: str = _wish(parse_login_or_none, "", "who it is there, if it asks for a password")
    source_password: str = _wish(parse_folder_or_none, "", "the file that holds that password (0600)")
    root: str = _wish(parse_folder, "/srv/mirror/example", "where the tree lies", "In which folder shall the tree lie?")
    module: str = _wish(
        parse_module, "", "what rsync's module, units and files are called; the tree's own folder where it is empty"
    )
    path: str = _wish(
        parse_url_path, "/example/", "where the tree stands in URLs", "Under which path shall its URLs stand?"
    )
    every: str = _wish(
        parse_every, "3h", "how often it synchronizes: 10min with a file list, a few times a day without",
        "How often shall it synchronize?",
    )  # fmt: skip
    first_from: str = _wish(
        parse_source_or_none, "", "a near mirror that the very first synchronization may take files from",
        "Is there a near mirror for the first synchronization (rsync://…, or nothing)?",
    )  # fmt: skip
    file_list: str = _wish(
        parse_below, "", "the source's list of all files, below the source (fullfiletimelist-example)",
        "Has the source a file list (its name, or nothing)?",
    )  # fmt: skip
    file_list_prefix: str = _wish(parse_folder_prefix, "", "what its paths begin with above the source")
    marker: str = _wish(
        parse_below, "TIME", "the file whose text is the time of the source's last push; nothing where there is none",
        "What is the source's time stamp file called (or nothing)?",
    )  # fmt: skip
    exclude: tuple[str, ...] = _wish(parse_patterns, "[]", "what is not carried, as patterns of rsync")
    staged: bool = _wish(
        parse_yes_or_no, "no", "carry content before its release (0750 until then), and serve it to tier-2 mirrors",
        "Shall it carry content before its release, for tier-2 mirrors too (yes or no)?",
    )  # fmt: skip
    max_delete: str = _wish(parse_deletions, "50%", "deletions beyond this share, or number, of files are refused")
    grace_s: int = _wish(
        parse_whole(0, 21600), "20", "seconds between new metadata and deletions, for readers of the old ones"
    )
    retries: int = _wish(parse_whole(1, 20), "4", "how often rsync is started where it fails by what passes by itself")
    retry_s: int = _wish(
        parse_whole(0, 3600), "15", "seconds before the second start, twice as many before each further"
    )
    user: str = _wish(parse_user, "mirror", "who synchronizes; never who serves")
    group: str = _wish(parse_user, "mirror", "its group, which may read content before its release")
    rsync_user: str = _wish(parse_user, "nobody", "who serves by rsync")
    rsync_group: str = _wish(parse_user, "nogroup", "its group (nobody on Fedora and its kin)")
    state: str = _wish(parse_folder, "/var/lib/mirror", "what the synchronization remembers")
    logs: str = _wish(parse_folder, "/var/log/mirror", "where it logs")
    certificate: str = _wish(
        parse_folder_or_none, "", "the chain of certificates (fullchain.pem); https is served once it is named"
    )
    certificate_key: str = _wish(parse_folder_or_none, "", "its key")
    rsync_port: int = _wish(parse_whole(1, 65535), "873", "where everybody's rsync is served")
    tier2_port: int = _wish(parse_whole(1, 65535), "874", "where tier-2 mirrors' rsync is served")
    tier2: tuple[str, ...] = _wish(parse_networks, "[]", "tier-2 mirrors that no registry lists")
    tier2_users: tuple[str, ...] = _wish(
        parse_logins, "[]", "tier-2 mirrors that come with a password, from any address; passwords lie in tier2.secrets"
    )
    rsync_allow: tuple[str, ...] = _wish(parse_networks, "[]", "who may use rsync; everybody where nobody is named")
    checkers: tuple[str, ...] = _wish(
        parse_networks, "[]", "addresses of the distribution's checker, let in wherever others are not"
    )
    iso_connections: int = _wish(parse_whole(1, 1000), "6", "connections that one client may have for images")
    interface: str = _wish(parse_interface, "", "the network interface whose traffic is reported, by vnStat")
    report: str = _wish(
        parse_web_url, "", "the registry that is told of each synchronization",
        "Which registry shall be told of each synchronization (https://…, or nothing)?",
    )  # fmt: skip
    report_host: str = _wish(parse_text, "", "this mirror's name there, if another")
    report_site: str = _wish(parse_text, "", "its site's name there, for registries that speak the old check-in alone")
    report_token: str = _wish(parse_folder_or_none, "", "the file that holds its token of scope check-in (0600)")
    read_token: str = _wish(
        parse_folder_or_none, "", "the file that holds its token of scope read (0600), by which it learns who may pull "
        "from it, and what it is registered to leave out",
    )  # fmt: skip
    country: str = _wish(parse_country, "", "where it stands, by which a private mirror's source is chosen")
    categories: Mapping[str, str] = _wish(
        parse_categories, "{}", "category of the registry -> its folder below the tree"
    )
    urls: tuple[str, ...] = _wish(
        parse_mirror_urls, "[]", "the URLs that `mirror check` looks at; those of this kit where none is named"
    )
    check_every: str = _wish(parse_every, "1h", "how often it looks at itself from outside")
    notify_mail: str = _wish(
        parse_mail_or_none, "", "who is mailed when what is found changes; an address that several people read",
        "Who shall be mailed when something is wrong (an address that several people read, or nothing)?",
    )  # fmt: skip
    notify_url: str = _wish(parse_hook_url, "", "the webhook that is told then")

    @property
    def slug(self) -> str:
        """What units and files are called."""
        last = re.sub(r"[^a-z0-9._-]+", "-", PurePosixPath(self.root).name.lower()).strip("-.")
        return self.module or last or "tree"

    @property
    def seen_at(self) -> tuple[str, ...]:
        """The URLs at which the world sees it."""
        if self.urls:
            return self.urls
        port = "" if self.rsync_port == 873 else f":{self.rsync_port}"
        web = [
            f"{scheme}://{self.name}{self.path}" for scheme in (("http", "https") if self.certificate else ("http",))
        ]
        return (*web, f"rsync://{self.name}{port}/{self.slug}/")

    @property
    def check_every_s(self) -> int:
        return seconds_of(self.check_every)

    @property
    def every_s(self) -> int:
        return seconds_of(self.every)


def wishes() -> dict[str, Wish]:
    """Every key of `mirror.yml`, in order."""
    return {each.name: each.metadata["wish"] for each in fields(Wishes)}


NEEDED = ("name", "source", "root")


def parse_wishes(raw: bytes, path: str, *, sourceless: bool = False) -> Wishes:
    """What the file *path* says. Raises ConfigErrors that hold all that is wrong.

    sourceless  a private mirror whose source is not chosen yet will do
    """
    try:
        parsed = parse_yaml(raw, TEXTS)
    except ValueError as error:
        raise ConfigError(path, "file", None, f"cannot be read: {error}") from None
    if not isinstance(parsed.value, dict):
        raise ConfigError(path, "file", None, "a mapping is needed, lines of `key: value`")
    known = wishes()
    wrong = [ConfigError(path, key, None, _unknown(key, tuple(known))) for key in parsed.value if key not in known]
    wrong += [ConfigError(path, key, None, "stands there twice") for key in parsed.repeated_keys]
    found: dict[str, Any] = {}
    for key, wish in known.items():
        value = parsed.value[key] if key in parsed.value else _sample(wish)
        try:
            if key == "source" and sourceless and parsed.value.get("private") is True and not parsed.value.get(key):
                found[key] = ""
                continue
            if key in NEEDED and key not in parsed.value:
                raise Wrong("is needed")
            found[key] = wish.parse(value)
        except Wrong as error:
            wrong.append(ConfigError(path, key, value if key in parsed.value else None, str(error)))
    samples: dict[str, Any] = {key: wish.parse(_sample(wish)) for key, wish in known.items() if key not in found}
    made = Wishes(**found, **samples)
    wrong += [
        ConfigError(path, key, getattr(made, key), text)
        for key, others, text in _contradictions(made)
        if samples.keys().isdisjoint((key, *others))
    ]
    if not wrong:
        return made
    raise ConfigErrors(wrong[0].path, wrong[0].key, wrong[0].value, wrong[0].way_out, tuple(wrong))


def _unknown(key: str, known: tuple[str, ...]) -> str:
    return f"no such key; the nearest known one is {find_nearest(key, known, 1, least=0)[0]}"


def _sample(wish: Wish) -> Value:
    return parse_yaml(f"x: {wish.sample}".encode()).value["x"]  # type: ignore[index,call-overload]


def _contradictions(made: Wishes) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """A key, others that it does not go together with, and what would be right."""
    if bool(made.certificate) != bool(made.certificate_key):
        yield "certificate_key", ("certificate",), "certificate and certificate_key are needed together"
    if made.rsync_port == made.tier2_port:
        yield "tier2_port", ("rsync_port",), "must differ from rsync_port"
    if made.user in (made.rsync_user, "root"):
        yield "user", ("rsync_user",), "must be neither root nor the user that serves"
    if made.group == made.rsync_group:
        text = "must differ from the synchronization's, which reads what is not released"
        yield "rsync_group", ("group",), text
    for key in ("state", "logs"):
        if (getattr(made, key) + "/").startswith(made.root + "/"):
            yield key, ("root",), "what is remembered and logged must not lie in the tree that is served"
    if made.file_list_prefix and not made.file_list:
        yield "file_list_prefix", ("file_list",), "means nothing without file_list"
    if made.private and not made.report:
        yield "report", ("private",), "nobody visits a private mirror: it must report to the registry"
    if made.private and made.staged:
        yield "staged", ("private",), "a private mirror serves nobody before a release"
    if bool(made.source_user) != bool(made.source_password):
        yield "source_password", ("source_user",), "source_user and source_password are needed together"
    if made.tier2_users and not made.staged:
        yield "tier2_users", ("staged",), "means nothing without staged"
    if made.read_token and not made.report:
        yield "read_token", ("report",), "means nothing without report"
    for key in ("report_token", "read_token", "source_password"):
        if (getattr(made, key) + "/").startswith(made.root + "/"):
            yield key, ("root",), "a secret must not lie in the tree that is served"
    if made.report and not made.report_token:
        yield "report_token", ("report",), "the registry knows this mirror by a token"
    if made.report and not made.categories:
        yield "categories", ("report",), "the registry is told category by category"


def check_answer(key: str, text: str) -> str | None:
    """What is wrong with *text* as an answer about *key*; None: nothing."""
    value: Value = {"yes": True, "no": False}.get(text, text) if wishes()[key].sample in ("yes", "no") else text
    try:
        wishes()[key].parse(value)
    except Wrong as error:
        return str(error)
    return None


def render_file(answers: Mapping[str, str]) -> str:
    """A `mirror.yml` with *answers*, and sample values for what is not among them."""
    lines = [
        "# What this mirror is. `redirector mirror init` writes its files from this one; run it again after a change.\n"
    ]
    for key, wish in wishes().items():
        value = answers.get(key)
        shown = wish.sample if value is None else _quoted(value, wish)
        lines.append(f"\n# {wish.help}\n{key}: {shown}".rstrip() + "\n")
    return "".join(lines)


def _quoted(value: str, wish: Wish) -> str:
    if (
        wish.sample[:1] in ("[", "{")
        or wish.sample in ("yes", "no")
        or not value
        or re.fullmatch(r"[A-Za-z0-9/][A-Za-z0-9./:_-]*", value)
    ):
        return value
    return "'" + value.replace("'", "''") + "'"
