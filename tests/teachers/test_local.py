"""A transformers model on this machine as teacher: its texts, and its distributions on disk."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from harness.errors import ConfigError, StoreError
from harness.students.engine import Loaded, load
from harness.teachers.calls import Call
from harness.teachers.local import LocalBackend, LocalTeacher
from harness.teachers.logit_cache import LogitReader, LogitWriter, distributions, keep, key_of
from harness.teachers.opening import Terms, open_teacher
from harness.teachers.requests import Solve
from harness.teachers.settings import Teaching, one_teacher
from harness.training.divergences import forward
from harness.types import Problem
from tests.fakes import tiny_student

PROBLEM = Problem("toy/1", 'def f(n):\n    """Return n."""\n', "f", (), "")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_student(tmp_path_factory.mktemp("teacher") / "model", lively=True)


@pytest.fixture(scope="module")
def loaded(folder: Path) -> Loaded:
    return load(folder)


def settings(folder: Path, **more: object) -> Teaching:
    given: dict[str, object] = {"style": "completion", "max_tokens": 12, **more}
    return one_teacher(Teaching(name=f"local:{folder}", **given))  # type: ignore[arg-type]


def calls() -> list[Call]:
    texts = ["def f(n):", "x = 1\n", "for i in range(3):\n", "a longer text than all the others"]
    greedy = [Call((("user", text),), 0.0, 1.0, None, 0, 12) for text in texts]
    return [*greedy, *(Call((("user", text),), 0.8, 0.9, 7, 0, 12) for text in texts)]


def test_an_answer_does_not_depend_on_what_else_is_asked(folder: Path) -> None:
    backend = LocalBackend(settings(folder))
    together = dict(backend.send(calls()))
    assert len({reply.text for reply in together.values()}) > 4
    for place, call in enumerate(calls()):
        assert dict(backend.send([call]))[0] == together[place]


@pytest.mark.slow
def test_a_process_of_its_own_answers_the_same(folder: Path) -> None:
    same = dict(LocalBackend(settings(folder)).send(calls()))
    own = LocalBackend(settings(folder, process="own"))
    assert dict(own.send(calls())) == same
    assert own.worker is not None
    process = own.worker.process
    own.close()
    assert not process.is_alive()


def test_a_local_teacher_gives_texts_and_names_its_distributions(folder: Path) -> None:
    teacher = open_teacher(settings(folder, parse_retries=0), Terms())
    assert isinstance(teacher, LocalTeacher)
    assert teacher.logits == str(folder)
    assert "logits" in teacher.capabilities
    [(_, answer)] = teacher.answer([Solve(PROBLEM)], 0)
    assert (answer.code is not None) or answer.reason
    assert answer.tokens_out > 0
    assert answer.usd == 0


def test_the_weights_and_not_the_folder_are_the_identity(folder: Path, tmp_path: Path) -> None:
    again = tiny_student(tmp_path / "again", lively=True)
    other = tiny_student(tmp_path / "other", lively=True, seed=1)
    first, second, third = (LocalBackend(settings(one)).identity for one in (folder, again, other))
    assert first == second != third


def test_a_prompt_that_leaves_no_room_is_quarantined_with_the_reason(folder: Path) -> None:
    [(_, reply)] = LocalBackend(settings(folder)).send([Call((("user", "x" * 400),), 0.0, 1.0, None, 0, 12)])
    assert reply.finish == "quarantined"
    assert "the model holds 256" in reply.reason


@pytest.mark.parametrize(
    ("more", "said"),
    [({"style": "chat"}, "no chat template"), ({"quantised": "int8"}, "need teacher.device=cuda")],
)
def test_what_a_model_cannot_do_is_told_at_once(folder: Path, more: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        LocalBackend(settings(folder, **more))


def test_a_template_that_is_named_but_not_there_is_none(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "model")
    file = tmp_path / "model" / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"chat_template": None}))
    with pytest.raises(ConfigError, match="no chat template"):
        LocalBackend(settings(tmp_path / "model", style="chat"))


# --- distributions ---------------------------------------------------------------------------------------------------


def texts() -> list[tuple[list[int], list[int]]]:
    return [([1, 70, 71], [80, 81, 82, 2]), ([1, 90], [91, 2]), ([1, *range(60, 80)], [100] * 30)]


def direct(loaded: Loaded, prompt: list[int], completion: list[int]) -> torch.Tensor:
    with torch.inference_mode():
        logits = loaded.model(input_ids=torch.tensor([prompt + completion])).logits[0]
    return logits[len(prompt) - 1 : -1].log_softmax(dim=-1)  # [T, V]


def test_logits_are_those_of_a_direct_forward_pass(loaded: Loaded) -> None:
    vocabulary = loaded.model.config.vocab_size
    for (prompt, completion), (key, kept) in zip(texts(), distributions(loaded, texts(), vocabulary), strict=True):
        expected = direct(loaded, prompt, completion)
        found = torch.full_like(expected, -torch.inf).scatter(
            -1, torch.tensor(kept.ids).long(), torch.tensor(kept.logp)
        )
        assert key == key_of(prompt, completion)
        torch.testing.assert_close(found, expected, rtol=6e-4, atol=1e-4)  # float16 on disk
        assert kept.mass == pytest.approx(1.0, abs=2e-3)


def test_a_cache_gives_back_what_was_written_and_streams_it(loaded: Loaded, tmp_path: Path) -> None:
    made = dict(distributions(loaded, texts(), 8))
    with LogitWriter(tmp_path / "cache", 8, 259, "teacher") as writer:
        for key, kept in made.items():
            writer.add(key, kept)
            writer.add(key, kept)  # once is enough
    reader = LogitReader(tmp_path / "cache")
    assert list(reader) == list(made)
    for key, kept in made.items():
        found = reader.get(key)
        assert (found.ids == kept.ids).all()
        assert (found.logp == kept.logp).all()
        assert (found.tail == kept.tail).all()
        total = torch.tensor(found.logp).exp().sum(dim=1) + torch.tensor(found.tail).exp()
        torch.testing.assert_close(total, torch.ones_like(total))
    assert (tmp_path / "cache" / "logp.bin").stat().st_size == sum(len(one.tail) for one in made.values()) * 8 * 2


def test_a_half_written_text_is_cut_off_when_the_cache_is_opened_again(loaded: Loaded, tmp_path: Path) -> None:
    made = list(distributions(loaded, texts(), 8))
    with LogitWriter(tmp_path, 8, 259, "teacher") as writer:
        writer.add(*made[0])
    for name in ("ids.bin", "tail.bin", "index.jsonl"):
        with (tmp_path / name).open("ab") as stream:
            stream.write(b"[half")
    with LogitWriter(tmp_path, 8, 259, "teacher") as writer:
        writer.add(*made[1])
    reader = LogitReader(tmp_path)
    assert (reader.get(made[0][0]).ids == made[0][1].ids).all()
    assert (reader.get(made[1][0]).logp == made[1][1].logp).all()


def test_a_cache_of_another_teacher_or_text_is_refused(loaded: Loaded, tmp_path: Path) -> None:
    with LogitWriter(tmp_path, 8, 259, "teacher"):
        pass
    with pytest.raises(StoreError, match="Choose another folder"):
        LogitWriter(tmp_path, 8, 259, "another")
    with pytest.raises(StoreError, match="belong to other data"):
        LogitReader(tmp_path).get("0" * 64)
    with pytest.raises(StoreError, match="no cache"):
        LogitReader(tmp_path / "nowhere")


def test_more_kept_tokens_keep_more_mass_and_more_of_the_divergence(loaded: Loaded) -> None:
    """The divergence over kept tokens and tail never exceeds the whole one, and grows towards it with k."""
    prompt, completion = texts()[2]
    whole = direct(loaded, prompt, completion)
    generator = torch.Generator().manual_seed(0)
    student = (whole + 0.5 * torch.randn(whole.shape, generator=generator)).log_softmax(dim=-1)
    full = float(forward(whole, student, 0.0).mean())
    masses: list[float] = []
    shares: list[float] = []
    for k in (1, 8, 64, 259):
        kept = keep(whole, k)
        rest = 1 - student.exp().gather(-1, torch.tensor(kept.ids).long()).sum(dim=-1, keepdim=True)
        q = torch.cat([student.gather(-1, torch.tensor(kept.ids).long()), rest.clamp(min=1e-30).log()], dim=-1)
        p = torch.cat([torch.tensor(kept.logp), torch.tensor(kept.tail)[:, None]], dim=-1)
        masses.append(kept.mass)
        shares.append(float(forward(p, q, 0.0).mean()) / full)
    assert masses == sorted(masses)
    assert shares == sorted(shares)
    assert 0 < shares[0] < shares[2] < shares[3] == pytest.approx(1.0, abs=0.02)
