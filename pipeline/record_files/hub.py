"""Rows of a dataset on the Hugging Face Hub, by its name."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path

from pipeline.errors import RecordError
from pipeline.record_files.rows import Row, Source, flat, plain
from pipeline.record_files.tables import MAX_ROWS

_NAME = re.compile(r"[\w.-]+(?:/[\w.-]+)?")
_SEEN = ("image", "audio", "video", "pdf")


def read_hub(
    name: str, config: str = "", split: str = "", revision: str = "", token: str = "", limit: int = MAX_ROWS
) -> Source:
    """Return the first ``limit`` rows of a dataset, read as a stream.

    Raises:
        RecordError: there is none of this name for this token, it is asked for in the wrong way, or the Hub does not answer.
    """
    name = name.strip().removeprefix("https://huggingface.co/datasets/").strip("/")
    if not _NAME.fullmatch(name):
        raise RecordError("Give the name of a dataset on the Hub as owner/name.")
    if Path(name).exists():
        # The client would read the server's own files under this name.
        raise RecordError(f"{name} is a folder of this server, not a dataset on the Hub. Upload its files instead.")
    from datasets import get_dataset_config_names, get_dataset_split_names, load_dataset
    from datasets.exceptions import DatasetsError

    known = {"revision": revision or None, "token": token or None}
    try:
        configs = get_dataset_config_names(name, **known)
        config = config or ("default" if "default" in configs else configs[0] if len(configs) == 1 else "")
        if config not in configs:
            raise RecordError(f"{name} has these configurations: {', '.join(configs[:20])}. Choose one.")
        splits = get_dataset_split_names(name, config, **known)
        split = split or ("train" if "train" in splits else splits[0])
        if split not in splits:
            raise RecordError(f"{name} has these splits: {', '.join(splits)}. Choose one.")
        stream = load_dataset(name, config, split=split, streaming=True, **known)
        left = _heavy(stream.features)
        stream = stream.remove_columns(left) if left else stream
        labels = _labels(stream.features)
        rows = [_row(number, row, labels) for number, row in enumerate(islice(stream, limit + 1), 1)]
    except (DatasetsError, OSError, ValueError, RuntimeError) as error:
        text = " ".join(str(error).split())[:300]
        raise RecordError(f"{name} could not be read from the Hub: {text}") from error
    notes = [f"Only the first {limit:,} rows were read; the dataset has more."] if len(rows) > limit else []
    notes += [f"The column {column!r} was left out: pictures, sound and films are not shown here." for column in left]
    return Source(f"{name}, {config}, {split}", flat(rows[:limit]), tuple(notes))


def _heavy(features) -> list[str]:
    return [name for name, kind in (features or {}).items() if type(kind).__name__.lower() in _SEEN]


def _labels(features) -> dict[str, list[str]]:
    """Return the names of the columns that hold numbers of classes."""
    return {name: list(kind.names) for name, kind in (features or {}).items() if type(kind).__name__ == "ClassLabel"}


def _row(number: int, row: dict, labels: dict[str, list[str]]) -> Row:
    cells = {str(name): plain(value) for name, value in row.items()}
    for name, names in labels.items():
        value = cells.get(name)
        if isinstance(value, int) and 0 <= value < len(names):
            cells[name] = names[value]
    return Row(f"row {number:,}", cells)
