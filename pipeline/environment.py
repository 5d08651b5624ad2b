"""What a process that the app starts gets of its environment: what Python, the system and libraries need, and no keys.

The app's own environment has all keys and tokens, which are nothing for a reader of files, a model or a training.
"""

from __future__ import annotations

import os
import re

# What Python and a system need.
_SYSTEM = frozenset((
    "APPDATA", "COMSPEC", "DYLD_LIBRARY_PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "LOCALAPPDATA", "PATH", "PATHEXT",
    "SYSTEMDRIVE", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "USERPROFILE", "VIRTUAL_ENV", "WINDIR", "__PYVENV_LAUNCHER__",
))  # fmt: skip
_OF_SYSTEM = ("LC_", "PYTHON")
# What those that compute with models need besides: where graphics cards, threads and model files are, and how to get to the Hub.
_COMPUTING = frozenset((
    "CURL_CA_BUNDLE", "LOGNAME", "PROGRAMDATA", "PROGRAMFILES", "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR", "SSL_CERT_FILE",
    "TOKENIZERS_PARALLELISM", "TZ", "USER", "USERNAME", "XDG_CACHE_HOME",
))  # fmt: skip
# The address of a proxy may have a name and a password in it.
_PROXIES = frozenset(("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"))
_OF_COMPUTING = (
    "ACCELERATE_", "CUBLAS_", "CUDA_", "CUDNN_", "GGML_", "GOMP_", "GPU_", "HF_", "HIP_", "HSA_", "HUGGINGFACE_", "KMP_",
    "LLAMA_", "MKL_", "NCCL_", "NUMEXPR_", "NVIDIA_", "OMP_", "OPENBLAS_", "PYTORCH_", "ROCM_", "ROCR_", "TORCH_",
    "TORCHINDUCTOR_", "TRANSFORMERS_", "TRITON_", "VK_",
)  # fmt: skip
_KEY = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL|AUTH")


def for_files() -> dict[str, str]:
    """Return what a process gets that reads files."""
    return _chosen(_SYSTEM, _OF_SYSTEM)


def for_models(online: bool = True) -> dict[str, str]:
    """Return what a process gets that computes with models on this machine; ``online`` where it loads them from the Hub."""
    names = _SYSTEM | _COMPUTING | (_PROXIES if online else frozenset())
    return _chosen(names, _OF_SYSTEM + _OF_COMPUTING)


def _chosen(names: frozenset[str], beginnings: tuple[str, ...]) -> dict[str, str]:
    # Proxies have names in small letters too, and Windows knows no difference.
    return {name: value for name, value in os.environ.items() if _is_among(name.upper(), names, beginnings)}


def _is_among(name: str, names: frozenset[str], beginnings: tuple[str, ...]) -> bool:
    return name in names or (name.startswith(beginnings) and not _KEY.search(name))
