"""Label Studio's labelling configuration in XML: read as settings, and written from them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.sax.saxutils import quoteattr

from pipeline.annotation.argilla import plain_name
from pipeline.annotation.plain import from_plain
from pipeline.annotation.settings import DatasetSettings, Field, FieldKind, Question, QuestionKind
from pipeline.errors import RecordError

_OBJECTS = {"Text": "text", "HyperText": "text", "Markdown": "markdown", "Paragraphs": "chat", "Chat": "chat"}
_OTHER_OBJECTS = ("Image", "Audio", "AudioPlus", "Video", "TimeSeries", "Table", "Pdf")
MAX_STARS = 10
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def is_config(text: str) -> bool:
    """Say whether a text is a labelling configuration."""
    return text.lstrip("\ufeff \r\n\t").startswith(("<View", "<?xml", "<!--"))


def read(text: str, options: Mapping[str, list[str]] | None = None) -> tuple[DatasetSettings, list[str]]:
    """Return the settings, and in sentences what was left out.

    ``options`` are the items that each ranker's list has in the tasks: the configuration does not say them.

    Raises:
        RecordError: it is not XML, or holds nothing that is known here.
    """
    from lxml import etree

    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise RecordError("This labelling configuration declares a document type, which none of Label Studio's does.")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True)
    try:
        root = etree.fromstring(text.lstrip("\ufeff \r\n\t").encode(), parser)
    except etree.XMLSyntaxError as error:
        raise RecordError(f"This labelling configuration is not XML: {error.msg}.") from error
    notes: list[str] = []
    fields: list[dict[str, object]] = []
    questions: list[dict[str, object]] = []
    lists = {element.get("name"): element for element in root.iter("List")}
    ranked = {element.get("toName") for element in root.iter("Ranker")}
    for element in root.iter():
        tag = element.tag if isinstance(element.tag, str) else ""
        if tag in _OBJECTS or (tag == "List" and element.get("name") not in ranked):
            _add_field(fields, element, _OBJECTS.get(tag, "contexts"), notes)
        elif tag in ("Choices", "TextArea", "Rating", "Ranker"):
            _add_question(questions, element, tag, lists, options or {}, notes)
        elif tag in _OTHER_OBJECTS or tag.endswith("Labels") or tag in ("Taxonomy", "Pairwise", "Number", "DateTime"):
            notes.append(f"<{tag}> was left out: only texts and questions about a whole record are known here.")
    if not fields and not questions:
        raise RecordError("This labelling configuration has no text and no question that is known here.")
    return from_plain({"fields": fields, "questions": questions}), list(dict.fromkeys(notes))


def _add_field(fields: list, element, kind: str, notes: list[str]) -> None:
    source = (element.get("value") or "").lstrip("$")
    if not (element.get("value") or "").startswith("$") or not source:
        return
    name = plain_name(source)
    if name != source:
        notes.append(f"The field {source!r} is called {name!r} here.")
    if name not in [field["name"] for field in fields]:
        fields.append({"name": name, "type": kind})


def _add_question(questions: list, element, tag: str, lists: Mapping, options: Mapping, notes: list[str]) -> None:
    source = element.get("name") or tag.lower()
    name, known = plain_name(source), {"required": element.get("required") == "true"}
    if element.get("perRegion") == "true" or element.get("perItem") == "true":
        notes.append(f"The question {source!r} was left out: it is about parts of a record.")
        return
    if name in [question["name"] for question in questions]:
        notes.append(f"A second question named {name!r} was left out.")
        return
    if name != source:
        notes.append(f"The question {source!r} is called {name!r} here.")
    if tag == "TextArea":
        questions.append({"name": name, "type": "text", **known})
    elif tag == "Rating":
        stars = element.get("maxRating") or "5"
        top = min(int(stars), MAX_STARS) if stars.isdecimal() else 5
        questions.append({"name": name, "type": "rating", "values": list(range(1, top + 1)), **known})
    elif tag == "Choices":
        kind = "multi_label" if element.get("choice") == "multiple" else "label"
        questions.append({"name": name, "type": kind, "options": _choices(element), **known})
    else:
        source = lists.get(element.get("toName"))
        items = options.get((source.get("value") or "").lstrip("$"), []) if source is not None else []
        if not items:
            notes.append(
                f"The ranking {name!r} was left out: what is ranked stands in the tasks, not the configuration."
            )
            return
        questions.append({"name": name, "type": "ranking", "options": [{"value": item} for item in items], **known})


def _choices(element) -> list[dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for choice in element.iter("Choice"):
        shown = choice.get("value") or ""
        value = choice.get("alias") or shown
        found.setdefault(value, {"value": value} if value == shown else {"value": value, "text": shown})
    return list(found.values())


def write(settings: DatasetSettings) -> str:
    """Return a configuration for these settings. Rankings show a list that each task has beside its data."""
    shown = [line for field in settings.fields for line in _field(field)]
    target = next((f.name for f in settings.fields if f.kind in (FieldKind.TEXT, FieldKind.MARKDOWN)), None)
    target = target or settings.fields[0].name
    asked = [line for question in settings.questions for line in _question(question, target)]
    return "\n".join(["<View>", *shown, *asked, "</View>", ""])


def _field(field: Field) -> list[str]:
    name, value = _attr(field.name), _attr(f"${field.name}")
    head = f"  <Header value={_attr(field.heading)}/>"
    if field.kind is FieldKind.CHAT:
        keys = 'nameKey="role" textKey="content"'
        return [head, f'  <Paragraphs name={name} value={value} layout="dialogue" {keys}/>']
    if field.kind is FieldKind.CONTEXTS:
        return [f"  <List name={name} value={value} title={_attr(field.heading)}/>"]
    return [head, f"  <Text name={name} value={value}/>"]


def options_key(question: str) -> str:
    """Return the name under which a task lists what is ranked."""
    return f"{question}_options"


def _question(question: Question, target: str) -> list[str]:
    name, to = _attr(question.name), _attr(target)
    required = ' required="true"' if question.required else ""
    head = f"  <Header value={_attr(question.heading)}/>"
    if question.kind is QuestionKind.TEXT:
        return [head, f'  <TextArea name={name} toName={to} rows="4" maxSubmissions="1"{required}/>']
    if question.kind is QuestionKind.RATING:
        top = max([1, *(int(value) for value in question.values)])
        return [head, f'  <Rating name={name} toName={to} maxRating="{top}"{required}/>']
    if question.kind is QuestionKind.RANKING:
        listed = _attr(options_key(question.name))
        value = _attr(f"${options_key(question.name)}")
        source = f"  <List name={listed} value={value} title={_attr(question.heading)}/>"
        return [source, f"  <Ranker name={name} toName={listed}/>"]
    choice = "multiple" if question.kind is QuestionKind.MULTI_LABEL else "single"
    options = [
        f"    <Choice value={_attr(option.shown)}" + (f" alias={_attr(str(option.value))}/>" if option.text else "/>")
        for option in question.options
    ]
    return [head, f'  <Choices name={name} toName={to} choice="{choice}"{required}>', *options, "  </Choices>"]


def _attr(text: str) -> str:
    return quoteattr(_NOT_XML.sub("\ufffd", text))
