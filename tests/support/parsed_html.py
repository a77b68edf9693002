"""Pages of HTML, as a browser takes them."""

from html.parser import HTMLParser


class Parsed(HTMLParser):
    """A page as a browser takes it: its elements, its text, and what is in its script and style."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.raw = {"script": "", "style": ""}
        self.text = ""
        self._within = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._within = tag

    def handle_endtag(self, tag: str) -> None:
        self._within = ""

    def handle_data(self, data: str) -> None:
        if self._within in self.raw:
            self.raw[self._within] += data
        else:
            self.text += data

    @property
    def skeleton(self) -> list[tuple[str, list[str]]]:
        return [(tag, list(attributes)) for tag, attributes in self.elements]

    def all(self, wanted: str, name: str) -> list[str | None]:
        """Return an attribute of all the elements with this tag that have it."""
        return [attributes[name] for tag, attributes in self.elements if tag == wanted and name in attributes]

    def one(self, wanted: str, name: str) -> str:
        (value,) = self.all(wanted, name)
        return value or ""
