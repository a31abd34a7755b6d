"""What a model folder says about the model: its context, how it wants pictures, how many tokens they take."""

import math
from dataclasses import dataclass
from pathlib import Path

import msgspec

from pronk.domain.errors import SettingsError
from pronk.engines.bundled.fields import Fields

MAX_PICTURE_PIXELS = 1024 * 1024
DEFAULT_CONTEXT = 2048
COARSEST_PATCH = 14


@dataclass(frozen=True, slots=True)
class FixedFit:
    """Every picture becomes `width` x `height` and takes `tokens`; `crop` keeps its middle instead of squeezing it."""

    width: int
    height: int
    crop: bool
    tokens: int

    def size(self, _width: int, _height: int) -> tuple[int, int]:
        return self.width, self.height

    def count(self, _width: int, _height: int) -> int:
        return self.tokens


@dataclass(frozen=True, slots=True)
class AreaFit:
    """Pictures keep their shape and are scaled down to `max_pixels`; each square of `cell` pixels takes a token."""

    max_pixels: int
    cell: int
    crop: bool = False

    def size(self, width: int, height: int) -> tuple[int, int]:
        scale = min(1.0, math.sqrt(self.max_pixels / (width * height)))
        return max(1, int(width * scale)), max(1, int(height * scale))

    def count(self, width: int, height: int) -> int:
        wide, high = self.size(width, height)
        return max(4, math.ceil(wide / self.cell) * math.ceil(high / self.cell)) + 3


Fit = FixedFit | AreaFit


@dataclass(frozen=True, slots=True)
class Layout:
    """The facts of one model folder; `kind` is what it calls its architecture.

    `fit` is None for a model without eyes. `pictures_first` says that this kind of model was trained with all
    pictures of a message before its text. `special` are the strings that its tokenizer reads as control tokens.
    """

    directory: Path
    kind: str
    context: int
    fit: Fit | None
    pictures_first: bool
    special: frozenset[str]


def read_layout(directory: Path) -> Layout:
    """Raises `SettingsError` when the folder holds no model in OpenVINO form."""
    vision = (directory / "openvino_vision_embeddings_model.xml").is_file()
    if not vision and not (directory / "openvino_model.xml").is_file():
        raise SettingsError(
            f"{directory} holds no model in OpenVINO form (no openvino_*.xml); name a folder that does"
        )
    config = read_json(directory / "config.json")
    text = config.child("text_config") or config
    context = text.integer("max_position_embeddings", 1, 2**31) or DEFAULT_CONTEXT
    kind = str(config.get("model_type") or "")
    return Layout(
        directory=directory,
        kind=kind,
        context=context,
        fit=_read_fit(kind, config, read_json(directory / "preprocessor_config.json")) if vision else None,
        pictures_first=kind.startswith("llava"),
        special=_read_special(directory),
    )


def read_json(path: Path) -> Fields:
    """A JSON object of the folder, empty when there is no such file."""
    try:
        value = msgspec.json.decode(path.read_bytes())
    except FileNotFoundError:
        return Fields({})
    except (OSError, msgspec.DecodeError) as error:
        raise SettingsError(f"{path} cannot be read as JSON") from error
    return Fields(value if isinstance(value, dict) else {})


def _read_fit(kind: str, config: Fields, preprocessor: Fields) -> Fit:
    if kind == "llava":
        return llava_fit(config, preprocessor)
    if kind.startswith("gemma"):
        tokens = config.integer("mm_tokens_per_image", 1, 2**16) or 256
        side = _side_of(preprocessor.get("size")) or 896
        return FixedFit(side, side, crop=False, tokens=tokens + 4)
    most = preprocessor.integer("max_pixels", 1, 2**40) or MAX_PICTURE_PIXELS
    return AreaFit(min(most, MAX_PICTURE_PIXELS), merged_cell(kind, preprocessor))


def merged_cell(kind: str, preprocessor: Fields) -> int:
    """The side in pixels of what becomes one token; unmerged patches, an upper bound, where the kind is not known."""
    if not kind.startswith("qwen"):
        return COARSEST_PATCH
    patch = preprocessor.integer("patch_size", 1, 1024) or COARSEST_PATCH
    return patch * (preprocessor.integer("merge_size", 1, 64) or 2)


def llava_fit(config: Fields, preprocessor: Fields) -> FixedFit:
    """A token for each patch of the tower's square, and the newline that the engine writes after it."""
    vision = config.child("vision_config") or Fields({})
    side = vision.integer("image_size", 1, 2**16) or 336
    patch = vision.integer("patch_size", 1, 1024) or COARSEST_PATCH
    class_token = 0 if config.get("vision_feature_select_strategy") in (None, "default") else 1
    crop = preprocessor.get("do_center_crop") is not False
    return FixedFit(side, side, crop=crop, tokens=(side // patch) ** 2 + class_token + 1)


def _side_of(size: object) -> int | None:
    members = size if isinstance(size, dict) else {}
    side = members.get("height") or members.get("shortest_edge")
    return side if isinstance(side, int) else None


def _read_special(directory: Path) -> frozenset[str]:
    config = read_json(directory / "tokenizer_config.json")
    tokenizer = read_json(directory / "tokenizer.json")
    added = config.get("added_tokens_decoder")
    declared = [
        *(added.values() if isinstance(added, dict) else []),
        *(tokenizer.items("added_tokens") or []),
    ]
    contents = [
        token.get("content") for token in declared if isinstance(token, dict) and token.get("special")
    ]
    further = config.get("additional_special_tokens")
    named = [config.get(name) for name in ("bos_token", "eos_token", "pad_token", "image_token")]
    return frozenset(
        text
        for text in [*contents, *named, *(further if isinstance(further, list) else [])]
        if isinstance(text, str) and text
    )
