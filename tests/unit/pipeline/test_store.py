import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from scripts import digests
from scripts.errors import ArtefactError
from scripts.pipeline.store import Store
from scripts.source import ROOT


def commit(store: Store, key: str = "k", **files: str) -> None:
    partial = store.partial("export")
    for name, text in files.items():
        (partial / "models").mkdir(exist_ok=True)
        (partial / "models" / name).write_text(text)
    store.commit("export", key, {"image": "sha256:0"})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "digits")


def test_a_committed_stage_is_whole_under_its_key_only(store: Store) -> None:
    commit(store, "k", a="1")
    assert store.is_whole("export", "k")
    assert not store.is_whole("export", "other")
    assert (store.root / "models" / "a").read_text() == "1"


def test_a_stage_that_resumes_finds_what_its_last_run_left(store: Store, tmp_path: Path) -> None:
    (store.partial("fetch") / "part").write_text("half")
    again = Store(tmp_path / "digits")
    folder = again.partial("fetch", resumes=True)
    assert (folder / "part").read_text() == "half"
    assert list(folder.parent.iterdir()) == [folder]
    assert not list(Store(tmp_path / "digits").partial("fetch").iterdir())


def test_manifest_says_size_mode_and_digest(store: Store) -> None:
    commit(store, a="12")
    manifest = store.manifest("export")
    assert manifest is not None
    entry = manifest["outputs"]["models/a"]
    assert entry["size"] == 2
    assert len(entry["sha256"]) == 64
    assert manifest["image"] == "sha256:0"


@pytest.mark.parametrize("damage", ["flip", "truncate", "delete"])
def test_damage_is_noticed(store: Store, damage: str) -> None:
    commit(store, a="1234")
    path = store.root / "models" / "a"
    if damage == "delete":
        path.unlink()
    else:
        path.write_text("1235" if damage == "flip" else "123")
    assert store.damaged("export") == ["models/a"]
    assert not store.is_whole("export", "k")
    assert not store.is_of_another("models/a")


def test_what_another_stage_wrote_in_its_place_is_no_damage(store: Store) -> None:
    for stage, text in (("context-a", "of a"), ("context-b", "of b")):
        partial = store.partial(stage)
        (partial / "context.bin").write_text(text)
        store.commit(stage, "k", {"image": "sha256:0"})
    assert store.damaged("context-a") == ["context.bin"]
    assert not store.is_whole("context-a", "k")
    assert store.is_of_another("context.bin")


def test_outputs_that_a_new_run_no_longer_makes_are_removed(store: Store) -> None:
    commit(store, a="1", b="2")
    commit(store, "k2", a="1")
    assert not (store.root / "models" / "b").exists()


def test_what_a_stage_measured_before_it_failed_is_set_aside(store: Store) -> None:
    commit(store, "k", a="1")
    before = store.digest(Path("models"))
    store.partial("export")
    assert store.set_aside("export") is None
    folder = store.root / "failed" / "export"
    for text in ("first", "second"):
        (store.partial("export") / "figures").write_text(text)
        assert store.set_aside("export") == folder
        assert (folder / "figures").read_text() == text
    # It counts for nothing, and goes as soon as the stage succeeds.
    assert store.digest(Path("models")) == before
    assert store.is_whole("export", "k")
    commit(store, "k", a="1")
    assert not folder.exists()


def test_no_empty_folder_of_failures_stays(store: Store) -> None:
    for stage in ("audit", "verify"):
        (store.partial(stage) / "figures").write_text("bad")
        store.set_aside(stage)
    store.forget_failed("audit")
    assert [path.name for path in (store.root / "failed").iterdir()] == ["verify"]
    store.forget_failed("verify")
    assert not (store.root / "failed").exists()
    store.partial("verify")
    assert store.set_aside("verify") is None
    assert not list((store.root / ".partial").iterdir())


CONTEXT, VERIFY, PACKAGE = "final_binary/int8/c.bin", "final_binary/int8/v.json", "packages/p.tar"
REPORT, PAGE = "reports/int8/report.html", "reports/int8/build.html"


def stage(store: Store, name: str, output: str, text: str, inputs: tuple[str, ...] = ()) -> None:
    file = store.partial(name) / output
    file.parent.mkdir(parents=True)
    file.write_text(text)
    known = {path: store.digest(Path(path)) for path in inputs}
    store.commit(name, "k", {"inputs": known})


@pytest.mark.parametrize("again", ["the same", "another"])
def test_what_was_said_of_a_context_goes_when_another_takes_its_place(
    store: Store, again: str
) -> None:
    stage(store, "compile", "libs/l.so", "one")
    stage(store, "context", CONTEXT, "the same", ("libs/l.so",))
    stage(store, "verify", VERIFY, "good", (CONTEXT, "libs/l.so"))
    stage(store, "report", REPORT, "good", (CONTEXT, VERIFY))
    stage(store, "package", PACKAGE, "whole", (CONTEXT, VERIFY))
    (store.root / PAGE).write_text("of this machine")
    stage(store, "compile", "libs/l.so", "two")
    everything = {CONTEXT, VERIFY, REPORT, PAGE, PACKAGE}
    assert all((store.root / name).is_file() for name in everything)
    stage(store, "context", CONTEXT, again, ("libs/l.so",))
    left = {name for name in everything if (store.root / name).is_file()}
    assert left == (everything if again == "the same" else {CONTEXT, PACKAGE})
    assert bool(store.manifest("verify")) is (again == "the same")


def test_a_partial_run_leaves_the_last_whole_one(store: Store) -> None:
    commit(store, a="1")
    (store.partial("export") / "half").write_text("half")
    assert store.is_whole("export", "k")
    assert not (store.root / "half").exists()


def test_a_damaged_manifest_counts_as_none(store: Store) -> None:
    commit(store, a="1")
    (store.root / "manifests" / "export.json").write_text("{")
    assert store.manifest("export") is None
    assert not store.is_whole("export", "k")


def test_killed_between_any_two_steps_of_a_commit_nothing_half_is_taken_for_whole(
    tmp_path: Path,
) -> None:
    """Kill a committing process at each of its system calls that change the disk."""
    steps = 0
    while True:
        root = tmp_path / str(steps)
        commit(Store(root), "old", a="old", b="old")
        ended = subprocess.run([sys.executable, "-c", _KILLED, str(root), str(steps)], check=False)
        store = Store(root)
        if store.is_whole("export", "new"):
            assert (root / "models" / "a").read_text() == "new"
        elif store.is_whole("export", "old"):
            assert (root / "models" / "b").read_text() == "old"
        # What is kept of the killed one is whole, or not known.
        if store.restore("export", "new"):
            assert (root / "models" / "c").read_text() == "new"
            assert not store.damaged("export")
        commit(store, "next", a="next")
        assert store.is_whole("export", "next")
        # What the killed one brought does not stay: a stage reads the folder.
        assert [path.name for path in (root / "models").iterdir()] == ["a"]
        if ended.returncode == 0:
            break
        steps += 1
    assert steps > 5


_KILLED = """
import os, pathlib, sys
from scripts.pipeline.store import Store
store = Store(pathlib.Path(sys.argv[1]))
left = int(sys.argv[2])
partial = store.partial("export")
(partial / "models").mkdir()
(partial / "models" / "a").write_text("new")
(partial / "models" / "c").write_text("new")
def dying(call):
    def wrapped(*arguments, **options):
        global left
        if left == 0:
            os._exit(9)
        left -= 1
        return call(*arguments, **options)
    return wrapped
os.fsync, os.rename, os.replace = dying(os.fsync), dying(os.rename), dying(os.replace)
pathlib.Path.replace = dying(pathlib.Path.replace)
pathlib.Path.unlink = dying(pathlib.Path.unlink)
os.link = dying(os.link)
store.commit("export", "new", {})
store.keep("export")
"""


def test_usage_is_taken_out_of_the_outputs(store: Store) -> None:
    partial = store.partial("export")
    (partial / ".usage.json").write_text(json.dumps({"seconds": 1}))
    manifest = store.commit("export", "k", {})
    assert manifest["usage"] == {"seconds": 1}
    assert manifest["outputs"] == {}


SECOND = """
import sys
from pathlib import Path
from scripts.pipeline.store import Store
with Store(Path(sys.argv[1])).lock():
    print("in")
"""


def test_a_second_build_waits_for_the_first_and_says_for_whom(store: Store) -> None:
    command = [sys.executable, "-u", "-c", SECOND, str(store.root)]
    with store.lock():
        second = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert second.stdout is not None
        waits = second.stdout.readline()
        assert f"waiting for another build in {store.root} (process {os.getpid()} on " in waits
        assert second.poll() is None
    assert second.communicate()[0] == "in\n"
    assert second.returncode == 0


def test_what_a_killed_run_still_writes_is_in_nobodys_way(store: Store) -> None:
    """Its container may outlive it where another user's engine, or another machine's, runs it."""
    old = store.partial("export")
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            with suppress(OSError):
                (old / "deep" / "er").mkdir(parents=True, exist_ok=True)
                (old / "deep" / "er" / "file").write_text("old")

    writing = threading.Thread(target=write)
    writing.start()
    try:
        for number in range(60):
            commit(Store(store.root), str(number), a=str(number))
    finally:
        stop.set()
        writing.join()
    assert (store.root / "models" / "a").read_text() == "59"
    assert not (store.root / "deep").exists()


def test_a_file_of_no_manifest_is_in_no_digest(store: Store) -> None:
    commit(store, a="1", b="2")
    before = store.digest(Path("models"))
    (store.root / "models" / "stray").write_text("3")
    assert store.digest(Path("models")) == before
    assert store.digest(Path("models/a")) == digests.of_bytes(b"1")
    with pytest.raises(ArtefactError, match=r"models/stray is missing"):
        store.digest(Path("models/stray"))


def test_an_input_that_is_gone_is_named(store: Store) -> None:
    commit(store, a="1", b="2")
    (store.root / "models" / "b").unlink()
    with pytest.raises(ArtefactError, match=r"models/b is missing"):
        store.digest(Path("models"))
