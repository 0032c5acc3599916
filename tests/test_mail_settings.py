from __future__ import annotations

from pathlib import Path

import pytest

from redirector.errors import ConfigError
from redirector.settings.file import load_job
from redirector.settings.mail import Hook, Mail, Telling, is_mail_address


def read(tmp_path: Path, text: str) -> Telling:
    file = tmp_path / "redirector.yml"
    file.write_text(text)
    return load_job(Telling, {"config": str(file)})


def test_without_a_word_nobody_is_told(tmp_path: Path) -> None:
    assert read(tmp_path, "source: .\n") == Telling(None, ())


@pytest.mark.parametrize(
    ("relay", "host", "port", "tls"),
    [
        ("localhost", "localhost", 25, False),
        ("mail.example.org:587", "mail.example.org", 587, False),
        ("smtp://mail.example.org", "mail.example.org", 25, False),
        ("smtps://mail.example.org", "mail.example.org", 465, True),
        ("smtps://mail.example.org:4650", "mail.example.org", 4650, True),
        ("'[::1]:2525'", "::1", 2525, False),
        ("'::1'", "::1", 25, False),
    ],
)
def test_relays(tmp_path: Path, relay: str, host: str, port: int, tls: bool) -> None:
    text = f"mail:\n  relay: {relay}\n  from: Example <mirrors@example.org>\n  reply_to: help@example.org\n"
    wanted = Mail(host, port, tls, "Example <mirrors@example.org>", "help@example.org")
    assert read(tmp_path, text).mail == wanted


def test_hooks(tmp_path: Path) -> None:
    text = """
hooks:
- on: unreachable
  url: https://hooks.example.org/x
  secret_file: secret
- on: [stale, recovered]
  command: notify --now 'a b'
- command: [/usr/bin/notify, "$(x)"]
"""
    first, second, third = read(tmp_path, text).hooks
    assert first == Hook(("unreachable",), "https://hooks.example.org/x", (), str(tmp_path / "secret"))
    assert second == Hook(("stale", "recovered"), "", ("notify", "--now", "a b"))
    assert third.command == ("/usr/bin/notify", "$(x)")
    assert [hook.wants("stale") for hook in (first, second, third)] == [False, True, True]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("mail: localhost", "mail"),
        ("mail: {relay: localhost}", "mail.from"),
        ("mail: {from: a@b.example}", "mail.relay"),
        ("mail: {relay: localhost, from: nobody}", "mail.from"),
        ("mail: {relay: localhost, from: 'a@b.example, c@d.example'}", "mail.from"),
        ('mail: {relay: localhost, from: "a@b.example\\nBcc: c@d.example"}', "mail.from"),
        ("mail: {relay: localhost, from: a@b.example, reply_to: x}", "mail.reply_to"),
        ("mail: {relay: 'localhost:99999', from: a@b.example}", "mail.relay"),
        ("mail: {relay: 'http://localhost', from: a@b.example}", "mail.relay"),
        ("mail: {relay: localhost, from: a@b.example, password: x}", "mail.password"),
        ("hooks: {url: x}", "hooks"),
        ("hooks: [x]", "hooks.0"),
        ("hooks: [{on: stale}]", "hooks.0"),
        ("hooks: [{url: 'https://x/', command: y}]", "hooks.0"),
        ("hooks: [{url: 'ftp://x/'}]", "hooks.0.url"),
        ('hooks: [{command: "a \'b"}]', "hooks.0.command"),
        ("hooks: [{command: []}]", "hooks.0.command"),
        ("hooks: [{command: x, secret_file: y}]", "hooks.0.secret_file"),
        ("hooks: [{url: 'https://x/', on: []}]", "hooks.0.on"),
        ("hooks: [{url: 'https://x/', to: y}]", "hooks.0.to"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, key: str) -> None:
    with pytest.raises(ConfigError) as error:
        read(tmp_path, text + "\n")
    assert error.value.key == key


@pytest.mark.parametrize("text", ["a@b.example", "a.b+c@d-e.example.org", "a@[192.0.2.1]"])
def test_addresses(text: str) -> None:
    assert is_mail_address(text)


@pytest.mark.parametrize(
    "text", ["", "a", "a@", "@b", "a@b\n", "a b@c", "a@b c", "<a@b>", "a@b,c@d", "ä@b", "a" * 250 + "@b.ex"]
)
def test_no_addresses(text: str) -> None:
    assert not is_mail_address(text)
