"""The training process of the trainer ``local``: TRL's SFT or DPO with LoRA on this machine, then the model as a GGUF file.

It runs in a session and a folder of its own, so that it survives the app: it holds a lock on its folder for as long as it
runs, writes what happens to ``events.jsonl`` and how it ended to ``result.json``. It needs nothing of the app.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from pipeline.finetune.gguf_deltas import GgufBase

LOCK, EVENTS, RESULT, JOB, TUNED = "lock", "events.jsonl", "result.json", "job.json", "tuned.gguf"
READY, TRAIN_ROWS, VALIDATION_ROWS = "process.json", "train.jsonl", "validation.jsonl"
# The app and its people come first on the cores.
_NICE = 5
_ADAPTED = {"attention": ["q_proj", "k_proj", "v_proj", "o_proj"], "all": "all-linear"}
_BASE = "base.gguf"
_TOLD = 10
_BATCH = 2


def main() -> None:
    """Train as ``job.json`` in the folder of the first argument says."""
    from filelock import FileLock, Timeout

    folder = Path(sys.argv[2])
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        sys.exit("This job is being trained already.")
    _write(folder / READY, {"pid": os.getpid()})
    if hasattr(os, "nice"):
        os.nice(_NICE)
    with _LastWords(folder):
        metrics = Training(folder).run()
        _write(folder / RESULT, {"state": "done", "metrics": metrics})


class _LastWords:
    """Writes down what ended the process, whatever that was, and lets it end the process all the same."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        """Begin what may fail."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write the error; one that ends every program, as a signal does, leaves no result."""
        if isinstance(error, Exception):
            _write(self._folder / RESULT, {"state": "failed", "error": _words(error)})


class Training:
    """One job: the model is loaded, trained, and written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._job = json.loads((folder / JOB).read_text(encoding="utf-8"))
        self._events = (folder / EVENTS).open("a", encoding="utf-8")
        self._settings = self._job["settings"]

    def run(self) -> dict[str, object]:
        """Do all of it and return the numbers that are kept with the job."""
        begun = time.monotonic()
        _work_offline(not self._job["hub"])
        self.tell("log", "Loading the base model.")
        base = GgufBase(Path(self._job["gguf"]))
        model, tokenizer = self._load()
        parameters = model.num_parameters()
        model = self._adapted(model, base)
        rows, skipped = self._rows(TRAIN_ROWS, tokenizer)
        if not rows:
            raise ValueError(
                "All rows are longer than the longest row that was chosen: raise it, or use fewer contexts."
            )
        checks, _ = self._rows(VALIDATION_ROWS, tokenizer)
        loaded = time.monotonic()
        trainer = self._trainer(model, tokenizer, rows, checks)
        result = trainer.train()
        trained = time.monotonic()
        self.tell("log", "Adding what was learnt to the base's file.")
        model.save_pretrained(str(self._folder / "adapter"))
        partial = self._folder / f"{TUNED}.part"
        base.write(partial, _changes(model))
        partial.replace(self._folder / TUNED)
        tokens = sum(row["tokens"] for row in rows) * float(self._settings["epochs"])
        return {
            "rows": len(rows),
            "skipped": skipped,
            "steps": result.global_step,
            "loss": result.training_loss,
            "parameters": parameters,
            "trained_parameters": sum(weight.numel() for weight in model.parameters() if weight.requires_grad),
            "tokens": tokens,
            "load_seconds": loaded - begun,
            "train_seconds": trained - loaded,
            "write_seconds": time.monotonic() - trained,
            "memory": _peak_memory(),
        }

    def tell(self, kind: str, text: str, step: int | None = None, value: float | None = None) -> None:
        """Write one event for the app."""
        told = {"kind": kind, "text": text, "step": step, "value": value, "at": time.time()}
        self._events.write(json.dumps(told) + "\n")
        self._events.flush()

    def _load(self) -> tuple[object, object]:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        place = self._job["weights"] or str(self._alone(Path(self._job["gguf"])))
        which = {} if self._job["weights"] else {"gguf_file": _BASE}
        tokenizer = AutoTokenizer.from_pretrained(place, **which)
        if not tokenizer.chat_template:
            raise ValueError("The model has no chat template, so it cannot learn from questions and answers.")
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        model = AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32, **which)
        return _plain(model), tokenizer

    def _alone(self, gguf: Path) -> Path:
        """Return a folder with nothing but the model file: transformers reads settings of other models beside it too."""
        folder = self._folder / "base"
        folder.mkdir(exist_ok=True)
        (folder / _BASE).unlink(missing_ok=True)
        try:
            (folder / _BASE).symlink_to(gguf)
        except OSError:
            shutil.copyfile(gguf, folder / _BASE)
        return folder

    def _adapted(self, model: object, base: GgufBase) -> object:
        """Return the model with LoRA matrices, having looked that each could be written back: hours before it is done."""
        from peft import LoraConfig, get_peft_model

        rank = int(self._settings["rank"])
        adapted = get_peft_model(
            model,
            LoraConfig(
                r=rank,
                lora_alpha=2 * rank,
                lora_dropout=0.0,
                task_type="CAUSAL_LM",
                target_modules=_ADAPTED[str(self._settings["layers"])],
            ),
        )
        for name, layer in _layers(adapted):
            base.check(name, layer.get_base_layer().weight.detach().numpy())
        return adapted

    def _rows(self, file: str, tokenizer: object) -> tuple[list[dict[str, object]], int]:
        """Return the rows that the model can read whole, and how many it cannot; one that was cut would lose its answer."""
        lines = (self._folder / file).read_text(encoding="utf-8").split("\n")
        given, longest = [json.loads(line) for line in lines if line], int(self._settings["max_length"])
        rows = []
        for row in given:
            lengths = [len(tokenizer.apply_chat_template(text, tokenize=True)["input_ids"]) for text in _texts(row)]
            if max(lengths) <= longest:
                rows.append({**row, "tokens": sum(lengths)})
        if skipped := len(given) - len(rows):
            self.tell("log", f"{skipped} rows of {file} are longer than {longest} tokens and are left out.")
        return rows, skipped

    def _trainer(self, model: object, tokenizer: object, rows: Sequence[dict], checks: Sequence[dict]) -> object:
        from datasets import Dataset
        from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

        preference = self._job["method"] == "dpo"
        kind, settings = (DPOTrainer, DPOConfig) if preference else (SFTTrainer, SFTConfig)
        columns = [name for name in rows[0] if name != "tokens"]
        tables = [
            Dataset.from_list([{name: row[name] for name in columns} for row in part]) if part else None
            for part in (rows, checks)
        ]
        arguments = settings(
            output_dir=str(self._folder / "trainer"),
            num_train_epochs=float(self._settings["epochs"]),
            learning_rate=float(self._settings["learning_rate"]),
            per_device_train_batch_size=_BATCH,
            per_device_eval_batch_size=_BATCH,
            max_length=int(self._settings["max_length"]),
            eval_strategy="epoch" if checks else "no",
            logging_steps=1,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            use_cpu=not _has_gpu(),
            bf16=False,
            gradient_checkpointing=False,
            seed=int(self._settings.get("seed") or 0),
            **({"beta": float(self._settings["beta"])} if preference else {}),
        )
        return kind(
            model=model,
            args=arguments,
            train_dataset=tables[0],
            eval_dataset=tables[1],
            processing_class=tokenizer,
            callbacks=[_teller(self)],
        )


def _teller(training: Training) -> object:
    """Return what tells of each step: the loss, and now and then the time left."""
    from transformers import TrainerCallback

    class Teller(TrainerCallback):
        begun = 0.0

        def on_train_begin(self, args: object, state: object, control: object, **rest: object) -> None:
            self.begun = time.monotonic()
            training.tell("log", f"Training begins: {state.max_steps} steps.", 0)

        def on_step_end(self, args: object, state: object, control: object, **rest: object) -> None:
            done, whole = state.global_step, state.max_steps
            if done == whole or done == 2 or done % max(1, whole // _TOLD) == 0:
                each = (time.monotonic() - self.begun) / done
                left = f"about {each * (whole - done):.0f} s left" if done < whole else "trained"
                training.tell("log", f"Step {done} of {whole}, {each:.1f} s each: {left}.", done)

        def on_log(
            self, args: object, state: object, control: object, logs: Mapping[str, object], **rest: object
        ) -> None:
            for name, curve in (("loss", "train"), ("eval_loss", "validation")):
                if name in logs:
                    training.tell("loss", curve, state.global_step, float(logs[name]))

    return Teller()


def _plain(model: object) -> object:
    """Return a model without the mark that its weights come from a GGUF file, with which transformers trains none."""
    if not hasattr(model.config, "quantization_config"):
        return model
    del model.config.quantization_config
    plain = type(model)(model.config)
    plain.load_state_dict(model.state_dict())
    plain.tie_weights()
    return plain


def _texts(row: Mapping[str, object]) -> list[list[dict[str, str]]]:
    """Return the whole conversations of a row: one to learn by heart, or two of which one is preferred."""
    endings = [row[name] for name in ("completion", "chosen", "rejected") if name in row]
    return [[*row["prompt"], *ending] for ending in endings]


def _layers(model: object) -> list[tuple[str, object]]:
    """Return the layers with LoRA matrices under the names that they have in the model without them."""
    from peft.tuners.lora import LoraLayer

    named = model.base_model.model.named_modules()
    return [(name, layer) for name, layer in named if isinstance(layer, LoraLayer)]


def _changes(model: object) -> dict[str, object]:
    return {name: layer.get_delta_weight("default").detach().cpu().numpy() for name, layer in _layers(model)}


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available() or torch.backends.mps.is_available()


def _work_offline(offline: bool) -> None:
    """Keep transformers from asking the Hub about files that lie on this machine."""
    from huggingface_hub import constants

    constants.HF_HUB_OFFLINE = offline
    constants.HF_HUB_DISABLE_TELEMETRY = True


def _peak_memory() -> int | None:
    """Return how many bytes this process took at most, or None where the system does not tell."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _words(error: Exception) -> str:
    words = " ".join(str(error).split())[:500]
    return words if isinstance(error, ValueError) and words else f"{type(error).__name__}: {words}"


def _write(path: Path, content: Mapping[str, object]) -> None:
    """Write a small file whole or not at all: the app may read at any moment."""
    partial = path.with_suffix(".part")
    partial.write_text(json.dumps(content), encoding="utf-8")
    partial.replace(path)
