"""Lets torchvision load beside a CPU build of torch; every Python that vLLM starts reads this first.

PyPI's torchvision has its operators in a library for CUDA builds. Without them it fails on import, where it only wants to
describe two of them. Nothing here calls these.
"""

import torch  # type: ignore[import-not-found]

operators = torch.library.Library("torchvision", "DEF")
for name in ("nms", "qnms"):
    operators.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
