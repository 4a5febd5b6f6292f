"""Engraved music inside a page, by Verovio where it is installed, and MusicXML packed to a tenth."""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from io import BytesIO
from xml.etree import ElementTree

SVG = "http://www.w3.org/2000/svg"
SHAPES = ("svg", "g", "path", "use", "rect", "polygon", "polyline", "ellipse", "circle", "line", "text", "tspan")
GEOMETRY = ("viewBox", "transform", "d", "points", "x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "r", "rx", "ry")
ATTRIBUTES = {*GEOMETRY, "dx", "dy", "width", "height", "href", "text-anchor"}
ATTRIBUTES |= {f"stroke-{each}" for each in ("width", "linecap", "linejoin", "dasharray", "opacity")}
ATTRIBUTES |= {"font-size", "font-style", "font-weight", "fill-opacity"}
HIDDEN = ("tempo", "mNum")  # classes of groups that the page says in words
OPTIONS = {
    "adjustPageHeight": True, "breaks": "auto", "footer": "none", "header": "none", "mnumInterval": 0,
    "pageHeight": 60_000, "pageMarginBottom": 20, "pageMarginLeft": 20, "pageMarginRight": 20, "pageMarginTop": 20,
    "pageWidth": 2100,
    "minLastJustification": 0.0, "scale": 40, "svgViewBox": True, "svgRemoveXlink": True,
}  # fmt: skip  # Verovio's own names, in tenths of millimetres
INSTALL = 'Engraved bars need Verovio: pip install "toccata[report]", then evaluate again.'
MAX_MUSICXML_BYTES = 2 * 2**20  # longer pieces have no engraved bars
CONTAINER = (
    '<?xml version="1.0" encoding="UTF-8"?><container><rootfiles><rootfile full-path="score.musicxml" '
    'media-type="application/vnd.recordare.musicxml+xml"/></rootfiles></container>'
)


def has_verovio() -> bool:
    """Whether the optional package is installed."""
    return find_spec("verovio") is not None


class Engraver:
    """Engraves the first bars of pieces; their glyphs are defined once in a page.

    Attributes:
        glyphs: SVG of each glyph by its id in the page.
    """

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of SWIG, by which Verovio is wrapped
            import verovio
        verovio.enableLog(verovio.LOG_OFF)
        self.toolkit = verovio.toolkit()
        self.toolkit.setOptions(OPTIONS)
        self.glyphs: dict[str, str] = {}

    def engrave(self, musicxml: bytes, bars: int) -> tuple[str, int]:
        """The first bars on one line, as SVG in the colour of the text without ids, styles and scripts.

        Args:
            musicxml: of the piece.
            bars: greatest number, of which as many are engraved as a line holds.

        Returns:
            SVG, and how many bars it shows; empty and 0 where that fails.
        """
        text = musicxml.decode("utf-8", "replace")
        while bars:
            self.toolkit.select({"measureRange": f"1-{bars}"})
            if not self.toolkit.loadData(text) or not self.toolkit.getPageCount():
                return "", 0
            root = ElementTree.fromstring(self.toolkit.renderToSVG(1))
            if bars == 1 or len(root.findall(f".//{{{SVG}}}g[@class='system']")) == 1:
                return self._for_page(root), bars
            bars //= 2
        return "", 0

    def definitions(self) -> str:
        """The glyphs of all engraved pieces, hidden, to be placed once in the page."""
        symbols = "".join(f'<g id="{name}">{shape}</g>' for name, shape in self.glyphs.items())
        return f'<svg class="hidden" aria-hidden="true"><defs>{symbols}</defs></svg>' if symbols else ""

    def _for_page(self, root: ElementTree.Element) -> str:
        """The SVG with its glyphs moved to `glyphs`, and without what could clash with the page."""
        names: dict[str, str] = {}
        by_shape = {shape: name for name, shape in self.glyphs.items()}
        for symbol in root.iterfind(f"{{{SVG}}}defs/*[@id]"):
            shape = "".join(_plain(child, names.get) for child in symbol)
            name = by_shape.setdefault(shape, f"glyph-{len(by_shape)}")
            self.glyphs[name] = shape
            names[f"#{symbol.get('id')}"] = f"#{name}"
        return _plain(root, names.get)


def _plain(element: ElementTree.Element, name_of: Callable[[str], str | None]) -> str:
    """An element as SVG, of known shapes and attributes only; references are renamed."""
    tag = str(element.tag).removeprefix(f"{{{SVG}}}")
    if tag not in SHAPES or element.get("class") in HIDDEN:
        return ""
    attributes = {name: value for name, value in element.attrib.items() if name in ATTRIBUTES}
    if "href" in attributes:
        attributes["href"] = name_of(attributes["href"]) or "#"
    children = "".join(_plain(child, name_of) for child in element)
    if tag == "g" and not children:
        return ""
    if tag == "g" and not attributes:
        return children
    if tag == "svg" and "viewBox" in attributes:
        attributes.pop("width", None)
        attributes.pop("height", None)
        attributes["aria-hidden"] = "true"
    made = ElementTree.Element(tag, attributes)
    made.text = "\0"  # where the children are to be
    text = (element.text or "").strip() if tag in ("text", "tspan") else ""
    begin, _, end = ElementTree.tostring(made, encoding="unicode").partition("\0")
    inner = (_escaped(text) + children) if text else children
    return f"{begin}{inner}{end}" if inner else re.sub(r">$", "/>", begin)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def packed_musicxml(musicxml: bytes) -> bytes:
    """A MusicXML file as a packed one (.mxl), with the same bytes for the same file."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in (("META-INF/container.xml", CONTAINER.encode()), ("score.musicxml", musicxml)):
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()
