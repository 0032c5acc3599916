"""The commands, as an operator types them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from redirector.cli.main import main
from redirector.cli.registering.reloading import ask_reload
from redirector.settings.option import Address
from redirector.sources.mirrormanager.snapshot_file import load_snapshot_file
from tests.answer.make_golden import MANAGER
from tests.registry.mirrormanager import write_database
from tests.registry.snapshots import file_of
from tests.registry.test_import import ROWS
from tests.rig import catalog_of
from tests.store.empty import write_empty

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `redirector registry WORDS` in an empty folder with an empty database: exit code, both outputs."""
    monkeypatch.chdir(tmp_path)
    write_empty(tmp_path / "redirector.db")

    def call(*words: str) -> tuple[int, str, str]:
        code = main(["registry", *words])
        told = capsys.readouterr()
        return code, told.out, told.err

    return call


def made(run: Run) -> None:
    """A registry with a listed host."""
    for words in (
        ("init",),
        ("category", "add", "Example Linux", "--top", "pub/linux", "--product", "Example Linux"),
        ("site", "add", "Example Site", "--url", "https://example.org/", "--contacts", "ops@example.org"),
        ("site", "approve", "example site", "--text", "Welcome"),
        ("host", "add", "mirror.example.org", "--site", "Example Site", "--country", "de", "--bandwidth-mbit", "1000"),
        ("carried", "add", "mirror.example.org", "Example Linux", "--always-current"),
        ("url", "add", "mirror.example.org", "Example Linux", "https://mirror.example.org/linux"),
        ("repository", "add", "example-1", "x86_64", "--directory", "pub/linux/1/x86_64/os"),
    ):
        code, _, told = run(*words)
        assert code == 0, (words, told)


def object_of(run: Run, *words: str) -> Any:
    code, out, told = run(*words, "--json")
    assert code == 0, told
    return json.loads(out)


def test_init_makes_tables_and_a_key_that_its_owner_alone_can_read(run: Run, tmp_path: Path) -> None:
    (tmp_path / "redirector.db").unlink()
    code, out, _ = run("init", "--check")
    assert code == 1 and "is not there yet" in out and "redirector.key" in out
    assert not (tmp_path / "redirector.db").exists()
    assert run("init")[0] == 0
    assert stat.S_IMODE(os.stat(tmp_path / "redirector.key").st_mode) == 0o600
    key = (tmp_path / "redirector.key").read_text()
    assert run("init")[0] == 0 and (tmp_path / "redirector.key").read_text() == key
    assert run("init", "--check")[:2] == (0, "nothing is pending\n")
    os.chmod(tmp_path / "redirector.key", 0o644)
    code, out, _ = run("init", "--check")
    assert code == 1 and "others may read it" in out and key.strip() not in out


def test_keys_of_the_file_stand_below_registry_or_at_its_top(run: Run, tmp_path: Path) -> None:
    for number, text in enumerate(("registry: {key_file: keys/a.key}\n", "key_file: keys/a.key\n")):
        folder = tmp_path / f"configured{number}"
        (folder / "keys").mkdir(parents=True)
        (folder / "redirector.yml").write_text(text)
        assert run("init", "--config", str(folder / "redirector.yml"))[0] == 0
        assert (folder / "keys" / "a.key").exists() and (folder / "redirector.db").exists()


def test_a_user_gets_a_link_and_a_token_is_printed_alone(run: Run) -> None:
    run("init")
    words = ("user", "ann", "--mail", "ann@example.org", "--distribution-admin", "--url", "https://mirrors.example.org")
    code, out, _ = run(*words)
    assert code == 0 and re.fullmatch(r"https://mirrors\.example\.org/login/link/[\w-]{40,}\n", out)
    code, out, _ = run("token", "ann", "--scope", "write", "--days", "7")
    assert code == 0 and re.fullmatch(r"rdr_[\w-]{40,}\n", out)
    assert run("token", "nobody", "--scope", "read")[0] == 1
    (account,) = object_of(run, "users")
    assert account["distribution_admin"] and account["mail"] == "ann@example.org" and "password" not in account
    assert "link" not in object_of(run, "user", "ann", "--disable")
    assert run("token", "ann", "--scope", "read")[0] == 1


def test_a_newcomer_publishes_a_snapshot_that_check_accepts(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    made(run)
    assert object_of(run, "publish", "--snapshot", "cache.pb", "--dry-run")["written"] is False
    assert not Path("cache.pb").exists()
    told = object_of(run, "publish", "--snapshot", "cache.pb")
    assert told["published"]["cache.pb"]["hosts"]["added"] == ["mirror.example.org"]
    assert main(["check", "--source", "cache.pb"]) == 0
    capsys.readouterr()
    assert (
        main(["explain", "/mirrorlist?repo=example-1&arch=x86_64", "--client", "141.20.1.1", "--source", "cache.pb"])
        == 0
    )
    assert "https://mirror.example.org/linux/1/x86_64/os/" in capsys.readouterr().out
    run("host", "off", "mirror.example.org")
    code, _, told_error = run("publish", "--snapshot", "cache.pb")
    assert code == 1 and "would be gone" in told_error
    rehearsal = ("publish", "--snapshot", "cache.pb", "--allow", "shrink", "--dry-run")
    code, out, _ = run(*rehearsal)
    assert code == 0 and "  100.00% of 20,000 clients get another mirror first" in out
    assert "1 gone: mirror.example.org" in out and "and nobody is now" in out
    difference = object_of(run, *rehearsal)["published"]["cache.pb"]["difference"]
    assert (difference["moved"], difference["hosts"]["removed"]) == (1.0, ["mirror.example.org"])
    assert run("publish", "--snapshot", "cache.pb", "--allow", "shrink")[0] == 0


def test_wrong_usage_is_told(run: Run) -> None:
    assert run("publish")[0] == 2
    assert run("publish", "--snapshot", "x", "--allow", "everything")[0] == 2
    assert run("site")[0] == 2
    code, _, told = run("site", "add", "x", "--url", "nowhere")
    assert code == 1 and "url:" in told and "contacts:" in told
    assert run("site", "show", "nobody")[0] == 1


def test_what_forms_can_do_commands_can_do(run: Run, tmp_path: Path) -> None:
    made(run)
    (tmp_path / "password").write_text("hush\n")
    for words in (
        ("host", "set", "mirror.example.org", "--city", "Berlin", "--latitude", "52.5", "--longitude", "13.4", "--tier",
         "1", "--pulls-from", "master", "--maintenance-from", "2026-01-01T00:00:00Z", "--maintenance-to",
         "2026-01-02T00:00:00Z",
         "--cloud-type", "aws", "--cloud-regions", "eu-central-1", "--own-asn", "3320", "--new-releases"),
        ("host", "set", "mirror.example.org", "--no-maintenance", "--cloud-type", "", "--cloud-regions", ""),
        ("network", "add", "mirror.example.org", "10.0.0.0/8", "--label", "inner"),
        ("asn", "add", "mirror.example.org", "AS680"),
        ("country", "add", "mirror.example.org", "de"),
        ("acl", "add", "mirror.example.org", "8.8.8.8"),
        ("url", "add", "mirror.example.org", "Example Linux", "rsync://mirror.example.org/m", "--audience", "mirrors",
         "--user", "pull", "--password-file", "password"),
        ("url", "set", "mirror.example.org", "https://mirror.example.org/linux", "--to", "https://mirror.example.org/l"),
        ("carried", "set", "mirror.example.org", "Example Linux", "--exclusions", "*/debug/*"),
        ("user", "ann"),
        ("site", "admin", "Example Site", "--add", "ann"),
        ("site", "note", "Example Site", "old friends"),
        ("host", "note", "mirror.example.org", "slow"),
        ("site", "set", "Example Site", "--pulled-by", "all", "--comment", "ask first"),
        ("redirect", "add", "repository", "example-rawhide", "--target", "example-1"),
        ("release", "add", "Example Linux", "2", "--not-before", "2030-01-01T00:00:00Z"),
        ("repository", "off", "example-1", "x86_64"),
        ("repository", "on", "example-1", "x86_64"),
        ("category", "set", "Example Linux", "--no-joinable"),
    ):  # fmt: skip
        code, _, told = run(*words)
        assert code == 0, (words, told)
    host = object_of(run, "host", "show", "mirror.example.org")
    assert (host["city"], host["latitude"], host["tier"], host["pulls_from"]) == ("Berlin", 52.5, 1, "master")
    assert host["maintenance"] is None and host["cloud_type"] is None and host["cloud_regions"] == []
    assert [each["network"] for each in host["networks"]] == ["10.0.0.0/8"]
    assert [each["asn"] for each in host["asns"]] == [3320, 680] and [
        each["country"] for each in host["countries"]
    ] == ["DE"]
    assert [each["url"] for each in host["urls"]] == ["https://mirror.example.org/l/", "rsync://mirror.example.org/m/"]
    assert host["listed"] == "ok" and [each["text"] for each in host["notes"]] == ["slow"]
    site = object_of(run, "site", "show", "1")
    assert (site["pulled_by"], site["admins"], site["hosts"]) == ("all", ["ann"], ["mirror.example.org"])
    assert run("site", "admin", "Example Site", "--remove", "ann")[0] == 1
    code, out, _ = run("host", "token", "mirror.example.org", "--scope", "check-in")
    assert code == 0 and out.startswith("rdr_")
    assert object_of(run, "host", "token", "mirror.example.org")[0]["scope"] == "check-in"
    told = object_of(run, "events", "--host", "mirror.example.org")
    assert "hush" not in json.dumps(told) and {"host.add", "url.add", "network.add"} <= {each["what"] for each in told}
    removals: list[tuple[str, ...]] = [
        ("network", "remove", "mirror.example.org", "10.0.0.0/8"),
        ("url", "remove", "mirror.example.org", "rsync://mirror.example.org/m"),
        ("carried", "remove", "mirror.example.org", "Example Linux"),
        ("host", "leave", "mirror.example.org"),
        ("host", "delete", "mirror.example.org"),
        ("site", "delete", "Example Site"),
        ("category", "remove", "Example Linux"),
    ]
    for each in removals:
        assert run(*each)[0] == 0, each


def test_lists_are_tables_or_json(run: Run) -> None:
    made(run)
    code, out, _ = run("host", "list")
    assert code == 0 and out.splitlines()[0].startswith("id  name") and "mirror.example.org" in out.splitlines()[1]
    (row,) = object_of(run, "site", "list", "--state", "approved")
    assert row["name"] == "Example Site" and object_of(run, "site", "list", "--state", "draft") == []
    assert [each["name"] for each in object_of(run, "category", "list")] == ["Example Linux"]


def test_import_is_rehearsed_and_done_from_any_source(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in.pb").write_bytes(file_of(catalog_of(MANAGER)))
    rehearsed = object_of(run, "import", "in.pb", "--dry-run")
    assert rehearsed["written"] is False and rehearsed["added"]["host"] == len(MANAGER)
    assert object_of(run, "host", "list") == []
    assert object_of(run, "import", "in.pb")["added"]["host"] == len(MANAGER)
    assert object_of(run, "import", "in.pb")["added"] == {}
    asyncio.run(write_database(f"sqlite:///{tmp_path}/mm.db", ROWS))
    assert object_of(run, "import", "mm.db")["added"]["site"] == 3
    assert object_of(run, "import", f"sqlite:///{tmp_path}/mm.db")["added"] == {}
    (tmp_path / "broken.pb").write_bytes(b"no snapshot")
    for wrong in ("broken.pb", "absent.pb", f"sqlite:///{tmp_path}/absent.db", "sqlite:///redirector.db", "gopher://x"):
        assert run("import", wrong)[0] == 1, wrong
    assert not (tmp_path / "absent.db").exists()


def test_masters_name_the_categories_of_a_snapshot(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in.pb").write_bytes(file_of(catalog_of(MANAGER)))
    (tmp_path / "redirector.yml").write_text("masters:\n  - {category: Example, top: pub, path: /srv/pub}\n")
    assert run("import", "in.pb", "--config", "redirector.yml")[0] == 0
    assert [each["name"] for each in object_of(run, "category", "list", "--config", "redirector.yml")] == ["Example"]


def test_contacts_are_invited_by_command_alone(run: Run, tmp_path: Path) -> None:
    made(run)
    run("user", "ann")
    (row,) = object_of(run, "invite", "--from-mail", "--url", "https://mirrors.example.org")
    assert row["mail"] == "ops@example.org" and row["link"].startswith("https://mirrors.example.org/invitations/rdr_")
    assert object_of(run, "invite", "--from-mail") == []


@pytest.mark.parametrize("by_file", [False, True])
def test_a_publication_asks_the_server_that_it_is_told_of(run: Run, tmp_path: Path, by_file: bool) -> None:
    made(run)
    with socket.create_server(("127.0.0.1", 0)) as held:
        admin = f"127.0.0.1:{held.getsockname()[1]}"
    (tmp_path / "redirector.yml").write_text(f"admin: {admin}\n")
    words = ("--config", "redirector.yml") if by_file else ("--admin", admin)
    code, _, told = run("publish", "--snapshot", "cache.pb", "--pages", "pages", "--reload", *words)
    assert code == 1 and f"reload at {admin}: " in told and "nobody answers" in told
    assert Path("cache.pb").exists()


def test_a_host_for_a_cloud_alone_is_not_said_to_be_listed(run: Run) -> None:
    made(run)
    assert [(each["listed"], each["since"]) for each in object_of(run, "host", "list")] == [("ok", None)]
    run("host", "set", "mirror.example.org", "--cloud-type", "aws", "--cloud-regions", "eu-west-1")
    (row,) = object_of(run, "host", "list")
    assert row["listed"] == "cloud" and row["since"]


def test_published_pages_name_whose_the_geolocation_data_are(run: Run) -> None:
    made(run)
    geoip = Path(__file__).parents[2] / "data" / "geoip" / "country.mmdb"
    assert run("publish", "--pages", "pages", "--geoip", str(geoip))[0] == 0
    assert "IPFire Location database" in Path("pages/statistics/index.html").read_text()


@pytest.mark.parametrize(
    ("status", "body", "served"),
    [
        (200, {}, True),
        (422, {"problems": [{"file": "cache.pb", "key": "hosts", "text": "gone"}]}, False),
        (403, {}, False),
    ],
)
async def test_a_server_is_asked_to_take_it_up(status: int, body: dict[str, Any], served: bool) -> None:
    asked: list[str] = []

    async def reload(request: web.Request) -> web.Response:
        asked.append(request.path_qs)
        return web.json_response(body, status=status)

    application = web.Application()
    application.router.add_post("/-/reload", reload)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        listener = web.TCPSite(runner, "127.0.0.1", 0)
        await listener.start()
        port = runner.addresses[0][1]
        answer = await ask_reload(Address("127.0.0.1", port), "shrink")
    finally:
        await runner.cleanup()
    assert answer.served is served and asked == ["/-/reload?allow=shrink"] and bool(answer.lines) is not served
    nobody = await ask_reload(Address("127.0.0.1", port), "")
    assert not nobody.served and "nobody answers" in nobody.lines[0]


def test_a_host_of_a_cloud_is_published_with_the_networks_of_its_regions(run: Run, tmp_path: Path) -> None:
    made(run)
    (tmp_path / "aws.json").write_text(
        json.dumps(
            {
                "prefixes": [
                    {"region": "eu-central-1", "ip_prefix": "4.4.0.0/17"},
                    {"region": "eu-central-1", "ip_prefix": "4.4.128.0/17"},
                    {"region": "us-east-1", "ip_prefix": "5.5.0.0/16"},
                ],
                "ipv6_prefixes": [{"region": "eu-central-1", "ipv6_prefix": "2a05::/32"}],
            }
        )
    )
    (tmp_path / "redirector.yml").write_text("cloud_ranges: {aws: aws.json, gcp: none.json}\n")
    fields = ("--site", "Example Site", "--country", "DE", "--bandwidth-mbit", "1000", "--cloud-type", "aws")
    assert run("host", "add", "cloud.example.org", *fields, "--cloud-regions", "eu-central-1")[0] == 0
    assert run("carried", "add", "cloud.example.org", "Example Linux", "--always-current")[0] == 0
    assert run("url", "add", "cloud.example.org", "Example Linux", "https://cloud.example.org/linux/")[0] == 0
    place = ("--config", str(tmp_path / "redirector.yml"))
    object_of(run, "publish", "--snapshot", "cloud.pb", *place)
    catalog = load_snapshot_file("cloud.pb")
    (host,) = [each for each in catalog.hosts if each.name == "cloud.example.org"]
    assert host.local and [str(network) for network in host.netblocks] == ["4.4.0.0/16", "2a05::/32"]
    assert run("host", "set", "cloud.example.org", "--private")[0] == 0
    object_of(run, "publish", "--snapshot", "cloud.pb", *place)
    (host,) = [each for each in load_snapshot_file("cloud.pb").hosts if each.private]
    assert [str(network) for network in host.netblocks] == ["4.4.0.0/16", "2a05::/32"]
    (tmp_path / "aws.json").write_text("no list")
    told = object_of(run, "publish", "--snapshot", "cloud.pb", *place)
    assert any("no ranges of aws are known" in line for line in told["left_out"])
