"""What a fit does to a tiny student: which rows it sees, what it minimises, what it writes, what it refuses."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any, Literal

import pytest
import torch

from harness.errors import TrainingError
from harness.store.artifacts import hash_folder
from harness.students.checkpoint import read_model, read_tokenizer
from harness.training import batches, distiller
from harness.training.objective import Margin, Objective
from harness.training.schedule import Mark, Schedule
from harness.training.trainer import fit
from harness.types import Example, TrainingSet
from tests.fakes import tiny_student

SFT = Objective()
SHORT = Schedule(updates=4, batch=4, warmup=1)


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_student(tmp_path_factory.mktemp("student"))


def singles(count: int) -> tuple[Example, ...]:
    return tuple(Example(f"def f{index}(x):\n", f"    return x + {index}\n") for index in range(count))


def pairs(count: int) -> tuple[Example, ...]:
    return tuple(replace(e, rejected=e.completion.replace("+", "-") + "#") for e in singles(count))


def train(
    student: Path, out: Path, examples: tuple[Example, ...], objective: Objective = SFT, **changes: Any
) -> list[Mark]:
    order = changes.pop("order", "as_given")
    seed = changes.pop("seed", 0)
    schedule = replace(SHORT, **changes)
    return fit(student, TrainingSet(examples, order), objective, schedule, seed, lambda update: out / str(update))


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def seen_rows(monkeypatch: pytest.MonkeyPatch) -> list[list[list[int]]]:
    """Record the token ids of every batch that goes forward, padding removed."""
    batches_seen: list[list[list[int]]] = []
    true_scores = distiller.label_scores

    def recording(model: Any, ids: torch.Tensor, mask: torch.Tensor, score: Any) -> torch.Tensor:
        batches_seen.append([[token for token in row if token != 0] for row in ids.tolist()])
        return true_scores(model, ids, mask, score)

    monkeypatch.setattr(distiller, "label_scores", recording)
    return batches_seen


def test_the_rows_that_go_forward_are_the_schedule(
    student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = seen_rows(monkeypatch)
    train(student, tmp_path, singles(10))
    rows = batches.encode(TrainingSet(singles(10)), read_tokenizer(student), pairs=False, max_tokens=256).rows
    due = [[rows[place % 10] for place in range(4 * update, 4 * update + 4)] for update in range(4)]
    assert seen == [[row.prompt + row.completion for row in step] for step in due]


def test_a_fit_makes_exactly_the_updates_asked_for_and_tells_each(student: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    data = TrainingSet(singles(3))
    marks = fit(student, data, SFT, SHORT, 0, lambda _: tmp_path, lambda done, due: told.append((done, due)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert [mark.update for mark in marks] == [4]


def test_the_first_loss_with_weight_one_is_the_stock_cross_entropy(student: Path, tmp_path: Path) -> None:
    (mark,) = train(student, tmp_path, singles(4), updates=1)
    model = read_model(student, "cpu")
    rows = batches.encode(TrainingSet(singles(4)), read_tokenizer(student), pairs=False, max_tokens=256).rows
    batch = batches.collate(rows, pad=0)
    labels = batch.ids.clone()
    labels[:, 0] = -100
    labels[:, 1:][~batch.mask] = -100
    with torch.no_grad():
        stock = model(input_ids=batch.ids, attention_mask=(batch.ids != 0).long(), labels=labels).loss
    assert mark.losses == {"nll": pytest.approx(stock.item(), rel=1e-6)}


def test_a_row_of_weight_zero_is_the_same_as_a_missing_row(student: Path, tmp_path: Path) -> None:
    examples = singles(6)
    muted = (*examples[:2], Example("never", "seen", weight=0.0), *examples[2:])
    train(student, tmp_path / "muted", muted)
    train(student, tmp_path / "missing", examples)
    assert weights(tmp_path / "muted/4") == weights(tmp_path / "missing/4")


def test_weights_change_what_is_learned(student: Path, tmp_path: Path) -> None:
    train(student, tmp_path / "even", singles(4))
    train(student, tmp_path / "odd", (replace(singles(1)[0], weight=3.0), *singles(4)[1:]))
    assert weights(tmp_path / "even/4") != weights(tmp_path / "odd/4")


@pytest.mark.parametrize("order", ["as_given", "shuffled"])
def test_the_same_fit_gives_the_same_bytes(student: Path, tmp_path: Path, order: str) -> None:
    for name in ("one", "two"):
        train(student, tmp_path / name, pairs(9), Objective(Margin()), order=order, seed=3)
    one, two = (sorted((tmp_path / name / "4").iterdir()) for name in ("one", "two"))
    assert [file.name for file in one] == [file.name for file in two]
    assert [file.read_bytes() for file in one] == [file.read_bytes() for file in two]


def test_the_seed_decides_the_shuffle(student: Path, tmp_path: Path) -> None:
    for seed in (0, 1):
        train(student, tmp_path / str(seed), singles(30), order="shuffled", seed=seed)
    assert weights(tmp_path / "0/4") != weights(tmp_path / "1/4")


def test_a_mark_on_the_way_changes_nothing_and_holds_the_weights_of_its_update(student: Path, tmp_path: Path) -> None:
    marks = train(student, tmp_path / "marked", singles(16), marks=(2, 4))
    train(student, tmp_path / "plain", singles(16))
    assert [(mark.update, mark.examples) for mark in marks] == [(2, 8), (4, 16)]
    assert weights(tmp_path / "marked/4") == weights(tmp_path / "plain/4")
    assert weights(tmp_path / "marked/2") != weights(tmp_path / "marked/4")


def test_a_mark_is_a_whole_student_that_transformers_opens(student: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    train(student, tmp_path, singles(4))
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "4")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "4")
    assert model.config.use_cache and tokenizer.eos_token_id == 2
    assert tokenizer("abc")["input_ids"] == read_tokenizer(student)("abc")["input_ids"]


def test_a_mark_counts_the_tokens_that_went_forward_rejected_texts_included(student: Path, tmp_path: Path) -> None:
    (mark,) = train(student, tmp_path, (Example("pp", "yes", rejected="no"),), Objective(Margin()), updates=2, batch=3)
    assert (mark.tokens, mark.examples) == (2 * 3 * ((3 + 4 - 1) + (3 + 3 - 1)), 6)


def test_losses_of_a_mark_cover_the_updates_since_the_mark_before(student: Path, tmp_path: Path) -> None:
    marks = train(student, tmp_path, singles(4), updates=30, marks=(1, 30))
    assert marks[0].losses["nll"] > marks[1].losses["nll"] > 0


@pytest.mark.parametrize("objective", [Objective(Margin(0.2, 0.0)), Objective(Margin(0.2, 0.5))])
def test_a_contrast_without_pairs_is_plain_sft_to_the_last_bit(
    student: Path, tmp_path: Path, objective: Objective
) -> None:
    (mark,) = train(student, tmp_path / "contrast", singles(8), objective)
    train(student, tmp_path / "plain", singles(8))
    assert weights(tmp_path / "contrast/4") == weights(tmp_path / "plain/4")
    assert set(mark.losses) == {"nll"}


def test_a_contrast_of_weight_zero_never_goes_forward(
    student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(student, tmp_path / "plain", singles(8))
    seen = seen_rows(monkeypatch)
    train(student, tmp_path / "muted", pairs(8), Objective(Margin(0.2, 0.0)))
    assert [len(batch) for batch in seen] == [4, 4, 4, 4]
    assert weights(tmp_path / "muted/4") == weights(tmp_path / "plain/4")


def test_a_pair_sends_its_completion_forward_once(
    student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = seen_rows(monkeypatch)
    (mark,) = train(student, tmp_path, (*pairs(2), *singles(2)), Objective(Margin()), updates=1)
    assert [len(batch) for batch in seen] == [4 + 2]
    assert set(mark.losses) == {"nll", "margin"}


def leads(folder: Path, examples: tuple[Example, ...], end: bool = False) -> torch.Tensor:
    """Return s⁺ − s⁻ of each pair, with or without the end tokens."""
    from harness.students.engine import load, score

    loaded, last = load(folder), None if end else -1
    pos = score(loaded, [(example.prompt, example.completion) for example in examples])
    neg = score(loaded, [(example.prompt, example.rejected or "") for example in examples])
    return torch.tensor([mean(p[:last]) - mean(n[:last]) for p, n in zip(pos, neg, strict=True)])


def test_the_margin_drives_faulty_code_down_against_correct_code(student: Path, tmp_path: Path) -> None:
    examples = tuple(Example("def f(x):\n", f"return x+{k}", rejected=f"return x-{k}") for k in range(4))
    train(student, tmp_path / "plain", examples, updates=25)
    train(student, tmp_path / "contrast", examples, Objective(Margin(1.0, 2.0)), updates=25)
    before, plain, contrast = (
        leads(folder, examples).mean() for folder in (student, tmp_path / "plain/25", tmp_path / "contrast/25")
    )
    assert contrast > plain + 0.1 and contrast > before + 0.1


def test_what_was_learned_by_heart_is_generated_token_for_token(student: Path, tmp_path: Path) -> None:
    """Training and generation encode alike: the answer is the trained ids, its end token included."""
    from harness.students.decoding import Decoding
    from harness.students.engine import generate, load

    example = Example('def f(x):\n    """Add one."""\n', "    return x + 1\n")
    train(student, tmp_path, (example,), updates=60, batch=1, learning_rate=1e-2)
    (answer,) = generate(load(tmp_path / "60"), [example.prompt], Decoding(), [0])
    assert (answer.text, answer.finish_reason) == (example.completion, "stop")
    assert answer.tokens == len(example.completion) + 1  # one token a byte


def test_splitting_an_update_into_micro_batches_changes_nothing(
    student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import safetensors.torch

    # with Adam a near-zero gradient may flip its sign and move a weight a whole step; SGD shows the gradient itself
    monkeypatch.setattr(torch.optim, "AdamW", lambda groups, lr, **_: torch.optim.SGD(groups, lr=lr))
    examples = (*pairs(3), *singles(8)[3:])  # pairs and lengths are unequal over the micro-batches
    whole, split = (
        train(student, tmp_path / str(parts), examples, Objective(Margin(0.5, 0.5)), clip=1e9, micro_batches=parts)
        for parts in (1, 4)
    )
    one, four = (safetensors.torch.load_file(tmp_path / parts / "4/model.safetensors") for parts in ("1", "4"))
    start = safetensors.torch.load_file(student / "model.safetensors")
    moved = max((one[name] - start[name]).abs().max() for name in one)
    assert max((one[name] - four[name]).abs().max() for name in one) < 1e-4 * moved  # float32 sums in another order
    assert whole[0].losses == pytest.approx(split[0].losses, rel=1e-5) and whole[0].tokens == split[0].tokens


@pytest.mark.parametrize("tokens", ["code", "all"])
def test_the_contrast_is_the_hinge_on_mean_log_probabilities_of_the_chosen_tokens(
    student: Path, tmp_path: Path, tokens: Literal["code", "all"]
) -> None:
    (mark,) = train(student, tmp_path, pairs(4), Objective(Margin(0.5, 0.3, tokens)), updates=1)
    d = leads(student, pairs(4), end=tokens == "all")
    assert mark.losses["margin"] == pytest.approx((0.5 - d).relu().mean().item(), rel=1e-5)


@pytest.mark.parametrize("weight", [0.25, 3.0])
def test_the_loss_is_the_likelihood_plus_the_weighted_contrast(
    student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weight: float
) -> None:
    lost: list[float] = []
    true_compute_loss = distiller.Distiller.compute_loss

    def recording(*arguments: Any, **settings: Any) -> torch.Tensor:
        loss = true_compute_loss(*arguments, **settings)
        lost.append(loss.item())
        return loss

    monkeypatch.setattr(distiller.Distiller, "compute_loss", recording)
    (mark,) = train(student, tmp_path, (*pairs(3), *singles(4)[3:]), Objective(Margin(0.5, weight)), updates=1)
    assert lost == [pytest.approx(mark.losses["nll"] + weight * mark.losses["margin"], rel=1e-6)]


def test_a_term_that_pulls_nowhere_has_no_share_of_the_gradient_and_the_other_has_it_all(
    student: Path, tmp_path: Path
) -> None:
    (mark,) = train(student, tmp_path / "met", pairs(4), Objective(Margin(0.0, 0.5)), updates=1)
    assert min(leads(student, pairs(4), end=False)) > 0 and mark.losses["margin"] == 0  # every hinge is satisfied
    assert mark.shares == {"nll": 1.0, "margin": 0.0}
    (mark,) = train(student, tmp_path / "alone", pairs(4), updates=1)
    assert mark.shares == {}


def test_a_broken_loss_stops_the_fit_and_names_the_batch(student: Path, tmp_path: Path) -> None:
    import safetensors.torch

    folder = tiny_student(tmp_path / "broken")
    state = safetensors.torch.load_file(folder / "model.safetensors")
    state["model.norm.weight"][0] = float("nan")
    safetensors.torch.save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(TrainingError, match=r"nll is nan in update 1, batch of examples \[0, 1, 2, 3\]"):
        train(folder, tmp_path / "out", singles(8))
    assert not (tmp_path / "out").exists()


def test_rows_beyond_the_students_positions_are_refused_before_anything_is_written(
    student: Path, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=r"1 of 1 examples are longer than 256 tokens \(the student's positions\)"):
        train(student, tmp_path / "out", (Example("p", "x" * 300),))
    assert not (tmp_path / "out").exists()


def test_a_fit_that_leaves_an_example_out_is_that_of_the_others_and_tells_the_count(
    student: Path, tmp_path: Path
) -> None:
    (plain,) = train(student, tmp_path / "plain", singles(6))
    (without,) = train(student, tmp_path / "without", (*singles(6), Example("p", "x" * 300)))
    assert hash_folder(plain.folder) == hash_folder(without.folder)
    assert plain.left_out == {} and without.left_out == {"examples longer than the student's positions, left out": 1}


def test_a_fit_leaves_threads_and_the_callers_randomness_as_it_found_them(student: Path, tmp_path: Path) -> None:
    random.seed(5)
    torch.manual_seed(5)
    before = (torch.get_num_threads(), random.getstate(), torch.get_rng_state().tolist())
    train(student, tmp_path, singles(4), threads=torch.get_num_threads() + 1)
    assert (torch.get_num_threads(), random.getstate(), torch.get_rng_state().tolist()) == before


def test_a_fit_on_an_absent_device_is_refused(student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(TrainingError, match="0 CUDA devices"):
        train(student, tmp_path, singles(4), device="cuda")
