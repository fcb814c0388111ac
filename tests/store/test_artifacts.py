import pytest

from harness.errors import ConfigError, StoreError
from harness.store.artifacts import Artifacts, artifacts_at, hash_folder


def filled(artifacts, text, owner="me"):
    folder = artifacts.scratch(owner)
    (folder / "model.bin").write_text(text)
    return folder


def test_an_artifact_is_named_by_its_content(tmp_path):
    artifacts = Artifacts(tmp_path)
    name = artifacts.adopt(filled(artifacts, "weights"))
    assert name == hash_folder(artifacts.path(name))
    assert (artifacts.path(name) / "model.bin").read_text() == "weights"


def test_equal_content_is_stored_once(tmp_path):
    artifacts = Artifacts(tmp_path)
    assert artifacts.adopt(filled(artifacts, "same")) == artifacts.adopt(filled(artifacts, "same"))
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_file_name_belongs_to_the_content(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text("x")
    assert hash_folder(tmp_path / "a") != hash_folder(tmp_path / "b")


def test_what_a_step_goes_on_from_stays_as_it_was_when_its_artifact_is_adopted(tmp_path):
    artifacts = Artifacts(tmp_path)
    work = artifacts.work("key")
    (work / "part").mkdir()
    (work / "part" / "model.bin").write_text("weights")
    name = artifacts.adopt_from(work)
    assert hash_folder(work) == name == hash_folder(artifacts.path(name))
    assert list((tmp_path / "scratch").iterdir()) == []


def test_who_goes_on_with_work_that_was_adopted_cannot_change_the_artifact(tmp_path):
    artifacts = Artifacts(tmp_path)
    (artifacts.work("key") / "mark").mkdir()
    file = artifacts.work("key") / "mark" / "model.bin"
    file.write_text("weights")
    name = artifacts.adopt_from(file.parent)
    assert file.stat().st_nlink == 2  # a checkpoint is not copied
    artifacts.work("key")
    assert file.read_text() == "weights"
    file.write_text("other")
    assert (artifacts.path(name) / "model.bin").read_text() == "weights"
    assert list((tmp_path / "scratch").iterdir()) == []


def test_work_of_a_recorded_step_is_swept_and_that_of_an_open_one_kept(tmp_path):
    artifacts = Artifacts(tmp_path)
    done, going = artifacts.work("done"), artifacts.work("going")
    artifacts.sweep_work(lambda keys: [key for key in keys if key == "done"])
    assert not done.exists() and going.exists()


def test_scratch_of_the_dead_is_swept_and_of_the_living_kept(tmp_path):
    artifacts = Artifacts(tmp_path)
    dead, living = filled(artifacts, "x", "dead"), filled(artifacts, "y", "living")
    artifacts.sweep(lambda: {"living"})
    assert not dead.exists() and living.exists()


def test_a_missing_artifact_is_named(tmp_path):
    with pytest.raises(StoreError, match="abcd"):
        Artifacts(tmp_path).path("abcd")


@pytest.mark.parametrize("url", ["ftp://me:hidden@host/x", "s3://AKIA:hid/den@bucket"])
def test_a_password_in_a_url_is_refused_and_not_repeated(url):
    with pytest.raises(ConfigError, match="would be written down") as told:
        artifacts_at(url)
    assert "hid" not in str(told.value)
