from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from redirector.health.evidence import Ask, Evidence, Family, FolderItem, Outcome, Probe
from redirector.health.pace import Pace
from redirector.health.rsync import LINE_BYTES, Source
from redirector.health.safety import Safety
from tests.health.hostile import NOW, listening
from tests.health.rsyncd import question, rsync, rsyncd, stand_in
from tests.patience import PATIENCE_S, SOON_S

AT = 1_794_990_000
LINE = "-rw-r--r--            100 2026/11/18 08:20:00 "


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    top = tmp_path / "tree"
    for path, size in {"9/os/repomd.xml": 10, "9/os/Packages/a b.rpm": 7, "9/TIME": 11, "8/lit\\#012x": 3}.items():
        file = top / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x" * size)
        os.utime(file, (AT, AT))
    for name in ("\udcff\n.rpm", "\udcff.rpm"):
        (top / "8" / name).write_bytes(b"x")
    return top


def by_path(entries: tuple[FolderItem, ...]) -> dict[str, FolderItem]:
    return {entry.path: entry for entry in entries}


async def one(prober: object, probe: Probe) -> Evidence:
    (evidence,) = await prober.probe(probe)  # type: ignore[attr-defined]
    assert isinstance(evidence, Evidence)
    return evidence


async def test_a_listing_has_everything_below_with_sizes_and_times(tmp_path: Path, tree: Path) -> None:
    (tmp_path / "motd").write_text("-rw-r--r--  5 2026/11/18 08:20:00 greeting\n")
    async with rsyncd(tmp_path, tree) as port:
        found = await one(rsync(), question(port, Ask.LISTING))
    assert (found.outcome, found.complete, found.status, found.address) == (Outcome.OK, True, 0, "127.0.0.1")
    entries = by_path(found.entries)
    assert entries["9/os/Packages/a b.rpm"] == FolderItem("9/os/Packages/a b.rpm", 7, AT)
    assert entries["9/os"].folder
    assert entries["8/lit\\#012x"].size_bytes == 3
    assert "8/\udcff\n.rpm" in entries
    assert not any("greeting" in path for path in entries)


async def test_a_folder_holds_what_is_directly_in_it(tmp_path: Path, tree: Path) -> None:
    async with rsyncd(tmp_path, tree) as port:
        found = await one(rsync(), question(port, Ask.FOLDER, "9/os"))
    assert {(each.path, each.folder) for each in found.entries} == {("repomd.xml", False), ("Packages", True)}


async def test_named_files_come_in_one_run_with_what_is_missing(tmp_path: Path, tree: Path) -> None:
    paths = ("9/os/repomd.xml", "9/os/gone.xml", "9/os/Packages/a b.rpm", "8/\udcff.rpm", "no/folder/x")
    async with rsyncd(tmp_path, tree) as port:
        found = await rsync().probe(question(port, Ask.FILES, paths=paths))
    assert [(each.path, each.outcome, each.size_bytes) for each in found] == [
        ("9/os/repomd.xml", Outcome.OK, 10),
        ("9/os/gone.xml", Outcome.MISSING, None),
        ("9/os/Packages/a b.rpm", Outcome.OK, 7),
        ("8/\udcff.rpm", Outcome.OK, 1),
        ("no/folder/x", Outcome.MISSING, None),
    ]
    assert (found[0].modified, found[0].status) == (AT, 23)


@pytest.mark.parametrize("ask", [Ask.MARKER, Ask.INDEX, Ask.FILE])
async def test_one_file_is_asked_for_by_its_name(tmp_path: Path, tree: Path, ask: Ask) -> None:
    async with rsyncd(tmp_path, tree) as port:
        found = await one(rsync(), question(port, ask, "9/TIME"))
        control = await one(rsync(), question(port, Ask.CONTROL, "9/no-such-name"))
    assert (found.outcome, found.size_bytes, found.modified) == (Outcome.OK, 11, AT)
    assert control.outcome is Outcome.MISSING


async def test_a_directory_that_is_not_there_is_missing(tmp_path: Path, tree: Path) -> None:
    async with rsyncd(tmp_path, tree) as port:
        found = await one(rsync(), question(port, Ask.LISTING, "10"))
    assert (found.outcome, found.status) == (Outcome.MISSING, 23)


async def test_an_unknown_module_is_refused(tmp_path: Path, tree: Path) -> None:
    async with rsyncd(tmp_path, tree) as port:
        found = await one(rsync(), question(port, Ask.LISTING, module="other/"))
    assert (found.outcome, found.status) == (Outcome.DENIED, 5)
    assert "Unknown module" in found.finding


async def test_too_many_at_once_is_busy(tmp_path: Path, tree: Path) -> None:
    lock = f"lock file = {tmp_path}/lock"
    async with rsyncd(tmp_path, tree, "max connections = 1", lock) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await reader.readline()
        writer.write(b"@RSYNCD: 31.0\nmod\n")
        await writer.drain()
        while not (await reader.readline()).startswith(b"@RSYNCD: OK"):
            pass
        found = await one(rsync(), question(port, Ask.LISTING))
        writer.close()
    assert (found.outcome, found.status) == (Outcome.BUSY, 5)


async def test_a_module_with_a_password_is_refused_without_asking_anybody(tmp_path: Path, tree: Path) -> None:
    secrets = tmp_path / "secrets"
    secrets.write_text("user:password\n")
    secrets.chmod(0o600)
    async with rsyncd(tmp_path, tree, "auth users = user", f"secrets file = {secrets}") as port:
        found = await one(rsync(), question(port, Ask.LISTING))
    assert (found.outcome, found.status) == (Outcome.DENIED, 5)


async def test_a_list_that_was_cut_is_discarded(tmp_path: Path, tree: Path) -> None:
    for number in range(3000):
        (tree / f"{number:0200}").write_bytes(b"")
    async with rsyncd(tmp_path, tree) as port:

        async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            upstream, up = await asyncio.open_connection("127.0.0.1", port)

            async def forward() -> None:
                while data := await reader.read(65536):
                    up.write(data)

            task = asyncio.ensure_future(forward())
            left = 40_000
            while left > 0 and (data := await upstream.read(min(left, 4096))):
                writer.write(data)
                await writer.drain()
                left -= len(data)
            writer.close()
            await writer.wait_closed()
            task.cancel()
            up.transport.abort()

        async with listening(cut) as relay:
            found = await one(rsync(), question(relay, Ask.LISTING))
    assert (found.outcome, found.entries) == (Outcome.CUT, ())
    assert found.status in (12, 10)


async def test_nobody_there_is_no_connection() -> None:
    found = await one(rsync(), question(1, Ask.LISTING))
    assert (found.outcome, found.status) == (Outcome.NO_CONNECTION, 10)


async def test_a_daemon_that_says_nothing_is_ended() -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listening(hang) as port:
        began = time.monotonic()
        found = await one(rsync(seconds=0.4), question(port, Ask.LISTING))
        assert time.monotonic() - began < SOON_S
    assert found.outcome is Outcome.TIMEOUT


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (0, Outcome.OK), (24, Outcome.OK), (23, Outcome.OK), (5, Outcome.DENIED), (10, Outcome.NO_CONNECTION),
        (30, Outcome.TIMEOUT), (35, Outcome.TIMEOUT), (12, Outcome.CUT), (4, Outcome.HOSTILE), (22, Outcome.HOSTILE),
        (1, Outcome.OURS), (2, Outcome.OURS), (99, Outcome.UNREADABLE),
    ],
)  # fmt: skip
async def test_exits_mean(tmp_path: Path, status: int, outcome: Outcome) -> None:
    program = stand_in(tmp_path, f"echo '{LINE}9/a'; exit {status}")
    found = await one(rsync(program=program), question(8730, Ask.LISTING))
    assert (found.outcome, found.status, found.complete) == (outcome, status, status != 23)
    assert bool(found.entries) == (outcome is Outcome.OK)


async def test_what_the_mirror_may_not_show_is_told_from_what_it_has_not(tmp_path: Path) -> None:
    said = """rsync: [sender] opendir "/secret" (in mod) failed: Permission denied (13)
rsync: [sender] link_stat "/odd" (in mod) failed: Input/output error (5)"""
    program = stand_in(tmp_path, f"cat >&2 <<'END'\n{said}\nEND\nexit 23")
    found = await rsync(program=program).probe(question(8730, Ask.FILES, paths=("secret", "odd", "gone")))
    assert [each.outcome for each in found] == [Outcome.DENIED, Outcome.UNREADABLE, Outcome.MISSING]


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        (f"while :; do echo '{LINE}9/a'; done", Outcome.HOSTILE),
        ("exec cat /dev/zero", Outcome.HOSTILE),
        ("while :; do printf x; sleep 0.1; done", Outcome.TIMEOUT),
        ("sleep 60 & sleep 60", Outcome.TIMEOUT),
        ("trap '' TERM INT HUP; while :; do sleep 1; done", Outcome.TIMEOUT),
        ("(while :; do echo no >&2; done) & sleep 60", Outcome.TIMEOUT),
        (f"echo '{LINE}../../etc/passwd'", Outcome.HOSTILE),
        (f"echo '{LINE}a/../b'", Outcome.HOSTILE),
        (f"echo '{LINE}/etc/passwd'", Outcome.HOSTILE),
        ("echo '-rw-r--r-- -5 2026/11/18 08:20:00 a'", Outcome.HOSTILE),
        ("kill -SEGV $$", Outcome.HOSTILE),
        ("kill -KILL $$", Outcome.OURS),
    ],
    ids=["flood", "line-without-end", "drip", "hangs", "stubborn", "flood-of-errors", "dots-before", "dots-inside",
         "absolute", "negative", "crash", "killed"],
)  # fmt: skip
async def test_hostile_output_ends_soon_and_leaves_no_process(tmp_path: Path, script: str, outcome: Outcome) -> None:
    program = stand_in(tmp_path, f"echo $$ > {tmp_path}/pid\n{script}")
    began = time.monotonic()
    seconds = 0.5 if outcome is Outcome.TIMEOUT else PATIENCE_S
    found = await one(rsync(program=program, seconds=seconds, lines=5000), question(8730, Ask.LISTING))
    assert time.monotonic() - began < SOON_S
    assert (found.outcome, found.entries) == (outcome, ())
    assert len(found.finding) <= 200 and found.finding.isprintable()
    await ended(int((tmp_path / "pid").read_text()))


async def ended(group: int) -> None:
    """Nothing of a group is left, or is not in a moment: who is killed goes when it is its turn."""
    until = time.monotonic() + SOON_S
    while list(alive(group)):
        assert time.monotonic() < until
        await asyncio.sleep(0.01)


def alive(group: int) -> Iterator[int]:
    """Processes of a group that have not ended."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[2]) == group and fields[0] != "Z":
                yield int(entry.name)


async def test_what_else_is_said_among_a_list_makes_it_incomplete(tmp_path: Path) -> None:
    program = stand_in(tmp_path, f"echo '{LINE}a'; echo 'file has vanished'; echo '{LINE}b'")
    found = await one(rsync(program=program), question(8730, Ask.LISTING))
    assert (found.outcome, found.complete, len(found.entries)) == (Outcome.OK, False, 2)


async def test_a_line_may_be_as_long_as_a_name_and_no_longer(tmp_path: Path) -> None:
    name = "x" * 4096
    program = stand_in(tmp_path, f"echo '{LINE}{name}'")
    assert (await one(rsync(program=program), question(8730, Ask.LISTING))).entries[0].path == name
    program = stand_in(tmp_path, f"echo '{LINE}{'x' * LINE_BYTES}'")
    assert (await one(rsync(program=program), question(8730, Ask.LISTING))).outcome is Outcome.HOSTILE


async def test_its_memory_is_bounded(tmp_path: Path) -> None:
    program = stand_in(tmp_path, "sleep 0.2; exec python3 -c 'bytearray(600 << 20)' || exit 0")
    found = await one(rsync(program=program), question(8730, Ask.LISTING))
    assert found.outcome is not Outcome.OK
    assert "MemoryError" in await _errors(tmp_path)


async def _errors(folder: Path) -> str:
    """What such a program says for itself."""
    program = stand_in(folder, "sleep 0.2; ulimit -v >&2; exit 5")
    limit = (await one(rsync(program=program), question(8730, Ask.LISTING))).finding
    return "MemoryError" if int(limit) == 512 << 10 else limit


async def test_the_program_gets_a_number_for_the_name_and_nothing_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RSYNC_PASSWORD", "secret")
    monkeypatch.setenv("RSYNC_PROXY", "127.0.0.1:1")
    monkeypatch.setenv("HOME", "/root")
    program = stand_in(tmp_path, f'for a in "$@"; do echo "$a"; done > {tmp_path}/arguments; '
                                 f"tr '\\0' '\\n' < /proc/$$/environ > {tmp_path}/environment; "
                                 f"cat > {tmp_path}/input; pwd > {tmp_path}/folder")  # fmt: skip
    await one(rsync(program=program), question(8730, Ask.LISTING, "9/os"))
    arguments = (tmp_path / "arguments").read_text().splitlines()
    assert arguments[:3] == ["--no-motd", "--no-h", "--list-only"]
    assert arguments[-2:] == ["--", "rsync://127.0.0.1:8730/mod/9/os/"]
    environment = dict(line.split("=", 1) for line in (tmp_path / "environment").read_text().splitlines())
    assert environment.keys() == {"PATH", "LC_ALL", "TZ", "USER", "HOME"}
    assert (environment["LC_ALL"], environment["TZ"], environment["HOME"]) == ("C", "UTC", "")
    assert (tmp_path / "input").read_bytes() == b""
    assert not Path((tmp_path / "folder").read_text().strip()).exists()
    await rsync(program=program, known=["::1"]).probe(question(873, Ask.FILES, paths=("a", "b")))
    arguments = (tmp_path / "arguments").read_text().splitlines()
    assert arguments[-3:-1] == ["--", "rsync://[::1]:873/mod/"]
    assert any(each.startswith("--files-from=/") for each in arguments)


@pytest.mark.parametrize(
    ("base", "path"),
    [
        ("rsync://user@mirror.example/mod/", ""),
        ("rsync://user:pass@mirror.example/mod/", ""),
        ("rsync://mirror.example/mod/../etc/", ""),
        ("rsync://mirror.example/mod/", "a/../../b"),
        ("rsync://mirror.example/mod/", "a\nb"),
        ("rsync://mirror.example/mod/", "a\x00b"),
        ("rsync://-e.sh/mod/", ""),
        ("rsync:///mod/", ""),
        ("rsync://mirror.example:99999/mod/", ""),
    ],
)
async def test_urls_that_are_none_never_reach_the_program(tmp_path: Path, base: str, path: str) -> None:
    program = stand_in(tmp_path, f"touch {tmp_path}/ran")
    found = await one(rsync(program=program), Probe("m", "", Ask.LISTING, base, path))
    assert found.outcome in (Outcome.FORBIDDEN, Outcome.NO_NAME)
    assert not (tmp_path / "ran").exists()


async def test_named_files_that_lead_out_never_reach_the_program(tmp_path: Path) -> None:
    program = stand_in(tmp_path, f"touch {tmp_path}/ran")
    found = await one(rsync(program=program), question(8730, Ask.FILES, paths=("a", "../b")))
    assert found.outcome is Outcome.FORBIDDEN
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("address", ["127.0.0.9", "::ffff:127.0.0.9", "10.0.0.1", "64:ff9b::7f00:1"])
async def test_inner_addresses_never_reach_the_program(tmp_path: Path, address: str) -> None:
    program = stand_in(tmp_path, f"touch {tmp_path}/ran")
    safety = Safety((ip_network("127.0.0.1"),))
    found = await one(rsync(program=program, safety=safety, known=[address]), question(873, Ask.LISTING))
    assert (found.outcome, (tmp_path / "ran").exists()) == (Outcome.FORBIDDEN, False)


async def test_no_program_no_route_and_no_name_are_told_apart(tmp_path: Path) -> None:
    found = await one(rsync(program=str(tmp_path / "none")), question(873, Ask.LISTING))
    assert found.outcome is Outcome.OURS
    found = await one(rsync(known=["2001:4860::1"], route=lambda _: None), question(873, Ask.LISTING))
    assert (found.outcome, found.family) == (Outcome.NO_ROUTE, None)
    found = await one(rsync(), Probe("m", "", Ask.LISTING, "rsync://mirror.example/mod/", family=Family.IPV6))
    assert (found.outcome, found.family) == (Outcome.NO_NAME, Family.IPV6)


@pytest.mark.parametrize(
    ("source", "status", "outcome"),
    [
        ("fd00::2", 10, Outcome.NO_ROUTE),
        ("fd00::2", 35, Outcome.NO_ROUTE),
        ("2001:4860::2", 10, Outcome.NO_CONNECTION),
        ("fd00::2", 5, Outcome.DENIED),
    ],
    ids=["refused on the way", "silence", "a way of our own", "an answer came"],
)
async def test_a_local_network_that_leads_nowhere_says_nothing_about_the_mirror(
    tmp_path: Path, source: str, status: int, outcome: Outcome
) -> None:
    program = stand_in(tmp_path, f"exit {status}")
    prober = rsync(program=program, known=["2001:4860::1"], route=lambda _: ip_address(source))
    assert (await one(prober, question(873, Ask.FILES, paths=("a",)))).outcome is outcome


async def test_where_memory_cannot_be_bounded_nothing_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("resource.prlimit", refuse)
    program = stand_in(tmp_path, "sleep 60")
    found = await one(rsync(program=program), question(8730, Ask.LISTING))
    assert (found.outcome, found.finding) == (Outcome.OURS, "its memory cannot be bounded here")


async def test_a_whole_listing_is_taken_once_a_day_and_named_files_more_often(tmp_path: Path) -> None:
    program = stand_in(tmp_path, f"echo '{LINE}a'")
    prober = rsync(program=program, pace=Pace(now=lambda: NOW, monotonic=time.monotonic))
    assert (await one(prober, question(873, Ask.LISTING))).outcome is Outcome.OK
    second = await one(prober, question(873, Ask.LISTING))
    assert (second.outcome, second.retry_after) == (Outcome.UNASKED, int(NOW) + 86400)
    assert (await one(prober, question(873, Ask.FILES, paths=("a",)))).outcome is Outcome.OK


async def test_who_is_cancelled_leaves_no_process(tmp_path: Path) -> None:
    program = stand_in(tmp_path, f"echo $$ > {tmp_path}/pid\nsleep 60")
    task = asyncio.ensure_future(rsync(program=program, seconds=PATIENCE_S).probe(question(873, Ask.LISTING)))
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await ended(int((tmp_path / "pid").read_text()))


def test_a_url_taken_apart() -> None:
    assert Source.parse("rsync://Mirror.Example/mod/a/") == Source("mirror.example", 873, "mod/a/")
