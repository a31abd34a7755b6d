"""What a picture child does with documents: draws one page of a PDF with PDFium, which is optional and has no JavaScript."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, cast

from PIL import Image

from pronk.media.encode import encode
from pronk.media.work import Changed, Draw, Refused, Result

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument, PdfPage

_POINTS_PER_INCH = 72
_LONGEST_POINTS = 14_400
"""The longest side that the PDF format allows."""
_FEW_COLOURS = 256
_WRONG_PASSWORD, _UNKNOWN_SECURITY = 4, 5


def draw(work: Draw) -> Result:
    """Return the page as PNG if it is mostly of one colour, as text and line drawings are, else as JPEG.

    Fields of forms are drawn as they are filled in. Whatever PDFium says stays here.
    """
    try:
        import pypdfium2  # noqa: PLC0415  # an optional part
    except ImportError:
        return Refused(
            "unsupported", "is a document, and this server lacks the part that draws pages: pronk[documents]"
        )
    try:
        with pypdfium2.PdfDocument(work.data) as document:
            return _page_of(document, work)
    except pypdfium2.PdfiumError as error:
        if error.err_code in {_WRONG_PASSWORD, _UNKNOWN_SECURITY}:
            return Refused("unsupported", "is encrypted, and no password is known")
    except Exception:  # noqa: BLE001, S110  # a document that cannot be read, whatever is wrong with it
        pass
    return Refused("invalid", "cannot be read as a PDF document")


def _page_of(document: PdfDocument, work: Draw) -> Result:
    document.init_forms()
    count = len(document)
    if count < 1:
        return Refused("invalid", "has no pages")
    if work.page > count:
        return Refused("not_found", f"has no page {work.page:,}; its last one is {count:,}")
    page = document[work.page - 1]
    if not 0 < min(page.get_size()) <= max(page.get_size()) <= _LONGEST_POINTS:
        return Refused(
            "too_large", f"has a page whose sides are not between 0 and {_LONGEST_POINTS:,} points"
        )
    bitmap = page.render(scale=_scale(page, work), limit_image_cache=True)
    return _encoded(bitmap.to_pil(), count)


def _encoded(picture: Image.Image, pages: int) -> Changed:
    colours = cast("list[tuple[int, tuple[int, int, int]]]", picture.getcolors(_FEW_COLOURS) or [])
    if colours and all(red == green == blue for _, (red, green, blue) in colours):
        picture = picture.convert("L")
    is_plain = 2 * max((count for count, _ in colours), default=0) > picture.width * picture.height
    return encode(picture, "image/png" if is_plain else "image/jpeg", pages=pages)


def _scale(page: PdfPage, work: Draw) -> float:
    """Return pixels per point; sides are rounded up, so a little more than the square root may have to go."""
    width, height = page.get_size()
    scale: float = min(work.dpi / _POINTS_PER_INCH, (work.max_pixels / (width * height)) ** 0.5)
    while ceil(width * scale) * ceil(height * scale) > max(work.max_pixels, 1):
        scale *= 0.99
    return scale
