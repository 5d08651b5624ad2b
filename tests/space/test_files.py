"""The files of a Space: the card, the requirements, the Dockerfile, and that nothing is missing or too much."""

import ast
import re
import tomllib
from importlib import metadata

import pytest
import yaml
from packaging.utils import canonicalize_name

from pipeline.settings import SETTINGS
from space.files import PORT, ROOT, lay_out, space_files
from space.publish import _parser
from space.requirements import OLDER, requirements, versions

COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
LOCKED = versions((ROOT / "constraints.txt").read_text(encoding="utf-8"))
FILES = space_files()


def card(files):
    return yaml.safe_load(re.match(r"---\n(.*?)\n---\n", files["README.md"].decode(), re.S)[1])


def test_the_card_is_what_a_space_needs():
    told = card(FILES)
    assert told["sdk"] == "gradio" and told["sdk_version"] == LOCKED["gradio"]
    assert told["python_version"] == "3.11" and told["app_file"] in FILES
    assert told["hf_oauth"] is True and set(told.get("hf_oauth_scopes", ())) <= {"openid", "profile"}
    assert {told["colorFrom"], told["colorTo"]} <= COLOURS and len(told["short_description"]) <= 60
    assert re.fullmatch(r"\d+m", told["startup_duration_timeout"]) and told["termination_grace_period"] == "1m"
    assert "pairloop" in told["tags"]


def test_the_card_of_a_docker_space_differs_in_what_runs_it():
    gradio, docker = card(FILES), card(space_files("docker"))
    assert (docker.pop("sdk"), docker.pop("app_port")) == ("docker", PORT)
    assert docker == {name: gradio[name] for name in docker}
    assert set(gradio) - set(docker) == {"sdk", "sdk_version", "python_version", "app_file"}


def test_every_module_that_is_imported_is_there_and_nothing_of_tests():
    modules = {
        name.removesuffix(".py").replace("/", ".").removesuffix(".__init__") for name in FILES if name[-3:] == ".py"
    }
    for name, content in FILES.items():
        if name.endswith(".py"):
            for wanted in imported(content):
                if wanted.split(".")[0] in ("app", "components", "pipeline", "space", "tests"):
                    assert wanted in modules or wanted.rpartition(".")[0] in modules, f"{name} imports {wanted}"
    assert not [name for name in FILES if name.startswith(("tests", ".")) or "__pycache__" in name]


def imported(source):
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


def test_what_setuptools_would_package_is_there():
    data = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["package-data"]
    for package, patterns in data.items():
        for pattern in patterns:
            files = [
                file for file in (ROOT / package).glob(pattern) if file.is_file() and "__pycache__" not in file.parts
            ]
            assert files and {file.relative_to(ROOT).as_posix() for file in files} <= set(FILES)


def test_the_requirements_are_those_that_are_made_of_the_lock():
    assert FILES["requirements.txt"].decode() == requirements(), "run: python -m space.requirements"
    pinned = versions(FILES["requirements.txt"].decode())
    assert {name: version for name, version in pinned.items() if LOCKED[name] != version} == OLDER


@pytest.mark.parametrize("extra", ["oauth", "mcp"])
def test_the_second_step_of_a_spaces_build_leaves_them_as_they_are(extra):
    from packaging.requirements import Requirement

    pinned = versions(FILES["requirements.txt"].decode())
    for line in metadata.requires("gradio"):
        needed = Requirement(line)
        if needed.marker is None or needed.marker.evaluate({"extra": extra}):
            version = pinned.get(canonicalize_name(needed.name))
            assert version is None or needed.specifier.contains(version), line
            assert version or extra == "mcp", line


def test_the_dockerfile_fits_the_files_and_the_card():
    files = space_files("docker")
    lines = re.sub(r"\\\n", " ", files["Dockerfile"].decode())
    steps = re.findall(r"^([A-Z]+) (.*)$", lines, re.M)
    names = [name for name, _ in steps]
    assert steps[0] == ("FROM", f"python:{card(FILES)['python_version']}-slim")
    assert "--uid 1000 user" in lines and ("USER", "user") in steps
    assert names.index("USER") < names.index("CMD") and names.index("RUN") < names.index("USER")
    assert ("EXPOSE", str(PORT)) in steps and f"PAIRLOOP_PORT={PORT}" in lines and "PAIRLOOP_HOST=0.0.0.0" in lines
    for name, rest in steps:
        if name == "COPY":
            sources = [word for word in rest.split() if not word.startswith("--")][:-1]
            assert all(source == "." or source in files for source in sources)
    check = dict(steps)["HEALTHCHECK"]
    assert f"http://127.0.0.1:{PORT}/healthz" in check and "--start-period=5m" in check
    assert ast.literal_eval(dict(steps)["CMD"]) == ["python", "app.py"] and "app.py" in files
    assert not re.search(r"TOKEN|KEY|SECRET", lines)


def test_the_files_stay_small():
    assert sum(len(content) for content in FILES.values()) < 10_000_000
    assert max(len(content) for content in FILES.values()) < 10_000_000


def test_the_guide_names_what_is_there():
    guide = (ROOT / "space" / "OPERATIONS.md").read_text(encoding="utf-8")
    sources = "".join(
        (ROOT / name).read_text(encoding="utf-8") for name in ("components/web/metrics.py", "components/web/health.py")
    )
    known = {setting.name for setting in SETTINGS}
    assert set(re.findall(r"\b(PAIRLOOP_[A-Z_]+)\b", guide)) <= known
    # The cookie of a proxy that keeps people on one replica is no metric.
    for metric in set(re.findall(r"\bpairloop_(\w+)", guide)) - {"replica"}:
        name = metric.removesuffix("_count")
        assert f'"{name}"' in sources or f'"pairloop_{name}"' in sources
    given = "\n".join(re.findall(r"space\.publish.*|`--.*", guide))
    options = {option for action in _parser()._actions for option in action.option_strings}
    assert set(re.findall(r"(?<!\S)`?(--[a-z-]+)", given)) <= options
    for path in re.findall(r"^\| `(/\w+)` \|", guide, re.M):
        assert f'"{path}"' in sources
    for file in re.findall(r"`(space/[\w.]+)`", guide):
        assert (ROOT / file).is_file()


def test_the_files_can_be_laid_out_for_docker_anywhere(tmp_path):
    assert lay_out(tmp_path / "new", "docker") == len(space_files("docker"))
    there = {file.relative_to(tmp_path / "new").as_posix() for file in (tmp_path / "new").rglob("*") if file.is_file()}
    assert there == set(space_files("docker"))
