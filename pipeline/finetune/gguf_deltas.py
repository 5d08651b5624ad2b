"""A tuned model as a GGUF file: the base's file with the change of each tuned weight added.

Everything else of the base is copied as it is: vocabulary, chat template, settings and the weights that were not tuned. So
base and tuned model differ in nothing but the training. Runs in the training process, with the packages of ``[train]``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

# Less alike than this, weights are those of another model, or lie in an order that is not known here.
_LEAST_ALIKE = 0.9
# Its files keep the rows of the query and key weights in another order than transformers does.
_REORDERED = "llama"


class GgufBase:
    """The file of a base: which of its tensors belongs to which weight of the model, and the copy with changes."""

    def __init__(self, path: Path) -> None:
        import gguf

        self._reader = gguf.GGUFReader(path)
        self._architecture = str(self._value("general.architecture"))
        known = {name: key for key, name in gguf.MODEL_ARCH_NAMES.items()}
        self._names = gguf.get_tensor_name_map(known[self._architecture], int(self._number("block_count")))
        self._tensors = {tensor.name: tensor for tensor in self._reader.tensors}

    def tensor_of(self, module: str) -> str:
        """Return the name of the tensor that holds the weight of a module of transformers.

        Raises:
            ValueError: the file has none.
        """
        name = f"{self._names.get_name(module)}.weight"
        if name not in self._tensors:
            raise ValueError(f"The model file has no weight for {module}: models of this kind cannot be tuned here.")
        return name

    def check(self, module: str, weight: np.ndarray) -> None:
        """Look that a weight is the one in the file, and in the order in which it would be written back.

        Raises:
            ValueError: it is not.
        """
        import numpy as np

        there, here = self._values(self.tensor_of(module)), self._ordered(self.tensor_of(module), weight)
        if there.shape != here.shape or _alike(np.ravel(there), np.ravel(here)) < _LEAST_ALIKE:
            raise ValueError(
                f"The weights of {module} are not those of the model file: either they are of another model, or models "
                "of this kind cannot be tuned here."
            )

    def write(self, path: Path, changes: Mapping[str, np.ndarray]) -> None:
        """Write the file anew with ``changes`` (by module) added; what was changed is kept as 8-bit numbers (q8_0)."""
        import gguf

        changed = {}
        for module, change in changes.items():
            name = self.tensor_of(module)
            values = self._values(name) + self._ordered(name, change)
            changed[name] = gguf.quants.quantize(values, gguf.GGMLQuantizationType.Q8_0)
        writer = gguf.GGUFWriter(path, self._architecture)
        self._copy_settings(writer)
        for tensor in self._reader.tensors:
            if tensor.name in changed:
                writer.add_tensor(tensor.name, changed[tensor.name], raw_dtype=gguf.GGMLQuantizationType.Q8_0)
            else:
                writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()

    def _copy_settings(self, writer: object) -> None:
        import gguf

        for field in self._reader.fields.values():
            # The header's own numbers, and what the writer has written already.
            if field.name.startswith("GGUF.") or field.name == gguf.Keys.General.ARCHITECTURE:
                continue
            kind = field.types[0]
            inner = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(field.name, field.contents(), kind, sub_type=inner)

    def _values(self, name: str) -> np.ndarray:
        import gguf

        tensor = self._tensors[name]
        return gguf.quants.dequantize(tensor.data, tensor.tensor_type)

    def _ordered(self, name: str, weight: np.ndarray) -> np.ndarray:
        if self._architecture != _REORDERED or not (".attn_q." in name or ".attn_k." in name):
            return weight
        heads = self._number("attention.head_count")
        if ".attn_k." in name:
            heads = self._number("attention.head_count_kv") or heads
        return weight.reshape(heads, 2, weight.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(weight.shape)

    def _number(self, name: str) -> int:
        return int(self._value(f"{self._architecture}.{name}") or 0)

    def _value(self, name: str) -> object:
        field = self._reader.fields.get(name)
        return field.contents() if field is not None else None


def _alike(first: np.ndarray, second: np.ndarray) -> float:
    """Return the cosine of two weights."""
    import numpy as np

    lengths = float(np.linalg.norm(first)) * float(np.linalg.norm(second))
    return float(first @ second) / lengths if lengths else 1.0
