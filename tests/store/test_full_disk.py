"""A disk that fills while a student is trained: said as such, nothing recorded, and gone on with when there is room.

The disk is a real one, a small tmpfs in a mount namespace of a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.fakes import tiny_student
from tests.needs import missing

ROOT = Path(__file__).parents[2]

SCRIPT = """
import json, os, sys
from pathlib import Path

from harness.settings.config import Judging
from harness.steps.engine import StepEngine
from harness.errors import StoreError
from harness.store.database import Store
from harness.training.objective import Objective
from harness.training.schedule import Schedule
from harness.types import Example, Student, TrainingSet

disk, student = Path(sys.argv[1]), Path(sys.argv[2])
data = TrainingSet(tuple(Example(f"def f{n}(x):\\n", f"    return {n}\\n") for n in range(3)))
schedule = Schedule(updates=4, batch=2, learning_rate=1e-3, warmup=1, marks=(2, 4))
seen = {}


def fit(store):
    engine = StepEngine(store, Judging(), "stub")
    engine.folders["tiny"] = student
    return engine.fit(Student("tiny", "tiny"), data, Objective(), schedule, 3)[2].key


with Store(disk / "store") as store:
    filler = disk / "filler"
    free = os.statvfs(disk)
    filler.write_bytes(b"0" * (free.f_bavail * free.f_bsize - 48 * 1024))
    try:
        fit(store)
    except StoreError as error:
        seen["said"] = str(error)
    seen["recorded"] = store.count()
    filler.unlink()
    seen["after"] = fit(store)
    seen["steps"] = store.count()
seen["scratch"] = [str(one) for one in (disk / "store" / "artifacts" / "scratch").glob("*")]
print(json.dumps(seen))
"""


def test_a_disk_that_fills_while_training_loses_nothing(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    student = tiny_student(tmp_path / "student")
    (tmp_path / "script.py").write_text(SCRIPT)
    mount = 'mount -t tmpfs -o size=4m none "$1" && exec "$2" "$3" "$1" "$4"'
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    command = [*unshare, "sh", "-c", mount, "sh", disk, sys.executable, tmp_path / "script.py", student]
    done = subprocess.run(
        [str(word) for word in command],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
        capture_output=True,
        check=False,
        text=True,
    )
    if "unshare" in done.stderr or "mount:" in done.stderr:
        missing("a mount of one's own", f"allow user namespaces, or run as root ({done.stderr.strip()})")
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert "Free some space" in seen["said"] or "disk is full" in seen["said"], seen["said"]
    assert (
        seen["recorded"] == {}
        and len(seen["after"]) == 64
        and seen["steps"] == {"checkpoint": 1}
        and not seen["scratch"]
    )
