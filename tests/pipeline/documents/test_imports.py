"""The room is cheap to enter: what is heavy is imported at its first use."""

import subprocess
import sys


def test_importing_documents_imports_no_reader_and_no_splitter() -> None:
    program = (
        "import sys, pipeline.documents\n"
        "heavy = {'llama_index', 'tiktoken', 'pypdf', 'docx', 'pptx', 'openpyxl', 'lxml', 'charset_normalizer', 'numpy'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"
