"""The documents panel of Ask: bring files, see what is searched, delete."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import gradio as gr

from components import _html
from components._guard import allowed
from components._noting import noted
from pipeline.errors import DocumentError
from pipeline.library import Added
from pipeline.records import Role
from pipeline.services import Services
from pipeline.store.documents import DocumentSummary

# Each is read while this person waits.
MAX_FILES = 200
_DELETE_JS = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-delete]');
  if (!button) return;
  if (button.dataset.sure) { trigger('delete', {document: button.dataset.delete}); return; }
  button.dataset.sure = 'yes';
  button.textContent = 'Really delete';
  setTimeout(() => { delete button.dataset.sure; button.textContent = 'Delete'; }, 4000);
});
"""


@dataclass(frozen=True, slots=True)
class DocumentsPanel:
    """Components of the panel."""

    root: gr.Accordion
    upload: gr.File
    example: gr.Button
    report: gr.HTML
    table: gr.HTML


class Changed(NamedTuple):
    """Output order after documents came or went."""

    report: str
    table: str
    upload: None = None


class DocumentsHandlers:
    """Takes documents in and out."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def list_documents(self) -> str:
        """Return the table of documents."""
        return table(self._services.library.summaries())

    def add_files(self, paths: list[str] | None) -> Changed:
        """Take in the uploaded files; each that cannot be read is named with its reason."""
        files = [(Path(path), Path(path).name) for path in paths or []]
        if len(files) > MAX_FILES:
            raise DocumentError(f"These are {len(files):,} files: bring at most {MAX_FILES} at a time.")
        added = self._services.library.add_files(files)
        good = [item.name for item in added if not item.problem]
        if len(good) == 1:
            noted(self._services, "document.added", good[0])
        elif good:
            noted(self._services, "documents.added", f"{good[0]} …", {"documents": len(good)})
        return Changed(report(added), self.list_documents())

    def add_example(self) -> Changed:
        """Take in the bundled handbook with its queries."""
        added = self._services.example.add()
        if all(item.problem for item in added):
            return Changed(_html.note("The example is in the workspace already.", "good"), self.list_documents())
        noted(self._services, "example.added")
        return Changed(report(added), self.list_documents())

    def delete_document(self, event: gr.EventData) -> Changed:
        """Take one document out of the search."""
        document_id = str(event._data.get("document", ""))
        names = {item.id: item.name for item in self._services.library.summaries()}
        self._services.library.delete(document_id)
        noted(self._services, "document.removed", names.get(document_id, ""))
        text = "Deleted. Answers that cite the document keep their passages."
        return Changed(_html.note(text, "good"), self.list_documents())


def build() -> DocumentsPanel:
    """Lay out the panel."""
    with gr.Accordion("Documents", open=False, elem_id="documents-panel") as root, gr.Row():
        with gr.Column(scale=2, min_width=300):
            upload = gr.File(
                label="Bring documents: PDF, DOCX, PPTX, XLSX, HTML, Markdown, text, CSV",
                file_count="multiple",
                height=150,
                elem_id="documents-upload",
            )
            example = gr.Button("Add the example (Pairloop's handbook)", size="sm", elem_id="documents-example")
            report_html = gr.HTML("", elem_id="documents-report")
        with gr.Column(scale=3, min_width=300):
            table_html = gr.HTML(table(()), js_on_load=_DELETE_JS, elem_id="documents-table")
    return DocumentsPanel(root, upload, example, report_html, table_html)


def wire(panel: DocumentsPanel, handlers: DocumentsHandlers, root: gr.Tab) -> None:
    """Attach the listeners."""
    changed = [panel.report, panel.table, panel.upload]
    root.select(
        allowed(Role.ANNOTATOR, handlers.list_documents),
        None,
        panel.table,
        api_visibility="private",
        show_progress="hidden",
    )
    panel.upload.upload(
        allowed(Role.ADMIN, handlers.add_files, cost=1), panel.upload, changed, api_visibility="private"
    )
    panel.example.click(allowed(Role.ADMIN, handlers.add_example, cost=1), None, changed, api_visibility="private")
    panel.table.delete(allowed(Role.ADMIN, handlers.delete_document), None, changed, api_visibility="private")


def report(added: Sequence[Added]) -> str:
    """Return what became of each file."""
    good = [item for item in added if not item.problem]
    lines = [_html.note(item.problem, "bad") for item in added if item.problem]
    if good:
        passages = sum(item.chunks for item in good)
        names = ", ".join(item.name for item in good[:3]) + (" …" if len(good) > 3 else "")
        lines.insert(0, _html.note(f"Added {names}: {passages} passages can be searched now.", "good"))
    return "".join(lines)


def table(summaries: Sequence[DocumentSummary]) -> str:
    """Return the documents as a table."""
    if not summaries:
        return _html.empty("No documents yet", "Drop files here, or add the example. Then ask something about them.")
    rows = "".join(
        f"<tr><td class='pl-wide'>{_html.esc(item.name)}</td><td class='pl-num'>{item.characters:,}</td>"
        f"<td class='pl-num'>{item.chunks}</td><td>{_html.ago(item.created_at)}</td>"
        f"<td><button type='button' class='pl-link-button' data-delete='{item.id}' "
        f"aria-label='Delete {_html.esc(item.name)}'>Delete</button></td></tr>"
        for item in summaries
    )
    return (
        "<div class='pl-scroll' tabindex='0'><table class='pl-table'><thead><tr><th>Document</th>"
        "<th class='pl-num'>Characters</th><th class='pl-num'>Passages</th><th>Added</th><th></th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )
