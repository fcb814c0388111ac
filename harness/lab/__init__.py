"""What a recipe may import: the lab, the requests it sends, the terms it fits with, and the nouns it handles."""

from harness.lab.lab import Filter, Lab
from harness.lab.posing import new_problems
from harness.lab.quotas import drawn_by_quotas
from harness.lab.ranges import in_range
from harness.lab.rubric import Rubric
from harness.lab.staging import SHARES, Curriculum, Cut, Metric, Replay, Scheme, allot, grade, stages_of, visits
from harness.source.complexity import Halstead
from harness.source.programs import completion_of, fragments, strip_comments
from harness.source.syntax import normal_form
from harness.teachers.feedback import feedback, repair_prompt
from harness.teachers.mutate import mutate
from harness.teachers.requests import (
    FAULTS,
    Answer,
    Corrupt,
    Fault,
    Judge,
    Mode,
    Pose,
    Rate,
    Refine,
    Solve,
    rubric_total,
)
from harness.teachers.scoring import heuristic
from harness.training.objective import (
    CONTRASTS,
    Contrast,
    Dpo,
    Infonce,
    Margin,
    Objective,
    Orpo,
    Simpo,
    Soft,
    Unlikelihood,
)
from harness.types import Example, Problem, Sample, Spent, Student, Text, TrainingSet, Verdict

__all__ = [
    "CONTRASTS",
    "FAULTS",
    "SHARES",
    "Answer",
    "Contrast",
    "Corrupt",
    "Curriculum",
    "Cut",
    "Dpo",
    "Example",
    "Fault",
    "Filter",
    "Halstead",
    "Infonce",
    "Judge",
    "Lab",
    "Margin",
    "Metric",
    "Mode",
    "Objective",
    "Orpo",
    "Pose",
    "Problem",
    "Rate",
    "Refine",
    "Replay",
    "Rubric",
    "Sample",
    "Scheme",
    "Simpo",
    "Soft",
    "Solve",
    "Spent",
    "Student",
    "Text",
    "TrainingSet",
    "Unlikelihood",
    "Verdict",
    "allot",
    "completion_of",
    "drawn_by_quotas",
    "feedback",
    "fragments",
    "grade",
    "heuristic",
    "in_range",
    "mutate",
    "new_problems",
    "normal_form",
    "repair_prompt",
    "rubric_total",
    "stages_of",
    "strip_comments",
    "visits",
]
