"""From a file to chunks: :func:`read_file` turns a file into text with named places, :func:`split_document` cuts it up.

Both are cheap to import: the libraries behind a file format, and LlamaIndex, are imported at the first use.
"""

from pipeline.documents.apart import read_apart
from pipeline.documents.chunking import split_document
from pipeline.documents.kinds import ENDINGS
from pipeline.documents.reading import ReadText, read_file
from pipeline.documents.refusals import SUPPORTED

__all__ = ["ENDINGS", "SUPPORTED", "ReadText", "read_apart", "read_file", "split_document"]
