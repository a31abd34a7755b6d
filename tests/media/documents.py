"""PDF documents that are right, and documents that mean harm, each written by hand."""

from __future__ import annotations

import zlib
from collections.abc import Callable

SCRIPT = b"<</Type/Action/S/JavaScript/JS(while(true){app.alert(1)})>>"
ANSWERS = b"0 0 1 rg 5 5 20 10 re f"


def pdf(objects: dict[int, bytes], trailer: bytes = b"") -> bytes:
    """Return a PDF of these objects; 1 is the catalog."""
    out = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    places = {}
    for number, body in sorted(objects.items()):
        places[number] = len(out)
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    start, size = len(out), max(objects) + 1
    out += b"xref\n0 %d\n0000000000 65535 f \n" % size
    for number in range(1, size):
        out += b"%010d 00000 n \n" % places[number] if number in places else b"0000000000 00000 f \n"
    out += b"trailer\n<</Size %d/Root 1 0 R%b>>\nstartxref\n%d\n%%%%EOF\n" % (size, trailer, start)
    return bytes(out)


def stream(data: bytes, entries: bytes = b"") -> bytes:
    """Return a stream object."""
    return b"<</Length %d%b>>stream\n%b\nendstream" % (len(data), entries, data)


def shade(number: int) -> tuple[float, float, float]:
    """Return the colour of page `number` (from 1), which no other of the first 200 has."""
    return number % 16 / 16, number // 16 / 16, 0.5


def document(
    pages: int = 1, size: tuple[float, float] = (144, 72), *, catalog: bytes = b"", page: bytes = b""
) -> bytes:
    """Return a document of pages in points, each all of its own `shade` but for a white corner."""
    objects = {1: b"<</Type/Catalog/Pages 2 0 R%b>>" % catalog}
    kids = b" ".join(b"%d 0 R" % (3 + 2 * n) for n in range(pages))
    objects[2] = b"<</Type/Pages/Kids[%b]/Count %d>>" % (kids, pages)
    for n in range(pages):
        box = b"%g %g" % size
        objects[3 + 2 * n] = (
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 %b]/Resources<<>>/Contents %d 0 R%b>>"
            % (box, 4 + 2 * n, page)
        )
        red, green, blue = shade(n + 1)
        objects[4 + 2 * n] = stream(b"%g %g %g rg 10 0 %b re f" % (red, green, blue, box))
    return pdf(objects)


def drawn_by(content: bytes, resources: bytes = b"", more: dict[int, bytes] | None = None) -> bytes:
    """Return a document of one page with this content."""
    objects = {
        1: b"<</Type/Catalog/Pages 2 0 R>>",
        2: b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        3: b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 72 72]/Resources<<%b>>/Contents 4 0 R>>" % resources,
        4: stream(content),
    }
    return pdf(objects | (more or {}))


def filled_form() -> bytes:
    """Return a page with a field whose filled-in look is a blue box."""
    look = stream(ANSWERS, b"/Type/XObject/Subtype/Form/BBox[0 0 40 20]/Resources<<>>")
    field = b"<</Type/Annot/Subtype/Widget/FT/Tx/T(a)/V(x)/Rect[10 10 50 30]/F 4/P 3 0 R/AP<</N 6 0 R>>>>"
    return pdf(
        {
            1: b"<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[5 0 R]>>>>",
            2: b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
            3: b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 72 72]/Resources<<>>/Contents 4 0 R/Annots[5 0 R]>>",
            4: stream(b""),
            5: field,
            6: look,
        }
    )


def photo() -> bytes:
    """Return a page that is one picture of many colours."""
    side = 32
    pixels = bytes(value for y in range(side) for x in range(side) for value in (8 * x, 8 * y, 4 * (x + y)))
    picture = stream(
        pixels, b"/Type/XObject/Subtype/Image/Width 32/Height 32/BitsPerComponent 8/ColorSpace/DeviceRGB"
    )
    return drawn_by(b"72 0 0 72 0 0 cm /P Do", b"/XObject<</P 5 0 R>>", {5: picture})


def encrypted() -> bytes:
    """Return a document for which a password is needed: its checks fit no password."""
    plain = document()
    cut = plain.rindex(b"trailer")
    lock = b"/Encrypt<</Filter/Standard/V 2/R 3/Length 128/P -44/O<%b>/U<%b>>>/ID[<00><00>]" % (
        b"41" * 32,
        b"42" * 32,
    )
    return plain[:cut] + plain[cut:].replace(b">>\nstartxref", lock + b">>\nstartxref")


def claims(count: int) -> bytes:
    """Return a document of one page that claims more."""
    return document().replace(b"/Count 1", b"/Count %d" % count)


def tree_of_itself() -> bytes:
    """Return a document whose page tree has itself as a branch."""
    return pdf(
        {1: b"<</Type/Catalog/Pages 2 0 R>>", 2: b"<</Type/Pages/Kids[2 0 R 2 0 R]/Count 2/Parent 2 0 R>>"}
    )


def form_of_itself() -> bytes:
    """Return a page that shows a form that shows itself, twice."""
    form = stream(
        b"/F Do /F Do", b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</F 5 0 R>>>>"
    )
    return drawn_by(b"/F Do", b"/XObject<</F 5 0 R>>", {5: form})


def forms_doubling(depth: int) -> bytes:
    """Return a page whose content doubles `depth` times: a few kilobytes, 2^depth rectangles."""
    forms = {
        5 + n: stream(
            b"/F Do /F Do",
            b"/Type/XObject/Subtype/Form/BBox[0 0 72 72]/Resources<</XObject<</F %d 0 R>>>>" % (6 + n),
        )
        for n in range(depth)
    }
    last = stream(b"0 0 72 72 re f", b"/Type/XObject/Subtype/Form/BBox[0 0 72 72]/Resources<<>>")
    return drawn_by(b"/F Do", b"/XObject<</F 5 0 R>>", forms | {5 + depth: last})


def huge_picture() -> bytes:
    """Return a page with a picture of 40,000 x 40,000 that unpacks to zeros."""
    packer = zlib.compressobj(9)
    zeros = b"\0" * (1 << 20)
    data = b"".join([*(packer.compress(zeros) for _ in range(200)), packer.flush()])
    picture = stream(
        data,
        b"/Type/XObject/Subtype/Image/Width 40000/Height 40000/BitsPerComponent 8/ColorSpace/DeviceRGB/Filter/FlateDecode",
    )
    return drawn_by(b"72 0 0 72 0 0 cm /P Do", b"/XObject<</P 5 0 R>>", {5: picture})


def packed_bomb() -> bytes:
    """Return a page whose content unpacks to gigabytes, packed twice."""
    once = zlib.compress(b" " * 200_000_000, 9)
    return drawn_by(b"").replace(
        stream(b""), stream(zlib.compress(once, 9), b"/Filter[/FlateDecode/FlateDecode]")
    )


def linked_xref() -> bytes:
    """Return a document whose table of places says that the one before it is itself."""
    plain = document()
    start = plain[plain.rindex(b"startxref") :].split()[1]
    return plain.replace(b"/Root 1 0 R", b"/Root 1 0 R/Prev " + start)


def cut(data: bytes, share: float) -> bytes:
    return data[: int(len(data) * share)]


HOSTILE_DOCUMENTS: dict[str, tuple[Callable[[], bytes], str]] = {
    "page of 100,000 x 100,000 points": (lambda: document(size=(1e5, 1e5)), "too_large"),
    "10,000 pages": (lambda: document(10_000), "too_large"),
    "cut in half": (lambda: cut(document(20), 0.5), "invalid"),
    "cut by a little": (lambda: document(20)[:-6], "invalid"),
    "cut in its first line": (lambda: b"%PDF-1.7", "invalid"),
    "encrypted": (encrypted, "unsupported"),
    "empty": (lambda: b"", "invalid"),
    "two lines": (lambda: b"%PDF-1.7\n%%EOF\n", "invalid"),
    "no pages": (lambda: document(0), "invalid"),
    "a page tree of itself": (tree_of_itself, "invalid"),
    "a program": (lambda: b"\x7fELF" + b"\0" * 5000, "invalid"),
}
"""Name to bytes that must be refused when the whole document is asked for, and how the code ends."""

ODD_DOCUMENTS: dict[str, Callable[[], bytes]] = {
    "script that loops when opened": lambda: document(catalog=b"/OpenAction" + SCRIPT),
    "script that loops when its page is shown": lambda: document(page=b"/AA<</O%b>>" % SCRIPT),
    "address to open": lambda: document(catalog=b"/OpenAction<</S/URI/URI(http://127.0.0.1:{port}/)>>"),
    "program to start": lambda: document(catalog=b"/OpenAction<</S/Launch/F(/bin/sh)>>"),
    "picture of 40,000 x 40,000": huge_picture,
    "content of 200 MB, packed twice": packed_bomb,
    "places of itself": linked_xref,
    "claims 2,147,483,647 pages": lambda: claims(2**31 - 1),
    "a page whose size is no number": lambda: document(size=(1e30, 1)),
    "thin page": lambda: document(size=(14_400, 0.01)),
    "longest page": lambda: document(size=(14_400, 14_400)),
    "rubbish around it": lambda: b"\r\n" * 100 + document() + b"\0" * 1000,
}
"""Name to bytes that may be drawn or refused, at a bounded cost."""

ENDLESS_DOCUMENTS: dict[str, Callable[[], bytes]] = {
    "form of itself": form_of_itself,
    "content that doubles 40 times": lambda: forms_doubling(40),
}
"""Name to bytes whose page is never finished."""
