"""Pages of HTML as tests look at them."""

from __future__ import annotations

from collections import Counter
from html.parser import HTMLParser

VOID = ("meta", "link", "br", "img", "input", "hr")


class Page(HTMLParser):
    """The elements, the text and the ids of a page, which must be nested properly.

    Attributes:
        elements: (tag, attributes) in order.
        text: of the page, without styles and scripts.
        ids: how often each occurs.
    """

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []
        self.ids = Counter(attributes["id"] for _, attributes in self.elements if "id" in attributes)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        """The attributes of all elements of a kind."""
        return [attributes for each, attributes in self.elements if each == tag]


def check_page(page: str, neighbours: tuple[str, ...] = ()) -> Page:
    """Check what every page of an evaluation promises, and return it.

    Args:
        page: HTML.
        neighbours: files that it may link to.
    """
    parsed = Page(page)
    assert page.startswith("<!doctype html>")
    for tag, attributes in parsed.elements:
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            place = attributes.get(name, "")
            assert place in neighbours or not place or place.startswith(("data:", "#")), f"<{tag} {name}={place[:60]}>"
        assert not [name for name in attributes if name.startswith("on")], f"<{tag}> has an event handler"
        assert tag not in ("iframe", "object", "embed", "base", "form")
        if tag == "svg":
            assert attributes.get("aria-hidden") or attributes.get("aria-label")
        if tag == "th":
            assert attributes["scope"] in ("row", "col", "rowgroup")
        if tag == "audio":
            assert attributes["aria-label"]
    assert "url(" not in page
    assert "@import" not in page
    assert all(count == 1 for count in parsed.ids.values())
    used = {attributes["href"][1:] for tag, attributes in parsed.elements if tag == "use"}
    assert used <= set(parsed.ids)
    assert (
        len(parsed.all("h1")) == len(parsed.all("title")) == len(parsed.all("script")) == len(parsed.all("main")) == 1
    )
    assert any(each.get("name") == "viewport" for each in parsed.all("meta"))
    for number in ("-0.00", "\N{MINUS SIGN}0.00 ", " nan", " inf", "None"):
        assert number not in parsed.text, number
    return parsed
