"""Stand-ins that tests share: a tiny random student, an engine whose teacher, student and judge follow a script."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.comparison.plan import Rehearsal
from harness.decontaminate import index_of
from harness.lab import Lab
from harness.lab.terms import Terms
from harness.settings.config import Budget, Train
from harness.steps.engine import Engine
from harness.store.database import Record
from harness.students.checkpoint import write
from harness.students.decoding import Decoding
from harness.teachers.requests import Answer, Request
from harness.training.objective import Objective
from harness.training.schedule import Schedule
from harness.types import Example, Problem, Sample, Student, TrainingSet, Verdict

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SPECIAL = ("<pad>", "<bos>", "<eos>")


def byte_tokenizer(merges: tuple[tuple[str, str], ...] = ()) -> PreTrainedTokenizerBase:
    """Return a tokenizer of single bytes with three special tokens: 259 ids, nothing learned, any text encodable.

    `merges` adds tokens made of two, in the byte-level alphabet, where a blank is Ġ and a newline Ċ.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate([*SPECIAL, *alphabet, *map("".join, merges)])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=list(merges)))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    pad, bos, eos = SPECIAL
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=pad, bos_token=bos, eos_token=eos)


def tiny_student(
    folder: Path, *, seed: int = 0, hidden: int = 48, layers: int = 2, positions: int = 256, lively: bool = False
) -> Path:
    """Write a random Llama of some 60 thousand parameters with a byte tokenizer; a seed always gives the same bytes.

    An untrained model with tied embeddings repeats its last token for ever. A `lively` one answers every prompt
    differently and ends now and then, which is what tests of generation need; it trains badly.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = byte_tokenizer()
    config = LlamaConfig(
        vocab_size=len(SPECIAL) + 256,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=4,
        intermediate_size=2 * hidden,
        max_position_embeddings=positions,
        tie_word_embeddings=not lively,
        initializer_range=0.4 if lively else 0.05,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    write(model, tokenizer, folder)
    return folder


class Scripted(Rehearsal):
    """An engine that spends nothing: teacher, student and judge do what a test says, and every call is written down.

    `teacher` gives a request's code, new problem or scores, None for an answer without them; `student` the text of a
    sample (problem id, prompt, index); `passes` whether a program passes.
    """

    def __init__(
        self,
        teacher: Callable[[Request], str | Problem | tuple[float | None, ...] | None],
        student: Callable[[str, str, int], str] = lambda key, prompt, index: "",
        passes: Callable[[Problem, str], bool] = lambda problem, program: True,
    ) -> None:
        super().__init__()
        self.teacher, self.student, self.passes = teacher, student, passes
        self.requests: list[Request] = []
        self.sampled: list[tuple[str, str, str]] = []  # weights, problem id, prompt
        self.judged: list[tuple[Problem, str]] = []
        self.trained: list[tuple[Example, ...]] = []
        self.objectives: list[Objective] = []
        self.starts: list[str] = []  # weights that each fit began from

    def answer(self, request: Request, key: str) -> Answer:
        self.requests.append(request)
        said = self.teacher(request)
        blank = Answer(request.kind, "", None, None, None, 1, 1, 0.0, "stop")
        match said:
            case str():
                return replace(blank, code=said)
            case Problem():
                return replace(blank, problem=said)
            case tuple():
                return replace(blank, scores=said)
            case _:
                return replace(blank, reason="the script says nothing")

    def sample(
        self, student: Student, prompts: Sequence[tuple[str, str]], decoding: Decoding, seed: int, batch: int
    ) -> tuple[list[list[Sample]], list[Record]]:
        self.sampled += [(student.weights, key, text) for key, text in prompts]
        record = self.record("samples", [student.weights, seed, decoding.n, [text for _, text in prompts]])
        found = [
            [Sample(key, index, self.student(key, text, index), "stop", 3) for index in range(decoding.n)]
            for key, text in prompts
        ]
        return found, [record]

    def judge(self, pairs: Sequence[tuple[Problem, str]], cpu_s: float) -> tuple[list[Verdict], list[Record]]:
        self.judged += pairs
        verdicts, records = super().judge(pairs, cpu_s)
        marks = [self.passes(problem, program) for problem, program in pairs]
        judged = zip(verdicts, marks, strict=True)
        return [replace(one, status="passed" if good else "wrong") for one, good in judged], records

    def fit(
        self, student: Student, data: TrainingSet, objective: Objective, schedule: Schedule, seed: int
    ) -> tuple[list[Student], list[dict[str, Any]], Record]:
        self.trained.append(data.examples)
        self.objectives.append(objective)
        self.starts.append(student.weights)
        return super().fit(student, data, objective, schedule, seed)

    def asked(self, kind: str) -> list[Any]:
        """Return the requests of a kind, in order."""
        return [one for one in self.requests if one.kind == kind]


def lab_of(
    engine: Engine, problems: Sequence[Problem], cycles: int = 2, budget: Budget | None = None, seed: int = 0
) -> Lab:
    """Return a lab over an engine; by default every problem of the pool may be an example and attempted in a cycle."""
    from tests.contracts.recipe import Anything

    whole = budget or Budget(examples=len(problems), updates=5, attempts=len(problems))
    terms = Terms(cycles, whole, Train(), threads=1, device="cpu", batch=8, max_new_tokens=32, stop=(), cpu_s=1.0)
    own = Student("teacher", "teacher")
    return Lab(engine, terms, Student("tiny", "base"), problems, Anything(), index_of([]), seed, logits=lambda: own)
