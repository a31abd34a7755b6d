"""What a model folder says, for the kinds of models that are known."""

import json
from pathlib import Path

import pytest

from pronk.domain.errors import SettingsError
from pronk.engines.bundled.layout import AreaFit, FixedFit, read_layout

LLAVA = {
    "model_type": "llava",
    "text_config": {"max_position_embeddings": 2048},
    "vision_config": {"image_size": 96, "patch_size": 16},
    "vision_feature_select_strategy": "default",
}


def folder(tmp_path: Path, vision: bool = True, **files: object) -> Path:  # noqa: FBT001, FBT002
    (tmp_path / ("openvino_vision_embeddings_model.xml" if vision else "openvino_model.xml")).touch()
    for name, value in files.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(value))
    return tmp_path


def test_llava_takes_a_token_a_patch_and_a_newline(tmp_path: Path) -> None:
    layout = read_layout(folder(tmp_path, config=LLAVA, preprocessor_config={"do_center_crop": True}))
    assert layout.fit == FixedFit(96, 96, crop=True, tokens=37)
    assert (layout.context, layout.pictures_first) == (2048, True)


def test_the_class_token_counts_when_it_is_kept(tmp_path: Path) -> None:
    layout = read_layout(folder(tmp_path, config=LLAVA | {"vision_feature_select_strategy": "full"}))
    assert layout.fit is not None
    assert layout.fit.count(1, 1) == 38


def test_qwen_counts_merged_patches(tmp_path: Path) -> None:
    config = {"model_type": "qwen2_5_vl", "max_position_embeddings": 128_000}
    preprocessor = {"patch_size": 14, "merge_size": 2, "max_pixels": 12_845_056}
    fit = read_layout(folder(tmp_path, config=config, preprocessor_config=preprocessor)).fit
    assert fit == AreaFit(1024 * 1024, 28)
    assert fit.count(280, 140) == 53
    assert fit.count(5000, 5000) <= 1400


def test_gemma_takes_a_fixed_number(tmp_path: Path) -> None:
    config = {"model_type": "gemma3", "mm_tokens_per_image": 256}
    size = {"size": {"height": 896, "width": 896}}
    fit = read_layout(folder(tmp_path, config=config, preprocessor_config=size)).fit
    assert fit == FixedFit(896, 896, crop=False, tokens=260)


def test_a_model_without_eyes(tmp_path: Path) -> None:
    assert read_layout(folder(tmp_path, vision=False)).fit is None


def test_control_tokens_come_from_wherever_they_are_declared(tmp_path: Path) -> None:
    added = {"5": {"content": "<x>", "special": True}, "6": {"content": "<tool>", "special": False}}
    tokenizer_config = {
        "added_tokens_decoder": added,
        "eos_token": "<e>",
        "additional_special_tokens": ["<a>"],
    }
    tokenizer = {"added_tokens": [{"content": "<y>", "special": True}]}
    files = folder(tmp_path, config=LLAVA, tokenizer_config=tokenizer_config, tokenizer=tokenizer)
    assert read_layout(files).special == {"<x>", "<y>", "<e>", "<a>"}


def test_an_empty_folder_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no model in OpenVINO form"):
        read_layout(tmp_path)


def test_broken_json_is_said(tmp_path: Path) -> None:
    (folder(tmp_path) / "config.json").write_text("{")
    with pytest.raises(SettingsError, match=r"config\.json"):
        read_layout(tmp_path)
