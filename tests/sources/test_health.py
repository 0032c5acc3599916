from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redirector.model import Catalog, Condition, Directory, HostId, HostSetId
from redirector.sources.health import Findings, Health, heed_health, parse_health, plain_base
from redirector.sources.problems import Report
from tests.rig import catalog_of, mirror
from tests.sources.tree import CONFIG, NOW, health_text, load, mirror_files

NAMES = {name: HostId(n) for n, name in enumerate("abcd")}
HOUR_S = 3600


def read(text: str | bytes, written: float = NOW) -> tuple[Findings | None, list[str]]:
    report = Report("health.json")
    raw = text if isinstance(text, bytes) else text.encode()
    findings = parse_health(report, raw, written, NOW, NAMES)
    return findings, [str(problem).removeprefix("health.json: ") for problem in report.problems]


def known(text: str, written: float = NOW) -> dict[str, Health]:
    findings, _ = read(text, written)
    names = {number: name for name, number in NAMES.items()}
    return {} if findings is None else {names[number]: health for number, health in findings.mirrors.items()}


def test_every_key_is_optional() -> None:
    entries = {
        "a": {},
        "b": {"up": False, "state": "stale", "since": 1_789_990_000, "reason": "TIME is\n14 h old", "lag_s": 5400},
        "c": {"up": True, "versions": ["9.8"], "ipv4": True, "ipv6": False, "lacking": ["/9.8/x/", ""], "checked": 1.5},
        "d": {"urls": {"http://d/": {"up": False, "reason": "refused"}, "https://d": {"up": True}, "rsync://d": {}}},
    }
    findings, problems = read(health_text(entries))
    assert problems == []
    assert findings is not None and findings.checked == NOW
    assert [findings.mirrors[HostId(n)] for n in range(4)] == [
        Health(),
        Health(up=False, condition=Condition("stale", 1_789_990_000, "TIME is 14 h old", None, 5400)),
        Health(
            up=True,
            condition=Condition(checked=1.5),
            versions=frozenset({"9.8"}),
            lacking=frozenset({"9.8/x"}),
            ipv4=True,
            ipv6=False,
        ),
        Health(dead=frozenset({"http://d"})),
    ]
    assert read("{}") == (Findings(NOW, {}), [])


@pytest.mark.parametrize("age_s", [0, 24 * HOUR_S, -60])
def test_a_file_of_the_last_day_is_believed(age_s: int) -> None:
    assert known(health_text({"a": {"up": False}}, NOW - age_s))["a"].up is False


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (health_text({"a": {}}, NOW - 24 * HOUR_S - 1), "checked: 2026-09-20 14:13 UTC is more than a day ago"),
        (health_text({"a": {}}, NOW + 3 * HOUR_S), "checked: 2026-09-21 17:13 UTC is in the future"),
        (health_text({"a": {}}, 1e300), "checked: 1e+300 is in the future"),
        ('{"checked": "now", "mirrors": {}}', "checked: 'now' is no time"),
        ('{"checked": true}', "checked: True is no time"),
        ("[]", "mirrors: no object of mirrors"),
        ('{"mirrors": []}', "mirrors: no object of mirrors"),
        ("{", "file: no JSON"),
        (b"\xff", "file: no JSON"),
        ("[" * 100_000, "file: no JSON"),
        (health_text({name: {"up": False} for name in "abc"}), "mirrors: 3 of 4 mirrors down is not believable"),
    ],
)
def test_a_file_that_is_old_or_not_believable_is_ignored_with_a_warning(text: str | bytes, problem: str) -> None:
    findings, problems = read(text)
    assert findings is None
    assert len(problems) == 1
    assert problems[0].startswith(problem) and problems[0].endswith("health is ignored")


def test_half_of_the_mirrors_may_be_down() -> None:
    text = health_text({"a": {"up": False}, "b": {"up": False}})
    assert read(text)[1] == []
    assert [name for name, health in known(text).items() if health.up is False] == ["a", "b"]


def test_without_checked_the_time_of_the_file_counts() -> None:
    text = json.dumps({"mirrors": {"a": {"up": False}}})
    assert known(text, NOW - HOUR_S)["a"].up is False
    assert read(text, NOW - 25 * HOUR_S)[0] is None


def test_wrong_entries_are_left_out_and_named() -> None:
    entries = {"a": [], "b": {"up": "no", "versions": "9.8", "ipv6": 1, "since": "x"}, "z": {"up": False}}
    entries |= {"c": {"lacking": "x", "urls": {"http://c/": 1}, "lag_s": "1"}, "d": {"urls": []}}
    text = health_text(entries)
    assert known(text) == {name: Health() for name in "abcd"}
    assert read(text)[1] == [
        "mirrors: no such mirror: z: left out",
        "mirrors.a: [] is no object: left out",
        "mirrors.b.since: 'x' is no time: left out",
        "mirrors.b.versions: '9.8' is no list of texts: left out",
        "mirrors.b.up: 'no' is no boolean: left out",
        "mirrors.b.ipv6: 1 is no boolean: left out",
        "mirrors.c.lag_s: '1' is no number: left out",
        "mirrors.c.lacking: 'x' is no list of texts: left out",
        "mirrors.c.urls: 'http://c/': 1 is no object: left out",
        "mirrors.d.urls: [] is no object of URLs: left out",
    ]


ENTRY = st.dictionaries(
    st.sampled_from(["up", "since", "reason", "versions", "ipv4", "lacking", "urls", "state", "lag_s", "checked"]),
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=3)
    | st.lists(st.text(max_size=3), max_size=2),
)


@given(st.dictionaries(st.sampled_from("abcdz"), ENTRY))
def test_any_entries_are_read_or_reported(entries: dict[str, object]) -> None:
    text = health_text(entries)
    _, problems = read(text)
    assert set(known(text)) <= set(NAMES)
    assert all("\n" not in problem for problem in problems)


# What follows for a catalog


def heed(folder: Path, catalog: Catalog, entries: dict[str, object], checked: float = NOW) -> Catalog:
    path = folder / "health.json"
    path.write_text(health_text(entries, checked))
    os.utime(path, (checked, checked))
    return heed_health(catalog, str(path), NOW)


def snapshot_catalog() -> Catalog:
    """Three hosts of a snapshot, with the ids 17 to 19."""
    catalog = catalog_of([mirror(name, "DE", f"http://{name}/pub", f"https://{name}/pub") for name in "abc"])
    hosts = tuple(replace(host, key=str(17 + n)) for n, host in enumerate(catalog.hosts))
    return replace(catalog, hosts=hosts)


def test_hosts_of_a_snapshot_are_called_by_their_ids_or_by_the_names_that_check_prints(tmp_path: Path) -> None:
    found = heed(tmp_path, snapshot_catalog(), {"17": {"up": False, "reason": "refused"}, "b": {"ipv6": True}, "1": {}})
    assert [(host.up, host.down_reason, host.ipv6) for host in found.hosts] == [
        (False, "refused", None),
        (True, "", True),
        (True, "", None),
    ]
    assert (found.health, found.health_checked) == (str(tmp_path / "health.json"), NOW)
    assert found.inputs == (found.health,)
    assert [problem.text for problem in found.problems] == ["no such mirror: 1: left out"]


def test_who_lacks_a_directory_is_left_out_of_it_and_of_all_below_alone(tmp_path: Path) -> None:
    os_, other = "pub/linux/40/x86_64/os", "pub/linux/41"
    catalog = snapshot_catalog()
    catalog = replace(catalog, directories={**catalog.directories, other: Directory(HostSetId(0), cut=4)})
    found = heed(tmp_path, catalog, {"17": {"lacking": [os_]}, "18": {"lacking": [f"{os_}/repodata", "pub/lin"]}})

    def carriers(name: str) -> list[str]:
        return [found.hosts[host].name for host in found.host_sets[found.directories[name].host_set].urls]

    assert carriers(other) == ["a", "b", "c"]
    assert carriers(os_) == ["b", "c"]
    assert carriers(f"{os_}/repodata") == ["c"]
    without = found.host_sets[found.directories[f"{os_}/repodata"].host_set]
    assert (without.public, without.by_country, without.lacking) == ((2,), {"DE": (2,)}, (0, 1))
    assert found.problems == ()


def test_nobody_is_left_out_where_nobody_would_be_left(tmp_path: Path) -> None:
    catalog = snapshot_catalog()
    found = heed(
        tmp_path, catalog, {key: {"lacking": ["pub/linux/40/x86_64/os/repodata"]} for key in ("17", "18", "19")}
    )
    assert found.directories == catalog.directories
    assert [problem.text for problem in found.problems] == [
        "nobody would have pub/linux/40/x86_64/os/repodata: not believed of these"
    ]


def test_a_dead_url_is_not_given_and_a_host_without_others_is_down(tmp_path: Path) -> None:
    dead = {"up": False}
    urls = {"a": {"HTTP://A/pub/": dead}, "b": {"http://b/pub/": dead, "https://b/pub": dead}, "c": {"http://c/": dead}}
    found = heed(tmp_path, snapshot_catalog(), {name: {"urls": said} for name, said in urls.items()})
    (carriers,) = found.host_sets
    assert carriers.urls == {
        0: ("https://a/pub",),
        1: ("http://b/pub", "https://b/pub"),
        2: ("http://c/pub", "https://c/pub"),
    }
    assert [host.down_reason for host in found.hosts] == ["", "none of its URLs works", ""]


def test_what_the_checker_does_not_say_stays_as_the_source_has_it(tmp_path: Path) -> None:
    catalog = snapshot_catalog()
    own = replace(catalog.hosts[0], up=False, down_reason="stale", ipv4=True, condition=Condition("stale"))
    catalog = replace(catalog, hosts=(own, *catalog.hosts[1:]))
    assert heed(tmp_path, catalog, {"17": {}}).hosts[0] == own
    back = heed(tmp_path, catalog, {"17": {"up": True, "state": "ok"}}).hosts[0]
    assert (back.up, back.down_reason, back.ipv4, back.condition) == (True, "", True, Condition("ok"))


def test_after_a_day_nothing_of_it_is_left(tmp_path: Path) -> None:
    catalog = snapshot_catalog()
    found = heed(tmp_path, catalog, {"17": {"up": False}}, NOW - 24 * HOUR_S - 60)
    assert (found.hosts, found.health_checked) == (catalog.hosts, None)


def test_in_a_tree_directories_are_named_below_the_base_in_any_of_their_names(tmp_path: Path) -> None:
    entries = {"a": {"lacking": ["9/BaseOS/aarch64/os"]}, "b": {"lacking": ["9.8/BaseOS/x86_64/os/repodata"]}}
    files = {**mirror_files("a", "b", "c"), "health.json": health_text(entries)}
    catalog = load(tmp_path, files, CONFIG + "health: health.json\n")

    def carriers(name: str) -> list[str]:
        return [catalog.hosts[host].name for host in catalog.host_sets[catalog.directories[name].host_set].urls]

    assert carriers("9/BaseOS/aarch64/os") == carriers("9.8/BaseOS/aarch64/os/repodata") == ["b", "c"]
    assert carriers("9/BaseOS/x86_64/os") == carriers("9.8/isos/aarch64") == ["a", "b", "c"]
    assert carriers("9/BaseOS/x86_64/os/repodata") == ["a", "c"]
    assert carriers("9/BaseOS/$basearch/os") == ["b", "c"]


def test_two_spellings_of_a_base_url_are_one() -> None:
    assert plain_base("HTTPS://Mirror.Example.ORG/Pub/") == plain_base("https://mirror.example.org/Pub")
    assert plain_base("http://[::1/") == "http://[::1/"
