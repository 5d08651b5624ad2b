"""The dataset card: what machines read in it, and what it explains."""

import re
import subprocess
import sys
from io import BytesIO

import pytest
import yaml
from datasets.info import DatasetInfosDict
from datasets.utils.metadata import MetadataConfigs
from huggingface_hub import DatasetCard
from pyarrow.parquet import read_schema

from pipeline.hub.card import NO_LICENCE, card, size_category
from pipeline.hub.publish import published_files
from pipeline.hub.tables import TABLES, features

COUNTS = {table.name: n * 1_000 for n, table in enumerate(TABLES)}
CARD = card("team/harbour", COUNTS)


def front_matter(text=CARD):
    return DatasetCard(text).data


def test_the_front_matter_lists_every_table_with_its_files_and_one_default():
    configs = MetadataConfigs.from_dataset_card_data(front_matter())
    assert set(configs) == {table.name for table in TABLES}
    for table in TABLES:
        (files,) = configs[table.name]["data_files"]
        assert files["split"] == "train" and table.path.startswith(files["path"].rstrip("*"))
    assert configs.get_default_config_name() == "completions"


def test_the_features_of_every_table_are_declared_as_they_are_written(services):
    declared = DatasetInfosDict.from_dataset_card_data(front_matter())
    files = published_files(services.store, "team/harbour", salt="s")
    assert set(files) == {table.path for table in TABLES} | {"README.md"}
    for table in TABLES:
        assert declared[table.name].features == features(table)
        schema = read_schema(BytesIO(files[table.path]))
        assert schema.remove_metadata() == features(table).arrow_schema.remove_metadata()
        # Numbers of rows would make `datasets` refuse a file that another commit has replaced.
        assert not declared[table.name].splits


def test_the_front_matter_is_what_the_hub_takes():
    data = yaml.safe_load(CARD.split("---\n")[1])
    assert data["license"] == NO_LICENCE == "unknown"
    assert data["pretty_name"] == "Pairloop feedback: harbour"
    assert data["size_categories"] == ["10K<n<100K"]
    assert all(isinstance(tag, str) for tag in data["tags"])
    assert yaml.safe_load(card("a/b", COUNTS, licence="cc-by-4.0").split("---\n")[1])["license"] == "cc-by-4.0"


@pytest.mark.parametrize(
    ("rows", "name"),
    [
        (0, "n<1K"),
        (999, "n<1K"),
        (1_000, "1K<n<10K"),
        (99_999, "10K<n<100K"),
        (2_000_000, "1M<n<10M"),
        (10**9, "1B<n<10B"),
    ],
)
def test_sizes_have_the_names_of_the_hub(rows, name):
    assert size_category(rows) == name


def columns(parts, within=""):
    for column in parts:
        yield f"{within}{column.name}", column.about
        if isinstance(column.dtype, tuple):
            yield from columns(column.dtype, f"{within}{column.name}[].")


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_column_is_explained(table):
    section = re.search(rf"^### {table.name}\n(.*?)(?=^###? )", CARD, re.M | re.S)[1]
    found = dict(re.findall(r"^\| `([^`]+)` \| [^|]+ \| (.+) \|$", section, re.M))
    assert found == dict(columns(table.columns))
    assert all(about.endswith(".") and len(about) > 8 and "|" not in about for about in [*found.values(), table.about])
    assert f"| `{table.name}` | {COUNTS[table.name]:,} | {table.about} |" in CARD


def test_it_says_how_it_was_collected_and_how_to_load_it():
    for words in (
        'load_dataset("team/harbour", "votes"',
        "form that was filled",
        "blind",
        "balanced",
        "rank 1 is the best",
    ):
        assert words in CARD
    for words in ("`journal/`", "`snapshot/`", "pseudonyms", "private", "Drafts", 'split == "train"', "untrusted"):
        assert words in CARD


def test_the_same_counts_give_the_same_card():
    assert card("team/harbour", dict(reversed(COUNTS.items()))) == CARD


def test_importing_the_room_loads_neither_datasets_nor_pyarrow():
    program = (
        "import sys, pipeline.hub.publish\n"
        "print([name for name in ('datasets', 'pyarrow', 'huggingface_hub', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
