"""Metalinks of version 3: valid by the strict grammar, well-formed for any URL, in MirrorManager's dialect."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree  # type: ignore[import-untyped]  # it has neither annotations nor stubs

from redirector.model import Catalog, FileDetail
from tests.answer.catalogs import CLIENTS, catalogs
from tests.answer.trees import tree_rig
from tests.real import METALINK3
from tests.rig import DETAIL, OLDER, Rig, catalog_of, mirror, rig, rig_of

TARGET = "/metalink?repo=fedora-40&arch=x86_64"
NAMES = {"m": "http://www.metalinker.org/", "mm0": "http://fedorahosted.org/mirrormanager"}


@pytest.fixture(scope="module")
def grammar() -> etree.RelaxNG:
    return etree.RelaxNG(etree.parse(METALINK3))


def document(served: Rig, target: str = TARGET, client: str | None = "10.1.0.1") -> etree._Element:
    answer = served.get(target, client)
    assert (answer.status, answer.content_type) == (200, "application/metalink+xml")
    return etree.fromstring(answer.body)


def urls(root: etree._Element) -> list[etree._Element]:
    return list(root.iterfind(".//m:url", NAMES))


def check(grammar: etree.RelaxNG, root: etree._Element) -> None:
    assert grammar.validate(root), grammar.error_log


@given(catalogs(), st.sampled_from(CLIENTS))
def test_every_metalink_with_urls_is_valid(grammar: etree.RelaxNG, catalog: Catalog, client: str) -> None:
    served = rig_of(catalog)
    for target in (TARGET, TARGET.replace("fedora", "part"), f"{TARGET}&protocol=rsync", f"{TARGET}&country=us,zz"):
        root = document(served, target, client)
        if urls(root):
            check(grammar, root)


def test_metalinks_of_a_tree_are_valid(grammar: etree.RelaxNG) -> None:
    served = tree_rig(mirror("a", "DE"), mirror("b", None, private=True, netblocks=("10.1.0.0/16",)))
    for target in ("/metalink?repo=baseos-9&arch=x86_64", "/metalink?path=9/BaseOS/x86_64/os/repodata/repomd.xml"):
        check(grammar, document(served, target))
    check(grammar, document(served, "/metalink?repo=baseos-9.0&arch=x86_64"))


def test_a_long_list_ends_at_preference_1(grammar: etree.RelaxNG) -> None:
    served = rig(*(mirror(f"m{n}", "DE", f"https://m{n}/pub", f"rsync://m{n}/pub") for n in range(150)))
    root = document(served)
    check(grammar, root)
    found = [int(url.get("preference")) for url in urls(root)]
    assert found == [max(100 - place // 2, 1) for place in range(300)]


@pytest.mark.parametrize("extra", ["", "&country=de", "&protocol=https,rsync"])
def test_all_urls_of_a_host_share_its_preference(extra: str) -> None:
    served = rig(*(mirror(f"m{n}", "DE", f"http://m{n}/pub", f"https://m{n}/pub", f"rsync://m{n}/pub") for n in "abc"))
    found: dict[str, set[str]] = {}
    for url in urls(document(served, TARGET + extra)):
        found.setdefault(url.text.split("/")[2], set()).add(url.get("preference"))
    assert sorted(map(sorted, found.values())) == [["100"], ["98"], ["99"]]


def test_a_url_says_its_protocol_twice_and_its_country() -> None:
    served = rig(mirror("a", "DE", "rsync://a/pub"), mirror("b", None, "https://b/pub"))
    by_host = {url.text.split("/")[2]: url for url in urls(document(served))}
    assert dict(by_host["a"].items()) == {
        "protocol": "rsync", "type": "rsync", "location": "DE", "preference": "100"
    }  # fmt: skip
    assert dict(by_host["b"].items()) == {"protocol": "https", "type": "https", "preference": "99"}


def test_a_host_that_strangers_may_not_have_is_marked_private(grammar: etree.RelaxNG) -> None:
    served = rig(mirror("secret", "DE", private=True, netblocks=("10.1.0.0/16",)), mirror("open", "DE"))
    root = document(served)
    check(grammar, root)
    mark = f"{{{NAMES['mm0']}}}private"
    assert {url.text.split("/")[2]: url.get(mark) for url in urls(root)} == {"secret": "True", "open": None}
    assert served.get(TARGET).body.count(b' mm0:private="True">https://secret') == 1


def detail_texts(element: etree._Element) -> list[str]:
    """Timestamp, size and hashes, in the order of the document."""
    return [
        each.text
        for each in element
        if etree.QName(each).localname in ("timestamp", "size")
    ] + [f"{each.get('type')}:{each.text}" for each in element.iterfind("m:verification/m:hash", NAMES)]  # fmt: skip


def texts_of(detail: FileDetail) -> list[str]:
    hashes = {"md5": detail.md5, "sha1": detail.sha1, "sha256": detail.sha256, "sha512": detail.sha512}
    return [str(detail.timestamp), str(detail.size_bytes), *(f"{name}:{value}" for name, value in hashes.items())]


def with_details(*details: FileDetail, escape: str | None = None) -> Rig:
    catalog = catalog_of([mirror("a", "DE")])
    (key,) = catalog.details
    return rig_of(replace(catalog, details={key: details}), compatibility=escape)


def test_the_newest_detail_is_the_file_and_the_others_are_alternates(grammar: etree.RelaxNG) -> None:
    oldest = replace(OLDER, timestamp=1, size_bytes=2)
    root = document(with_details(DETAIL, OLDER, oldest))
    check(grammar, root)
    (file,) = root.iterfind(".//m:file", NAMES)
    assert file.get("name") == "repomd.xml"
    assert detail_texts(file) == texts_of(DETAIL)
    alternates = file.iterfind("mm0:alternates/mm0:alternate", NAMES)
    assert [detail_texts(each) for each in alternates] == [texts_of(OLDER), texts_of(oldest)]


@pytest.mark.parametrize("compatibility", [None, "mirrormanager"])
def test_one_detail_has_no_alternates(compatibility: str | None) -> None:
    body = with_details(DETAIL, escape=compatibility).get(TARGET).body
    assert b"alternate" not in body


@pytest.mark.parametrize("compatibility", [None, "mirrormanager"])
def test_what_is_not_known_is_left_out(compatibility: str | None) -> None:
    bare = FileDetail(0, 0, sha256="c" * 64)
    body = with_details(bare, replace(bare, timestamp=7), escape=compatibility).get(TARGET).body.decode()
    assert "<size>" not in body
    assert body.count("<mm0:timestamp>") == 1
    assert body.count("<hash ") == 2
    assert f'    <hash type="sha256">{"c" * 64}</hash>\n' in body


def test_the_namespace_never_changes() -> None:
    root = document(with_details(DETAIL))
    assert root.nsmap == {None: NAMES["m"], "mm0": NAMES["mm0"]}
    assert root.getroottree().docinfo.encoding.lower() == "utf-8"


ANY_TEXT = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=20)


@given(ANY_TEXT, ANY_TEXT)
def test_a_metalink_is_well_formed_for_any_url_and_name(path: str, name: str) -> None:
    """Even where the source would have refused the URL."""
    catalog = catalog_of([mirror("a", "DE", f"https://a/{path}")])
    (directory, _), details = next(iter(catalog.details.items()))
    name = name.replace("/", "") or "x"
    catalog = replace(catalog, details={(directory, name): details})
    root = document(rig_of(catalog), f"/metalink?path={directory}/{quote(name, safe='')}")
    (url,) = urls(root)
    assert unquote(url.text.removeprefix(f"https://a/{path}")) == f"/linux/40/x86_64/os/repodata/{name}"
    assert url.text.startswith(f"https://a/{path}")
    assert root.find(".//m:file", NAMES).get("name") == name


PLAIN = rig(mirror("a", "DE"))


@given(ANY_TEXT)
def test_nothing_of_the_request_gets_into_the_document(text: str) -> None:
    body = PLAIN.get(f"{TARGET}&zzz={quote(text)}&countme={quote(text)}").body
    assert body == PLAIN.get(TARGET).body


def test_text_without_white_space_around_it() -> None:
    for url in urls(document(rig(mirror("a", "DE"), mirror("b", "FR")))):
        assert url.text == url.text.strip()
        assert url.text.endswith("/repodata/repomd.xml")


def test_document_order_is_descending_preference() -> None:
    served = rig(*(mirror(f"m{n}", "DE") for n in range(30)))
    found = [int(url.get("preference")) for url in urls(document(served))]
    assert found == sorted(found, reverse=True)
