"""How people and programs are told: by mail, by a webhook, by a command."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from email.errors import MessageError
from email.headerregistry import Address as MailAddress
from email.utils import getaddresses
from typing import ClassVar

from redirector.plain_yaml import Value
from redirector.settings.option import Block, Option, option_field, shorten

SMTP_PORT = 25
SMTPS_PORT = 465
_MAIL_KEYS = ("relay", "from", "reply_to")
_HOOK_KEYS = ("on", "url", "command", "secret_file")


@dataclass(frozen=True, slots=True)
class Mail:
    """Who takes our mail, and whose name is on it.

    tls       the relay speaks TLS from the start (`smtps://`); else it is asked for STARTTLS
    sender    `From`, an address or `Name <address>`
    reply_to  where answers go; None: to the sender
    """

    host: str
    port: int
    tls: bool
    sender: str
    reply_to: str | None = None


@dataclass(frozen=True, slots=True)
class Hook:
    """A program that is told, at a URL or on this machine.

    on           kinds of notices and events; `*` is all
    command      program and arguments; () when it is a URL
    secret_file  holds the secret by which what is sent to a URL is signed
    """

    on: tuple[str, ...]
    url: str = ""
    command: tuple[str, ...] = ()
    secret_file: str | None = None

    def wants(self, kind: str) -> bool:
        return "*" in self.on or kind in self.on

    @property
    def target(self) -> str:
        """What names it among the hooks."""
        return self.url or shlex.join(self.command)


def is_mail_address(text: str) -> bool:
    """Whether *text* is one address in plain ASCII, without a name: what a relay can be given."""
    name, at, domain = text.rpartition("@")
    if not at or not name or not domain or len(text) > 254 or not text.isascii() or not text.isprintable():
        return False
    try:
        return MailAddress(addr_spec=text).addr_spec == text and " " not in text
    except (ValueError, IndexError, MessageError):
        return False


def _is_mailbox(text: str) -> bool:
    """Whether *text* is one address, with or without a name."""
    found = getaddresses([text])
    return text.isprintable() and len(found) == 1 and is_mail_address(found[0][1])


def read_mail(block: Block) -> Mail:
    """`mail: {relay: HOST[:PORT], from: ADDRESS, reply_to: ADDRESS}`. Raises ConfigError."""
    texts = _texts(block, block.value, "", _MAIL_KEYS)
    for key in ("relay", "from"):
        if key not in texts:
            raise block.wrong("is needed", key)
    for key in ("from", "reply_to"):
        if key in texts and not _is_mailbox(texts[key]):
            raise block.wrong("a mail address is needed, such as mirrors@example.org", key, shorten(texts[key]))
    host, port, tls = _read_relay(block, texts["relay"])
    return Mail(host, port, tls, texts["from"], texts.get("reply_to"))


def _read_relay(block: Block, text: str) -> tuple[str, int, bool]:
    scheme, separator, rest = text.rpartition("://")
    if scheme not in ("", "smtp", "smtps") or bool(scheme) != bool(separator):
        raise block.wrong("HOST, HOST:PORT or smtps://HOST is needed", "relay", shorten(text))
    tls = scheme == "smtps"
    host, port = rest.rstrip("/"), str(SMTPS_PORT if tls else SMTP_PORT)
    if host.startswith("[") and "]" in host:
        host, _, behind = host[1:].partition("]")
        port = behind.removeprefix(":") or port
    elif host.count(":") == 1:
        host, _, port = host.partition(":")
    if not host or not host.isascii() or not host.isprintable() or set(host) & set(" /@"):
        raise block.wrong("HOST, HOST:PORT or smtps://HOST is needed", "relay", shorten(text))
    if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        raise block.wrong("no such port", "relay", shorten(text))
    return host, int(port), tls


def read_hooks(block: Block) -> tuple[Hook, ...]:
    """`hooks: [{on: KIND or list, url: URL or command: PROGRAM, secret_file: FILE}]`. Raises ConfigError."""
    if not isinstance(block.value, list):
        raise block.wrong("a list of mappings is needed")
    return tuple(_read_hook(block, number, value) for number, value in enumerate(block.value))


def _read_hook(block: Block, number: int, value: Value) -> Hook:
    if not isinstance(value, Mapping):
        raise block.wrong("a mapping is needed", str(number))
    on = _words(block, f"{number}.on", value.get("on", "*"))
    command = _words(block, f"{number}.command", value["command"]) if "command" in value else ()
    plain = {key: each for key, each in value.items() if key not in ("on", "command")}
    texts = _texts(block, plain, f"{number}.", _HOOK_KEYS)
    url = texts.get("url", "")
    if bool(url) == bool(command):
        raise block.wrong("either url or command is needed", str(number))
    if url and (not url.startswith(("http://", "https://")) or not url.isprintable() or " " in url):
        raise block.wrong("a URL of http or https is needed", f"{number}.url", shorten(url))
    if command and "secret_file" in texts:
        raise block.wrong("only what is sent to a URL is signed", f"{number}.secret_file")
    if isinstance(value.get("command"), str):
        try:
            command = tuple(shlex.split(str(value["command"])))
        except ValueError:
            command = ()
    if "command" in value and (not command or any("\0" in word for word in command)):
        raise block.wrong("a program and its arguments are needed", f"{number}.command")
    secret = texts.get("secret_file")
    return Hook(on, url, command, os.path.join(block.folder, secret) if secret else None)


def _texts(block: Block, value: Value, prefix: str, known: tuple[str, ...]) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise block.wrong("a mapping is needed, lines of `key: value`")
    for key, text in value.items():
        if key not in known:
            raise block.wrong(f"unknown key; known are {', '.join(known)}", f"{prefix}{shorten(str(key))}")
        if not isinstance(text, str) or not text:
            raise block.wrong("a text is needed", f"{prefix}{key}")
    return {key: str(text) for key, text in value.items()}


def _words(block: Block, key: str, value: Value) -> tuple[str, ...]:
    """A text, or a list of texts."""
    words = value if isinstance(value, list) else [value]
    if not words or not all(isinstance(word, str) and word for word in words):
        raise block.wrong("a text is needed, or a list of texts", key)
    return tuple(str(word) for word in words)


@dataclass(frozen=True, slots=True)
class Telling:
    """The keys `mail` and `hooks`, for every job that tells somebody something."""

    SECTION: ClassVar[str] = ""

    mail: Mail | None = option_field(
        None,
        Option(
            "",
            "MAPPING",
            lambda given: given.text,
            "who takes our mail, and whose it is: "
            "`{relay: HOST[:PORT] or smtps://HOST, from: ADDRESS, reply_to: ADDRESS}`",
            shown="none: no mail is sent",
            read=read_mail,
        ),
    )
    hooks: tuple[Hook, ...] = option_field(
        (),
        Option(
            "",
            "LIST",
            lambda given: given.text,
            "programs that are told: `[{on: KIND or list or *, url: URL or command: PROGRAM, secret_file: FILE}]`",
            read=read_hooks,
        ),
    )
