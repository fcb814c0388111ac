"""Each kind of step does today what it did when its code version was set.

If one of these fails and the change was meant, raise the version beside the code (harness/steps/engine.py, the
teacher's or the benchmark's own), put the new digest here, and say in CHANGELOG.md that scores may move.
"""

import dataclasses

from harness.sandbox import Program, Sandbox
from harness.steps import codec, engine
from harness.store.keys import digest
from harness.students.decoding import Decoding
from harness.teachers.oracle import Oracle
from harness.training.objective import Margin, Objective
from harness.training.schedule import Schedule
from harness.types import Check, Example, TrainingSet
from harness.world.pool import draw
from tests.contracts.teacher import requests_for
from tests.fakes import tiny_student

GOLDEN = {
    ("answers", 1, 2): "657346d92a307304a7e94a4e10ff0bb98a6fc1beb8f94a351caac6b3d65873c0",
    ("samples", 1): "8c2a99cde52c36482ac06503a4d604b885f48e05a1ca36f9b6b4785a6ef8bfb6",
    ("scores",): "29efe0d7c38fe97a4841902419264ea5cafe3ac032313c65e04f2fe8c33c38a9",
    ("verdicts", 3): "cddf020a4273d3f3516c304ca2ccefde564fd1ce81662b9271e8a37108c4b94c",
    ("checkpoint", 1): "abf1c943f70e5d1b9a256339aaf15d0741c2b8e359e3e018cfbc7323a94e8bf5",
}


def test_answers_of_the_oracle():
    oracle = Oracle()
    requests = [request for problem in draw(8, seed=5, split="train") for request in requests_for(oracle, problem)]
    found = dict(oracle.answer(requests, 1))
    content = [codec.answer_to_json(found[place]) for place in range(len(requests))]
    assert digest(content) == GOLDEN["answers", engine.ANSWERS, oracle.version]


def test_samples_of_a_student(tmp_path):
    from harness.students.engine import generate, load

    loaded = load(tiny_student(tmp_path, lively=True))
    prompts = [problem.prompt for problem in draw(6, seed=5, split="train")]
    found = [
        [one.text, one.finish_reason, one.tokens]
        for temperature in (0.0, 0.8)
        for one in generate(loaded, prompts, Decoding(temperature, max_new_tokens=12), list(range(6)))
    ]
    assert digest(found) == GOLDEN["samples", engine.SAMPLES]


def test_scores_of_a_student(tmp_path):
    from harness.students.engine import load, score

    loaded = load(tiny_student(tmp_path, lively=True))
    pairs = [(problem.prompt, problem.reference) for problem in draw(6, seed=5, split="train")]
    found = [[round(one, 2) for one in own] for own in score(loaded, pairs)]  # as below
    assert digest(found) == GOLDEN["scores",]


def test_verdicts_of_the_sandbox():
    sources = ["return x + 1", "return x", "return {}[x]", "import os; os._exit(3)", "return [x"]
    programs = [Program(f"def f(x):\n    {source}\n", "f", (Check((1,), 2), Check((2,), 3))) for source in sources]
    with Sandbox() as sandbox:
        found = dict(sandbox.judge(programs))
    keep = ("status", "reason", "first_fail", "n_passed", "n_checks")
    content = [{key: dataclasses.asdict(found[place])[key] for key in keep} for place in range(len(programs))]
    assert digest(content) == GOLDEN["verdicts", engine.VERDICTS]


def test_losses_of_a_fit(tmp_path):
    from harness.training.trainer import fit

    student = tiny_student(tmp_path / "student")
    problems = draw(6, seed=5, split="train")
    examples = tuple(Example(one.prompt, one.reference, rejected="    return None\n") for one in problems)
    schedule = Schedule(updates=4, batch=3, learning_rate=1e-3, warmup=1, marks=(2, 4))
    objective = Objective(contrast=Margin(0.2, 0.5))
    marks = fit(student, TrainingSet(examples), objective, schedule, 7, lambda update: tmp_path / str(update))
    # Two decimals: the last bits of a sum depend on the processor's vector width, the schedule and the losses do not.
    content = [
        [mark.update, mark.tokens, mark.examples, {k: round(v, 2) for k, v in mark.losses.items()}] for mark in marks
    ]
    assert digest(content) == GOLDEN["checkpoint", engine.CHECKPOINT]
