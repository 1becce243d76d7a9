"""What a page is made of, as a browser sees it."""

from __future__ import annotations

from html.parser import HTMLParser


class Outline(HTMLParser):
    """Ids, links within the page, addresses that a browser would fetch, and the text of each script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.inner: list[str] = []
        self.fetched: list[str] = []
        self.scripts: list[str] = []
        self._in_script = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_script = tag == "script"
        if self._in_script:
            self.scripts.append("")
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            elif name in ("href", "xlink:href") and (value or "").startswith("#"):
                self.inner.append((value or "")[1:])
            elif name == "src" or (name == "href" and tag != "a"):
                self.fetched.append(value or "")

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.scripts[-1] += data

    def handle_endtag(self, tag: str) -> None:
        self._in_script = False
