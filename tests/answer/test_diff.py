"""What a change does to clients: the same clients ask before and after, and what is told of them is true."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from redirector.answer.compare.compare import compare
from redirector.answer.compare.difference import Difference, Example, HostShare
from redirector.answer.compare.shares import find_shares, tell_shares
from redirector.answer.compare.telling import as_markdown, as_text, tell
from redirector.cli.main import main
from redirector.locate.geoip import Location
from redirector.locate.places import countries, place_of_country
from redirector.model import Catalog, Choice, Place
from tests.answer.test_nearness import BERLIN, EDINBURGH, LONDON, MANCHESTER, PARIS, at
from tests.answer.trees import tree_of
from tests.real import COUNTRIES, GEOIP
from tests.rig import Mirror, catalog_of, mirror, snapshot_of

GEO = {
    "10.0.0.0/9": Location("GB", LONDON.latitude, LONDON.longitude),
    "10.128.0.0/10": Location("FR", PARIS.latitude, PARIS.longitude),
    "10.192.0.0/10": Location("DE", BERLIN.latitude, BERLIN.longitude),
}
HOSTS = (
    at("london-a", "GB", LONDON),
    at("london-b", "GB", LONDON),
    at("manchester", "GB", MANCHESTER),
    at("paris", "FR", PARIS),
    at("berlin", "DE", BERLIN),
)
COUNT = 4_000


def near_tree(*mirrors: Mirror, **fields: object) -> Catalog:
    return tree_of(*mirrors, choice=Choice.NEARNESS, **fields)


def difference_of(old: Catalog, new: Catalog, clients: dict[str, float] | None = None):  # type: ignore[no-untyped-def]
    return compare(snapshot_of(old, geo=GEO), snapshot_of(new, geo=GEO), COUNT, clients)


def test_nothing_moves_where_nothing_changes() -> None:
    found = difference_of(near_tree(*HOSTS), near_tree(*reversed(HOSTS)))
    assert (found.moved, found.added, found.removed, found.changed, found.examples) == (0.0, (), (), (), ())
    assert sum(share.before for share in found.shares) == pytest.approx(1.0)
    assert all(share.before == share.after for share in found.shares)


def test_clients_of_a_host_that_goes_move_and_nobody_else() -> None:
    found = difference_of(near_tree(*HOSTS), near_tree(*HOSTS[1:]))
    shares = {share.host: share for share in found.shares}
    assert found.removed == ("london-a",)
    assert found.moved == pytest.approx(shares["london-a"].before)
    assert shares["london-a"].after == 0.0 and found.shares[0].host in ("london-a", "london-b")
    by_country = {country.country: country for country in found.countries}
    assert by_country["FR"].moved == by_country["DE"].moved == 0.0 < by_country["GB"].moved
    assert by_country["GB"].km_before == pytest.approx(0.0, abs=1.0)
    assert found.examples[0].why == "london-a is gone"


def test_a_host_that_comes_goes_down_or_changes_is_named() -> None:
    new = (at("london-a", "GB", LONDON, up=False, down_reason="stale"), *HOSTS[1:4], at("dover", "GB", PARIS))
    found = difference_of(near_tree(*HOSTS), near_tree(*new))
    assert (found.added, found.removed, found.changed) == (("dover",), ("berlin",), ("london-a",))
    assert "up" in found.changes["london-a"]
    whys = {example.why for example in found.examples}
    assert {"london-a is down: stale", "berlin is gone"} <= whys


def test_clients_come_from_where_they_are_said_to() -> None:
    by_addresses = {
        each.country: each.clients for each in difference_of(near_tree(*HOSTS), near_tree(*HOSTS)).countries
    }
    assert by_addresses == {"GB": COUNT // 2, "FR": COUNT // 4, "DE": COUNT // 4}
    counted = difference_of(near_tree(*HOSTS), near_tree(*HOSTS), {"FR": 3.0, "DE": 1.0}).countries
    assert {each.country: each.clients for each in counted} == {"FR": 3 * COUNT // 4, "DE": COUNT // 4}


def test_capacity_is_the_share_of_the_bandwidth() -> None:
    tree = near_tree(at("thin", "GB", LONDON, bandwidth_mbit=1000), at("wide", "GB", LONDON, bandwidth_mbit=3000))
    assert {share.host: share.capacity for share in difference_of(tree, tree).shares} == {"thin": 0.25, "wide": 0.75}
    placeless = near_tree(*HOSTS, at("nowhere", None, None))
    capacities = {each.host: each.capacity for each in find_shares(snapshot_of(placeless, geo=GEO), count=100).hosts}
    assert capacities.pop("nowhere") == 0.0 and set(capacities.values()) == {1 / len(HOSTS)}


def test_where_a_source_lies_and_what_is_usual_in_it_is_no_change_of_a_host() -> None:
    old = near_tree(at("paris", "FR", PARIS, file="old/paris.yml", bandwidth_mbit=1, bandwidth_said=False), *HOSTS[:2])
    new = near_tree(
        at("paris", "FR", PARIS, file="new/paris.yml", bandwidth_mbit=900, bandwidth_said=False), *HOSTS[:2]
    )
    assert difference_of(old, new).changed == ()
    said = near_tree(at("paris", "FR", PARIS, bandwidth_mbit=900), *HOSTS[:2])
    assert difference_of(old, said).changes == {"paris": ("bandwidth_mbit",)}


def test_rules_and_snapshots_are_compared_too() -> None:
    by_distance = tree_of(*HOSTS, choice=Choice.DISTANCE)
    found = difference_of(by_distance, near_tree(*HOSTS))
    assert found.moved > 0 and found.changed == ()
    assert found.examples[0].why == "by nearness in place of distance"
    tiers = catalog_of([mirror("a", "GB"), mirror("b", "FR")])
    found = difference_of(tiers, tiers)
    assert found.moved == 0 and sum(share.after for share in found.shares) == pytest.approx(1.0)
    assert found.countries[0].km_after is None
    assert difference_of(tiers, near_tree(*HOSTS)).moved == 1.0


def test_nobody_anywhere_is_no_error() -> None:
    empty = near_tree()
    assert difference_of(empty, near_tree(*HOSTS)).moved == 1.0
    assert difference_of(empty, empty).moved == 0.0
    assert compare(snapshot_of(near_tree(*HOSTS), geo={}), snapshot_of(near_tree(*HOSTS[1:]), geo={}), COUNT).moved > 0


def test_names_are_no_marks_wherever_they_stand_in_markdown() -> None:
    name = "a[x](http://example.org)|<b>"
    share = HostShare(name, 0.5, 0.0, 0.5)
    example = Example("192.0.2.1", "DE", name, "", None, None, 1, f"{name} is gone")
    found = Difference(10, 0.5, None, None, (name,), (name,), (name,), (share,), (), (example,), {name: ("urls",)})
    assert "no farther" not in as_markdown(found)
    assert as_markdown(found).count("a\\[x\\](http://example.org)\\|\\<b\\>") == 6
    assert "[x](" not in as_markdown(found)


def test_it_is_told_in_words_tables_and_json() -> None:
    found = difference_of(near_tree(*HOSTS), near_tree(*HOSTS[1:], at("oxford|x", "GB", EDINBURGH)))
    text, comment = as_text(found), as_markdown(found)
    assert "1 gone: london-a" in text and "█" in text and "░" in text and tell(found.examples[0]) in text
    assert (
        "| london-a |" in comment and "<details>" in comment and all(line.isprintable() for line in comment.split("\n"))
    )
    told = json.loads(json.dumps(found.as_json()))
    assert told.keys() >= {"clients", "moved", "hosts", "shares", "countries"}
    assert told["hosts"] == {"added": ["oxford|x"], "removed": ["london-a"], "changed": []}
    assert told["shares"][0].keys() == {"host", "before", "after", "capacity"}
    assert told["countries"][0].keys() >= {"country", "moved", "km_before", "km_after"}
    assert len(found.examples) <= 10
    assert max(Counter((each.country, each.before, each.after) for each in found.examples).values()) == 1


TREE_CONFIG = """\
mirrors_dir: mirrors.d
versions: ["9"]
arches: {"9": [x86_64]}
repos: [{name: baseos, path: BaseOS/$basearch/os}]
"""


def test_a_host_that_lacks_something_now_moves_those_who_ask_for_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = write_tree(tmp_path / "tree", PLACES)
    (tmp_path / "tree" / "config.yml").write_text(TREE_CONFIG.replace('versions: ["9"]', 'versions: ["9", "10"]'))
    common = ["--geoip", str(GEOIP / "GeoLite2-Country-Test.mmdb"), "--sample", "2000", "--json"]
    fresh = {"checked": time.time(), "mirrors": {"a.example.org": {"versions": ["9"]}}}
    (tmp_path / "health.json").write_text(json.dumps(fresh))
    assert main(["diff", tree, "--new-health", str(tmp_path / "health.json"), *common]) == 0
    told = json.loads(capsys.readouterr().out)
    shares = {share["host"]: share for share in told["shares"]}
    assert told["hosts"]["changed"] == ["a.example.org"]
    assert shares["a.example.org"]["after"] == pytest.approx(shares["a.example.org"]["before"] / 2, abs=0.02)
    lacking = write_tree(tmp_path / "lacking", PLACES)
    with (tmp_path / "lacking" / "mirrors.d" / "a.example.org.yml").open("a") as file:
        file.write("lacking: ['9']\n")
    plain = write_tree(tmp_path / "plain", PLACES)
    assert main(["diff", plain, lacking, *common]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["hosts"]["changed"] == ["a.example.org"]
    assert {share["host"]: share["after"] for share in told["shares"]}["a.example.org"] == 0.0
    assert main(["check", "--source", lacking, *common[:2], "--shares", "--json"]) == 0
    hosts = {host["host"]: host["share"] for host in json.loads(capsys.readouterr().out)["shares"]["hosts"]}
    assert hosts["a.example.org"] == 0.0


def test_repositories_that_come_and_go_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = (write_tree(tmp_path / name, PLACES) for name in ("old", "new"))
    config = TREE_CONFIG.replace('["9"]', '["10"]') + "optional_module_versions: {kitten: ['10']}\n"
    (tmp_path / "new" / "config.yml").write_text(config)
    assert main(["diff", old, new, "--sample", "100"]) == 0
    said = capsys.readouterr().out
    assert "\n2 repositories new: baseos-10, baseos-10-kitten\n1 repository gone: baseos-9\n" in said
    assert main(["diff", new, old, "--sample", "100", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["repositories"]
    assert told == {"added": ["baseos-9"], "removed": ["baseos-10", "baseos-10-kitten"]}


@pytest.mark.parametrize("side", ["--health", "--new-health"])
@pytest.mark.parametrize(
    ("text", "said"),
    [(None, "No such file"), ("{", "no JSON"), ('{"checked": 5, "mirrors": {}}', "more than a day ago")],
    ids=["absent", "broken", "old"],
)
def test_a_health_file_that_is_not_believed_is_compared_with_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], side: str, text: str | None, said: str
) -> None:
    tree, health = write_tree(tmp_path / "tree", PLACES), tmp_path / "health.json"
    if text is not None:
        health.write_text(text)
    assert main(["diff", tree, "--new-choice", "distance", side, str(health)]) == 1
    assert said in capsys.readouterr().err


def test_a_factor_that_reads_the_same_is_no_reason() -> None:
    old = snapshot_of(near_tree(*HOSTS), geo=GEO)
    assert old.balance is not None
    names = [host.name for host in old.hosts]
    factors = np.where([name == "london-b" for name in names], 0.3, 0.1101), np.full(len(names), 0.1104)
    was, now = (replace(old, balance=replace(old.balance, factors=each)) for each in factors)
    told = {example.before: example.why for example in compare(was, now, COUNT).examples}
    assert told["london-b"] == "the factor on london-b is 0.11 in place of 0.3, so that it carries what it can"
    told = {example.before: example.why for example in compare(now, was, COUNT).examples}
    assert told["london-a"] == "others came or went, and shares with them"


def write_tree(folder: Path, names: dict[str, str]) -> str:
    (folder / "mirrors.d").mkdir(parents=True)
    (folder / "config.yml").write_text(TREE_CONFIG)
    for name, place in names.items():
        (folder / "mirrors.d" / f"{name}.yml").write_text(
            f"name: {name}\naddress: {{https: 'https://{name}/almalinux'}}\nupdate_frequency: 1h\n"
            f"sponsor: S\nsponsor_url: https://{name}\ngeolocation: {place}\n"
        )
    return str(folder)


PLACES = {"a.example.org": "{country: DE, city: Berlin}", "b.example.org": "{country: FR, city: Paris}"}


def test_the_command_prints_it_and_its_exit_code_heeds_what_may_move(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = write_tree(tmp_path / "old", PLACES)
    new = write_tree(tmp_path / "new", {**PLACES, "c.example.org": "{country: US, city: Chicago}"})
    common = ["--geoip", str(GEOIP / "GeoLite2-Country-Test.mmdb"), "--sample", "2000"]
    assert main(["diff", old, new, *common, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["clients"] == 2000 and told["hosts"]["added"] == ["c.example.org"] and told["moved"] > 0.3
    assert main(["diff", old, new, *common, "--max-moved", "0.1"]) == 1
    assert "1 new: c.example.org" in capsys.readouterr().out
    assert main(["diff", old, new, *common, "--max-moved", "1", "--markdown"]) == 0
    assert "### What this does to clients" in capsys.readouterr().out
    real = ["--geoip", str(COUNTRIES), "--sample", "2000"]
    clients = tmp_path / "clients.csv"
    clients.write_text("country,requests\nUS,9\nDE,1\n")
    assert main(["diff", old, "--new-choice", "distance", *real, "--clients", str(clients), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {row["country"]: row["clients"] for row in told["countries"]} == {"US": 1800, "DE": 200}
    health = tmp_path / "health.json"
    health.write_text(json.dumps({"checked": time.time(), "mirrors": {"a.example.org": {"up": False}}}))
    assert main(["diff", old, *common, "--new-health", str(health), "--new-share-limit", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["hosts"]["changed"] == ["a.example.org"]
    assert main(["diff", old, str(tmp_path / "nowhere"), *common]) == 1
    for wrong in ([], ["--new-choice", "nearest"], ["--max-moved", "2"], ["--sample", "0"], ["--json", "--markdown"]):
        assert main(["diff", old, *([new] if wrong[:1] != ["--new-choice"] and wrong else []), *wrong]) == 2, wrong
    assert main(["diff", old]) == 2


def test_what_each_host_carries_is_told_and_where_one_more_would_help() -> None:
    remote = {**GEO, "11.0.0.0/9": Location("NZ", -36.8, 174.8)}
    snapshot = snapshot_of(near_tree(*HOSTS), geo=remote)
    found = find_shares(snapshot, count=COUNT)
    assert sum(each.share for each in found.hosts) == pytest.approx(1.0)
    assert sum(each.capacity for each in found.hosts) == pytest.approx(1.0)
    by_name = {each.host: each for each in found.hosts}
    assert by_name["berlin"].countries[0][0] in ("DE", "NZ")
    assert found.worst[0].country == "NZ" and found.worst[0].km_median > 15_000
    assert found.wanted[0].country == "NZ" and found.wanted[0].saved_km > 1_000
    assert "one more mirror would help most" in tell_shares(found)
    json.dumps(found.as_json())


def test_all_countries_are_told_where_that_is_wished() -> None:
    codes = [country for country in sorted(countries()) if place_of_country(country)][:40]
    world = {f"12.{n}.0.0/16": Location(country) for n, country in enumerate(codes)}
    found = find_shares(snapshot_of(near_tree(*HOSTS), geo=world), count=COUNT)
    assert {each.country for each in found.worst} == set(codes)
    told, every = tell_shares(found), tell_shares(found, every=True)
    assert "20 more countries; --all shows each" in told and "more countries" not in every
    assert all(f"\n  {country}  " in every for country in codes)


def test_a_host_that_carries_too_much_alone_is_a_line_of_check() -> None:
    remote = {**GEO, "11.0.0.0/9": Location("NZ", -36.8, 174.8)}
    mirrors = [*(at(f"m{n}", "GB", LONDON) for n in range(30)), at("auckland", "NZ", Place(-36.8, 174.8))]
    lonely = snapshot_of(near_tree(*mirrors), geo=remote)
    (problem,) = [each for each in lonely.problems if each.key.startswith("share_limit")]
    assert problem.key == "share_limit auckland"
    assert "nearly alone for NZ" in problem.text
