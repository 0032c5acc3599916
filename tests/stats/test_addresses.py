"""No address is ever written: not in the store, not in what is given out, in no form that tells it."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from redirector.cli.main import main
from redirector.cli.output import Exit
from tests.stats.rig import TARGET, Line, mirrormanager

ADDRESSES = ("203.0.113.77", "198.51.100.213", "2001:db8:85a3::8a2e:370:7334", "2001:DB8:0:0:8:800:200C:417A")
"""Of clients; the last as some servers write it."""


def traces(text: str) -> Iterator[bytes]:
    """What would tell the address *text*: itself as texts and bytes, and its digests."""
    address = ip_address(text)
    forms = {text, text.lower(), str(address), address.exploded, address.reverse_pointer, f"{int(address):x}"}
    raw = {form.encode() for form in forms} | {
        str(int(address)).encode(),
        address.packed,
        address.packed.hex().encode(),
    }
    yield from raw
    for name in ("md5", "sha1", "sha256", "sha512", "blake2b", "blake2s"):
        for each in raw:
            digest = hashlib.new(name, each)
            yield digest.digest()
            yield digest.hexdigest().encode()[:32]
    for each in raw:
        yield hashlib.blake2b(each, digest_size=16).hexdigest().encode()


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A log of each format, whose lines name addresses wherever a line can."""
    monkeypatch.chdir(tmp_path)
    late = replace(Line("/"), time="30/Nov/2026:00:10:00 +0000", iso="2026-11-30T00:10:00Z")
    written = {"combined.log": b"", "own.log": b"", "mirrormanager.log": b""}
    for number, client in enumerate(ADDRESSES):
        line = Line(f"{TARGET}&countme={1 + number % 4}&ip={client}", client=client, referer=f"http://{client}/")
        odd = replace(
            line, target=f"/mirrorlist?repo=fedora-42&arch=x86_64&countme=9&x={client}", agent=f"curl ({client})"
        )
        written["combined.log"] += (
            line.combined() + odd.combined() + f"{client} is no line\n".encode() + late.combined()
        )
        written["own.log"] += line.json() + odd.json() + late.json()
        written["mirrormanager.log"] += mirrormanager(client=client)
    for name, raw in written.items():
        (tmp_path / name).write_bytes(raw)
    (tmp_path / "packed.log.gz").write_bytes(
        gzip.compress(Line(client=ADDRESSES[0], time="27/Nov/2026:06:00:07 +0000").combined())
    )
    return [*written, "packed.log.gz"]


def test_no_address_is_in_the_store_or_in_what_is_given_out(
    logs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["stats", "add", *logs]) == Exit.DONE
    for name in ("access", "countme", "propagation", "traffic"):
        assert main(["stats", "export", name]) == Exit.DONE
        assert main(["stats", "export", name, "--json"]) == Exit.DONE
    assert main(["stats", "show", "--json"]) == Exit.DONE
    assert main(["stats", "show"]) == Exit.DONE
    assert main(["stats", "trim"]) == Exit.DONE
    said = capsys.readouterr()
    assert "fedora-42" in said.out and json.dumps("fedora-42") in said.out
    files = [path for path in Path().iterdir() if path.name.startswith("redirector.db")]
    everything = b"".join(path.read_bytes() for path in files) + (said.out + said.err).encode()
    assert len(everything) > 50_000
    for client in ADDRESSES:
        assert not [trace for trace in traces(client) if trace in everything], client


def test_the_search_finds_an_address_that_is_there() -> None:
    text = ADDRESSES[2]
    assert hashlib.sha256(text.encode()).digest() in set(traces(text))
    assert text.encode() in set(traces(text)) and ip_address(text).packed in set(traces(text))
