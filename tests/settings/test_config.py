import pytest

from harness.comparison.runs import RunFolder, read_facts
from harness.errors import ConfigError
from harness.settings.config import Run
from harness.settings.resolve import parse, resolve


def problems(*words):
    with pytest.raises(ConfigError) as caught:
        resolve(words)
    return caught.value.problems


def test_a_comma_list_of_recipes_and_seeds_spells_out_every_cell():
    command = resolve(["recipe=iterkd,persd", "seed=0,1,2"])
    assert [(cell.recipe, cell.seed) for cell in command.cells] == [
        (r, s) for r in ("iterkd", "persd") for s in (0, 1, 2)
    ]


def test_a_recipes_own_key_is_swept_into_cells_of_its_own():
    command = resolve(["recipe=iterkd,persd", "iterkd.margin=0.1,0.3"])
    assert [cell.settings for cell in command.cells] == [{"margin": "0.1"}, {"margin": "0.3"}, {}]
    assert [cell.config.get("margin") for cell in command.cells] == [0.1, 0.3, None]


def test_a_list_typed_key_takes_the_list_whole():
    assert resolve(["recipe=iterkd", "benchmark=pipelines,humaneval"]).run.benchmark == ("pipelines", "humaneval")
    [cell] = resolve(["recipe=iterkd", "iterkd.quota=0.6,0.3,0.1"]).cells
    assert cell.config["quota"] == (0.6, 0.3, 0.1)


def test_an_ablation_is_set_by_its_dotted_key():
    [cell] = resolve(["recipe=iterkd", "iterkd.ablation.views=tool"]).cells
    assert cell.config["ablation"]["views"] == "tool"


def test_a_nested_key_sets_one_value_and_leaves_its_neighbours():
    run = resolve(["recipe=iterkd", "budget.examples=64"]).run
    assert run.budget.examples == 64
    assert run.budget.updates == Run().budget.updates


def test_a_key_on_the_command_line_wins_over_the_preset():
    assert resolve(["recipe=iterkd", "preset=smoke"]).run.cycles == 2
    assert resolve(["recipe=iterkd", "preset=smoke", "cycles=1"]).run.cycles == 1


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("recipe=iterdk", "did you mean iterkd?"),
        ("cylces=2", "did you mean cycles?"),
        ("budget.exmples=2", "did you mean examples?"),
        ("iterkd.margn=0.1", "did you mean margin?"),
        ("preset=smok", "did you mean smoke?"),
        ("reference=iterk", "did you mean iterkd?"),
        ("keep=lst", "did you mean last?"),
        ("iterkd.ablation.views=tol", "did you mean tool?"),
    ],
)
def test_a_typo_gets_the_nearest_valid_name(word, said):
    words = [word] if word.startswith("recipe=") else ["recipe=iterkd", word]
    assert any(said in text for text in problems(*words)), problems(*words)


@pytest.mark.parametrize(
    "word",
    [
        "cycles=two",
        "cycles=0",
        "cycles=1,2",
        "budget=3",
        "budget.updates=1.5",
        "k=3",
        "iterkd.quota=1,2",
        "iterkd.margin=high",
        "seed=x",
        "k=0",
        "jobs=-1",
        "device=gpu",
        "decode.top_p=0",
        "train.warmup=-1",
        "train.final_ratio=2",
        "iterkd.quota=1,1,1",
        "iterkd.fresh=2",
        "iterkd.retries=-3",
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_by_its_key(word):
    assert any(text.startswith(word.partition("=")[0]) for text in problems("recipe=iterkd", word))


def test_all_errors_of_a_command_are_told_at_once():
    told = problems("recipe=iterdk", "cylces=2", "budget.updates=none", "preset=smok")
    assert len(told) == 4


def test_a_key_given_twice_is_refused():
    assert any("twice" in text for text in problems("recipe=iterkd", "cycles=1", "cycles=2"))


def test_a_recipe_must_be_named():
    assert any(text.startswith("recipe") for text in problems("cycles=2"))


def test_where_results_are_kept_does_not_change_what_they_are():
    one = resolve(["recipe=iterkd", "store=a", "jobs=1"])
    other = resolve(["recipe=iterkd", "store=b", "jobs=2", "keep=all"])
    assert one.content() == other.content()


def test_a_raised_cap_on_money_is_the_same_run_and_its_folder_is_opened_again(tmp_path):
    words = ["recipe=iterkd", f"run={tmp_path / 'mine'}", f"store={tmp_path / 'store'}"]
    RunFolder(resolve([*words, "budget.teacher_usd=1"])).close()
    again = resolve([*words, "budget.teacher_usd=2", "budget.allow_unpriced=true"])
    RunFolder(again).close()
    assert "budget.teacher_usd=2" in read_facts(tmp_path / "mine")["command"]
    named = [resolve(["recipe=iterkd", f"budget.teacher_usd={cap}"]).folder() for cap in (1, 2)]
    assert named[0] == named[1] != resolve(["recipe=iterkd", "budget.teacher_calls=2"]).folder()


def test_a_run_tells_where_its_checkpoints_lie_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for given, told in (("here", str(tmp_path / "here")), ("memory://there", "memory://there"), ("", "")):
        RunFolder(resolve(["recipe=iterkd", "run=mine", f"artifacts={given}"])).close()
        assert read_facts(tmp_path / "mine")["artifacts"] == told


@pytest.mark.parametrize(
    "word",
    [
        "artifacts=s3://AKIA:hid/den@bucket/x",
        "artifacts=ftp://me:hidden@host/x",
        "artifacts=simplecache::ftp://me:hidden@host:21/x",
        "store=postgresql://me:hidden@host/db",
        "store=postgresql://me@host/db?password=hidden",
        "generation.options='--tp 2 --api-key hidden'",
        "generation.options='--hf_token=hidden'",
        "generation.command='vllm serve --api-key=hidden'",
    ],
)
def test_what_holds_a_secret_is_refused_and_not_repeated(word):
    [told] = problems("recipe=iterkd", "artifacts=a" if word.startswith("store") else "cycles=1", word)
    assert told.startswith(word.partition("=")[0])
    assert "would be written down with every run" in told
    assert "hid" not in told.replace("would", "")


@pytest.mark.parametrize(
    "word",
    [
        "artifacts=ftp://me@host:2121/a@b",
        "artifacts=abfs://box@account.dfs.core.windows.net/x",
        "generation.options='--max-model-len 2048 --hf-token-of none'",
    ],
)
def test_what_only_looks_like_a_secret_is_taken(word):
    assert resolve(["recipe=iterkd", word])


def test_another_configuration_has_another_folder():
    assert resolve(["recipe=iterkd"]).folder() != resolve(["recipe=iterkd", "cycles=2"]).folder()


def test_a_reference_that_names_several_rows_is_refused_before_anything_runs():
    told = problems("recipe=iterkd", "iterkd.margin=0.1,0.2", "reference=iterkd")
    assert any("2 rows bear that name" in text for text in told)


def test_a_swept_row_can_be_the_reference_by_its_label():
    command = resolve(["recipe=iterkd", "iterkd.margin=0.1,0.2", "reference='iterkd margin=0.1'"])
    assert command.run.reference == "iterkd margin=0.1"


@pytest.mark.parametrize("url", ["postgresql://me@/db?host=/run/x", "s3://bucket/a,b", "postgresql://me@host:5432/db"])
def test_a_url_is_one_value_whatever_stands_in_it(url):
    problems: list[str] = []
    assert parse([f"store={url}"], problems) == {"store": [url]} and not problems


def test_a_key_of_a_group_within_a_group_is_set():
    run = resolve(["recipe=seqkd", "train.lora.rank=4", "train.lora.targets=q_proj,v_proj"]).run
    assert (run.train.lora.rank, run.train.lora.targets, run.train.lora.alpha) == (4, ("q_proj", "v_proj"), 32)
    with pytest.raises(ConfigError, match=r"train\.lora\.rnk: no such key \(did you mean rank\?\)"):
        resolve(["recipe=seqkd", "train.lora.rnk=4"])
