"""Prompts as embeddings, pictures in batches: the quick way into the engine for models of the LLaVA layout.

The engine itself encodes one picture at a time while everybody waits. In this layout a picture's rows simply take the
place of its token, so they can be computed here for several requests at once; other layouts need positions that only
the engine knows.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from pronk.engines.bundled.layout import FixedFit, read_json, read_layout
from pronk.engines.bundled.protocol import Picture, Submit

PICTURE_TAG = re.compile(r"<ov_genai_image_(\d+)>")
VISION_BATCH = 16
PROMPTS_REMEMBERED = 256

Rows = NDArray[np.float32]


class Embedder:
    """Computes what `add_request` takes instead of a prompt: float32 of shape [1, tokens, hidden]."""

    def __init__(self, directory: Path, fit: FixedFit, tokenizer: Any, properties: dict[str, Any]) -> None:
        core = ov.Core()
        config, preprocessor = (
            read_json(directory / "config.json"),
            read_json(directory / "preprocessor_config.json"),
        )
        self._tokenizer = tokenizer
        self._vision = _compiled(core, directory / "openvino_vision_embeddings_model.xml", properties)
        self._text = _compiled(core, directory / "openvino_text_embeddings_model.xml", properties)
        self._fit = fit
        self._picture_token = int(str(config.get("image_token_index")))
        self._tag = str(read_json(directory / "tokenizer_config.json").get("image_token") or "<image>")
        self._mean = np.asarray(preprocessor.get("image_mean"), np.float32) * 255
        self._scale = 1 / (np.asarray(preprocessor.get("image_std"), np.float32) * 255)
        self._prompt = lru_cache(PROMPTS_REMEMBERED)(self._embed_prompt)

    @property
    def side(self) -> int:
        return self._fit.width

    def fits(self, blank: Picture) -> bool:
        """Whether pictures and words come out as rows that go together."""
        [rows] = self._see([blank])
        words, _ = self._prompt("a")
        return rows.shape == (self._fit.tokens - 1, words.shape[-1])

    def embed(self, submits: Sequence[Submit]) -> list[Rows]:
        """One array for each request, their pictures encoded together."""
        seen = self._see([picture for submit in submits for picture in submit.pictures])
        arrays = []
        for submit in submits:
            arrays.append(self._filled(submit.prompt, seen[: len(submit.pictures)]))
            seen = seen[len(submit.pictures) :]
        return arrays

    def _see(self, pictures: list[Picture]) -> list[Rows]:
        batches = [pictures[start : start + VISION_BATCH] for start in range(0, len(pictures), VISION_BATCH)]
        return [rows for batch in batches for rows in _infer(self._vision, self._pixels(batch))]

    def _pixels(self, pictures: list[Picture]) -> Rows:
        """Normalised as the model was trained: [pictures, 3, height, width]."""
        shape = (self._fit.height, self._fit.width, 3)
        raw = np.stack([np.frombuffer(picture.pixels, np.uint8).reshape(shape) for picture in pictures])
        return np.ascontiguousarray(((raw - self._mean) * self._scale).transpose(0, 3, 1, 2))

    def _filled(self, prompt: str, pictures: list[Rows]) -> Rows:
        """The prompt's rows with each picture's in its place; tags name pictures by their number."""
        rows, places = self._prompt(prompt)
        rows = rows.copy()
        for start, number in places:
            rows[0, start : start + len(pictures[number])] = pictures[number]
        return rows

    def _embed_prompt(self, prompt: str) -> tuple[Rows, list[tuple[int, int]]]:
        """Rows with room for the pictures, and where each begins; a newline follows it, as the engine itself does."""
        numbers = [int(number) for number in PICTURE_TAG.findall(prompt)]
        text = PICTURE_TAG.sub(f"{self._tag}\n", prompt)
        tokens = self._tokenizer.encode(text, add_special_tokens=False).input_ids.data[0]
        marks = tokens == self._picture_token
        room = np.where(marks, self._fit.tokens - 1, 1)
        starts = np.cumsum(room) - room
        rows = _infer(self._text, np.repeat(tokens, room)[None])
        return rows, list(zip(starts[marks].tolist(), numbers, strict=True))


def load_embedder(directory: Path, tokenizer: Any, properties: dict[str, Any]) -> Embedder | None:
    """None for a model of another layout, or one whose pictures do not take as many rows as its folder says."""
    layout = read_layout(directory)
    if layout.kind != "llava" or not isinstance(layout.fit, FixedFit):
        return None
    embedder = Embedder(directory, layout.fit, tokenizer, properties)
    blank = Picture(layout.fit.height, layout.fit.width, bytes(3 * layout.fit.height * layout.fit.width))
    return embedder if embedder.fits(blank) else None


def _compiled(core: Any, path: Path, properties: dict[str, Any]) -> Any:
    return core.compile_model(str(path), "CPU", properties).create_infer_request()


def _infer(request: Any, array: NDArray[Any]) -> Rows:
    """The first output, copied: the request writes the next one into the same memory."""
    request.infer([array])
    return np.array(request.get_output_tensor(0).data, np.float32)
