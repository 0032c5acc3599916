"""Every XML document that a test received or compares with, read by two other readers.

Runs last: the files of a folder run in the order of their names.
"""

from __future__ import annotations

from pathlib import Path

from tests.clients.conftest import Note, Services
from tests.clients.programs import ROOT, run
from tests.clients.service import Flavour
from tests.clients.tap import open_tap
from tests.real import METALINK3, METALINK4

GRAMMARS = {
    b"http://www.metalinker.org/": METALINK3,
    b"urn:ietf:params:xml:ns:metalink": METALINK4,
}
TARGETS = (
    "/metalink?repo=baseos-9&arch=x86_64",
    "/metalink?repo=baseos-9&arch=x86_64&country=de,fr",
    "/metalink?repo=baseos-9&arch=x86_64&country=global",
    "/metalink?repo=baseos-9&arch=x86_64&protocol=http",
    "/metalink?repo=appstream-9&arch=aarch64",
    "/metalink?repo=appstream-9&arch=aarch64&format=meta4",
    "/metalink?repo=nosuch-9&arch=x86_64",
)
NEAR = ("127.0.0.1", "127.1.0.1", "127.1.2.1", "127.2.0.1")
"""Strangers, clients of a public mirror, clients of a private one, and clients in France."""


def write_documents(folder: Path, documents: dict[bytes, str]) -> dict[bytes, list[Path]]:
    """A file for each document, by its namespace; those that name no URL stand under the empty one."""
    files: dict[bytes, list[Path]] = {b"": [], **{namespace: [] for namespace in GRAMMARS}}
    folder.mkdir()
    for number, document in enumerate(documents):
        file = folder / f"{number}.xml"
        file.write_bytes(document)
        (namespace,) = (each for each in GRAMMARS if b'xmlns="' + each + b'"' in document)
        files[namespace if b"<url" in document else b""].append(file)
    return files


def test_every_document_is_valid(services: Services, documents: dict[bytes, str], tmp_path: Path, note: Note) -> None:
    for flavour in Flavour:
        for source in NEAR:
            with open_tap(services[flavour].address, source) as tap:
                for target in TARGETS:
                    run("curl", "--silent", tap.url + target)
                documents.update((each.body, each.target) for each in tap.exchanges() if b"<metalink" in each.body)
    for file in ROOT.glob("tests/*/golden/*.xml"):
        if not file.name.startswith("today-"):  # today's server escapes nothing, and these are its answers
            _, declaration, document = file.read_bytes().partition(b"<?xml")
            documents[declaration + document] = file.name
    files = write_documents(tmp_path / "documents", documents)
    well_formed = [run("xmllint", "--noout", *each).code for each in files.values() if each]
    valid = {
        namespace: (
            run("xmllint", "--noout", "--relaxng", grammar, *files[namespace]).code,
            run("jing", grammar, *files[namespace]).code,
        )
        for namespace, grammar in GRAMMARS.items()
        if files[namespace]
    }
    counts = ", ".join(f"{len(files[name])} {grammar.stem}" for name, grammar in GRAMMARS.items())
    note(f"xmllint, jing: {len(documents)} documents well-formed; valid: {counts}")
    assert not any(well_formed)
    assert set(valid.values()) == {(0, 0)}
    assert files[b"http://www.metalinker.org/"]
