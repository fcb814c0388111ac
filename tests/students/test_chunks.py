"""Logits made for a few labels at a time: the same numbers and gradients, less memory, and never for a model whose head
is not the last word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from harness.errors import TrainingError
from harness.students.checkpoint import load_libraries, read_model
from harness.students.logp import BARE, bare_head, chosen_logp, label_scores, label_states, states_kept
from tests.fakes import tiny_student

IDS = torch.randint(3, 200, (4, 30), generator=torch.Generator().manual_seed(0))
MASK = torch.rand(4, 29, generator=torch.Generator().manual_seed(1)) < 0.7


@pytest.fixture(scope="module", params=[False, True], ids=["tied", "untied"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    load_libraries()
    return read_model(tiny_student(tmp_path_factory.mktemp("student"), lively=request.param), "cpu")


def scored(model: Any, chunk_elements: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    model.zero_grad()
    logp = label_scores(model, IDS, MASK, chosen_logp(IDS[:, 1:][MASK]), chunk_elements)[:, 0]
    (logp.exp().sum() - logp.mean()).backward()
    return logp.detach(), {name: value.grad.clone() for name, value in model.named_parameters()}


@pytest.mark.parametrize("labels", [1, 7, 50])
def test_chunks_give_the_numbers_and_gradients_of_the_whole(model: Any, labels: int) -> None:
    whole, gradients = scored(model, 1 << 26)
    parts, same = scored(model, labels * model.config.vocab_size)
    torch.testing.assert_close(parts, whole, rtol=1e-5, atol=1e-6)
    for name, gradient in gradients.items():
        torch.testing.assert_close(same[name], gradient, rtol=1e-4, atol=1e-5)


def test_no_more_logits_are_made_at_once_than_a_chunk_holds(model: Any) -> None:
    sizes: list[int] = []

    def score(logits: torch.Tensor, at: slice) -> torch.Tensor:
        sizes.append(len(logits))
        return logits.logsumexp(dim=1, keepdim=True)

    label_scores(model, IDS, MASK, score, 10 * model.config.vocab_size).sum().backward()
    assert max(sizes) == 10 and sum(sizes) == 2 * int(MASK.sum())  # once forward, once again for the gradient


def test_the_head_is_as_before_afterwards(model: Any) -> None:
    names = list(model.state_dict())
    scored(model, model.config.vocab_size)
    assert "forward" not in vars(model.get_output_embeddings()) and list(model.state_dict()) == names
    assert model(input_ids=IDS).logits.shape == (4, 30, model.config.vocab_size)


def test_a_gradient_at_the_states_leaves_the_backward_pass_possible(model: Any) -> None:
    for elements in (7 * model.config.vocab_size, 1 << 26):
        BARE.clear()  # as for a model that is seen for the first time, whose head is tried out first
        model.zero_grad()
        with states_kept(model) as seen:
            logp = label_scores(model, IDS, MASK, chosen_logp(IDS[:, 1:][MASK]), elements).sum()
        [pull] = torch.autograd.grad(logp, seen[-1], retain_graph=True)
        logp.backward()
        assert pull.shape == seen[-1].shape and float(pull.norm()) > 0
        assert model.get_input_embeddings().weight.grad.abs().sum() > 0


def test_states_and_head_make_the_logits(model: Any) -> None:
    states, head = label_states(model, IDS, MASK)
    torch.testing.assert_close(head(states), model(input_ids=IDS[:, :-1], logits_to_keep=MASK).logits)


def test_a_model_that_caps_its_logits_is_never_chunked(tmp_path: Path) -> None:
    from transformers import Gemma2Config, Gemma2ForCausalLM

    config = Gemma2Config(
        vocab_size=259,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        intermediate_size=32,
        final_logit_softcapping=3.0,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Gemma2ForCausalLM(config)
    assert not bare_head(model, IDS)
    score = chosen_logp(IDS[:, 1:][MASK])
    torch.testing.assert_close(label_scores(model, IDS, MASK, score, 300), label_scores(model, IDS, MASK, score))
    with pytest.raises(TrainingError, match="Gemma2ForCausalLM"):
        label_states(model, IDS, MASK)
