"""The README and the handbook say what is there."""

import re
import sys
import tomllib
from pathlib import Path

from components.address import TABS
from pipeline.settings import SETTINGS

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
HANDBOOK = "\n".join(file.read_text(encoding="utf-8") for file in ROOT.glob("pipeline/example/handbook/*.md"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_settings_table_is_the_settings():
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \|$", README, re.M)
    assert rows == [(s.name, f"`{s.default}`" if s.default else "not set", s.help) for s in SETTINGS]


def test_every_picture_of_the_readme_exists():
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", README)
    assert len(pictures) == 5
    assert [picture for picture in pictures if not (ROOT / picture).is_file()] == []


def test_every_tab_is_in_the_handbook():
    assert [tab for tab in TABS if not re.search(rf"\b{tab.capitalize()} tab\b|\*\*{tab.capitalize()}", HANDBOOK)] == []


def test_the_commands_of_the_first_screen_exist():
    first_screen = README[: README.index("## The loop")]
    assert "pip install -c constraints.txt -e ." in first_screen and "python3 tests/run.py" in first_screen
    assert PROJECT["project"]["scripts"]["pairloop"] == "app:main"
    assert "python3 tests/run.py" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_every_folder_that_the_readme_draws_exists():
    drawn = re.findall(r"^    (\w+(?:\.py|/))  ", README, re.M)
    assert len(drawn) == 5
    assert [name for name in drawn if not (ROOT / name).exists()] == []


def test_every_dependency_has_a_reason_and_a_locked_version():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8").lower().replace("_", "-")
    locked = set(re.findall(r"^([\w.-]+)==", constraints, re.M))
    for line in re.search(r"^dependencies = \[\n(.*?)^\]", text, re.M | re.S)[1].splitlines():
        name, reason = re.match(r'\s+"([\w-]+)[^"]*",\s*# (.+)', line).groups()
        assert len(reason) > 10 and name.lower() in locked


def test_what_is_imported_is_declared_and_the_other_way_round():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    listed = re.search(r"^dependencies = \[\n(.*?)^\]", text, re.M | re.S)[1]
    declared = set(re.findall(r'^  "([\w-]+)', listed, re.M))
    modules = {
        "python-docx": "docx",
        "python-pptx": "pptx",
        "llama-index-core": "llama_index",
        "markdown-it-py": "markdown_it",
        "pyyaml": "yaml",
        "argon2-cffi": "argon2",
        "pyjwt": "jwt",
    }
    wanted = {modules.get(name, name.replace("-", "_")) for name in declared} - {"cryptography"}  # pypdf's own need
    found = set()
    for file in [ROOT / "app.py", *ROOT.glob("components/**/*.py"), *ROOT.glob("pipeline/**/*.py")]:
        found |= set(re.findall(r"^\s*(?:from|import) ([a-z_0-9]+)", file.read_text(encoding="utf-8"), re.M))
    optional = {re.match(r"[\w-]+", line)[0].replace("-", "_") for line in _extras()}
    assert found - optional - set(sys.stdlib_module_names) - {"app", "components", "pipeline"} == wanted


def test_every_extra_is_locked():
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8").lower().replace("_", "-")
    locked = set(re.findall(r"^([\w.-]+)==", constraints, re.M))
    assert {re.match(r"[\w-]+", line)[0].lower() for line in _extras()} <= locked


def _extras() -> list[str]:
    extras = PROJECT["project"]["optional-dependencies"]
    return [line for name, lines in extras.items() if name != "test" for line in lines]


def test_the_lock_file_has_no_address():
    assert not re.search(r"https?://|--index|@ ", (ROOT / "constraints.txt").read_text(encoding="utf-8"))


def test_the_changelog_has_the_version():
    version = PROJECT["project"]["version"]
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
