"""Training for real, on a model so small that it takes seconds: TRL reads our files, and a tuned model answers."""

from __future__ import annotations

import time

import pytest

from pipeline.finetune.files import write
from pipeline.finetune.rows import Method, Row
from pipeline.local_desk import LocalChoice
from pipeline.records import JobState, ResponseStatus
from tests.gguf_files import tiny
from tests.material import finished, reviewable, trained
from tests.workspace import person, respond

ANSWERS = ("At seven [1].", "Twelve euros [1].", "At the north pier [1].", "Of a storm [1].", "Two euros [1].")


@pytest.fixture
def desk(services, tmp_path):
    """A workspace with reviewed answers and a tiny model file."""
    dataset = reviewable(services, tmp_path)
    me = person(services, "Ada")
    records = services.store.datasets.records(dataset.id)
    for record, answer in zip(records, ANSWERS, strict=True):
        respond(services.store, record.id, me, ResponseStatus.SUBMITTED, {dataset.settings.answer_question: answer})
    path = str(tiny(tmp_path / "base.gguf", context=8192))
    base = services.local.register(
        "tiny", LocalChoice(path=path, n_ctx=8192, temperature=0.0, max_tokens=8), "answer-review"
    )
    return services, dataset, base


@pytest.mark.parametrize("method", list(Method))
def test_the_loop_turns_on_this_machine(desk, method):
    services, dataset, base = desk
    card = services.tuner.data_card(dataset.id, method=method)
    settings = {"epochs": 2, "layers": "all", "max_length": 8000, "validation_share": 0.2}
    plan = services.tuner.plan("local", card, base.id, settings)
    assert plan.unavailable == "" and (plan.rows, plan.validation_rows) == (4, 1)
    job_id = services.tuner.start(dataset.id, base.id, trainer="local", settings=settings, card=card)
    job = trained(services, job_id, 300)
    assert job.state is JobState.DONE, job.error
    events = services.tuner.runner.events(job_id)
    steps = [event for event in events if event.kind == "loss" and event.text == "train"]
    assert [event.step for event in steps] == [1, 2, 3, 4] and all(event.value > 0 for event in steps)
    assert [event.text for event in events if event.kind == "loss"].count("validation") == 2
    assert job.metrics["rows"] == 4 and job.metrics["steps"] == 4
    tuned = services.store.models.get(job.model_id)
    assert (tuned.provider, tuned.parent_id, tuned.job_id) == ("local", base.id, job_id)
    assert tuned.config["sha256"] != base.config["sha256"]
    run = finished(services, services.generation.start_run(tuned.id, services.store.queries.sets()[0].id), 120)
    assert run.state is JobState.DONE and run.failed == 0


def test_full_weights_of_the_same_model_are_tuned_in_place_of_those_of_the_file(desk, tmp_path):
    """As the Hub has them beside a GGUF file; those of another model are noticed before anything is trained."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    services, dataset, base = desk
    for name, seed in (("same", 0), ("other", 1)):
        (tmp_path / name).mkdir()
        tiny(tmp_path / name / "model.gguf", seed, context=8192)
        model = AutoModelForCausalLM.from_pretrained(tmp_path / name, gguf_file="model.gguf")
        # Transformers does not write what it has read from a GGUF file: a model of its own takes the weights over.
        del model.config.quantization_config
        full = type(model)(model.config)
        full.load_state_dict(model.state_dict())
        full.save_pretrained(tmp_path / f"{name}-full")
        tokenizer = AutoTokenizer.from_pretrained(tmp_path / name, gguf_file="model.gguf")
        tokenizer.save_pretrained(tmp_path / f"{name}-full")

    def ended(weights: str):
        settings = {"epochs": 1, "max_length": 8000, "weights": str(tmp_path / weights)}
        return trained(services, services.tuner.start(dataset.id, base.id, trainer="local", settings=settings), 300)

    job = ended("same-full")
    assert job.state is JobState.DONE, job.error
    assert services.store.models.get(job.model_id).config["sha256"] != base.config["sha256"]
    other = ended("other-full")
    assert other.state is JobState.FAILED and "another model" in other.error


def test_a_job_is_cancelled_while_it_trains(desk):
    services, dataset, base = desk
    settings = {"epochs": 50, "max_length": 8000}
    job_id = services.tuner.start(dataset.id, base.id, trainer="local", settings=settings)
    began = time.monotonic()
    while not any(event.kind == "loss" for event in services.tuner.runner.events(job_id)):
        assert time.monotonic() - began < 200
        time.sleep(0.1)
    asked = time.monotonic()
    services.tuner.runner.cancel(job_id)
    assert trained(services, job_id, 5).state is JobState.CANCELLED
    assert time.monotonic() - asked < 3


def test_rows_that_are_too_long_are_said_to_be_and_nothing_is_cut(desk):
    services, dataset, base = desk
    job_id = services.tuner.start(dataset.id, base.id, trainer="local", settings={"max_length": 64})
    job = trained(services, job_id, 200)
    assert job.state is JobState.FAILED and "All rows are longer" in job.error


FILES = {
    "trl-messages": "SFT",
    "trl-prompt-completion": "SFT",
    "parquet": "SFT",
    "trl-preference": "DPO",
    "parquet-preference": "DPO",
    "trl-unpaired": "KTO",
}


@pytest.mark.parametrize("form", FILES)
def test_trl_trains_a_step_on_our_files(tmp_path, form):
    import trl
    from datasets import load_dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer

    kind = FILES[form]
    path = tmp_path / f"rows.{'parquet' if 'parquet' in form else 'jsonl'}"
    path.write_bytes(write(form, [row(number, kind) for number in range(8)]))
    data = load_dataset(
        path.suffix[1:].replace("jsonl", "json"), data_files=str(path), split="train", cache_dir=str(tmp_path)
    )
    tiny(tmp_path / "base.gguf")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path, gguf_file="base.gguf")
    tokenizer.pad_token = tokenizer.eos_token
    model = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="base.gguf")
    del model.config.quantization_config
    plain = type(model)(model.config)
    plain.load_state_dict(model.state_dict())
    arguments = getattr(trl, f"{kind}Config")(
        output_dir=str(tmp_path / "out"), max_steps=1, per_device_train_batch_size=4, report_to=[], use_cpu=True, bf16=False,
        gradient_checkpointing=False, disable_tqdm=True,
    )  # fmt: skip
    # With LoRA the model without its matrices is what preferences are measured against.
    trainer = getattr(trl, f"{kind}Trainer")(
        model=plain,
        args=arguments,
        train_dataset=data,
        processing_class=tokenizer,
        peft_config=LoraConfig(task_type="CAUSAL_LM", target_modules="all-linear"),
    )
    assert trainer.train().training_loss > 0


def row(number: int, kind: str) -> Row:
    messages = [
        {"role": "system", "content": "Answer from the passages."},
        {"role": "user", "content": f"What does plan {number} cost?"},
        {"role": "assistant", "content": f"It costs {number} dollars [1]."},
    ]
    told = {"DPO": {"rejected": "I cannot say."}, "KTO": {"label": number % 2 == 0}}.get(kind, {})
    return Row(f"q{number}", messages[1]["content"], (), messages[2]["content"], messages, **told)
