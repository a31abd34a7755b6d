"""Turn a checkpoint into the two forms that ship: safetensors (transformers, vLLM) and OpenVINO IR.

python export.py save CHECKPOINT OUT/safetensors      with the training environment
python export.py convert OUT/safetensors OUT/openvino  with the export environment
"""

import json
import shutil
import sys
from pathlib import Path

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
CLIP_MEAN = [0.48145466, 0.4578275, 0.40821073]
CLIP_STD = [0.26862954, 0.26130258, 0.27577711]


def save(checkpoint: Path, folder: Path) -> None:
    """Write config, fp16 weights, tokenizer and picture settings of a checkpoint folder."""
    import torch  # noqa: PLC0415
    from network import llava_config  # noqa: PLC0415
    from safetensors.torch import load_file, save_file  # noqa: PLC0415
    from tokenizers import Tokenizer  # noqa: PLC0415

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    ids = [tokenizer.token_to_id(token) for token in ("<image>", "<|im_end|>", "<|pad|>")]
    config = llava_config(*ids)
    config.dtype = "float16"
    config.save_pretrained(folder)
    state = load_file(str(checkpoint / "state.safetensors"))
    network = {name.removeprefix("0."): tensor for name, tensor in state.items() if name.startswith("0.")}
    renamed = {public_name(name): tensor.to(torch.float16) for name, tensor in network.items()}
    renamed.pop("language_model.lm_head.weight", None)
    save_file(renamed, str(folder / "model.safetensors"), metadata={"format": "pt"})
    for name in TOKENIZER_FILES:
        shutil.copyfile(checkpoint / name, folder / name)
    write_settings(folder, end_id=ids[1], pad_id=ids[2])


def public_name(name: str) -> str:
    """A weight's name in the published LLaVA layout, which transformers and vLLM both know."""
    for ours, theirs in (
        ("vision.vision_model.", "vision_tower.vision_model."),
        ("vision.", "vision_tower.vision_model."),
        ("decoder.", "language_model."),
        ("linear_", "multi_modal_projector.linear_"),
    ):
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    raise ValueError(f"no place for the weight {name}")


def write_settings(folder: Path, end_id: int, pad_id: int) -> None:
    """Write the picture, processor and generation settings by hand: engines fall back to CLIP's own sizes without them."""
    side = {"height": 96, "width": 96}
    picture = {
        "image_processor_type": "CLIPImageProcessor",
        "processor_class": "LlavaProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"shortest_edge": 96},
        "resample": 3,
        "do_center_crop": True,
        "crop_size": side,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": CLIP_MEAN,
        "image_std": CLIP_STD,
    }
    processor = {
        "processor_class": "LlavaProcessor",
        "image_token": "<image>",
        "patch_size": 16,
        "num_additional_image_tokens": 1,
        "vision_feature_select_strategy": "default",
    }
    generation = {"eos_token_id": end_id, "pad_token_id": pad_id, "do_sample": False, "max_new_tokens": 128}
    for name, content in (
        ("preprocessor_config.json", picture),
        ("processor_config.json", processor),
        ("generation_config.json", generation),
    ):
        (folder / name).write_text(json.dumps(content, indent=2) + "\n")


def convert(source: Path, folder: Path) -> None:
    """Export to OpenVINO IR with fp16 weights, tokenizers included."""
    from optimum.exporters.openvino import main_export  # noqa: PLC0415
    from optimum.intel import OVConfig  # noqa: PLC0415

    main_export(
        str(source),
        output=str(folder),
        task="image-text-to-text",
        ov_config=OVConfig(dtype="fp16"),
        convert_tokenizer=True,
    )
    for name in (
        "preprocessor_config.json",
        "processor_config.json",
        "generation_config.json",
        *TOKENIZER_FILES,
    ):
        shutil.copyfile(source / name, folder / name)


if __name__ == "__main__":
    step, origin, target = sys.argv[1:]
    {"save": save, "convert": convert}[step](Path(origin), Path(target))
