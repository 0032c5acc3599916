"""Every row of the answers table of the MirrorManager dialect, in both policies, to the byte."""

from __future__ import annotations

import pytest

from redirector.answer.answer import Answer, Kind
from tests.rig import NOW, Rig, catalog_of, mirror, rig, rig_of

REPO = "repo=fedora-40&arch=x86_64"
PATH = "path=pub/linux/40/x86_64/os"

HEADER = (
    '<?xml version="1.0" encoding="utf-8"?>\n'
    '<metalink version="3.0" xmlns="http://www.metalinker.org/" type="dynamic" '
    'pubdate="Mon, 21 Sep 2026 14:13:20 GMT" generator="mirrormanager" '
    'xmlns:mm0="http://fedorahosted.org/mirrormanager">\n'
)

LISTED = (
    "# repo=fedora-40&arch=x86_64\n"
    "# repo=gone&arch=x86_64\n"
)  # fmt: skip


def one_mirror(compatibility: str | None = None) -> Rig:
    """One mirror in Germany; clients come from there."""
    return rig(mirror("a.example", "DE"), compatibility=compatibility)


@pytest.fixture(scope="module")
def ours() -> Rig:
    return one_mirror()


@pytest.fixture(scope="module")
def today() -> Rig:
    return one_mirror("mirrormanager")


def document(text: str) -> str:
    return f"{HEADER}<!-- {text}\n-->\n</metalink>\n"


def said(answer: Answer) -> tuple[int, str, str]:
    return answer.status, answer.content_type, answer.body.decode()


ERRORS = [
    pytest.param("/other", 404, 404, "We don't serve their kind here!", id="1: another path"),
    pytest.param("/mirrorlist/", None, 404, "We don't serve their kind here!", id="1: a slash too many"),
    pytest.param(
        "/mirrorlist?arch=x86_64",
        400,
        200,
        "# either path=, or repo= and arch= must be specified",
        id="2: no repo",
    ),
    pytest.param("/mirrorlist", 400, 200, "# either path=, or repo= and arch= must be specified", id="2: nothing"),
    pytest.param("/mirrorlist?path=pub/none/file", 404, 404, "error: invalid path", id="3: unknown parent"),
    pytest.param("/mirrorlist?path=", 404, 404, "error: invalid path", id="3: empty path"),
    pytest.param(f"/mirrorlist?{REPO}&path=none", 404, 404, "error: invalid path", id="3: path wins"),
    pytest.param("/mirrorlist?repo=off&arch=x86_64", 200, 200, "repo disabled", id="4: disabled"),
    pytest.param("/mirrorlist?repo=off&arch=none", 200, 200, "repo disabled", id="4: disabled by prefix"),
    pytest.param(
        "/mirrorlist?repo=gone&arch=x86_64", 404, 500, "mirrorlist cache index out of range, you broke it!", id="6"
    ),
    pytest.param(f"/mirrorlist?{REPO}&ip=x", 400, 500, "Cannot parse client IP address. Aborting.", id="7: ip="),
    pytest.param(
        f"/mirrorlist?{REPO}&ip=1.2.3", 400, 500, "Cannot parse client IP address. Aborting.", id="7: short ip="
    ),
]


@pytest.mark.parametrize(("target", "status", "status_today", "text"), ERRORS)
def test_error_is_one_line_and_today_the_bare_text(
    target: str, status: int | None, status_today: int, text: str, ours: Rig, today: Rig
) -> None:
    if status is not None:
        assert said(ours.get(target)) == (status, "text/plain", f"{text}\n")
    assert said(today.get(target)) == (status_today, "", text)


@pytest.mark.parametrize(
    ("target", "status", "status_today", "text"),
    [
        row
        for row in ERRORS
        if row.values[1] is not None
        and row.values[0] != "/other"
        and "out of range" not in str(row.values[3])
    ],
)  # fmt: skip
def test_error_of_a_metalink_is_a_document_only_today(
    target: str, status: int, status_today: int, text: str, ours: Rig, today: Rig
) -> None:
    target = target.replace("/mirrorlist", "/metalink")
    assert said(ours.get(target)) == (status, "text/plain", f"{text}\n")
    assert said(today.get(target)) == (status_today, "application/metalink+xml", document(text))


def test_row_6_is_plain_text_for_a_metalink_too(ours: Rig, today: Rig) -> None:
    target = "/metalink?repo=gone&arch=x86_64"
    text = "mirrorlist cache index out of range, you broke it!"
    assert said(ours.get(target)) == (404, "text/plain", f"{text}\n")
    assert said(today.get(target)) == (500, "", text)


def test_unknown_repository_names_the_nearest_and_today_all(ours: Rig, today: Rig) -> None:
    target = "/mirrorlist?repo=fedora-4&arch=i386"
    line = "# repo = fedora-4 arch = i386 error: invalid repo or arch"
    assert said(ours.get(target)) == (404, "text/plain", f"{line}; nearest: fedora-40\n")
    body = f"{line}\n# following repositories are available:\n{LISTED}"
    assert said(today.get(target)) == (404, "", body)
    assert said(today.get(target.replace("mirrorlist", "metalink"))) == (
        404,
        "application/metalink+xml",
        document(body),
    )


def test_unknown_arch_names_those_of_the_repository(ours: Rig) -> None:
    answer = ours.get("/metalink?repo=fedora-40&arch=i386")
    line = "# repo = fedora-40 arch = i386 error: invalid repo or arch; arches of this repo: x86_64\n"
    assert said(answer) == (404, "text/plain", line)


def test_list_of_all_repositories_leaves_out_names_with_more_than_one_plus() -> None:
    catalog = catalog_of([mirror("a.example")], repositories={("b", "x"): "d", ("a+b", "x"): "d", ("a", "y"): "d"})
    answer = rig_of(catalog, compatibility="mirrormanager").get("/mirrorlist?repo=z&arch=x")
    assert answer.body.decode().splitlines()[2:] == ["# repo=a&arch=y", "# repo=b&arch=x"]


def test_unreadable_client_is_the_public_and_today_an_error(ours: Rig, today: Rig) -> None:
    answer = ours.get(f"/mirrorlist?{REPO}", client=None, readable=False)
    assert (answer.status, answer.country) == (200, None)
    assert b"https://a.example/pub/linux/40/x86_64/os/" in answer.body
    answer = today.get(f"/mirrorlist?{REPO}", client=None, readable=False)
    assert said(answer) == (500, "", "Cannot parse client IP address. Aborting.")


def test_a_readable_ip_stands_in_for_an_unreadable_client(today: Rig) -> None:
    answer = today.get(f"/mirrorlist?{REPO}&ip=10.1.0.1", client=None, readable=False)
    assert (answer.status, answer.country) == (200, "DE")


METALINK = """\
 <files>
  <file name="repomd.xml">
   <mm0:timestamp>1789000000</mm0:timestamp>
   <size>1234</size>
   <verification>
    <hash type="md5">aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa</hash>
    <hash type="sha1">bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb</hash>
    <hash type="sha256">cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc</hash>
    <hash type="sha512">{d}</hash>
   </verification>
   <mm0:alternates>
    <mm0:alternate>
      <mm0:timestamp>1788000000</mm0:timestamp>
      <size>1200</size>
      <verification>
       <hash type="md5">11111111111111111111111111111111</hash>
       <hash type="sha1">2222222222222222222222222222222222222222</hash>
       <hash type="sha256">3333333333333333333333333333333333333333333333333333333333333333</hash>
       <hash type="sha512">{four}</hash>
      </verification>
    </mm0:alternate>
   </mm0:alternates>
   <resources maxconnections="1">
{urls}   </resources>
  </file>
 </files>
</metalink>
"""


def metalink(*schemes: str) -> str:
    urls = "".join(
        f'    <url protocol="{scheme}" type="{scheme}" location="DE" preference="100">'
        f"{scheme}://a.example/pub/linux/40/x86_64/os/repodata/repomd.xml</url>\n"
        for scheme in schemes
    )
    return HEADER + METALINK.format(d="d" * 128, four="4" * 128, urls=urls)


@pytest.mark.parametrize("query", [REPO, "path=pub/linux/40/x86_64/os/repodata/repomd.xml"])
def test_row_8_is_the_document(query: str, ours: Rig, today: Rig) -> None:
    kind = "application/metalink+xml"
    assert said(ours.get(f"/metalink?{query}")) == (200, kind, metalink("https", "http"))
    assert said(today.get(f"/metalink?{query}")) == (200, kind, metalink("http", "https"))


@pytest.mark.parametrize(
    ("query", "name"),
    [
        pytest.param(PATH, "pub/linux/40/x86_64/os/", id="a directory"),
        pytest.param(f"{PATH}/other.iso", "pub/linux/40/x86_64/os/other.iso", id="a file"),
        pytest.param(f"{PATH}/repomd.xml", "pub/linux/40/x86_64/os/repomd.xml", id="a file of another directory"),
    ],
)
def test_row_9_names_the_file_without_details(query: str, name: str, ours: Rig, today: Rig) -> None:
    text = f"{name} not found or has not metalink"
    assert said(ours.get(f"/metalink?{query}")) == (404, "text/plain", f"{text}\n")
    assert said(today.get(f"/metalink?{query}")) == (404, "application/metalink+xml", document(text))


@pytest.mark.parametrize("compatibility", [None, "mirrormanager"])
def test_row_7_comes_before_row_9(compatibility: str | None) -> None:
    answer = one_mirror(compatibility).get(f"/metalink?{PATH}&ip=x")
    assert b"Cannot parse client IP address" in answer.body


@pytest.mark.parametrize("compatibility", [None, "mirrormanager"])
def test_a_metalink_without_details_has_its_line_in_the_access_log(compatibility: str | None) -> None:
    catalog = catalog_of([mirror("a.example", "DE")], details={})
    answer = rig_of(catalog, compatibility=compatibility).get(f"/metalink?{REPO}")
    assert (answer.status, answer.asked, answer.country) == (404, ("fedora-40", "x86_64"), "DE")


def test_row_10_is_a_comment_line_and_the_urls(ours: Rig, today: Rig) -> None:
    comment = "# repo = fedora-40 arch = x86_64 country = DE country = global \n"
    answer = ours.get(f"/mirrorlist?{REPO}")
    assert said(answer) == (200, "text/plain", f"{comment}https://a.example/pub/linux/40/x86_64/os/\n")
    answer = today.get(f"/mirrorlist?{REPO}")
    assert said(answer) == (200, "text/plain", f"{comment}http://a.example/pub/linux/40/x86_64/os/\n")


@pytest.mark.parametrize("compatibility", [None, "mirrormanager"])
def test_a_known_directory_that_no_mirror_carries_is_a_comment_line(compatibility: str | None) -> None:
    answer = rig(mirror("a.example", "FR", private=True), compatibility=compatibility).get(f"/mirrorlist?{REPO}")
    assert said(answer) == (200, "text/plain", "# repo = fedora-40 arch = x86_64 country = global \n")


def test_row_11_is_the_best_http_url(ours: Rig, today: Rig) -> None:
    for served, scheme in ((ours, "https"), (today, "http")):
        answer = served.get(f"/mirrorlist?{REPO}&redirect")
        assert said(answer) == (302, "text/plain", "")
        assert dict(answer.headers)["Location"] == f"{scheme}://a.example/pub/linux/40/x86_64/os/"
        assert answer.kind is Kind.REDIRECT


@pytest.mark.parametrize("compatibility", [None, "mirrormanager"])
def test_row_12_is_empty(compatibility: str | None) -> None:
    served = rig(mirror("a.example", "DE", "rsync://a.example/pub", "ftp://a.example/pub"), compatibility=compatibility)
    answer = served.get(f"/mirrorlist?{REPO}&redirect")
    assert (answer.status, answer.body, answer.headers) == (404, b"", ())


@pytest.mark.parametrize("compatibility", [None, "mirrormanager"])
def test_redirect_means_nothing_to_a_metalink(compatibility: str | None) -> None:
    assert one_mirror(compatibility).get(f"/metalink?{REPO}&redirect").kind is Kind.METALINK


def test_the_moment_of_the_pubdate_is_the_request_s(ours: Rig) -> None:
    body = ours.get(f"/metalink?{REPO}", now=NOW + 86_400).body
    assert b'pubdate="Tue, 22 Sep 2026 14:13:20 GMT"' in body
