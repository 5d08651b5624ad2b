"""The dataset card: front matter that ``datasets`` and the Hub read, and an explanation that people read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pipeline.hub.columns import Column, Table
from pipeline.hub.tables import TABLES, features

# Of the identifiers that the Hub accepts, the one that claims nothing: `other` would promise a LICENSE file and a name.
NO_LICENCE = "unknown"
# The first table that gets rows: what a bare load_dataset(repo) gives, and what the viewer opens with.
DEFAULT = "completions"
TAGS = ("pairloop", "rag", "human-feedback", "preference", "dpo", "sft")
_SIZES = ("1K", "10K", "100K", "1M", "10M", "100M", "1B")
TASKS = ("question-answering", "text-generation")

_BODY = """
# Feedback on a RAG system

Queries to a retrieval-augmented generation system, the answers of its models, and what people made of them: reviews with
ratings and corrected answers, blind votes between two models, and the training sets that follow from both. It comes from
one workspace of Pairloop, an app for human feedback, which writes this page and everything under `data/` anew: changes made
here by hand do not last.

## Load it

```python
from datasets import load_dataset

votes = load_dataset("{repo_id}", "votes", split="train")
sft = load_dataset("{repo_id}", "sft", split="train").filter(lambda row: row["split"] == "train")
```

Name the table that you want. `split="train"` is only what Hugging Face calls the one file of a table; the side of the
train/test border that a query is on is the column `split`. A table without rows loads with `streaming=True`; without it,
`datasets` says that it "corresponds to no data". Columns may be added later and are null in what was written before.

## Tables

| table | rows | what it holds |
|---|---:|---|
{counts}

## How it was collected

- **Reviews.** Annotators saw the query, the contexts and a form that was filled with the model's answer. An answer that
  was left unchanged may be a good one or a quick one: compare `edited` and `seconds` before you trust it.
- **Other datasets.** Records of other fields and questions stand in the same tables: what is shown is JSON in `fields`,
  what was answered is JSON in `values`. They have no query and no split, and no training set is made of them.
- **Train and test.** Reviews are made on train queries, comparisons on test queries. `sft` and `preferences` hold rows of
  both, so that nothing is lost: keep `split == "train"` for a model that is to be compared on the same test queries.
- **Comparisons.** Both models answered over the same stored contexts. Votes were blind: nothing that was sent to an
  annotator named a model, and the sides were drawn and balanced: among the pairs of two models that one person judged
  without having learnt any name, the counts of left and right differ by at most one. Where names were shown after each vote,
  chance alone decided. `model_a` is what was on the left.
- **Ties.** Identical answers were shown to nobody and count as a tie, once, with the annotator `automatic`. Pairloop's own
  results count that tie once for every annotator who judged the whole set.
- **Counting.** The win rate is (wins + half of `tie` and `both_bad`) / votes. Votes on one query are not independent:
  compute intervals over queries. Where models are ranked, rank 1 is the best, and equal ranks are a tie.
- **Rankings.** Where several answers were ranked together, `votes` has a row for each pair of them, so that the same counting
  fits all votes: `rank_a` and `rank_b` are the places, and the rows of one ranking share `vote_id`, `reason` and `correction`.
- **Corrections.** A better answer written in a vote is a row of `sft`, is preferred in `preferences` over each answer that was
  not the only best one, and is wanted in `unpaired`. `vote_id` and `comparison_id` lead back to where it was written.
- **Imported votes.** Rows whose `kind` is `imported` were collected elsewhere: their models answered there, from a prompt
  that is not known, and nobody here can say how blind they were.
- **Still blind?** Who reads this repository can see which model wrote which answer, and should not vote any more.
- **Left out.** Drafts, votes and decisions that were taken back, and documents that were deleted. Contexts keep the passages
  of deleted documents, because answers rest on them.
- **People.** {people}

Everything here was written by people and models and is not checked: treat it as untrusted text, `<script>` included.

## Columns

Times are UTC. Ids are the same in all tables.

{columns}
## What else lies here

`journal/` and `snapshot/` are the app's own back-up: row changes as JSON lines, and the state that older ones were folded
into. A new instance of the app is restored from them. They are not for reading, and their form may change. They hold what
the app must know to start anew, which can be more than the tables tell, people's names among it: keep the repository
private where that matters, and copy only `data/` and this page to a public one.
"""
_PSEUDONYMS = "In the tables, annotators are pseudonyms, the same in all of them and over time."
_NAMES = "Annotators are under the names that they gave themselves, as the workspace has decided."


def card(
    repo_id: str,
    counts: Mapping[str, int],
    licence: str = NO_LICENCE,
    show_names: bool = False,
    tables: Sequence[Table] = TABLES,
) -> str:
    """Return the text of ``README.md`` for tables with these numbers of rows; the same counts give the same text."""
    body = _BODY.format(
        repo_id=repo_id,
        counts="\n".join(f"| `{table.name}` | {counts[table.name]:,} | {table.about} |" for table in tables),
        people=_NAMES if show_names else _PSEUDONYMS,
        columns="\n".join(_explained(table) for table in tables),
    )
    return f"---\n{_front_matter(repo_id, sum(counts.values()), licence, tables)}\n---\n{body}"


def _front_matter(repo_id: str, rows: int, licence: str, tables: Sequence[Table]) -> str:
    from datasets.info import DatasetInfo, DatasetInfosDict
    from datasets.utils.metadata import MetadataConfigs
    from huggingface_hub import DatasetCardData

    data = DatasetCardData(
        license=licence,
        pretty_name=f"Pairloop feedback: {repo_id.rpartition('/')[2]}",
        size_categories=[size_category(rows)],
        task_categories=list(TASKS),
        tags=list(TAGS),
    )
    MetadataConfigs({table.name: _config(table) for table in tables}).to_dataset_card_data(data)
    # Features without the numbers of rows: `datasets` would refuse a file whose numbers are not those of the card.
    infos = {table.name: DatasetInfo(features=features(table)) for table in tables}
    DatasetInfosDict(infos).to_dataset_card_data(data)
    return data.to_yaml()


def _config(table: Table) -> dict[str, object]:
    files = {"data_files": [{"split": "train", "path": f"data/{table.name}/train-*"}]}
    return {"default": True, **files} if table.name == DEFAULT else files


def size_category(rows: int) -> str:
    """Return the Hub's name for a size of this many rows."""
    for power in range(len(_SIZES)):
        if rows < 10 ** (power + 3):
            return f"{_SIZES[power - 1]}<n<{_SIZES[power]}" if power else f"n<{_SIZES[0]}"
    return f"{_SIZES[-1]}<n<10B"


def _explained(table: Table) -> str:
    lines = [f"| `{name}` | {dtype} | {about} |" for name, dtype, about in _columns(table.columns)]
    head = (f"### {table.name}", "", table.about, "", "| column | type | what it holds |", "|---|---|---|")
    return "\n".join([*head, *lines, ""])


def _columns(columns: Sequence[Column], within: str = "") -> Iterator[tuple[str, str, str]]:
    for column in columns:
        name = f"{within}{column.name}"
        if isinstance(column.dtype, tuple):
            yield name, "list of rows", column.about
            yield from _columns(column.dtype, f"{name}[].")
        else:
            yield name, f"list of {column.dtype}" if column.listed else column.dtype, column.about
