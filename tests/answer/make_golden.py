"""Write the golden files anew: `python -m tests.answer.make_golden`. What changes in them, clients will see."""

from __future__ import annotations

from pathlib import Path

from redirector.answer.answer import Answer
from redirector.model import Host, Place
from tests.answer.trees import tree_of
from tests.rig import Mirror, Rig, mirror, rig, rig_of

FOLDER = Path(__file__).with_name("golden")

MANAGER = (
    mirror("campus.example", "DE", netblocks=("10.1.64.0/18",), private=True),
    mirror("a.de.example", "DE", bandwidth_mbit=10_000),
    mirror("b.de.example", "DE", "http://b.de.example/fedora", "rsync://b.de.example/fedora", bandwidth_mbit=1000),
    mirror("c.de.example", "DE", "https://c.de.example:8443/x&y", bandwidth_mbit=100),
    mirror("a.fr.example", "FR", "ftp://a.fr.example/pub", "http://a.fr.example/pub", asns=(64496,)),
    mirror("a.us.example", "US", "https://a.us.example/pub", bandwidth_mbit=5000),
    mirror("a.nowhere.example", None),
)
TREE = (
    mirror("london.example", "GB", place=Place(51.5, -0.1)),
    mirror("berlin.example", "DE", place=Place(52.5, 13.4)),
    mirror("munich.example", "DE", place=Place(48.1, 11.6)),
    mirror("campus.example", "DE", private=True, netblocks=("10.1.64.0/18",)),
    mirror("paris.example", "FR", place=Place(48.9, 2.4)),
    Mirror(Host("origin.example", origin=True), ("https://origin.example/almalinux",)),
)

REPO = "repo=fedora-40&arch=x86_64"

CASES = {
    "mirrorlist.txt": ("manager", f"/mirrorlist?{REPO}", "10.1.0.1"),
    "mirrorlist-campus.txt": ("manager", f"/mirrorlist?{REPO}", "10.1.64.1"),
    "mirrorlist-wishes.txt": ("manager", f"/mirrorlist?{REPO}&country=fr,us&protocol=http,https&time", "10.1.0.1"),
    "mirrorlist-file.txt": ("manager", "/mirrorlist?path=pub/linux/40/x86_64/os/a%20b.iso", "10.2.0.1"),
    "metalink.xml": ("manager", f"/metalink?{REPO}", "10.1.64.1"),
    "unknown.txt": ("manager", "/mirrorlist?repo=fedora-4&arch=i386", "10.1.0.1"),
    "today-mirrorlist.txt": ("today", f"/mirrorlist?{REPO}", "10.1.64.1"),
    "today-metalink.xml": ("today", f"/metalink?{REPO}&protocol=https", "10.1.64.1"),
    "today-unknown.xml": ("today", "/metalink?repo=fedora-4&arch=i386", "10.1.0.1"),
    "tree-mirrorlist.txt": ("tree", "/mirrorlist/9/baseos", "10.1.0.1"),
    "tree-mirrorlist-campus.txt": ("tree", "/mirrorlist?repo=baseos-9&arch=x86_64", "10.1.64.1"),
    "tree-metalink.xml": ("tree", "/metalink?repo=baseos-9&arch=x86_64", "10.2.0.1"),
    "tree-vault.txt": ("tree", "/mirrorlist/8.5/baseos?arch=aarch64", "10.1.0.1"),
    "tree-isolist.json": ("tree", "/isolist/9/x86_64", "10.1.0.1"),
}
"""File -> the server, the target, and the client's address."""


def rigs() -> dict[str, Rig]:
    return {
        "manager": rig(*MANAGER),
        "today": rig(*MANAGER, compatibility="mirrormanager"),
        "tree": rig_of(tree_of(*TREE)),
    }


def render(answer: Answer) -> bytes:
    """Status, headers and body, as they go over the wire."""
    headers = [("Content-Type", answer.content_type), *answer.headers]
    lines = [str(answer.status), *(f"{name}: {value}" for name, value in headers)]
    return "\n".join([*lines, "", ""]).encode() + answer.body


def golden() -> dict[str, bytes]:
    """What the files should hold."""
    served = rigs()
    return {name: render(served[server].get(target, client)) for name, (server, target, client) in CASES.items()}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, content in golden().items():
        (FOLDER / name).write_bytes(content)
