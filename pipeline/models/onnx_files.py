"""Where the files of an ONNX sentence-embedding model are: in a folder of this machine, or fetched from the Hub."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from pipeline.errors import RetrievalError
from pipeline.models.hub_refusals import refused
from pipeline.models.onnx_embeddings import CONFIGS, OnnxFiles

_ID = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_SECONDS = 10.0
_USUAL = ("onnx/model.onnx", "model.onnx")


def onnx_files(model: str, file: str, endpoint: str, token: str = "") -> OnnxFiles:
    """Return the files of a model; ``model`` is a folder or the id of a Hub repo, ``file`` the weights within it.

    Raises:
        RetrievalError: there is no such model, or the Hub cannot be reached and it was never fetched before.
    """
    folder = Path(model).expanduser()
    if folder.is_dir():
        return _of_folder(folder, file)
    if not _ID.fullmatch(model):
        raise RetrievalError(f"{model} is neither a folder on this machine nor a Hub id, which is written owner/name.")
    return _of_hub(model, file, endpoint, token)


def _of_folder(folder: Path, file: str) -> OnnxFiles:
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.glob("*")) + sorted(folder.glob("onnx/*"))]
    weights = folder / _weights(names, file, str(folder))
    tokenizer = next((place / "tokenizer.json" for place in (folder, weights.parent) if _is_there(place)), None)
    if tokenizer is None:
        raise RetrievalError(f"{folder} has no tokenizer.json beside its model.")
    configs = {name: folder / name for name in CONFIGS if (folder / name).is_file()}
    return OnnxFiles(weights, tokenizer, configs)


def _is_there(place: Path) -> bool:
    return (place / "tokenizer.json").is_file()


def _of_hub(repo: str, file: str, endpoint: str, token: str) -> OnnxFiles:
    import httpx2
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    api = HfApi(endpoint=endpoint, token=token or False)
    try:
        # One request first that does not try for half a minute where there is no network.
        told = api.model_info(repo, timeout=_SECONDS)
        names = [item.rfilename for item in told.siblings or ()]
        # By the name of the branch and not the commit: only so is it found again where there is no network.
        return _gathered(repo, file, names, lambda name: Path(api.hf_hub_download(repo, name)))
    except HfHubHTTPError as error:
        raise RetrievalError(refused(repo, error)) from error
    except (httpx2.HTTPError, ConnectionError) as error:
        if cached := _of_cache(repo, file):
            return cached
        raise RetrievalError(
            f"{repo} is not on this machine yet, and {endpoint} cannot be reached: connect to the network once, or give the "
            "path of a folder that holds tokenizer.json and an .onnx file."
        ) from error
    except OSError as error:
        raise RetrievalError(f"{repo} could not be kept on this machine: {error}.") from error


def _gathered(repo: str, file: str, names: list[str], fetch: Callable[[str], Path]) -> OnnxFiles:
    weights = _weights(names, file, repo)
    if "tokenizer.json" not in names:
        raise RetrievalError(f"{repo} has no tokenizer.json: choose a model that has one.")
    configs = {name: fetch(name) for name in CONFIGS if name in names}
    return OnnxFiles(fetch(weights), fetch("tokenizer.json"), configs)


def _of_cache(repo: str, file: str) -> OnnxFiles | None:
    """Return the files of a repo as they were fetched last, or None."""
    from huggingface_hub import try_to_load_from_cache

    names = [file, "tokenizer.json", *CONFIGS]
    found = {name: Path(path) for name in names if isinstance(path := try_to_load_from_cache(repo, name), str)}
    if file not in found or "tokenizer.json" not in found:
        return None
    return OnnxFiles(found[file], found["tokenizer.json"], {name: found[name] for name in CONFIGS if name in found})


def _weights(names: list[str], file: str, where: str) -> str:
    if ".." in PurePosixPath(file).parts:
        raise RetrievalError("The name of the file may not lead out of the model's folder.")
    models = [name for name in names if name.endswith(".onnx")]
    chosen = next((name for name in (file, *_USUAL) if name in models), "")
    # A name that was given and is not there is told; only the usual place may be another one.
    if chosen == file or (chosen and file in ("", *_USUAL)):
        return chosen
    if len(models) == 1 and file in ("", *_USUAL):
        return models[0]
    choice = ", ".join(models[:12]) or "no .onnx file"
    raise RetrievalError(f"{where} has no file {file}. It has: {choice}.")
