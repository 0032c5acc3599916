"""Is a page well made? What a validator would say of our own pages, in a few rules."""

from __future__ import annotations

from collections import Counter
from html.parser import HTMLParser

VOID = {"meta", "link", "input", "br", "wbr", "hr", "img", "path", "circle", "rect", "polygon", "line", "polyline"}

NESTING = {
    "tr": {"thead", "tbody", "table"},
    "td": {"tr"},
    "th": {"tr"},
    "li": {"ul", "ol"},
    "dt": {"dl", "div"},
    "dd": {"dl", "div"},
    "option": {"select", "optgroup"},
    "caption": {"table"},
    "thead": {"table"},
    "tbody": {"table"},
    "summary": {"details"},
}
"""Element -> what it may stand in."""

INLINE = {"p", "span", "a", "label", "h1", "h2", "h3", "button", "dt", "summary"}
BLOCK = {"p", "div", "table", "ul", "ol", "dl", "form", "h1", "h2", "h3", "pre", "details", "section"}


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.ids: Counter[str] = Counter()
        self.labels: set[str] = set()
        self.inputs: list[dict[str, str | None]] = []
        self.counts: Counter[str] = Counter()
        self.problems: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        if len(told) != len(attrs):
            self.problems.append(f"{tag}: an attribute twice")
        self.counts[tag] += 1
        if tag in NESTING and (not self.open or self.open[-1] not in NESTING[tag]):
            self.problems.append(f"{tag} in {self.open[-1:]}")
        if tag in BLOCK and any(each in INLINE for each in self.open):
            self.problems.append(f"{tag} inside {self.open}")
        if "id" in told:
            self.ids[str(told["id"])] += 1
        if tag == "label" and told.get("for"):
            self.labels.add(str(told["for"]))
        if tag in ("input", "select", "textarea") and told.get("type") != "hidden":
            self.inputs.append(told)
        for name, value in attrs:
            if name.startswith("on") or name == "style":
                self.problems.append(f"{tag}: {name}")
            if name in ("href", "src", "action") and (value or "").strip().lower().startswith("javascript:"):
                self.problems.append(f"{tag}: {value}")
            if name in ("src",) and not (value or "").startswith("/"):
                self.problems.append(f"{tag}: loads {value}")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        if not self.open or self.open[-1] != tag:
            self.problems.append(f"</{tag}> closes {self.open[-1:]}")
            return
        self.open.pop()


def check_html(text: str) -> None:
    """Assert that *text* is a whole page: balanced, unique ids, fields with labels, one `h1`, no script."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    assert text.startswith("<!doctype html>") and 'lang="en"' in text
    assert not reader.open, reader.open
    assert reader.counts["script"] == 0 and reader.counts["style"] == 0 and reader.counts["iframe"] == 0
    assert reader.counts["h1"] == 1 and reader.counts["main"] == 1
    twice = [name for name, count in reader.ids.items() if count > 1]
    assert not twice, twice
    unlabelled = [each for each in reader.inputs if each.get("id") not in reader.labels and not each.get("aria-label")]
    assert not unlabelled, unlabelled
    assert reader.labels <= set(reader.ids), reader.labels - set(reader.ids)
    assert not reader.problems, reader.problems[:10]
