"""The model's layout: a CLIP tower, a two-layer projector and a Llama decoder, put together as LLaVA does.

The parts come from transformers, so the trained weights load there, in OpenVINO and in vLLM without a line of this file.
The forward pass is written out here because training needs three things that the assembled class does not offer:
the projected tokens for the auxiliary heads, no work in the vision layer whose output nobody reads, and logits at answer tokens only.
"""

import torch
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModel, LlamaConfig, LlamaForCausalLM, LlavaConfig

IMAGE_SIZE = 96
PATCH_SIZE = 16
TOKENS_PER_PICTURE = (IMAGE_SIZE // PATCH_SIZE) ** 2
FEATURE_LAYER = -2
WIDTH = 128
VOCABULARY = 512
MAX_POSITIONS = 2048


def vision_config() -> CLIPVisionConfig:
    """The tower: four layers, of which LLaVA reads the third."""
    return CLIPVisionConfig(
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=4,
        num_attention_heads=2,
        image_size=IMAGE_SIZE,
        patch_size=PATCH_SIZE,
        projection_dim=WIDTH,
    )


def text_config(end_id: int, pad_id: int) -> LlamaConfig:
    """The decoder: three layers, one key-value head, embeddings tied to the output."""
    return LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        intermediate_size=3 * WIDTH,
        num_hidden_layers=3,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=64,
        max_position_embeddings=MAX_POSITIONS,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=end_id,
        pad_token_id=pad_id,
    )


def llava_config(image_id: int, end_id: int, pad_id: int) -> LlavaConfig:
    """The whole, as `config.json` tells it to every engine."""
    return LlavaConfig(
        vision_config=vision_config(),
        text_config=text_config(end_id, pad_id),
        image_token_index=image_id,
        image_token_id=image_id,
        image_seq_length=TOKENS_PER_PICTURE,
        vision_feature_layer=FEATURE_LAYER,
        vision_feature_select_strategy="default",
        projector_hidden_act="gelu",
        tie_word_embeddings=True,
        pad_token_id=pad_id,
        architectures=["LlavaForConditionalGeneration"],
    )


class Network(nn.Module):
    """Vision tower, projector and decoder with a forward pass made for training.

    Pictures are float [P, 3, 96, 96], normalised; P is all pictures of the batch in order of their image tokens.
    """

    def __init__(self, image_id: int, end_id: int, pad_id: int) -> None:
        """Build with fresh weights; the caller seeds torch."""
        super().__init__()
        self.image_id = image_id
        self.vision = CLIPVisionModel(vision_config())
        self.linear_1 = nn.Linear(WIDTH, WIDTH)
        self.linear_2 = nn.Linear(WIDTH, WIDTH)
        self.decoder = LlamaForCausalLM(text_config(end_id, pad_id))
        with torch.no_grad():
            positions = getattr(self.vision, "vision_model", self.vision).embeddings.position_embedding
            positions.weight[1:] = 0.3 * waves(IMAGE_SIZE // PATCH_SIZE)

    def look(self, pictures: torch.Tensor) -> torch.Tensor:
        """Projected image tokens [P, 36, 128]: the layer before the last, class token dropped."""
        tower = getattr(self.vision, "vision_model", self.vision)
        hidden = tower.pre_layrnorm(tower.embeddings(pictures))
        for layer in tower.encoder.layers[: FEATURE_LAYER + 1]:
            output = layer(hidden, None)
            hidden = output[0] if isinstance(output, tuple) else output
        return self.linear_2(nn.functional.gelu(self.linear_1(hidden[:, 1:])))

    def read(self, ids: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        """Hidden states [B, L, 128] for token ids [B, L], image tokens replaced by the rows of `seen`.

        Padding stands on the right, where causal attention never looks, so no mask is needed.
        """
        embedded = self.decoder.get_input_embeddings()(ids)
        places = (ids == self.image_id).unsqueeze(-1).expand_as(embedded)
        embedded = embedded.masked_scatter(places, seen.reshape(-1, WIDTH).to(embedded.dtype))
        return self.decoder.model(inputs_embeds=embedded, use_cache=False).last_hidden_state


def waves(side: int) -> torch.Tensor:
    """Sines and cosines of row and column, [side * side, 128]: where positions start, so that place is known from step one."""
    rates = 100.0 ** -(torch.arange(WIDTH // 4) / (WIDTH // 4))
    row, column = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    angles = [place.reshape(-1, 1) * rates for place in (column, row)]
    return torch.cat([wave(angle) for angle in angles for wave in (torch.sin, torch.cos)], dim=1)


class Heads(nn.Module):
    """Throw-away classifiers: every single projected image token must tell shape, color and count."""

    def __init__(self, sizes: tuple[int, ...]) -> None:
        """`sizes` are the numbers of classes, one head each."""
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)
        self.heads = nn.ModuleList(nn.Linear(WIDTH, size) for size in sizes)

    def forward(self, seen: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        """Mean cross entropy over all tokens [P, 36, 128] and heads, `truth` being class indices [P, heads]."""
        normed = self.norm(seen)
        losses = [
            nn.functional.cross_entropy(
                head(normed).flatten(0, 1), truth[:, k].repeat_interleave(seen.shape[1])
            )
            for k, head in enumerate(self.heads)
        ]
        return torch.stack(losses).mean()
