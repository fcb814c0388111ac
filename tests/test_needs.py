"""What recipes need of teacher and problems is told, and refused before anything is written or spent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.comparison.driver import check
from harness.comparison.problems import lacking_problems, load_pool
from harness.errors import ConfigError
from harness.settings import catalog
from harness.settings.resolve import resolve
from harness.terminal import texts
from tests.needs import data_folder

ROW = {
    "task_id": "a",
    "prompt": 'def f(x):\n    """Add one."""\n',
    "entry_point": "f",
    "canonical_solution": "    return x + 1\n",
    "test": "def check(candidate):\n    assert candidate(1) == 2\n",
}


def pool(folder: Path, *lacks: str) -> str:
    path = folder / "pool.jsonl"
    bare = {key: value for key, value in ROW.items() if key not in lacks}
    path.write_text(json.dumps(ROW) + "\n" + json.dumps({**bare, "task_id": "b"}) + "\n")
    return str(path)


def test_the_list_of_recipes_tells_each_with_its_needs():
    lines = list(texts.listing("recipes"))
    names = [name for group in catalog.names().values() for name in group]
    told = {line.split()[0]: line.split()[1] for line in lines if line.startswith("  ") and line[2] != " "}
    assert sorted(told) == sorted(names)
    assert (told["iterkd"], told["kd-fkl"], told["sft"], told["self-sft"]) == (
        "text+tests",
        "text+logits",
        "given",
        "tests",
    )
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("recipe", ["persd", "iterkd", "ekt", "seqkd-exec", "self-sft", "pref-dpo"])
def test_a_recipe_that_needs_tests_is_refused_where_a_problem_has_none(recipe, tmp_path):
    with pytest.raises(ConfigError, match=f"recipe={recipe}: it needs problems with checks, and 1 of problems="):
        check(resolve([f"recipe={recipe}", f"problems={pool(tmp_path, 'test')}"]))


def test_a_recipe_of_plain_text_takes_problems_without_tests(tmp_path):
    check(resolve(["recipe=seqkd", f"problems={pool(tmp_path, 'test')}"]))
    assert [one.checks for one in load_pool(pool(tmp_path, "test")) if one.id == "b"] == [()]


def test_sft_is_refused_where_a_problem_has_no_solution(tmp_path):
    with pytest.raises(ConfigError, match="recipe=sft: it needs problems with references, and 1 of problems="):
        check(resolve(["recipe=sft", f"problems={pool(tmp_path, 'canonical_solution')}"]))


def test_a_setting_that_takes_the_need_away_is_accepted(tmp_path):
    spec = pool(tmp_path, "test")
    check(resolve(["recipe=seqkd-exec", "seqkd-exec.filter=none", f"problems={spec}"]))
    with pytest.raises(ConfigError, match=r"recipe=seqkd-exec filter=tests: it needs"):
        check(resolve(["recipe=seqkd-exec", "seqkd-exec.filter=tests,none", f"problems={spec}"]))


def test_every_cell_that_lacks_something_is_told_once_for_all_seeds(tmp_path):
    with pytest.raises(ConfigError) as caught:
        check(resolve(["recipe=lion,iterkd", "seed=0,1", f"problems={pool(tmp_path)}"]))
    told = [line for line in caught.value.problems if "asks the teacher" in line]
    assert len(told) == 2 and "pose, rate" in told[0] and "judge, pose" in told[1]


def test_without_renewal_iterkd_asks_only_what_the_oracle_can_give_for_any_problem(tmp_path):
    check(resolve(["recipe=iterkd", "iterkd.ablation.renew=false", f"problems={pool(tmp_path)}"]))


def test_a_pool_that_cannot_be_read_is_told_once(tmp_path):
    with pytest.raises(ConfigError) as caught:
        check(resolve(["recipe=seqkd", f"problems={tmp_path / 'none.jsonl'}"]))
    assert len(caught.value.problems) == 1


def test_a_benchmark_still_demands_tests_and_solutions(tmp_path):
    from harness.benchmarks.rows import from_file
    from harness.errors import DataError

    with pytest.raises(DataError, match="no test"):
        from_file(Path(pool(tmp_path, "test")), "benchmark")


def test_gsm8ks_pool_is_its_train_split_less_a_development_set():
    from harness.benchmarks import gsm8k

    data = data_folder()
    found = load_pool("gsm8k:train", data=data)
    assert len(found) == 7473 - 500
    assert {one.prompt for one in found} < {one.prompt for one in gsm8k.problems("train", data)}
    assert not {one.prompt for one in found} & {one.prompt for one in gsm8k.problems("test", data)}
    assert lacking_problems("gsm8k:train", data=data) == {}


def test_another_temperature_needs_more_than_the_cached_tokens():
    with pytest.raises(ConfigError, match=r"recipe=kd-fkl tau=2\.0: .*train\.logits_top_k=64 keeps a part"):
        check(resolve(["recipe=kd-fkl,seqkd", "kd-fkl.tau=2.0", "train.logits_top_k=64"]))
    check(resolve(["recipe=kd-fkl", "train.logits_top_k=64"]))
    check(resolve(["recipe=seqkd", "seqkd.tau=2.0", "train.logits_top_k=64"]))  # learns from texts alone
