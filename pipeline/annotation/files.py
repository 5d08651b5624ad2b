"""The settings of a dataset as a YAML or JSON file, and back; Argilla's files are read too."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import yaml

from pipeline.annotation.argilla import from_argilla, is_argilla
from pipeline.annotation.plain import from_plain, to_plain
from pipeline.annotation.settings import DatasetSettings
from pipeline.errors import RecordError

MAX_CHARACTERS = 2_000_000
MAX_DEPTH = 20
_PARTS = ("fields", "questions")
_STRING = "tag:yaml.org,2002:str"
_ODD_BREAKS = re.compile("[\r\x85\u2028\u2029\ufeff]")


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings out of a file; ``notes`` say in sentences what was read otherwise than it stood there."""

    settings: DatasetSettings
    notes: tuple[str, ...] = ()


def to_yaml(settings: DatasetSettings) -> str:
    """Return settings as YAML, for people to read and change."""
    return yaml.dump(to_plain(settings), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def to_json(settings: DatasetSettings) -> str:
    """Return settings as JSON."""
    return json.dumps(to_plain(settings), ensure_ascii=False, indent=2) + "\n"


def from_text(text: str) -> Loaded:
    """Return the settings in the text of a YAML or JSON file, ours or Argilla's. They may be incomplete.

    Raises:
        RecordError: it is neither, or a value is not allowed; the message says where.
    """
    if len(text) > MAX_CHARACTERS:
        raise RecordError(f"This file has {len(text):,} characters; settings have at most {MAX_CHARACTERS:,}.")
    text = text.removeprefix("\ufeff")
    try:
        plain = _from_json(text) if text.lstrip().startswith("{") else _from_yaml(text)
    except RecursionError as error:
        raise RecordError("The values of this file are nested too deeply for settings.") from error
    if not isinstance(plain, Mapping):
        raise RecordError("This file holds no settings: it must have fields and questions.")
    return _loaded(plain)


def _loaded(plain: Mapping[str, object]) -> Loaded:
    notes: list[str] = []
    if not any(key in plain for key in _PARTS):
        inside = {
            name: part for name, part in plain.items() if isinstance(part, Mapping) and set(_PARTS) <= part.keys()
        }
        if not inside:
            raise RecordError("This file holds no settings: it has neither fields nor questions.")
        name, plain = next(iter(inside.items()))
        if len(inside) > 1:
            notes.append(f"The file holds the settings of {len(inside)} datasets; {name!r} was read, the first.")
        # What else stands beside fields and questions of such a file is not about annotation.
        known = (*_PARTS, "guidelines", "metadata", "metadata_properties", "distribution", "vectors")
        plain = {key: value for key, value in plain.items() if key in known}
    if not is_argilla(plain):
        return Loaded(from_plain(plain), tuple(notes))
    settings, more = from_argilla(plain)
    return Loaded(settings, (*notes, *more))


def _from_json(text: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        # Braces begin a mapping in YAML too, where names need no quotes.
        try:
            return _from_yaml(text)
        except RecordError:
            raise RecordError(f"This is not JSON, line {error.lineno}: {error.msg}.") from error


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise RecordError(f"{twice!r} stands twice in one place.")
    return found


def _from_yaml(text: str) -> object:
    try:
        # A SafeLoader with less to it.
        return yaml.load(text, Loader=_Loader)  # noqa: S506
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f", line {mark.line + 1}" if mark else ""
        raise RecordError(f"This is not YAML{place}: {error.problem or error.context}.") from error
    except (yaml.YAMLError, ValueError) as error:
        raise RecordError(f"This is not YAML: {' '.join(str(error).split())[:300]}") from error


class _Loader(yaml.SafeLoader):
    """Reads plain values: no aliases, which a small file can grow without end by, no deep nests, no name twice."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = 0

    def compose_node(self, parent, index):
        """Read a node, and refuse aliases and deep nests."""
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "aliases (*) are not allowed", event.start_mark)
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise yaml.composer.ComposerError(None, None, "the values are nested too deeply", event.start_mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_mapping(self, node, deep=False):
        """Read a mapping, and refuse one that has a name twice."""
        if not isinstance(node, yaml.MappingNode):
            return super().construct_mapping(node, deep)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} stands twice", key.start_mark)
            seen |= {key.value} if isinstance(key, yaml.ScalarNode) else set()
        return super().construct_mapping(node, deep)


# As in YAML 1.2: only true and false are truth values, so that "yes" and "no" can be labels, and dates stay texts.
_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern) for tag, pattern in resolvers if not tag.endswith((":bool", ":timestamp", ":merge", ":value"))
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(?:true|false)$"), list("tf"))


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as such."""

    def ignore_aliases(self, data: object) -> bool:
        """Write everything out."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    if _ODD_BREAKS.search(text):
        # Other line breaks than \n are lost but in quotes.
        return dumper.represent_scalar(_STRING, text, style='"')
    readable = "\n" in text and not any(line != line.rstrip() for line in text.split("\n")) and text[:1] not in " \n"
    return dumper.represent_scalar(_STRING, text, style="|" if readable else None)


def _list(dumper: yaml.SafeDumper, items: list[object]) -> yaml.SequenceNode:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, all(isinstance(item, int) for item in items))


_Dumper.add_representer(str, _text)
_Dumper.add_representer(list, _list)
