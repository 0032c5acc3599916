"""A reload is never noticed by a client, and a bad one changes nothing but the metrics and the log."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

from tests.patience import SOON_S
from tests.real import GEOIP
from tests.server.load import Crowd
from tests.server.running import METALINK, serving, write_snapshot
from tests.sources.tree import CONFIG, health_text, mirror_files, repomd, write_tree

COUNTRIES = GEOIP / "GeoLite2-Country-Test.mmdb"


async def test_reloads_under_load_fail_no_request_and_lose_no_count(source: Path) -> None:
    with serving(source, "--workers", "2") as server:
        crowd = Crowd(server.address, 12, 4, pause_s=0.01)
        await crowd.reach(100)
        for _ in range(2):
            assert (await asyncio.to_thread(server.reload)).status == 200
            await crowd.reach(50)
        tally = await crowd.stop()
        assert not tally.failures
        assert server.requests() == tally.count


def test_whoever_connects_after_a_reload_gets_the_new_data(source: Path) -> None:
    with serving(source) as server:
        for hosts in range(5, 11):
            write_snapshot(source, hosts)
            assert server.reload().status == 200
            assert server.ask().body.count(b"https://") == hosts


async def test_connections_without_a_request_are_handed_over(source: Path) -> None:
    with serving(source) as server:
        quiet = [await asyncio.open_connection(*server.address) for _ in range(600)]
        before = server.workers(1)
        while (await asyncio.to_thread(server.metrics))["redirector_open_connections"] < len(quiet):
            await asyncio.sleep(0.05)  # the kernel shows them when it has waited for a first packet
        assert (await asyncio.to_thread(server.reload)).status == 200
        while server.workers(1) == before:
            await asyncio.sleep(0.01)
        for reader, writer in quiet:
            writer.write(b"GET /nothing HTTP/1.1\r\nHost: test\r\n\r\n")
            assert (await reader.readline()).startswith(b"HTTP/1.1 404")
            writer.close()


async def test_a_request_begun_before_a_reload_is_answered_after_it(source: Path) -> None:
    request = f"GET {METALINK} HTTP/1.1\r\nHost: test\r\n\r\n".encode()
    with serving(source, "--header-timeout", "60") as server:
        halves = [await asyncio.open_connection(*server.address) for _ in range(5)]
        for cut, (_, writer) in enumerate(halves, 1):
            writer.write(request[: cut * 9])
        assert (await asyncio.to_thread(server.ask)).status == 200
        assert (await asyncio.to_thread(server.reload)).status == 200
        for cut, (reader, writer) in enumerate(halves, 1):
            writer.write(request[cut * 9 :])
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            assert (await reader.readuntil(b"</metalink>\n")).startswith(b"<?xml")
            writer.close()


async def test_an_answer_that_is_read_slowly_comes_whole_across_a_reload(source: Path) -> None:
    with serving(source) as server:
        body = (await asyncio.to_thread(server.ask, METALINK)).body
        reader, writer = await asyncio.open_connection(*server.address, limit=1000)
        count = 3000
        writer.write(f"GET {METALINK} HTTP/1.1\r\nHost: test\r\n\r\n".encode() * count)
        for number in range(count):
            if number == 100:
                assert (await asyncio.to_thread(server.reload)).status == 200
            head = await reader.readuntil(b"\r\n\r\n")
            assert len(await reader.readexactly(len(body))) == len(body)
            if b"Connection: close" in head:
                break
        assert number >= 100
        writer.close()


def test_a_broken_source_is_refused_by_name(source: Path) -> None:
    good = source.read_bytes()
    with serving(source) as server:
        for number, damage in enumerate((b"", good[:200], b"<html>not found</html>", None), 1):
            source.unlink()
            if damage is not None:
                source.write_bytes(damage)
            reply = server.reload()
            assert reply.status == 422
            assert "snapshot.pb" in reply.body.decode()
            assert server.ask(METALINK).status == 200
            assert server.metrics()['redirector_reloads_total{outcome="refused"}'] == number
            server.wait_for("reload refused", number)
            source.write_bytes(good)
        assert server.metrics()['redirector_reloads_total{outcome="served"}'] == 0


def test_truncating_every_input_in_place_harms_nobody(source: Path, tmp_path: Path) -> None:
    geoip = tmp_path / "country.mmdb"
    geoip.write_bytes(COUNTRIES.read_bytes())
    table = tmp_path / "table.txt"
    table.write_text("".join(f"10.{n}.0.0/16 {64512 + n}\n" for n in range(200)))
    with serving(source, "--geoip", str(geoip), "--asn", str(table)) as server:
        before = server.workers(1), server.nursery()
        for path in (source, geoip, table):
            with path.open("r+b") as file:
                file.truncate(0)
        for number in range(256):
            assert server.ask(METALINK, X_Forwarded_For=f"{number}.1.2.3").status == 200
        assert server.reload().status == 422
        assert server.ask(METALINK).status == 200
        assert (server.workers(1), server.nursery()) == before


def test_a_refusal_is_overridden_once(source: Path) -> None:
    write_snapshot(source, hosts=20)
    with serving(source) as server:
        write_snapshot(source, hosts=9, built=1_790_000_000 - 1)
        refused = server.reload("?allow=older")
        assert refused.status == 422
        assert "allow=shrink" in refused.body.decode()
        assert server.reload("?allow=shrink,older").status == 200
        assert server.metrics()['redirector_snapshot_hosts{visibility="public"}'] == 9
        write_snapshot(source, hosts=2)
        assert server.reload().status == 422


def test_a_new_health_file_is_heeded_by_itself_and_a_broken_one_takes_nothing_away(
    source: Path, tmp_path: Path
) -> None:
    health = tmp_path / "health.json"
    checked = int(time.time())

    def write(text: str) -> None:
        health.with_suffix(".new").write_text(text)
        health.with_suffix(".new").replace(health)

    write(health_text({"1": {"up": False}}, checked - 60))
    with serving(source, "--health", str(health)) as server:
        assert server.ask().body.count(b"https://") == 3
        assert server.metrics()["redirector_health_checked_timestamp_seconds"] == checked - 60
        write(health_text({"mirror1.example.org": {"up": False}, "2": {"up": False}}, checked))
        began = time.monotonic()
        server.wait_for("reloaded")
        assert time.monotonic() - began < SOON_S
        assert server.ask().body.count(b"https://") == 2
        write("{")
        server.wait_for("reload refused")
        assert server.ask().body.count(b"https://") == 2
        assert server.metrics()["redirector_health_checked_timestamp_seconds"] == checked


def test_the_configuration_is_read_again(source: Path, tmp_path: Path) -> None:
    config = tmp_path / "redirector.yml"
    usual = f"source: {source}\nlisten: 127.0.0.1:0\nadmin: 127.0.0.1:0\n"
    config.write_text(usual + "workers: 2\n")
    with serving(None, config=config) as server:
        server.workers(2)
        config.write_text(usual + "minimum: three\n")
        assert server.reload().status == 422
        server.wait_for("minimum")
        config.write_text(usual + "canaries: ['/mirrorlist?repo=gone&arch=x86_64']\n")
        assert "repo=gone" in server.reload().body.decode()
        config.write_text(usual + f"workers: 1\ncanaries: ['{METALINK}']\nstate: {tmp_path / 'state'}\n")
        assert server.reload().status == 200
        server.wait_for("needs a restart to change: state")
        server.workers(1)
        assert server.metrics()["redirector_workers"] == 1


async def test_reloads_during_a_reload_become_one(source: Path) -> None:
    with serving(source) as server:
        replies = await asyncio.gather(*(asyncio.to_thread(server.reload) for _ in range(6)))
        assert [reply.status for reply in replies] == [200] * 6
        assert server.metrics()['redirector_reloads_total{outcome="served"}'] in (1, 2)


def test_sighup_reloads(source: Path) -> None:
    with serving(source) as server:
        write_snapshot(source, hosts=6)
        server.signal(signal.SIGHUP)
        server.wait_for("reloaded in .*: 6 mirrors")
        assert server.metrics()['redirector_snapshot_hosts{visibility="public"}'] == 6


def test_files_are_watched(tmp_path: Path) -> None:
    source = tmp_path / "tree"
    write_tree(source, mirror_files("a.example", "b.example"))
    with serving(source, "--watch", "0.2") as server:
        write_tree(source, mirror_files("c.example"))
        server.wait_for("reloaded in .*: 3 mirrors")
        (source / "config.yml").write_text("versions: [")
        server.wait_for("reload refused")
        assert server.ask_admin("/readyz").status == 200


def test_pages_beside_the_server_s_own_are_watched_too(tmp_path: Path) -> None:
    source, pages = tmp_path / "tree", tmp_path / "pages"
    write_tree(source, mirror_files("a.example"))
    (pages / "mirrors").mkdir(parents=True)
    (pages / "mirrors" / "index.html").write_text("<h1>first</h1>")
    with serving(source, "--watch", "0.2", "--pages", str(pages)) as server:
        assert server.ask("/mirrors").body == b"<h1>first</h1>" and b'href="/mirrors"' in server.ask("/").body
        (pages / "mirrors" / "index.html").write_text("<h1>second one</h1>")
        server.wait_for("reloaded in .*: 1 mirror;")
        assert server.ask("/mirrors").body == b"<h1>second one</h1>"


def test_a_metalink_stays_when_its_metadata_is_broken_at_a_reload(tmp_path: Path) -> None:
    place = "9.8/BaseOS/x86_64/os/repodata/repomd.xml"
    tree = write_tree(
        tmp_path / "tree", {**mirror_files("a"), f"primary/{place}": repomd(5)}, CONFIG + "primary: primary\n"
    )
    target = "/metalink?repo=baseos-9&arch=x86_64"
    with serving(Path(tree)) as server:
        before = server.ask(target)
        assert before.status == 200
        Path(tree, "primary", place).write_bytes(b"")
        for _ in range(2):
            assert server.reload().status == 200
            after = server.ask(target)
            assert after.status == 200 and b"<hash" in after.body
            assert server.metrics()["redirector_snapshot_broken_files"] == 1
