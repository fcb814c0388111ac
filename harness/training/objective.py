"""What a fit minimises: likelihood of the completions plus named, weighted terms; plain values, no tensors."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import ClassVar, Literal, get_args

from harness.errors import TrainingError, suggest
from harness.store.keys import Json
from harness.training.divergences import Kind

Tokens = Literal["code", "all"]  # code: the text alone; all: its end token too


@dataclass(frozen=True)
class Margin:
    """Hinge between `completion` and `rejected` of an example, on log-probabilities per token."""

    name: ClassVar[str] = "margin"

    margin: float = 0.2  # m, nats per token by which the completion is to lead
    weight: float = 0.5  # λ, weight beside the likelihood; 0 is plain SFT
    tokens: Tokens = "code"
    per_token: bool = True  # off: log-probabilities of whole texts, not divided by their length

    def __post_init__(self) -> None:
        demand(self, at_least_zero=("margin", "weight"))


@dataclass(frozen=True)
class Simpo:
    """Logistic loss on the lead per token, without a reference model."""

    name: ClassVar[str] = "simpo"

    beta: float = 2.0  # scale of the lead
    gamma: float = 1.0  # target lead, in units of β·nats
    weight: float = 0.5
    tokens: Tokens = "code"
    per_token: bool = True  # off: log-probabilities of whole texts, not divided by their length

    def __post_init__(self) -> None:
        demand(self, above_zero=("beta",), at_least_zero=("gamma", "weight"))


@dataclass(frozen=True)
class Infonce:
    """The completion against its rejected text as the one negative."""

    name: ClassVar[str] = "infonce"

    tau: float = 0.5  # temperature, in nats per token
    weight: float = 0.5
    tokens: Tokens = "code"
    per_token: bool = True  # off: log-probabilities of whole texts, not divided by their length

    def __post_init__(self) -> None:
        demand(self, above_zero=("tau",), at_least_zero=("weight",))


@dataclass(frozen=True)
class Dpo:
    """Logistic loss on the lead of whole sequences over that of the student as the fit finds it."""

    name: ClassVar[str] = "dpo"
    tokens: ClassVar[Tokens] = "all"

    beta: float = 0.1
    weight: float = 1.0  # beside the likelihood, which DPO's own objective does not have

    def __post_init__(self) -> None:
        demand(self, above_zero=("beta",), at_least_zero=("weight",))


@dataclass(frozen=True)
class Orpo:
    """Logistic loss on the log-odds per token, without a reference model."""

    name: ClassVar[str] = "orpo"

    weight: float = 0.1  # the paper's λ beside the likelihood
    tokens: Tokens = "all"

    def __post_init__(self) -> None:
        demand(self, at_least_zero=("weight",))


@dataclass(frozen=True)
class Unlikelihood:
    """Lowers the tokens of the rejected text that lie outside its longest alignment with the completion."""

    name: ClassVar[str] = "unlikelihood"
    tokens: ClassVar[Tokens] = "code"

    weight: float = 0.5

    def __post_init__(self) -> None:
        demand(self, at_least_zero=("weight",))


Contrast = Margin | Simpo | Infonce | Dpo | Orpo | Unlikelihood
CONTRASTS: dict[str, type[Contrast]] = {kind.name: kind for kind in get_args(Contrast)}


@dataclass(frozen=True)
class Soft:
    """A teacher's next-token distributions on the completions: (1 − α)·likelihood + α·τ²·divergence.

    In a share λ of the updates the completions are the student's own, drawn as it then is (GKD, arXiv 2306.13649);
    what it drew is no label, so only α·τ²·divergence counts there.
    """

    name: ClassVar[str] = "kd"
    own: ClassVar[str] = "kd_own"  # the divergence on the student's own texts, told apart

    divergence: Kind = "forward"
    alpha: float = 0.5  # 1: the labels are not looked at; 0: plain SFT
    tau: float = 1.0
    parameter: float = 0.5  # β of `jsd`, a of the skewed ones
    on_policy: float = 0.0  # λ, share of the updates; λ · updates of them, rounded down, drawn by the seed
    temperature: float = 0.9  # of the student's own texts
    max_new_tokens: int = 0  # of such a text; 0: as the lab's attempts
    teacher: str = ""  # its weights' hash; empty: the comparison's teacher
    lead: str = ""  # text that the teacher alone reads before every prompt, such as solved examples
    top_k: int = 0  # K likeliest tokens and a tail, cached once for each given text; 0: the teacher reads along, whole

    def __post_init__(self) -> None:
        if self.divergence not in get_args(Kind):
            near = suggest(self.divergence, get_args(Kind))
            raise TrainingError(
                f"kd divergence is {self.divergence!r}{near}; expected one of {', '.join(get_args(Kind))}"
            )
        numbers = ("alpha", "on_policy", "temperature", "max_new_tokens", "top_k")
        demand(self, above_zero=("tau",), at_least_zero=numbers)
        if self.on_policy > 1:
            raise TrainingError(f"kd on_policy is {self.on_policy}; expected a share from 0 to 1")
        if self.alpha > 1 or not 0 < self.parameter < 1:
            raise TrainingError(
                f"kd alpha {self.alpha}, parameter {self.parameter}; expected 0 to 1, and between 0 and 1"
            )
        if self.top_k and self.tau != 1:
            raise TrainingError(f"kd tau {self.tau:g} with top_k {self.top_k}; expected 1: see `from_top_k`")


AT_REST: tuple[tuple[str, Json], ...] = (("top_k", 0), ("per_token", True))  # switches that came later


@dataclass(frozen=True)
class Objective:
    """Likelihood of the completions, plus the terms given here. Each is logged under its own name."""

    contrast: Contrast | None = None
    soft: Soft | None = None

    def key(self) -> dict[str, Json]:
        """Return what decides the outcome, without what is at rest: a new switch leaves the keys of old fits alone."""
        terms = {"contrast": self.contrast, "soft": self.soft}
        found: dict[str, Json] = {}
        for what, one in terms.items():
            if one is not None:
                content = {"name": one.name, **asdict(one)}
                found[what] = {key: value for key, value in content.items() if (key, value) not in AT_REST}
        return found

    @property
    def uses_pairs(self) -> bool:
        """Tell whether rejected texts go forward at all; if not, training is plain SFT to the last bit."""
        return self.contrast is not None and self.contrast.weight > 0

    @property
    def uses_reference(self) -> bool:
        """Tell whether pairs are scored under the student as it is before the first update."""
        return self.uses_pairs and isinstance(self.contrast, Dpo)

    @property
    def uses_alignment(self) -> bool:
        """Tell whether it matters which tokens of a rejected text differ from the completion."""
        return self.uses_pairs and isinstance(self.contrast, Unlikelihood)

    @property
    def uses_teacher(self) -> bool:
        """Tell whether the teacher goes forward at all; if not, training is plain SFT to the last bit."""
        return self.soft is not None and self.soft.alpha > 0

    @property
    def cached(self) -> bool:
        """Tell whether what the teacher says about the given texts is read from a cache."""
        return self.uses_teacher and self.soft is not None and self.soft.top_k > 0 and self.soft.on_policy < 1

    @property
    def live(self) -> bool:
        """Tell whether the teacher itself reads along, on all texts or on the student's own."""
        return self.uses_teacher and (not self.cached or self.own_texts > 0)

    @property
    def own_texts(self) -> float:
        """Return the share of updates on the student's own texts."""
        return self.soft.on_policy if self.soft is not None and self.uses_teacher else 0.0

    @property
    def likelihood(self) -> float:
        """Return the weight of the completions' likelihood."""
        return 1.0 if self.soft is None else 1.0 - self.soft.alpha


def demand(term: Contrast | Soft, above_zero: tuple[str, ...] = (), at_least_zero: tuple[str, ...] = ()) -> None:
    """Raise TrainingError unless the named fields are finite numbers in range, and `tokens` is a known word."""
    what = "kd" if isinstance(term, Soft) else "contrast"
    for names, strict, expected in ((above_zero, True, "above 0"), (at_least_zero, False, "0 or more")):
        for field in names:
            value: float = getattr(term, field)
            if not (math.isfinite(value) and (value > 0 if strict else value >= 0)):
                raise TrainingError(f"{what} {field} is {value}; expected a finite number, {expected}")
    if not isinstance(term, Soft) and term.tokens not in get_args(Tokens):
        raise TrainingError(f"contrast tokens is {term.tokens!r}; expected 'code' or 'all'")
