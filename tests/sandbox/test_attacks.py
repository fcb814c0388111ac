"""No attack passes, none harms the programs after it, none leaves a trace; odd but honest programs pass."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest

from harness.sandbox import Level, Program, Sandbox
from harness.sandbox.limits import TEXT_CHARS
from harness.types import Script, Verdict
from tests.sandbox.attacks import GROUPS, HARMLESS, LEGACIES, Attack, Harmless
from tests.sandbox.attacks.attack import CALLS, CHECK, EVERY_WAY
from tests.sandbox.conftest import LIMITS, reached
from tests.sandbox.traces import Traces, jailed, own_descriptors

# finds the scratch folder empty and usable, and takes a few milliseconds
CANARY_SOURCE = """import os
def f(x):
    assert os.listdir('/tmp') == [] == os.listdir('.'), os.listdir('/tmp')
    with open('/tmp/canary', 'x') as h: h.write('1')
    os.remove('/tmp/canary')
    return x + 1
"""
CANARIES = [Program(CANARY_SOURCE, "f", CALLS), Program(CANARY_SOURCE, "f", CHECK)]
CANARY_CPU_S = 0.1  # ten times what it takes
QUICK_S = 0.2
SAMPLED = 60

ATTACKS = [(group, attack) for group, attacks in GROUPS.items() for attack in attacks]
IDS = [f"{group}: {attack.name}" for group, attack in ATTACKS]


@pytest.fixture(autouse=True)
def canary_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("CANARY_OF_THE_TEST", "1")
    yield


def programs(attack: Attack) -> list[Program]:
    """Return the attack before each of its tests; scripts of its own thrice: known ones are asked in one batch."""
    known = [checks for checks in attack.tests if checks in EVERY_WAY or isinstance(checks, tuple)]
    own = [checks for checks in attack.tests if checks not in known]
    times = 3 if attack.cpu_s <= QUICK_S and not attack.waits else 1
    return [Program(attack.source, "f", one, cpu_s=attack.cpu_s, id=attack.name) for one in known + own * times]


def judged(sandbox: Sandbox, wanted: list[Program]) -> list[Verdict]:
    return [verdict for _, verdict in sorted(sandbox.judge(wanted), key=lambda pair: pair[0])]


def failed_as_due(attack: Attack, verdict: Verdict) -> bool:
    return verdict.status in attack.status if attack.status else verdict.status not in ("passed", "infrastructure")


def chosen(seed: int, groups: tuple[str, ...]) -> list[Attack]:
    """Return quick attacks of some groups, at most SAMPLED of each."""
    found: list[Attack] = []
    for group in groups:
        quick = [one for one in GROUPS[group] if not one.waits and not one.ends_judge and one.cpu_s <= QUICK_S]
        found += random.Random(seed).sample(quick, min(SAMPLED, len(quick)))
    return found


def tellable(verdict: Verdict) -> bool:
    """Whether a log, a terminal and a file can take what the verdict says."""
    failure = verdict.first_fail
    texts = [verdict.reason, *((failure.input, failure.got, failure.expected) if failure else ())]
    return all(text.isprintable() and len(text) <= TEXT_CHARS for text in texts)  # printable: it can be encoded too


@pytest.mark.attacks
@pytest.mark.parametrize(("group", "attack"), ATTACKS, ids=IDS)
def test_attack_fails_and_harms_no_later_program(full: Sandbox, impatient: Sandbox, group: str, attack: Attack) -> None:
    sandbox = impatient if attack.waits else full
    size = jailed(sandbox) if group in ("time", "resources") else 0
    before, healed = Traces.now(), sandbox.healed
    verdicts = judged(sandbox, programs(attack))
    assert all(failed_as_due(attack, verdict) for verdict in verdicts), verdicts
    assert all(tellable(verdict) for verdict in verdicts), verdicts
    canaries = judged(sandbox, CANARIES)
    assert [canary.status for canary in canaries] == ["passed", "passed"], canaries
    assert all(canary.cpu_s < CANARY_CPU_S for canary in canaries), canaries
    assert Traces.now() == before
    assert attack.ends_judge or sandbox.healed == healed
    assert not size or attack.ends_judge or jailed(sandbox) == size


@pytest.mark.attacks
def test_attacks_in_any_order_beside_honest_programs(full: Sandbox, inherited: int) -> None:
    size, own = jailed(full), own_descriptors()
    expected: list[Attack | None] = []
    wanted: list[Program] = []
    for attack in chosen(0, tuple(group for group in GROUPS if group != "time")):
        expected += [attack, None]
        wanted += [programs(attack)[0], random.Random(attack.name).choice(CANARIES)]
    order = list(range(len(wanted)))
    random.Random(0).shuffle(order)
    with Sandbox(workers=2, limits=full.limits, cache=False) as sandbox:
        for place, verdict in sandbox.judge(wanted[index] for index in order):
            attack = expected[order[place]]
            if attack is None:
                assert verdict.passed and verdict.cpu_s < CANARY_CPU_S, verdict
            else:
                assert failed_as_due(attack, verdict), (attack.name, verdict)
    assert jailed(full) == size and own_descriptors() == own
    with pytest.raises(BlockingIOError):  # nobody has written into what was there to be inherited
        os.read(inherited, 1)


@pytest.mark.attacks
@pytest.mark.parametrize("level", ["no-namespaces", "process-only"])
def test_judge_is_not_fooled_at_weaker_levels_either(level: Level) -> None:
    """What decides a verdict needs a process boundary and no other wall."""
    groups = ("early exit", "lying values", "writing the verdict", "sabotage")
    wanted = [(attack, programs(attack)[0]) for attack in chosen(1, groups)]
    with Sandbox(limits=LIMITS, strongest=level, cache=False) as sandbox:
        verdicts = judged(reached(sandbox, level), [program for _, program in wanted])
    for (attack, _), verdict in zip(wanted, verdicts, strict=True):
        assert verdict.status not in ("passed", "infrastructure"), (attack.name, verdict)


@pytest.mark.attacks
@pytest.mark.parametrize("level", ["full", "no-namespaces", "process-only"])
def test_nothing_is_inherited_from_the_program_before(level: Level) -> None:
    pairs = [[Program(source, "f", CALLS, id=one.name) for source in (one.writer, one.reader)] for one in LEGACIES]
    with Sandbox(limits=LIMITS, strongest=level, cache=False) as sandbox:
        verdicts = judged(reached(sandbox, level), [program for pair in pairs for program in pair])
    found = [LEGACIES[place // 2].name for place, verdict in enumerate(verdicts) if verdict.passed]
    assert found == []
    assert all(verdict.status in ("wrong", "exception") for verdict in verdicts), verdicts


@pytest.mark.attacks
def test_what_looks_for_a_legacy_finds_what_its_own_program_left(full: Sandbox) -> None:
    """The test above means something: these would answer rightly. The other legacies cannot be left here at all."""
    both = [one.writer.replace("def f(x): return x\n", one.reader.removeprefix(one.needs)) for one in LEGACIES]
    verdicts = judged(full, [Program(source, "f", CALLS) for source in both])
    found = {one.name for one, verdict in zip(LEGACIES, verdicts, strict=True) if verdict.passed}
    assert found >= {
        "flags of standard input",
        "flags of standard error",
        "flags of a copy of standard output",
        "file of the scratch folder",
        "signals that are blocked",
        "number of a further descriptor",
        "environment",
        "limits",
        "modules",
    }


def test_verdict_that_rests_on_the_programs_own_word_says_so(full: Sandbox) -> None:
    source = "def f(xs): return 0\ndef poly(xs, x): return 0\n"
    script = Script("xs = [1, 2]\nassert abs(poly(xs, f(xs))) < 1e-4\n", "asserts")
    apart = Script("assert f(1) == 0 and poly(1, 2) == 0\n", "asserts")
    prompt = "def poly(xs, x):\n    return xs[0] + xs[1] * x\n\ndef f(xs):\n    pass\n"
    programs = [Program(source, "f", script), Program(source, "f", apart), Program(source, "f", script, prompt)]
    assert [(one.passed, one.in_process) for one in judged(full, programs)] == [
        (True, True),
        (True, False),
        (False, False),
    ]


@pytest.mark.parametrize("harmless", HARMLESS, ids=lambda harmless: harmless.name)
def test_odd_but_honest_program_passes(full: Sandbox, harmless: Harmless) -> None:
    verdicts = judged(full, [Program(harmless.source, "f", checks) for checks in harmless.tests])
    assert all(verdict.passed for verdict in verdicts), verdicts


def test_corpus_is_as_large_as_promised() -> None:
    assert len({attack.source for _, attack in ATTACKS}) >= 110 and len(set(IDS)) == len(IDS)
    assert len({harmless.source for harmless in HARMLESS}) >= 35
    assert all(attacks for attacks in GROUPS.values())
