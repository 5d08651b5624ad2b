"""Which files a Space gets: those that the app needs at work, its card, its requirements, and for Docker a Dockerfile."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# What lies at the root of the Space under another name than here.
OWN = {"README.md": "space/README.md", "requirements.txt": "space/requirements.txt"}
OF_SDK = {"gradio": {"space_app.py": "space/app.py"}, "docker": {"Dockerfile": "space/Dockerfile"}}
# As in pyproject.toml: modules, and what [tool.setuptools.package-data] says.
PATTERNS = ("app.py", "components/**/*.py", "components/assets/*", "pipeline/**/*.py", "pipeline/example/**/*")
PATTERNS += ("pipeline/store/migrations/*", "space/__init__.py", "space/zero.py")
# Lines of the card that are for Gradio's own Spaces only.
GRADIO_ONLY = ("sdk_version", "python_version", "app_file")
PORT = 7860


def space_files(sdk: str = "gradio", root: Path = ROOT) -> dict[str, bytes]:
    """Return all files of a Space, by their path there."""
    found = {path: (root / source).read_bytes() for path, source in (OWN | OF_SDK[sdk]).items()}
    if sdk == "docker":
        found["README.md"] = docker_card(found["README.md"].decode()).encode()
    for file in _files(root):
        found[file.relative_to(root).as_posix()] = file.read_bytes()
    return dict(sorted(found.items()))


def docker_card(card: str) -> str:
    """Return the card as a Docker Space needs it."""
    block = re.match(r"---\n(.*?)^---\n", card, re.S | re.M)
    lines = [line for line in block[1].splitlines() if line.partition(":")[0] not in GRADIO_ONLY]
    told = [f"sdk: docker\napp_port: {PORT}" if line.startswith("sdk:") else line for line in lines]
    return "---\n" + "\n".join(told) + "\n---\n" + card[block.end() :]


def _files(root: Path) -> Iterator[Path]:
    for pattern in PATTERNS:
        for file in root.glob(pattern):
            if file.is_file() and "__pycache__" not in file.parts and not file.name.startswith("."):
                yield file


def lay_out(folder: Path, sdk: str) -> int:
    """Write the files of a Space into a folder that is not there yet; return how many."""
    folder.mkdir(parents=True)
    files = space_files(sdk)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return len(files)


if __name__ == "__main__":
    usage = f"python -m space.files {'|'.join(OF_SDK)} FOLDER: writes the files of such a Space into a new folder."
    if sys.argv[1:] in (["--help"], ["-h"]):
        print(usage)
        sys.exit()
    if len(sys.argv) != 3 or sys.argv[1] not in OF_SDK:
        sys.exit(usage)
    if Path(sys.argv[2]).exists():
        sys.exit(f"{sys.argv[2]} is there already: name a new folder, or delete it first.")
    print(f"{lay_out(Path(sys.argv[2]), sys.argv[1])} files in {sys.argv[2]}")
