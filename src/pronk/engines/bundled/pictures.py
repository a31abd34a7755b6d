"""From a picture's URL to the RGB pixels the engine gets, within strict limits; whatever fails is one message.

A picture is scaled while it is decoded, in one pass from the box that is wanted: neither a thousand megapixels nor a
picture one pixel wide ever stand in memory at the size they ask for.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pybase64
from PIL import Image, UnidentifiedImageError

from pronk.domain.errors import InvalidRequestError
from pronk.engines.bundled.chat import PicturePart
from pronk.engines.bundled.fields import shown
from pronk.engines.bundled.layout import Fit
from pronk.engines.bundled.protocol import Picture
from pronk.engines.bundled.refusals import bad

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "MPO")
MAX_ASPECT = 200
ORIENTATION_TAG = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = frozenset({UPRIGHT[5], UPRIGHT[6], UPRIGHT[7], UPRIGHT[8]})
WHITE = (255, 255, 255, 255)


@dataclass(frozen=True, slots=True)
class PictureLimits:
    """What may be decoded; `folder` is where `file://` pictures may lie, None refuses them all."""

    max_bytes: int = 50_000_000
    max_pixels: int = 40_000_000
    folder: Path | None = None


def load_picture(part: PicturePart, limits: PictureLimits, fit: Fit) -> Picture:
    """Fetch, decode, turn upright and scale one picture; blocks, so run it in a thread."""
    return decode_picture(_read_bytes(part, limits), part.path, limits, fit)


def _read_bytes(part: PicturePart, limits: PictureLimits) -> bytes:
    scheme = part.url[:5].lower()
    if scheme == "data:":
        data = _read_data_url(part)
    elif scheme == "file:":
        data = _read_file_url(part, limits)
    else:
        right = "a data: URL such as data:image/png;base64,…"
        right += "" if limits.folder is None else ", or a file:// URL below the allowed folder"
        raise bad(
            part.path,
            f"{part.path} must be {right}; this engine fetches nothing, got {shown(part.url)}",
            "image_unsupported",
        )
    if not data:
        raise bad(part.path, f"{part.path} has no bytes", "image_invalid")
    if len(data) > limits.max_bytes:
        raise bad(
            part.path,
            f"{part.path} has {len(data)} bytes; at most {limits.max_bytes} are taken",
            "image_too_large",
        )
    return data


def _read_data_url(part: PicturePart) -> bytes:
    head, comma, payload = part.url.partition(",")
    if not comma or not head.lower().endswith(";base64"):
        raise bad(
            part.path,
            f"{part.path} must be data:image/…;base64,… with the picture in base64",
            "image_invalid",
        )
    try:
        return pybase64.b64decode(payload, validate=True)
    except ValueError as error:
        raise bad(part.path, f"{part.path} is not valid base64", "image_invalid") from error


def _read_file_url(part: PicturePart, limits: PictureLimits) -> bytes:
    if limits.folder is None:
        message = (
            f"{part.path}: file:// pictures are not allowed; start the engine with --allowed-local-media-path"
        )
        raise bad(part.path, message, "image_not_allowed")
    url = urlsplit(part.url)
    if url.netloc not in ("", "localhost"):
        raise bad(part.path, f"{part.path} must be file:///… with an absolute path", "image_not_allowed")
    try:
        path = Path(unquote(url.path)).resolve()
        if not path.is_relative_to(limits.folder.resolve()):
            raise bad(part.path, f"{part.path} is not below the allowed folder", "image_not_allowed")
        return _read_at_most(path, limits.max_bytes + 1)
    except (OSError, ValueError) as error:
        raise bad(part.path, f"{part.path}: there is no such file to read", "image_not_found") from error


def _read_at_most(path: Path, count: int) -> bytes:
    if not path.is_file():
        raise FileNotFoundError
    with path.open("rb") as file:
        return file.read(count)


def decode_picture(data: bytes, path: str, limits: PictureLimits, fit: Fit) -> Picture:
    """Raises `InvalidRequestError` at `path` for anything but a whole picture within the limits."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check_size(image, path, limits)
            return _to_picture(fitted(image, fit))
    except InvalidRequestError:
        raise
    except UnidentifiedImageError as error:
        raise bad(
            path, f"{path} is not a picture in one of {', '.join(FORMATS[:-1])}", "image_invalid"
        ) from error
    except Image.DecompressionBombError as error:
        raise bad(path, f"{path} has more than {limits.max_pixels} pixels", "image_too_large") from error
    except Exception as error:
        raise bad(
            path, f"{path} cannot be decoded: the picture is cut short or damaged", "image_invalid"
        ) from error


def _check_size(image: Image.Image, path: str, limits: PictureLimits) -> None:
    width, height = image.size
    if width * height > limits.max_pixels:
        message = f"{path} is {width}x{height}; at most {limits.max_pixels} pixels are taken"
        raise bad(path, message, "image_too_large")
    if max(width, height) > MAX_ASPECT * min(width, height):
        message = f"{path} is {width}x{height}; one side may be at most {MAX_ASPECT} times the other"
        raise bad(path, message, "image_invalid")


def fitted(image: Image.Image, fit: Fit) -> Image.Image:
    """The picture upright, in RGB, at the size the model wants."""
    turn = UPRIGHT.get(image.getexif().get(ORIENTATION_TAG, 1))
    sideways = turn in SIDEWAYS
    size = fit.size(*_swapped(image.size, sideways))
    stored = _swapped(size, sideways)
    if image.format == "JPEG":
        image.draft("RGB", (2 * stored[0], 2 * stored[1]))
    rgb = to_rgb(image)
    box = middle(rgb.size, stored) if fit.crop else None
    if rgb.size != stored or box is not None:
        rgb = rgb.resize(stored, Image.Resampling.BICUBIC, box=box, reducing_gap=3.0)
    return rgb if turn is None else rgb.transpose(turn)


def _swapped(size: tuple[int, int], sideways: bool) -> tuple[int, int]:  # noqa: FBT001
    return size[::-1] if sideways else size


def middle(size: tuple[int, int], wanted: tuple[int, int]) -> tuple[float, float, float, float]:
    """The largest centred box of `size` that has the proportions of `wanted`."""
    width, height = size
    scale = min(width / wanted[0], height / wanted[1])
    left, top = (width - wanted[0] * scale) / 2, (height - wanted[1] * scale) / 2
    return left, top, left + wanted[0] * scale, top + wanted[1] * scale


def to_rgb(image: Image.Image) -> Image.Image:
    """Three bytes a pixel: transparency over white, sixteen bits scaled to eight."""
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return eight_bits(image).convert("RGB")
    if "A" in image.getbands() or "transparency" in image.info:
        layered = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layered.size, WHITE), layered).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def eight_bits(image: Image.Image) -> Image.Image:
    """Grey of sixteen bits and more as eight: Pillow's own conversion clips at 255 instead of scaling."""
    wide = image.convert("I")
    brightest = wide.getextrema()[1]
    deep = image.mode.startswith("I;16") or (isinstance(brightest, int) and brightest > 255)
    return wide.point(lambda value: value * (255 / 65535)).convert("L") if deep else wide.convert("L")


def _to_picture(image: Image.Image) -> Picture:
    return Picture(height=image.height, width=image.width, pixels=image.tobytes())
