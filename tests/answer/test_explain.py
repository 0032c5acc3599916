"""Why a client gets what it gets: for every kind of target, with its wishes, and the same hosts as in the answer."""

from __future__ import annotations

import json

import pytest

from redirector.answer.explain import Explanation, explain
from redirector.errors import QueryError
from tests.answer.trees import tree_rig
from tests.rig import NOW, Rig, mirror, rig

MIRRORS = (
    mirror("a", "DE", bandwidth_mbit=9000),
    mirror("b", "FR"),
    mirror("p", "DE", private=True, netblocks=["10.9.0.0/24"]),
)
LIST = "/mirrorlist?repo=fedora-40&arch=x86_64"
FILE = "/pub/linux/40/x86_64/os/repodata/repomd.xml"


def ask(served: Rig, target: str, client: str = "10.1.0.1") -> Explanation:
    return explain(served.responder, target, client, NOW)


def listed(explanation: Explanation) -> list[str]:
    return [verdict.host for verdict in explanation.hosts if verdict.rank is not None]


@pytest.mark.parametrize("served", [rig(*MIRRORS), tree_rig(*MIRRORS)], ids=["snapshot", "tree"])
@pytest.mark.parametrize("form", ["", "&format=json", "&format=apt", "&format=pacman", "&redirect=1"])
def test_every_host_is_there_once_the_listed_ones_in_the_answer_s_order(served: Rig, form: str) -> None:
    target = LIST if served.responder.snapshot.releases is None else "/mirrorlist/9/baseos?arch=x86_64"
    told = ask(served, target + form)
    assert sorted(verdict.host for verdict in told.hosts) == ["a", "b", "p"]
    assert listed(told) == ["a", "b"]
    places = [told.answer.find(f"//{host}/") for host in listed(told)]
    assert places == sorted(places) if form != "&redirect=1" else told.answer.startswith("https://a/")


@pytest.mark.parametrize(
    ("target", "lists", "status"),
    [
        (FILE, f"{FILE[1:].rpartition('/')[0]} ({FILE.removeprefix('/pub')})", 302),
        ("http://mirrors.example.org/pub/linux/40/x86_64/os/", "pub/linux/40/x86_64/os (/linux/40/x86_64/os/)", 302),
        (f"/metalink?path={FILE}&format=meta4", f"{FILE[1:].rpartition('/')[0]} ({FILE.removeprefix('/pub')})", 200),
    ],
)
def test_files_and_directories_are_explained(target: str, lists: str, status: int) -> None:
    told = ask(rig(*MIRRORS), target)
    assert (told.lists, told.status, listed(told)) == (lists, status, ["a", "b"])


def test_what_a_tree_has_besides_lists_is_explained() -> None:
    served = tree_rig(*MIRRORS)
    assert listed(ask(served, "/isolist/9/x86_64")) == ["a", "b"]
    assert ask(served, "/9/BaseOS/x86_64/os/Packages/x.rpm").answer.endswith("/9.8/BaseOS/x86_64/os/Packages/x.rpm")
    vault = ask(served, "/8.5/BaseOS/x86_64/os/x.rpm")
    assert (vault.hosts, vault.lists) == ((), "https://vault.example/almalinux/8.5/BaseOS/x86_64/os/x.rpm")


@pytest.mark.parametrize("target", ["/", "/nothing/there", "/mirrorlist?repo=none&arch=none", "/isolist/9/x86_64"])
def test_what_lists_nothing_cannot_be_explained(target: str) -> None:
    with pytest.raises(QueryError) as refusal:
        ask(rig(*MIRRORS), target)
    assert refusal.value.status == 404


@pytest.mark.parametrize(
    ("parameters", "wishes"),
    [
        ("", ()),
        ("&country=fr,de&protocol=http", ("country=de,fr", "protocol=http")),
        ("&exclude_host=X,a&exclude_country=us&limit=2", ("exclude_host=a,x", "exclude_country=US", "limit=2")),
        ("&netblock=0&ipv6=1", ("netblock=0", "ipv6=1")),
        ("&require=ipv4,https", ("protocol=https", "ipv4=1", "require=ipv4,protocol")),
        ("&ip=10.3.0.1", ("no private hosts: ip= comes from a stranger",)),
        ("&time=1&format=json", ()),
    ],
)
def test_wishes_are_told(parameters: str, wishes: tuple[str, ...]) -> None:
    told = ask(rig(*MIRRORS), LIST + parameters)
    assert told.wishes == wishes
    assert json.loads(told.as_json())["wishes"] == list(wishes)
    assert f"wishes    {', '.join(wishes) or 'none'}\n" in told.as_text()


def test_what_was_relaxed_is_told() -> None:
    told = ask(rig(*MIRRORS), f"{LIST}&country=zz")
    assert (told.wishes, told.relaxed) == (("country=zz",), ("country",))
    assert "relaxed   country\n" in told.as_text()


@pytest.mark.parametrize("target", ["http://[::1/x", "http://[v1.x]:80/", "//[/", "http://\udcff/"])
def test_a_target_that_is_no_url_is_said(target: str) -> None:
    with pytest.raises(QueryError):
        explain(rig(mirror("a.example", "DE")).responder, target, "10.1.0.1", 0.0)


def test_a_target_of_bytes_that_are_no_text_is_refused_as_it_is_for_clients() -> None:
    with pytest.raises(QueryError, match="UTF-8"):
        explain(rig(mirror("a.example", "DE")).responder, "/mirrorlist?x=\udcff", "10.1.0.1", 0.0)
