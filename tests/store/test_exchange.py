"""Stores joined, packed, unpacked and cleaned."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from harness.cli import main
from harness.errors import StoreError
from harness.store.database import Store
from harness.store.exchange import clean, merge, pack, unpacked
from harness.store.schema import steps_table
from harness.store.steps import Step, run

FITS, VERDICTS = Step("checkpoint", 1, None), Step("verdicts", 1, None)


def fill(store: Store, *texts: str) -> list[str]:
    """Record a verdict and a checkpoint for each text; return the checkpoints' names."""
    names: list[str] = []

    def fits(todo):
        for index in todo:
            folder = store.artifacts.scratch(store.owner.name)
            (folder / "model.bin").write_text(texts[index])
            names.append(store.artifacts.adopt(folder))
            yield index, {"marks": [{"weights": names[-1]}]}

    run(store, FITS, list(texts), fits)
    run(store, VERDICTS, list(texts), lambda todo: ((index, {"value": texts[index]}) for index in todo))
    return names


def test_merged_stores_hold_what_either_held(place, tmp_path):
    with Store(tmp_path / "other") as other, Store(*place) as store:
        ours, theirs = fill(store, "a", "b"), fill(other, "b", "c")
        moved = merge(other, store)
        assert (moved.steps, moved.new, moved.artifacts) == (4, 2, 2)
        assert store.count() == {"checkpoint": 3, "verdicts": 3} and store.verify() == []
        assert store.artifacts.names() == sorted({*ours, *theirs})
        assert merge(other, store).new == 0


def test_a_packed_store_comes_back_whole(place, tmp_path):
    with Store(*place) as store:
        fill(store, "a", "b")
        pack(store, tmp_path / "store.tar.gz")
    with Store(tmp_path / "new") as new:
        with unpacked(tmp_path / "store.tar.gz") as source:
            assert merge(source, new).new == 4
        assert new.verify() == [] and new.count() == {"checkpoint": 2, "verdicts": 2}


def test_a_damaged_step_is_not_taken(tmp_path):
    with Store(tmp_path / "other") as other, Store(tmp_path / "store") as store:
        fill(other, "a")
        with other.database.writer.begin() as db:
            db.execute(steps_table.update().where(steps_table.c.kind == "verdicts").values(payload="{}"))
        with pytest.raises(StoreError, match="damaged"):
            merge(other, store)
        assert store.verify() == []


def test_a_damaged_checkpoint_is_not_taken(tmp_path):
    with Store(tmp_path / "other") as other, Store(tmp_path / "store") as store:
        [name] = fill(other, "a")
        other.artifacts.whole.clear()
        (other.artifacts.path(name) / "model.bin").write_text("changed")
        other.artifacts.whole.clear()
        with pytest.raises(StoreError, match="damaged"):
            merge(other, store)
        assert "checkpoint" not in store.count()


def test_cleaning_removes_what_no_step_needs_and_nothing_else(place):
    with Store(*place) as store:
        [needed] = fill(store, "a")
        folder = store.artifacts.scratch(store.owner.name)
        (folder / "model.bin").write_text("nobody's")
        unused = store.artifacts.adopt(folder)
        (store.artifacts.work("killed") / "model.bin").write_text("half")
        assert clean(store, dry=True).artifacts == 1 and store.artifacts.holds(unused)
        found = clean(store)
        assert (found.artifacts, found.work) == (1, 1) and found.bytes == len("nobody's") + len("half")
        assert store.artifacts.names() == [needed] and store.verify() == []
        assert not list((store.artifacts.root / "work").iterdir())


def test_a_store_in_use_is_not_cleaned(place):
    with Store(*place) as store, Store(*place), pytest.raises(StoreError, match="1 other processes use this store"):
        clean(store)


def test_artifacts_at_a_url_are_shared_between_machines(tmp_path, monkeypatch):
    url = f"file://{tmp_path}/shared"
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "one"))
    with Store(tmp_path / "store", url) as store:
        [name] = fill(store, "weights")
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "two"))
    with Store(tmp_path / "store", url) as store:
        assert (store.artifacts.path(name) / "model.bin").read_text() == "weights" and store.verify() == []
        shared = tmp_path / "shared" / name[:2] / name / "model.bin"
        shared.write_text("changed")
        monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "three"))
    with Store(tmp_path / "store", url) as store:
        with pytest.raises(StoreError, match="damaged"):
            store.artifacts.path(name)
        shared.unlink()
        assert clean(store).artifacts == 0
        (tmp_path / "shared" / name[:2] / f"{name}.whole").unlink()
        with pytest.raises(StoreError, match="missing there"):
            store.artifacts.path(name)


@pytest.mark.parametrize("content", [b"", b"no archive at all", None])
def test_what_is_no_archive_is_told(tmp_path, content, capsys):
    archive = tmp_path / "store.tar.gz"
    if content is None:  # cut short
        with Store(tmp_path / "store") as store:
            fill(store, "a" * 5000)
            pack(store, archive)
        archive.write_bytes(archive.read_bytes()[:-200])
    else:
        archive.write_bytes(content)
    assert main(["store", "import", str(tmp_path / "new"), str(archive)]) == 2
    assert "not a whole archive" in capsys.readouterr().err and not (tmp_path / "new").exists()


def test_an_archive_that_reaches_outside_is_refused(tmp_path):
    (tmp_path / "evil").write_text("x")
    with tarfile.open(tmp_path / "evil.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "evil", "../evil-was-here")
    with pytest.raises(StoreError, match="not a whole archive"), unpacked(tmp_path / "evil.tar.gz"):
        pass
    assert not list(Path(tmp_path).parent.glob("evil-was-here"))


def test_the_commands_join_pack_and_clean(tmp_path, capsys):
    for name in ("one", "other"):
        with Store(tmp_path / name) as store:
            fill(store, name)
    one, other, archive = str(tmp_path / "one"), str(tmp_path / "other"), str(tmp_path / "one.tar.gz")
    assert main(["store", "merge", one, other]) == 0
    assert "2 steps, 2 of them new" in capsys.readouterr().out
    assert main(["store", "export", one, archive]) == main(["store", "import", str(tmp_path / "new"), archive]) == 0
    assert main(["store", "export", one, archive]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["store", "gc", one, "--dry-run"]) == 0
    assert "would remove 0 checkpoints" in capsys.readouterr().out
    assert main(["store", "merge", one, str(tmp_path / "nowhere")]) == 2
    assert "no store here" in capsys.readouterr().err and not (tmp_path / "nowhere").exists()


def test_a_store_that_cannot_be_written_is_told_with_what_to_do(tmp_path, monkeypatch, capsys):
    Store(tmp_path / "store").close()
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may write anywhere but to a read-only medium
    for words in (["doctor"], ["store", "gc"]):
        assert main([*words, str(tmp_path / "store")]) == 2
        assert "store: read-only for you" in capsys.readouterr().err
