"""Training files: one writer for each form that a consumer reads, with lineage where the consumer takes further columns.

Forms: OpenAI's fine-tuning guides (chat, and preferences for DPO), TRL's "Dataset formats and types" (conversational), records
of Argilla 2. OpenAI refuses keys that it does not know, so the lineage of its rows lies in a file of its own, line by line.
"""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.errors import TrainingError
from pipeline.export import Problem, to_chat_jsonl, validate_chat_jsonl
from pipeline.finetune.rows import Row, split_by_query
from pipeline.spreadsheets import to_csv

Line = dict[str, Any]
ANSWERS, PAIRS, SINGLES = "answers", "pairs", "singles"
VALIDATION_SHARE = 0.1
# Of what leads back: everything that is known of a row beside what is learned.
LINEAGE = (
    "id", "source", "split", "query_id", "query", "record_id", "response_id", "vote_id", "annotator", "guidelines_version",
    "model", "overridden", "contexts",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Form:
    """A form of training file: what it is for, the rows it is made of, and whether its lineage is a file of its own."""

    name: str
    title: str
    about: str
    suffix: str
    rows: str = ANSWERS
    beside: bool = False

    @property
    def file_name(self) -> str:
        """What the downloaded file is called."""
        return f"pairloop-{self.name}{self.suffix}"


FORMS = (
    Form(
        "openai-chat",
        "OpenAI chat (JSONL)",
        "Rows of messages, for OpenAI's fine-tuning and whatever reads its files. OpenAI takes no further keys: where each row "
        "came from is a second file, in the same order.",
        ".jsonl",
        beside=True,
    ),
    Form(
        "openai-preference",
        "OpenAI preference pairs (JSONL)",
        "Rows of input, preferred_output and non_preferred_output, for OpenAI's DPO. Where each row came from is a "
        "second file, in the same order.",
        ".jsonl",
        PAIRS,
        beside=True,
    ),
    Form(
        "trl-messages",
        "TRL messages (JSONL)",
        "Rows of messages with lineage columns, for TRL's SFTTrainer: it learns every turn, or the answers only with "
        "assistant_only_loss.",
        ".jsonl",
    ),
    Form(
        "trl-prompt-completion",
        "TRL prompt and completion (JSONL)",
        "Rows of prompt and completion as messages, for TRL's SFTTrainer, which learns the completion only.",
        ".jsonl",
    ),
    Form(
        "trl-preference",
        "TRL preference pairs (JSONL)",
        "Rows of prompt, chosen and rejected as messages, for TRL's DPOTrainer and RewardTrainer.",
        ".jsonl",
        PAIRS,
    ),
    Form(
        "trl-unpaired",
        "TRL wanted or not (JSONL)",
        "Rows of prompt, completion and label, for TRL's KTOTrainer: single answers that people want, or do not.",
        ".jsonl",
        SINGLES,
    ),
    Form(
        "argilla",
        "Argilla records (JSON)",
        "Records of Argilla 2 with the prompt as a chat, the answer that was reviewed as suggestion and the submitted one as "
        "response.",
        ".json",
    ),
    Form("csv", "Table (CSV)", "One row per answer, for a spreadsheet; the contexts are JSON in one cell.", ".csv"),
    Form(
        "parquet",
        "Table (Parquet)",
        "Rows of prompt and completion with typed lineage columns: the smallest file, for load_dataset and TRL.",
        ".parquet",
    ),
    Form(
        "parquet-preference",
        "Preference pairs (Parquet)",
        "Rows of prompt, chosen and rejected, with the same columns.",
        ".parquet",
        PAIRS,
    ),
)  # fmt: skip
_FORMS = {form.name: form for form in FORMS}


def form_of(name: str) -> Form:
    """Return a form by its name.

    Raises:
        TrainingError: there is no such form.
    """
    if name not in _FORMS:
        raise TrainingError("Choose one of the forms of training files.")
    return _FORMS[name]


def write(name: str, rows: Sequence[Row]) -> bytes:
    """Return a training file.

    Raises:
        TrainingError: there is no row of the kind that this form is made of.
    """
    form = form_of(name)
    if not rows:
        raise TrainingError(_NOTHING[form.rows])
    if form.suffix == ".parquet":
        return _parquet(form, rows)
    if name == "csv":
        return _csv(rows).encode()
    if name == "argilla":
        return json.dumps([_argilla(row) for row in rows], ensure_ascii=False).encode()
    if form.beside:
        return to_chat_jsonl(_LINES[name](row) for row in rows).encode()
    made = zip(map(_LINES[name], rows), lineage(rows), strict=True)
    return to_chat_jsonl({**line, **told} for line, told in made).encode()


def lineage_csv(rows: Sequence[Row]) -> bytes:
    """Return the lineage of a file's rows as CSV: its line n belongs to line n of the file (the header is extra)."""
    told = ({**line, "contexts": _json(line["contexts"])} for line in lineage(rows))
    return to_csv(("line", *LINEAGE), ([str(n), *map(_cell, line.values())] for n, line in enumerate(told, 1))).encode()


def lineage(rows: Sequence[Row]) -> Iterable[Line]:
    """Yield where each row comes from, and on which side of the suggested division by query it is."""
    held = {id(row) for row in split_by_query(rows, VALIDATION_SHARE)[1]}
    for row in rows:
        yield {
            "id": _id(row),
            "source": row.source or None,
            "split": "validation" if id(row) in held else "train",
            "query_id": row.query_id,
            "query": row.query,
            "record_id": row.record_id,
            "response_id": row.response_id,
            "vote_id": row.vote_id,
            "annotator": row.annotator or None,
            "guidelines_version": row.guidelines_version,
            "model": row.model or None,
            "overridden": row.overridden,
            "contexts": [asdict(context) for context in row.contexts],
        }


def problems(name: str, data: bytes) -> list[Problem]:
    """Return what the consumer of a JSONL form would refuse in a file; the other forms have no rules of their own."""
    if name not in _RULES:
        return []
    lines = data.decode().split("\n")
    return _RULES[name](lines[:-1] if lines and not lines[-1] else lines)


def validate_preference_jsonl(lines: Iterable[str]) -> list[Problem]:
    """Return what OpenAI's rules for preference files do not allow in these lines."""
    return _checked(lines, _preference_problems, exact=("input", "preferred_output", "non_preferred_output"))


def openai_file(rows: Sequence[Row], pairs: bool) -> bytes:
    """Return the file that OpenAI's endpoints take for rows or for pairs."""
    return write("openai-preference" if pairs else "openai-chat", rows)


def trl_lines(rows: Sequence[Row], pairs: bool) -> bytes:
    """Return the file that a TRL script takes, without lineage: what nobody needs to see there does not travel."""
    line = _LINES["trl-preference" if pairs else "trl-prompt-completion"]
    return to_chat_jsonl(map(line, rows)).encode()


_NOTHING = {
    ANSWERS: "No answer to a train query was submitted yet. Review some records on Edit first.",
    PAIRS: "There is no preference pair yet: change a suggestion on Edit, or choose votes to learn from.",
    SINGLES: "There is no such row yet: submit answers on Edit, or choose votes to learn from.",
}


def _said(text: str | None) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text or ""}]


def _messages(row: Row) -> Line:
    return {"messages": [dict(message) for message in row.messages]}


def _completion(row: Row) -> Line:
    return {"prompt": row.prompt, "completion": _said(row.answer)}


def _pair(row: Row) -> Line:
    return {"prompt": row.prompt, "chosen": _said(row.answer), "rejected": _said(row.rejected)}


def _openai_pair(row: Row) -> Line:
    return {
        "input": {"messages": row.prompt, "tools": [], "parallel_tool_calls": True},
        "preferred_output": _said(row.answer),
        "non_preferred_output": _said(row.rejected),
    }


_LINES: Mapping[str, Callable[[Row], Line]] = {
    "openai-chat": _messages,
    "openai-preference": _openai_pair,
    "trl-messages": _messages,
    "trl-prompt-completion": _completion,
    "trl-preference": _pair,
    "trl-unpaired": lambda row: {**_completion(row), "label": bool(row.label)},
}


def _id(row: Row) -> str:
    origin = row.response_id or row.vote_id or row.query_id
    return origin if row.rejected is None and row.label is None else f"{origin}-{row.source}-{_short(row)}"


def _short(row: Row) -> str:
    # Of one vote there may be several pairs.
    return uuid.uuid5(uuid.NAMESPACE_URL, f"{row.answer}\0{row.rejected}\0{row.label}").hex[:8]


def _argilla(row: Row) -> Line:
    answer = {"value": row.answer, "user_id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"pairloop:{row.annotator}"))}
    proposed = (
        {"answer": {"value": row.suggestion, "score": None, "agent": row.model or None}} if row.suggestion else {}
    )
    told = next(iter(lineage([row])))
    metadata = {
        name: told[name] for name in LINEAGE if name not in ("id", "contexts", "query") and told[name] is not None
    }
    contexts = "\n\n".join(f"{n}. **{item.document_name}** {item.text}" for n, item in enumerate(row.contexts, 1))
    return {
        "id": _id(row),
        "fields": {"prompt": row.prompt, "query": row.query, "contexts": contexts},
        "metadata": metadata,
        "suggestions": proposed,
        "responses": {"answer": [answer]},
        "vectors": {},
        "_server_id": None,
    }


def _csv(rows: Sequence[Row]) -> str:
    def cells(row: Row, told: Line) -> list[str]:
        system = "\n".join(message["content"] for message in row.prompt if message["role"] == "system")
        user = "\n".join(message["content"] for message in row.prompt if message["role"] != "system")
        return [system, user, row.answer, *map(_cell, {**told, "contexts": _json(told["contexts"])}.values())]

    made = (cells(row, told) for row, told in zip(rows, lineage(rows), strict=True))
    return to_csv(("system", "prompt", "completion", *LINEAGE), made)


def _cell(value: object) -> str:
    return "" if value is None else str(value)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _parquet(form: Form, rows: Sequence[Row]) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    message = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
    place = [
        ("chunk_id", pa.string()),
        ("document_id", pa.string()),
        ("document_name", pa.string()),
        ("text", pa.string()),
    ]
    place += [("start", pa.int64()), ("end", pa.int64()), ("score", pa.float64()), ("heading", pa.string())]
    kinds = {"guidelines_version": pa.int64(), "overridden": pa.bool_()}
    kinds["contexts"] = pa.list_(pa.struct([*place, ("page", pa.int64())]))
    shown = ("prompt", "chosen", "rejected") if form.rows == PAIRS else ("prompt", "completion")
    schema = pa.schema([(name, message) for name in shown] + [(name, kinds.get(name, pa.string())) for name in LINEAGE])
    line = _pair if form.rows == PAIRS else _completion
    made = [{**line(row), **told} for row, told in zip(rows, lineage(rows), strict=True)]
    file = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(made, schema=schema), file, row_group_size=10_000)
    return file.getvalue()


def _checked(
    lines: Iterable[str], check: Callable[[int, Line], Iterable[Problem]], exact: Sequence[str] = ()
) -> list[Problem]:
    found: list[Problem] = []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            found.append(Problem(number, "not_json", "This line is not one JSON object."))
            continue
        if unknown := [key for key in row if exact and key not in exact]:
            told = f"Keys that are not allowed: {', '.join(unknown)}."
            found.append(Problem(number, "unrecognized_key", told))
        found += check(number, row)
    return found


def _preference_problems(number: int, row: Line) -> Iterable[Problem]:
    given = row.get("input")
    messages = given.get("messages") if isinstance(given, dict) else None
    yield from _turns(number, "input", messages, ("system", "developer", "user", "assistant", "tool"))
    last = messages[-1] if isinstance(messages, list) and messages else {"role": "user"}
    if isinstance(last, dict) and last.get("role") not in ("user", "tool"):
        yield Problem(number, "last_message", "The last message of the input must be one that asks.")
    for name in ("preferred_output", "non_preferred_output"):
        yield from _turns(number, name, row.get(name), ("assistant", "tool"))
    if row.get("preferred_output") == row.get("non_preferred_output"):
        yield Problem(number, "same_answers", "Both answers of the pair say the same.")


def _turns(number: int, name: str, value: object, roles: Sequence[str]) -> Iterable[Problem]:
    if not isinstance(value, list) or not value:
        yield Problem(number, "missing_messages_list", f"There is no list of messages under {name!r}.")
        return
    for position, message in enumerate(value, 1):
        if not isinstance(message, dict) or message.get("role") not in roles:
            told = f"The role of message {position} of {name} is none of {', '.join(roles)}."
            yield Problem(number, "unrecognized_role", told)
        elif not isinstance(message.get("content"), str) or not message["content"].strip():
            yield Problem(number, "missing_content", f"Message {position} of {name} has no text.")
    if roles[0] == "assistant" and not any(isinstance(m, dict) and m.get("role") == "assistant" for m in value):
        yield Problem(number, "missing_assistant_message", f"{name} holds no message of the assistant.")


def _trl_problems(*columns: str) -> Callable[[int, Line], Iterable[Problem]]:
    roles = {"completion": ("assistant",), "chosen": ("assistant",), "rejected": ("assistant",)}
    before = ("system", "user", "assistant", "tool")

    def check(number: int, row: Line) -> Iterable[Problem]:
        for name in columns:
            if name == "label":
                if not isinstance(row.get("label"), bool):
                    yield Problem(number, "label", "label must be true or false.")
                continue
            yield from _turns(number, name, row.get(name), roles.get(name, before))

    return check


_RULES: Mapping[str, Callable[[Iterable[str]], list[Problem]]] = {
    "openai-chat": validate_chat_jsonl,
    "openai-preference": validate_preference_jsonl,
    "trl-messages": lambda lines: _checked(lines, _trl_problems("messages")),
    "trl-prompt-completion": lambda lines: _checked(lines, _trl_problems("prompt", "completion")),
    "trl-preference": lambda lines: _checked(lines, _trl_problems("prompt", "chosen", "rejected")),
    "trl-unpaired": lambda lines: _checked(lines, _trl_problems("prompt", "completion", "label")),
}
