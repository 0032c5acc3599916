"""What those who enter a host, and those who decide about it, are shown beside what was typed."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path

import pytest

from redirector.cli.registering.publishing import keep_own_asns
from redirector.locate.geoip import GeoDatabase, Location
from redirector.locate.networks import load_asns
from redirector.locate.ranges import table_of_networks
from redirector.registry.edit import sites
from redirector.registry.hints import Tables, own_asns_of
from redirector.settings.joining import Join
from redirector.store.checks import put_check
from redirector.store.registry.rows import SiteRow
from redirector.web.whereabouts import LOOK_UP_S, Whereabouts, look_again
from tests.registry.conftest import registry
from tests.registry.rig import HOST, Registry
from tests.web.conftest import Api, serving
from tests.web.test_forms import logged_in

__all__ = ["registry"]

ADDRESSES = {
    "one.example.org": ["4.4.4.1", "2a04::1"],
    "two.example.org": ["4.4.8.1"],
    "far.example.org": ["5.5.5.1"],
}
JOIN = Join(text="Our export rules are here.", minimum_mbit=100, embargoed=("KP",))


async def resolve(name: str) -> Sequence[str]:
    if name not in ADDRESSES:
        raise OSError(-2, "Name or service not known")
    return ADDRESSES[name]


@dataclass
class Fixture:
    api: Api
    site: SiteRow
    owner: str
    chief: str

    async def host(self, **fields: object) -> int:
        """A new host of the owner's, with a URL under its name."""
        made = await self.api.ask("POST", f"/sites/{self.site.id}/hosts", self.owner, {**HOST, **fields})
        assert made.status == 201, await made.text()
        number = int((await made.json())["id"])
        await self.api.ask("POST", f"/hosts/{number}/categories", self.owner, {"category": "Example Linux"})
        return number

    async def url(self, host: int, url: str) -> None:
        body = {"category": "Example Linux", "url": url}
        assert (await self.api.ask("POST", f"/hosts/{host}/urls", self.owner, body)).status == 201

    async def asn(self, host: int, number: int) -> tuple[int, str]:
        answer = await self.api.ask("POST", f"/hosts/{host}/asns", self.owner, {"asn": number})
        return answer.status, (await answer.json())["state"]

    async def asns(self, host: int) -> dict[int, str]:
        rows = await (await self.api.ask("GET", f"/hosts/{host}/asns", self.owner)).json()
        return {row["asn"]: row["state"] for row in rows["items"]}


@pytest.fixture
async def located(registry: Registry, tmp_path: Path) -> AsyncIterator[Fixture]:
    (tmp_path / "asn.txt").write_text("4.4.0.0/16 3320\n2a04::/32 3320\n5.5.0.0/16 680\n")
    whereabouts = Whereabouts(asn=str(tmp_path / "asn.txt"), resolve=resolve)
    places = (Location(), Location("DE"), Location("KP"))
    table = table_of_networks([(ip_network("4.4.0.0/16"), 1), (ip_network("5.5.0.0/16"), 2)])
    geo = GeoDatabase("", places, table, 0, 0, "", "", False, ())
    await whereabouts.look([])
    whereabouts._tables = Tables(geo, load_asns(str(tmp_path / "asn.txt")))
    await registry.category()
    site = await registry.site(approved=False)
    await registry.owner("keeper", site)
    async with serving(registry, whereabouts=whereabouts, join=JOIN) as api:
        _, chief = await api.person("chief", admin=True)
        yield Fixture(api, site, await api.token("keeper"), chief)


async def test_the_as_of_a_host_s_own_addresses_needs_no_decision(located: Fixture) -> None:
    host = await located.host(name="one.example.org", own_asn=3320)
    await located.url(host, "https://one.example.org/linux/")
    assert await located.asns(host) == {3320: "approved"}
    assert await located.asn(host, 680) == (202, "waiting")
    other = await located.host(name="two.example.org")
    await located.url(other, "https://two.example.org/linux/")
    assert await located.asn(other, 3320) == (201, "approved")


async def test_addresses_elsewhere_prove_nothing(located: Fixture) -> None:
    host = await located.host(name="one.example.org")
    await located.url(host, "https://one.example.org/linux/")
    await located.url(host, "http://far.example.org/linux/")
    assert await located.asn(host, 680) == (202, "waiting")
    unknown = await located.host(name="nowhere.example.org")
    assert await located.asn(unknown, 3320) == (202, "waiting")


async def test_an_as_waits_again_when_the_urls_lead_elsewhere(located: Fixture) -> None:
    host = await located.host(name="one.example.org")
    await located.url(host, "http://far.example.org/linux/")
    assert await located.asn(host, 680) == (201, "approved")
    (url,) = (await (await located.api.ask("GET", f"/hosts/{host}/urls", located.owner)).json())["items"]
    gone = await located.api.ask("DELETE", f"/hosts/{host}/urls/{url['id']}", located.owner)
    assert gone.status == 204
    await located.url(host, "https://one.example.org/linux/")
    assert await located.asns(host) == {680: "waiting"}


async def test_an_as_waits_again_when_the_names_lead_elsewhere(
    located: Fixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What counts because somebody's addresses are in it counts for as long as they are; unknown names say nothing."""
    registry, hosts = located.api.registry, {}
    for name in ("one", "two"):
        hosts[name] = await located.host(name=f"{name}.example.org")
        await located.url(hosts[name], f"https://{name}.example.org/linux/")
        assert await located.asn(hosts[name], 3320) == (201, "approved")
    monkeypatch.setitem(ADDRESSES, "one.example.org", ["5.5.5.9"])
    monkeypatch.delitem(ADDRESSES, "two.example.org")
    whereabouts = Whereabouts(asn=str(tmp_path / "asn.txt"), resolve=resolve)
    found = await look_again(whereabouts, registry.store)
    assert found == {hosts["one"]: frozenset({680})}
    async with registry.change() as change:
        told = await keep_own_asns(change, found)
    assert told == ["host one.example.org: its addresses are not in AS 3320 any more, which waits for a decision"]
    assert await located.asns(hosts["one"]) == {3320: "waiting"} and await located.asns(hosts["two"]) == {
        3320: "approved"
    }
    assert await look_again(Whereabouts(), registry.store) == {}


async def test_reviewers_see_what_tables_say_beside_what_was_typed(located: Fixture) -> None:
    registry = located.api.registry
    host = await located.host(name="far.example.org", country="DE", bandwidth_mbit=50)
    await located.url(host, "https://far.example.org/linux/")
    rival = await registry.site(name="Rival")
    for number in range(2):
        listed = await registry.host(rival, name=f"listed{number}.example.org")
        await registry.carry(listed, "https://far.example.org/linux/" if not number else "https://x.example.org/")
    finding = ("https://far.example.org/linux/", "missing", "error", "what is missing is answered by 200")
    async with registry.store.write() as connection:
        await put_check(connection, host, registry.now, 3, "keeper", [finding])
    path = f"/sites/{located.site.id}/approval"
    told = await (await located.api.ask("GET", path, located.chief)).json()
    (found,) = told["hosts"]
    where = [{"name": "far.example.org", "address": "5.5.5.1", "country": "KP", "town": None, "asn": 680}]
    assert (found["addresses"], found["asns"], found["embargoed"]) == (where, [680], ["KP"])
    assert found["below_minimum"] is True
    assert [each["level"] for each in found["check"]["findings"]] == ["error"]
    assert found["coverage"] == {"country": "DE", "mirrors": 2, "listed": 2, "mbit": 2000}
    words = " ".join(found["warnings"])
    assert "KP" in words and "embargo" in words and "50 Mbit/s is less than the 100" in words and "5.5.5.1" in words
    duplicate = {"host": "far.example.org", "url": "https://far.example.org/linux/", "other": "listed0.example.org"}
    assert told["duplicates"] == [duplicate]
    own = await (await located.api.ask("GET", path, located.owner)).json()
    assert own["duplicates"] == [] and own["hosts"] == told["hosts"]
    assert (await located.api.ask("POST", path, located.owner, {"action": "ask"})).status == 200


async def test_pages_show_hints_and_the_rules_before_a_site_is_saved(located: Fixture) -> None:
    host = await located.host(name="one.example.org", country="FR", bandwidth_mbit=50)
    await located.url(host, "https://one.example.org/linux/")
    browser = await logged_in(located.api, "keeper")
    page = await browser.get("/sites/new")
    assert JOIN.text in page and "North Korea" in page
    page = await browser.get(f"/sites/{located.site.id}/hosts/new")
    assert "At least 100 Mbit/s" in page
    page = re.sub(r"\s+", " ", await browser.get(f"/hosts/{host}"))
    assert "AS 3320" in page and "is less than the 100 Mbit/s" in page and "4.4.4.1" in page
    chief = await logged_in(located.api, "chief", admin=True)
    page = re.sub(r"\s+", " ", await chief.get(f"/sites/{located.site.id}"))
    row = "4.4.4.1</td><td>Germany</td><td>not known</td><td>AS 3320"
    assert row in page and "0 of 0 mirrors listed" in page


async def test_names_that_do_not_answer_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "asn.txt").write_text("4.4.0.0/16 3320\n")
    asked: list[str] = []

    async def refuse(name: str) -> Sequence[str]:
        asked.append(name)
        if name.startswith("odd"):
            raise UnicodeError("label too long")
        raise TimeoutError

    whereabouts = Whereabouts(asn=str(tmp_path / "asn.txt"), resolve=refuse)
    for _ in range(2):
        assert await whereabouts.own_asns(["slow.example.org", "odd.example.org"]) == frozenset()
    assert asked == ["slow.example.org", "odd.example.org"] and LOOK_UP_S < 5
    assert await Whereabouts().own_asns(["one.example.org"]) is None
    gone = Whereabouts(asn=str(tmp_path / "gone"), resolve=resolve)
    assert await gone.own_asns(["one.example.org"]) == own_asns_of([])


async def test_only_who_may_decide_changes_what_waits(located: Fixture) -> None:
    host = await located.host(name="one.example.org")
    await located.url(host, "https://one.example.org/linux/")
    assert await located.asn(host, 680) == (202, "waiting")
    await located.api.registry.do(sites.decide_site, located.site.id, None, {"action": "approve"})
    assert await located.asns(host) == {680: "waiting"}
