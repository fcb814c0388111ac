"""Every switch of IterKD changes exactly its own steps: the first cycle's are compared with the default's."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

import pytest

from harness.errors import ConfigError
from harness.lab import CONTRASTS, Dpo, Infonce, Margin, Objective, Orpo, Simpo, Unlikelihood
from harness.settings.resolve import resolve
from harness.store.keys import digest
from harness.teachers.requests import request_key
from harness.types import Check, Problem, Student
from recipes.iterkd import VARIANTS, Ablation, Config, level, needs, objective, train
from tests.fakes import Scripted, lab_of

RIGHT, WRONG, TRY = "    return x + 1\n", "    return x - 7\n", "    return x\n"


def problem(name: str, words: str) -> Problem:
    return Problem(name, f'def f(x):\n    """{words}"""\n', "f", (Check((1,), 2),), "", 1)


POOL = tuple(problem(f"p{place}", " ".join(f"w{place}x{word}" for word in range(6))) for place in range(12))
SCORES = ((2.0, 1.0, 1.0, 1.0, 1.0), (0.0, 0.5, 0.5, 0.0, 0.0), (1.0, 1.0, 0.5, 0.5, 0.5))


class Steps(Scripted):
    """Names every step by what it is, and gives each fit's student a name that does not hang on what was fitted."""

    def __init__(self) -> None:
        super().__init__(say, lambda key, prompt, index: TRY, self.judgement)
        self.steps: Counter[tuple[str, str]] = Counter()
        self.fits = 0

    @staticmethod
    def judgement(problem: Problem, program: str) -> bool:
        place = int(problem.id.lstrip("pn") or 0)
        runs = problem.checks == () and place % 3 > 0
        return runs or program.endswith(RIGHT) or (program.endswith(TRY) and problem.checks != () and place % 2 == 0)

    def ask(self, teacher: Any, requests: Any, seed: int) -> Any:
        self.steps.update((one.kind, digest(request_key(one))) for one in requests)
        return super().ask(teacher, requests, seed)

    def sample(self, student: Student, prompts: Any, *rest: Any) -> Any:
        self.steps[f"samples of {student.name}", digest([student.weights, list(prompts)])] += 1
        return super().sample(student, prompts, *rest)

    def judge(self, pairs: Any, cpu_s: float) -> Any:
        self.steps.update(("run" if one.checks == () else "judged", digest([one.id, text])) for one, text in pairs)
        return super().judge(pairs, cpu_s)

    def fit(self, student: Student, data: Any, objective: Any, *rest: Any) -> Any:
        rows = [dataclasses.asdict(one) for one in data.examples]
        self.steps["fit", digest([student.weights, rows, repr(objective)])] += 1
        _, marks, record = super().fit(student, data, objective, *rest)
        self.fits += 1
        scorer = data.examples[0].origin == "score"
        return [Student("scorer" if scorer else "student", "scorer" if scorer else "trained")], marks, record


def say(request: Any) -> Any:
    if request.kind == "judge":
        return SCORES[int(request.problem.id.lstrip("pn") or 0) % 3]
    if request.kind == "pose":
        return problem(f"n{request.index}", " ".join(f"n{request.index}y{word}" for word in range(6)))
    return request.problem.prompt + (WRONG if request.kind == "corrupt" else RIGHT)


def differ(cfg: Config) -> set[str]:
    """Return the kinds of steps in which a configuration differs from the default in the first cycle's three stages."""
    own, default = first_cycle(cfg), first_cycle(Config())
    return {kind for kind, _ in own.keys() ^ default.keys()}


def first_cycle(cfg: Config) -> Counter[tuple[str, str]]:
    engine = Steps()
    recipe = train(lab_of(engine, POOL, 2), cfg)
    next(recipe)
    asked_before = len(engine.asked("solve"))
    found: list[Counter[tuple[str, str]]] = []
    asking = engine.ask

    def ask(teacher: Any, requests: Any, seed: int) -> Any:
        if requests and requests[0].kind == "solve" and not found:
            found.append(engine.steps.copy())  # the second cycle begins
        return asking(teacher, requests, seed)

    engine.ask = ask  # type: ignore[method-assign] - a stand-in's own method
    list(recipe)
    assert asked_before and found
    return found[0]


CASES = [
    (Config(margin=0.5), {"fit"}),
    (Config(contrast="dpo"), {"fit"}),
    (Config(contrast="simpo"), {"fit"}),
    (Config(contrast="orpo"), {"fit"}),
    (Config(contrast="infonce"), {"fit"}),
    (Config(contrast="unlikelihood"), {"fit"}),
    (Config(weight=0.0), {"fit", "corrupt", "judged"}),
    (Config(tool="run_tests"), {"run", "judged", "pose"}),
    (Config(level_rule="mean"), {"pose"}),
    (Config(rubric="heuristic"), {"judge", "pose"}),
    (Config(rubric="scorer"), {"fit"}),
    (Config(quota=(0.2, 0.3, 0.5)), {"pose"}),
    (Config(fresh=0.25), {"pose"}),
    (Config(ablation=Ablation(views="model")), {"run", "pose"}),
    (Config(ablation=Ablation(views="tool")), {"judge", "pose"}),
    (Config(ablation=Ablation(views="random")), {"run", "judge", "pose"}),
    (Config(ablation=Ablation(level_split=False)), {"pose"}),
    (Config(ablation=Ablation(in_depth=True)), {"pose"}),
    (Config(ablation=Ablation(renew=False)), {"run", "judge", "pose", "samples of student"}),
    (Config(ablation=Ablation(fault_source="free")), {"corrupt"}),
    (Config(ablation=Ablation(fault_source="mutator")), {"corrupt", "judged", "fit"}),
    (Config(ablation=Ablation(verify_faults=False)), {"judged"}),
    (Config(ablation=Ablation(contrast_over="all")), {"fit"}),
    (Config(ablation=Ablation(contrast_over="sum")), {"fit"}),
]


@pytest.mark.parametrize(("cfg", "expected"), CASES, ids=lambda value: "" if isinstance(value, set) else name(value))
def test_a_switch_changes_its_own_steps_and_no_other(cfg, expected):
    assert differ(cfg) == expected


def name(cfg: Config) -> str:
    """Return what a configuration changes, as the command line says it."""
    own = {key: value for key, value in dataclasses.asdict(cfg).items() if value != dataclasses.asdict(Config())[key]}
    return ",".join(f"{key}={value}" for key, value in own.items())


LATER = [
    Config(keep_hard=0.0),
    Config(ablation=Ablation(pool="replace")),
    Config(ablation=Ablation(pool="join")),
    Config(ablation=Ablation(restart=True)),
]


@pytest.mark.parametrize("cfg", LATER, ids=name)
def test_what_concerns_the_next_cycle_changes_no_step_before(cfg):
    assert first_cycle(cfg) == first_cycle(Config())


def pools(cfg: Config, cycles: int = 3) -> tuple[Steps, list[set[str]]]:
    engine = Steps()
    list(train(lab_of(engine, POOL, cycles), cfg))
    return engine, [{one.prompt for one in rows} for rows in engine.trained]


def test_a_replaced_pool_holds_the_new_problems_alone():
    _, [first, second, third] = pools(Config(ablation=Ablation(pool="replace")))
    assert first == {one.prompt for one in POOL}
    assert len(second) == len(third) == len(POOL) // 2 and not second & first and not third & (first | second)


def test_a_joined_pool_is_drawn_from_all_problems_so_far():
    _, [first, second, third] = pools(Config(ablation=Ablation(pool="join")))
    assert len(first) == len(second) == len(third) == len(POOL)
    assert 0 < len(second - first) < len(POOL) // 2  # less than the half that is new otherwise
    assert third & first and third & (second - first) and third - first - second


@pytest.mark.parametrize("restart", [False, True])
def test_every_cycle_begins_from_the_current_student_or_from_the_base(restart):
    engine, _ = pools(Config(ablation=Ablation(restart=restart)), cycles=2)
    assert engine.starts == ["base", "base" if restart else "trained"]


def test_where_nothing_new_replaces_the_pool_the_cycles_left_are_told_as_without_examples():
    engine = Steps()
    engine.teacher = lambda request: None if request.kind == "pose" else say(request)
    lab = lab_of(engine, POOL, 3)
    assert len(list(train(lab, Config(ablation=Ablation(pool="replace"))))) == 3
    assert lab.notes["new problems kept"] == 0 and lab.notes["cycles without examples"] == 2


def commented(request: Any) -> Any:
    return say(request).replace("    return", "    # adds one\n    return") if request.kind == "solve" else say(request)


def test_comments_stay_in_what_is_trained_on_only_where_they_are_not_stripped():
    kept: list[set[str]] = []
    for stripped in (True, False):
        engine = Steps()
        engine.teacher = commented
        next(train(lab_of(engine, POOL, 1), Config(ablation=Ablation(stripped=stripped))))
        kept.append({one.completion for one in engine.trained[0]})
    assert kept == [{RIGHT}, {"    # adds one\n" + RIGHT}]


def test_a_fault_of_the_teachers_own_choice_names_no_type():
    engine = Steps()
    lab = lab_of(engine, POOL, 1)
    list(train(lab, Config(ablation=Ablation(fault_source="free"))))
    assert {one.fault for one in engine.asked("corrupt")} == {"any"}
    assert lab.notes["faults by teacher: any"] == len(POOL)


def test_without_a_teacher_for_faults_none_is_asked_and_every_one_is_the_mutators():
    engine = Steps()
    lab = lab_of(engine, POOL, 1)
    list(train(lab, Config(ablation=Ablation(fault_source="mutator"))))
    made = {key: count for key, count in lab.notes.items() if key.startswith("faults by")}
    assert engine.asked("corrupt") == [] and made and all(key.startswith("faults by mutator") for key in made)
    assert sum(made.values()) == sum(one.rejected is not None for one in engine.trained[0])


def test_unverified_faults_are_taken_even_where_they_would_pass():
    engine = Steps()
    engine.teacher = lambda request: request.problem.prompt + RIGHT if request.kind == "corrupt" else say(request)
    list(train(lab_of(engine, POOL, 1), Config(ablation=Ablation(verify_faults=False))))
    assert {one.rejected for one in engine.trained[0]} == {RIGHT}


def test_a_contrast_of_means_can_count_the_end_token_or_not_divide_by_length():
    terms = [
        objective(Config(contrast="simpo", ablation=Ablation(contrast_over=over))) for over in ("code", "all", "sum")
    ]
    assert [one.contrast for one in terms] == [Simpo(), Simpo(tokens="all"), Simpo(per_token=False)]


@pytest.mark.parametrize("contrast", ["dpo", "orpo", "unlikelihood"])
def test_a_contrast_with_tokens_of_its_own_refuses_other_ones(contrast):
    with pytest.raises(ConfigError, match=r"contrast_over=sum: expected contrast=margin, simpo or infonce"):
        resolve(["recipe=iterkd", f"iterkd.contrast={contrast}", "iterkd.ablation.contrast_over=sum"])


@pytest.mark.parametrize(
    ("contrast", "term"),
    [
        ("margin", Margin(0.2, 0.3)),
        ("dpo", Dpo(weight=0.3)),
        ("simpo", Simpo(weight=0.3)),
        ("orpo", Orpo(weight=0.3)),
        ("infonce", Infonce(weight=0.3)),
        ("unlikelihood", Unlikelihood(weight=0.3)),
    ],
)
def test_a_form_of_the_contrast_is_a_value_beside_the_same_pairs(contrast, term):
    engine, plain = Steps(), Steps()
    list(train(lab_of(engine, POOL, 1), Config(contrast=contrast, weight=0.3)))
    list(train(lab_of(plain, POOL, 1), Config()))
    assert engine.objectives[0].contrast == term and engine.trained == plain.trained


@pytest.mark.parametrize(
    ("contrast", "weight"),
    [("margin", 0.5), ("dpo", 1.0), ("simpo", 0.5), ("orpo", 0.1), ("infonce", 0.5), ("unlikelihood", 0.5)],
)
def test_a_form_has_its_own_weight_unless_one_is_given(contrast, weight):
    assert weight_of(Config(contrast=contrast)) == weight == CONTRASTS[contrast]().weight
    assert weight_of(Config(contrast=contrast, weight=0.3)) == 0.3


def weight_of(cfg: Config) -> float:
    term = objective(cfg).contrast
    assert term is not None
    return term.weight


def test_the_default_contrast_is_the_margin_at_half_weight_said_or_not():
    assert objective(Config()) == objective(Config(weight=0.5)) == Objective(contrast=Margin(0.2, 0.5))
    assert first_cycle(Config()) == first_cycle(Config(weight=0.5))


@pytest.mark.parametrize("words", [("iterkd.weight=-1",), ("iterkd.weight=heavy",)])
def test_a_weight_that_is_none_is_told(words):
    with pytest.raises(ConfigError, match="weight="):
        resolve(["recipe=iterkd", *words])


def test_the_forms_own_weight_can_be_one_of_a_sweep():
    cells = resolve(["recipe=iterkd", "iterkd.contrast=dpo", "iterkd.weight=null,0.5"]).cells
    assert [one.config["weight"] for one in cells] == [None, 0.5]


@pytest.mark.parametrize("views", ["model", "tool"])
def test_under_one_view_some_problems_are_easy_and_their_neighbours_are_rarer(views):
    engine = Steps()
    lab = lab_of(engine, POOL, 2)
    list(train(lab, Config(ablation=Ablation(views=views))))
    assert lab.notes["cycle 1 easy"] > 0 and lab.notes["cycle 1 hard"] > 0
    assert {one.mode for one in engine.asked("pose")} == {"rarer", "similar"}


# --- the scoring model -----------------------------------------------------------------------------------------------


def scored(cycles: int) -> tuple[Steps, Any]:
    engine = Steps()
    lab = lab_of(engine, POOL, cycles)
    assert len(list(train(lab, Config(rubric="scorer")))) == cycles
    return engine, lab


def test_the_scoring_model_learns_the_first_cycles_scores_and_scores_alone_from_then_on():
    engine, _ = scored(3)
    assert len(engine.asked("judge")) == len(POOL)
    [examples] = [rows for rows in engine.trained if rows[0].origin == "score"]
    assert len(examples) == len(POOL) and {one.completion for one in examples} == {
        "".join(f"R{rule}: {score:g}\n" for rule, score in enumerate(scores, start=1)) for scores in SCORES
    }
    assert sum(weights == "scorer" for weights, _, _ in engine.sampled) == len(POOL)


def test_the_scoring_models_training_is_told_beside_the_students_updates():
    _, lab = scored(2)
    assert lab.spent.updates == 2 * 5 and lab.notes["updates of the scoring model"] == 5


def test_without_a_single_score_no_scoring_model_is_trained():
    engine = Steps()
    engine.teacher = lambda request: None if request.kind == "judge" else say(request)
    lab = lab_of(engine, POOL, 3)
    list(train(lab, Config(rubric="scorer")))
    assert "updates of the scoring model" not in lab.notes
    assert len(engine.asked("judge")) == 2 * len(POOL)  # the teacher is asked again, not replaced by nothing


# --- levels and needs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tool", "score", "expected"),
    [
        ("pass", 6, "easy"),
        ("pass", 3.6, "easy"),
        ("pass", 3.5, "medium"),
        ("fail", 6, "medium"),
        ("fail", 5.5, "hard"),
        (None, 5, "easy"),
        (None, 2.9, "hard"),
        ("pass", None, "medium"),
        ("fail", None, "hard"),
        (None, None, "medium"),
    ],
)
def test_the_mean_of_both_views_is_a_level_too(tool, score, expected):
    assert level(tool, score, "mean") == expected


@pytest.mark.parametrize(
    ("cfg", "lacks"),
    [
        (Config(), set[str]()),
        (Config(weight=0.0), {"corrupt"}),
        (Config(rubric="heuristic"), {"judge"}),
        (Config(ablation=Ablation(views="tool")), {"judge"}),
        (Config(ablation=Ablation(renew=False)), {"judge", "pose", "tests"}),
        (Config(ablation=Ablation(fault_source="mutator")), {"corrupt"}),
    ],
)
def test_a_configuration_needs_only_what_it_will_ask(cfg, lacks):
    assert {"solve", "corrupt", "judge", "pose", "tests", "checks"} - set(needs(cfg)) == lacks
    engine = Steps()
    list(train(lab_of(engine, POOL, 2), cfg))
    assert {one.kind for one in engine.requests} == set(needs(cfg)) - {"checks", "tests"}  # these pose with checks


def test_soda_is_iterkd():
    assert VARIANTS["soda"] == Config()
