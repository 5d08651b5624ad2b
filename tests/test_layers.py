"""The direction of imports, and that importing does nothing."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted([ROOT / "app.py", *ROOT.glob("components/**/*.py"), *ROOT.glob("pipeline/**/*.py")])
FILES = [file for file in FILES if "migrations" not in file.parts]
# From the ground up: a room imports only rooms of lower rank, or of its own. A folder is one room.
RANKS = {
    "pipeline.errors": 0,
    "pipeline.ulid": 0,
    "pipeline.version": 0,
    "pipeline.terminal": 1,
    "pipeline.events": 0,
    "pipeline.space": 0.5,
    "pipeline.cleaning": 1,
    "pipeline.home": 1,
    "pipeline.contained": 1,
    "pipeline.environment": 0.5,
    "pipeline.database_url": 0.5,
    "pipeline.addresses": 0.5,
    "pipeline.naming": 1,
    "pipeline.settings": 1,
    "pipeline.records": 2,
    "pipeline.comparison_settings": 2.5,
    "pipeline.retrieval_settings": 2.5,
    "pipeline.makers": 2,
    "pipeline.orders": 2,
    "pipeline.annotation": 2.6,
    "pipeline.dump": 2.7,
    "pipeline.background": 3,
    "pipeline.prompts": 2.3,
    "pipeline.judge_prompt": 2.3,
    "pipeline.chat_configs": 2.3,
    "pipeline.prices": 1,
    "pipeline.agreement": 3,
    "pipeline.ranking": 3,
    "pipeline.documents": 3,
    "pipeline.export": 3,
    "pipeline.batch": 3,
    "pipeline.retrieval": 3,
    "pipeline.differences": 3.2,
    "pipeline.means": 3.2,
    "pipeline.review_numbers": 3.4,
    "pipeline.unification": 3.4,
    "pipeline.anchoring": 3.4,
    "pipeline.retrieval_metrics": 3.4,
    "pipeline.spreadsheets": 3,
    "pipeline.store": 3,
    "pipeline.journal": 3,
    "pipeline.query_files": 4,
    "pipeline.record_files": 4,
    "pipeline.record_desk": 7,
    "pipeline.models": 4,
    "pipeline.models.causes": 2.2,
    "pipeline.hub": 4,
    "pipeline.archive": 4,
    "pipeline.backup": 5,
    "pipeline.replicas": 6.6,
    "pipeline.move_store": 4,
    "pipeline.library": 4,
    "pipeline.vote_files": 4,
    "pipeline.vote_training": 3.6,
    "pipeline.vote_import": 4.5,
    "pipeline.vote_desk": 4.6,
    "pipeline.judgement_files": 4,
    "pipeline.query_lists": 5,
    "pipeline.vectors": 3,
    "pipeline.vector_store": 4.2,
    "pipeline.embedding_index": 4.3,
    "pipeline.retriever": 4.4,
    "pipeline.retrieval_desk": 4.6,
    "pipeline.retrieval_gold": 4,
    "pipeline.retrieval_bench": 4.6,
    "pipeline.generation": 5,
    "pipeline.run_figures": 2.2,
    "pipeline.run_watch": 4.5,
    "pipeline.turns": 4.6,
    "pipeline.registry": 5,
    "pipeline.prompt_desk": 5,
    "pipeline.finetune.rows": 3.5,
    "pipeline.finetune.trainers": 4,
    "pipeline.finetune.checks": 4,
    "pipeline.finetune.files": 4,
    "pipeline.finetune.embedded": 5,
    "pipeline.finetune.gguf_deltas": 1,
    "pipeline.finetune.local_script": 2,
    "pipeline.finetune.local": 5.5,
    "pipeline.local_desk": 5.5,
    "pipeline.finetune.openai_trainer": 5.5,
    "pipeline.finetune.hub_script": 1,
    "pipeline.finetune.hf_jobs": 5.5,
    "pipeline.finetune.embedded_trainer": 5.5,
    "pipeline.finetune.jobs": 5.5,
    "pipeline.filters": 3,
    "pipeline.datasets": 6,
    "pipeline.tasks": 6,
    "pipeline.unified_files": 4,
    "pipeline.review": 6,
    "pipeline.preparation": 5.5,
    "pipeline.live": 6.5,
    "pipeline.revealed": 5.7,
    "pipeline.comparisons": 6,
    "pipeline.judge_questions": 5.8,
    "pipeline.judge_report": 5.9,
    "pipeline.judging": 6.5,
    "pipeline.standings": 6.5,
    "pipeline.result_details": 6.6,
    "pipeline.shared_results": 6.6,
    "pipeline.report": 6.7,
    "pipeline.corrections": 6.6,
    "pipeline.lineage": 6.6,
    "pipeline.vote_list": 6.6,
    "pipeline.proposed_queries": 3,
    "pipeline.proposals": 6,
    "pipeline.run_files": 7,
    "pipeline.finetune.tuner": 7,
    "pipeline.example": 7,
    "pipeline.activity": 4,
    "pipeline.kept": 1,
    "pipeline.limits": 1,
    "pipeline.tokens": 6,
    "pipeline.auth": 4,
    "pipeline.people": 5,
    "pipeline.entrance": 5.5,
    "pipeline.team": 6.5,
    "pipeline.workspaces": 5.5,
    "pipeline.sprints": 6.5,
    "pipeline.services": 8,
    "components": 9,
    "components.team": 9.1,
    "components.start": 9.2,
    "components.edit": 9.2,
    "components.results": 9.2,
    "components.compare": 9.3,
    "components.ask": 9.4,
    "components.tune": 9.4,
    "components.api": 9.5,
    "components.settings": 9.6,
    "components.web": 9.7,
    "app": 10,
}


def room(module: str) -> str:
    return max((name for name in RANKS if module == name or module.startswith(name + ".")), key=len, default="")


def module_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(file: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file.name} uses a relative import"
            found += [f"{node.module}.{name.name}" for name in node.names]
    return found


@pytest.mark.parametrize("file", FILES, ids=module_of)
def test_imports_point_down(file):
    module = module_of(file)
    if module in ("pipeline", "pipeline.finetune"):
        assert not [name for name in imports(file) if room(name)]
        return
    assert room(module), f"{module} has no place in the order of rooms: give it one above"
    for name in imports(file):
        target = room(name)
        if target and target != room(module):
            assert RANKS[target] < RANKS[room(module)], f"{module} imports {name}"


@pytest.mark.parametrize("file", [file for file in FILES if "pipeline" in file.parts], ids=module_of)
def test_pipeline_never_imports_gradio(file):
    assert not [name for name in imports(file) if name.split(".")[0] in ("gradio", "components", "app")]


def test_only_the_store_speaks_sql():
    users = [module_of(file) for file in FILES if any(name.startswith("sqlalchemy") for name in imports(file))]
    assert all(user.startswith("pipeline.store") for user in users)


def reads_environment(file: Path) -> bool:
    names = {
        node.attr for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, ast.Attribute)
    }
    return bool(names & {"environ", "getenv"}) or any(name in ("os.environ", "os.getenv") for name in imports(file))


def test_the_environment_is_read_in_one_place():
    assert [module_of(file) for file in FILES if reads_environment(file)] == [
        "app",
        # It reads none of it, and hands processes of our own what is no secret.
        "pipeline.environment",
    ]


def test_importing_everything_opens_no_socket_and_no_file_and_starts_no_thread():
    modules = [module_of(file) for file in FILES]
    script = f"""
import socket, sys, threading
before = set(threading.enumerate())
def refuse(*args, **kwargs):
    raise AssertionError("a socket was opened at import")
socket.socket.connect = socket.socket.bind = refuse
written = []
sys.addaudithook(lambda event, args: written.append(args[0]) if event == "open" and isinstance(args[1], str)
                 and set(args[1]) & set("wax+") and not str(args[0]).endswith("null") and "__pycache__" not in str(args[0])
                 else None)
for name in {modules!r}:
    __import__(name)
heavy = ("openai", "llama_index", "pypdf", "docx", "pptx", "openpyxl", "scipy.stats", "onnxruntime", "tokenizers", "aiohttp",
         "xllamacpp", "torch", "gguf", "argon2", "jwt")
heavy = [name for name in heavy if name in sys.modules]
assert not heavy, heavy
assert not written, written
assert set(threading.enumerate()) == before, threading.enumerate()
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)


def test_app_only_composes():
    assert len((ROOT / "app.py").read_text(encoding="utf-8").splitlines()) <= 120


@pytest.mark.parametrize("file", FILES, ids=module_of)
def test_functions_and_files_stay_small(file):
    source = file.read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 420
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            limit = 80 if node.name in ("build", "wire", "theme") else 60
            assert node.end_lineno - node.lineno < limit, f"{node.name} is long"
