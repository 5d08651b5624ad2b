# /// script
# requires-python = ">=3.11"
# dependencies = ["trl>=1.16,<2", "peft>=0.21", "accelerate>=1.15", "transformers>=5.23,<6", "datasets>=5.2,<6", "torch"]
# ///
"""The training script of the trainer ``hf_jobs``: TRL's SFT or DPO with LoRA on a machine of Hugging Face.

It is copied beside the rows of its job and run there by uv, so it stands alone: it imports nothing of the app. What it tells
are lines of its output that begin with ``PAIRLOOP``; the rest of the output is the log. The adapter goes to the Hub.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

MARK = "PAIRLOOP "


def main(folder: Path) -> None:
    """Train as ``job.json`` in the folder says, and push the adapter."""
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    tell("log", text=f"Training {job['base']} with {job['method'].upper()}.")
    trainer = make_trainer(job, folder)
    trainer.train()
    if trainer.is_world_process_zero():
        trainer.model.push_to_hub(job["adapter"], private=True)
        trainer.processing_class.push_to_hub(job["adapter"], private=True)
        tell("done", text=job["adapter"])


def make_trainer(job: dict, folder: Path):
    """Return TRL's trainer for a job; the model comes from the Hub, the rows from the folder."""
    import torch
    from datasets import load_dataset
    from transformers import AutoTokenizer
    from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

    files = {
        side: str(folder / f"{side}.jsonl") for side in ("train", "validation") if (folder / f"{side}.jsonl").exists()
    }
    rows = load_dataset("json", data_files=files)
    tokenizer = AutoTokenizer.from_pretrained(job["base"])
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    pairs = job["method"] == "dpo"
    graphics = torch.cuda.is_available()
    kind, settings = (DPOTrainer, DPOConfig) if pairs else (SFTTrainer, SFTConfig)
    arguments = settings(
        output_dir="trained",
        num_train_epochs=job["epochs"],
        learning_rate=job["learning_rate"],
        per_device_train_batch_size=job["batch_size"],
        per_device_eval_batch_size=job["batch_size"],
        gradient_checkpointing=graphics,
        max_length=job["max_length"],
        eval_strategy="epoch" if "validation" in rows else "no",
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        bf16=graphics and torch.cuda.is_bf16_supported(),
        fp16=graphics and not torch.cuda.is_bf16_supported(),
        use_cpu=not graphics,
        seed=0,
        **({"beta": job["beta"]} if pairs else {}),
    )
    return kind(
        model=adapted(job),
        args=arguments,
        train_dataset=rows["train"],
        eval_dataset=rows.get("validation"),
        processing_class=tokenizer,
        callbacks=[teller()],
    )


def adapted(job: dict):
    """Return the model with LoRA matrices to train: new ones, or those of the round before."""
    import torch
    from peft import LoraConfig, PeftModel, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(job["base"], dtype=torch.float32)
    model.config.use_cache = False
    if job.get("from_adapter"):
        return PeftModel.from_pretrained(model, job["from_adapter"], is_trainable=True)
    rank = job["rank"]
    lora = LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, task_type="CAUSAL_LM", target_modules="all-linear")
    return get_peft_model(model, lora)


def teller():
    """Return what tells the losses of each step."""
    from transformers import TrainerCallback

    class Teller(TrainerCallback):
        def on_log(self, args, state, control, logs=None, **rest) -> None:
            for name, curve in (("loss", "train"), ("eval_loss", "validation")):
                if name in (logs or {}):
                    tell("loss", text=curve, step=state.global_step, value=float(logs[name]))

    return Teller()


def tell(kind: str, **values: object) -> None:
    """Print one event on a line of its own."""
    print(MARK + json.dumps({"kind": kind, **values}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
