"""Which image is taken: the one of these files, then one pulled, then one built."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from docker.errors import APIError, ImageNotFound

from scripts.errors import DiskFullError, ImageBuildError, ReproducibilityError, UsageError
from scripts.image import content, image, lanes, locks, recipe

LANE = "bookworm"
INPUTS = "sha256:inputs"
LISTING = {"opt": "folder 0755 0:0"}


class Engine:
    """An engine with the images that a test puts there, by tag."""

    def __init__(self) -> None:
        self.api = self.images = self
        self.present: dict[str, SimpleNamespace] = {}
        self.registry: dict[str, SimpleNamespace] = {}
        self.built: list[str] = []
        self.listed = [SimpleNamespace(id="older")]
        self.dangling = ["older", "in use", "left behind"]
        self.removed: list[str] = []
        self.recorded: list[tuple[str, ...]] = []

    def get(self, tag: str) -> SimpleNamespace:
        if tag not in self.present:
            raise ImageNotFound(tag)
        return self.present[tag]

    def pull(self, reference: str) -> SimpleNamespace:
        if reference not in self.registry:
            raise APIError("no such host")
        return self.registry[reference]

    def list(self, filters: dict[str, Any] | None = None) -> list[SimpleNamespace]:
        return [SimpleNamespace(id=name) for name in self.dangling] if filters else self.listed

    def remove(self, name: str) -> None:
        if name == "in use":
            raise APIError("conflict")
        self.removed.append(name)

    def holds(self, inputs: str, tag: str = "dinov3-qnn:bookworm") -> SimpleNamespace:
        labels = {
            image.LABEL_LANE: LANE,
            image.LABEL_INPUTS: inputs,
            image.LABEL_CONTENT: "sha256:c",
        }
        present = SimpleNamespace(id=f"id-{inputs}", labels=labels, attrs={"Size": 7})
        present.tag = lambda repository, tag: self.present.update({f"{repository}:{tag}": present})
        return present


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    daemon = Engine()
    listings: Iterator[dict[str, str]] = iter([LISTING, LISTING])

    def build(client: Engine, lane: object, log: object, *, no_cache: bool) -> str:
        daemon.built.append("anew" if no_cache else "cached")
        return "unlabelled"

    def label(client: Any, of: str, labels: dict[str, str], tag: str, log: object) -> None:
        present = daemon.holds(labels[image.LABEL_INPUTS])
        present.labels = labels
        daemon.present[tag] = present

    monkeypatch.setattr(recipe, "build", build)
    monkeypatch.setattr(recipe, "label", label)
    monkeypatch.setattr(recipe, "inputs_digest", lambda lane: INPUTS)
    monkeypatch.setattr(image, "contents", lambda *_: next(listings))
    monkeypatch.setattr(image, "CACHE", tmp_path)
    monkeypatch.setattr(locks, "recorded", lambda lane: {})
    monkeypatch.setattr(locks, "record", lambda lane, *digests: daemon.recorded.append(digests))
    monkeypatch.setattr("scripts.image.buildlog.PATH", tmp_path / "image.log")
    monkeypatch.delenv(image.REFERENCE_VARIABLE, raising=False)
    return daemon


def ensure(engine: Engine) -> image.Image:
    return image.ensure(engine, LANE)  # type: ignore[arg-type]


def test_an_image_of_these_files_is_taken_as_it_is(engine: Engine) -> None:
    engine.present["dinov3-qnn:bookworm"] = engine.holds(INPUTS)
    present = ensure(engine)
    assert (present.id, present.size, present.content_digest) == (f"id-{INPUTS}", 7, "sha256:c")
    assert engine.built == []


def test_an_image_of_other_files_is_built_again(engine: Engine) -> None:
    engine.present["dinov3-qnn:bookworm"] = engine.holds("sha256:older")
    assert ensure(engine).content_digest == content.digest(LISTING)
    assert engine.built == ["cached"]


def test_two_checkouts_with_one_engine_keep_an_image_each(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = ensure(engine)
    engine.present["dinov3-qnn:bookworm"] = engine.holds("sha256:of another checkout")
    assert ensure(engine).id == ours.id
    assert engine.built == ["cached"]


def test_an_image_without_our_labels_is_never_taken(engine: Engine) -> None:
    engine.present["dinov3-qnn:bookworm"] = SimpleNamespace(id="x", labels={}, attrs={})
    assert image.find(engine, LANE) is None  # type: ignore[arg-type]


REFERENCE = f"registry.test/x@sha256:{'1' * 64}"


@pytest.fixture
def named(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """An image in a registry, as it was pushed from a build of these files, named to be pulled."""
    monkeypatch.setenv(image.REFERENCE_VARIABLE, REFERENCE)
    recorded = {"inputs": INPUTS, "content": content.digest(LISTING)}
    monkeypatch.setattr(locks, "recorded", lambda lane: recorded)
    pushed = engine.holds(INPUTS)
    pushed.labels[image.LABEL_CONTENT] = recorded["content"]
    engine.registry[REFERENCE] = pushed
    return pushed


def test_an_image_is_pulled_where_one_is_named(engine: Engine, named: SimpleNamespace) -> None:
    assert ensure(engine).id == named.id
    assert engine.built == []
    # Another checkout builds its own: this one's is still there.
    engine.present["dinov3-qnn:bookworm"] = engine.holds("sha256:other")
    assert ensure(engine).id == named.id


@pytest.mark.parametrize("reference", ["registry.test/x", "registry.test/x:bookworm", "x@sha256:1"])
def test_what_can_be_moved_to_another_image_is_refused(
    engine: Engine, named: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, reference: str
) -> None:
    monkeypatch.setenv(image.REFERENCE_VARIABLE, reference)
    engine.present["dinov3-qnn:bookworm"] = engine.holds(INPUTS)
    with pytest.raises(UsageError, match="by its digest"):
        ensure(engine)


def test_another_content_is_refused_whatever_its_labels_say(
    engine: Engine, named: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image, "contents", lambda *_: {**LISTING, "opt/x": "file"})
    with pytest.raises(ImageBuildError, match="changed after the build"):
        ensure(engine)
    assert engine.present == {}


@pytest.mark.parametrize("label", [image.LABEL_LANE, image.LABEL_INPUTS, image.LABEL_CONTENT])
def test_forged_labels_are_refused(engine: Engine, named: SimpleNamespace, label: str) -> None:
    named.labels[label] = "sha256:forged"
    with pytest.raises(ImageBuildError, match="labels are forged"):
        ensure(engine)
    assert engine.present == {}


@pytest.mark.parametrize("reason", ["other files", "no registry"])
def test_one_that_cannot_be_proved_or_pulled_is_built(
    engine: Engine,
    named: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    reason: str,
) -> None:
    if reason == "no registry":
        engine.registry.clear()
    else:
        monkeypatch.setattr(locks, "recorded", lambda lane: {"inputs": "sha256:older"})
    ensure(engine)
    assert engine.built == ["cached"]
    assert "building" in capsys.readouterr().out


def reproduce(engine: Engine) -> image.Image:
    return image.reproduce(engine, LANE)  # type: ignore[arg-type]


def test_two_equal_builds_are_reproducible(engine: Engine) -> None:
    assert reproduce(engine).content_digest == content.digest(LISTING)
    assert engine.built == ["anew", "anew"]
    assert engine.recorded == [(INPUTS, content.digest(LISTING))]


def test_what_two_builds_leave_behind_is_removed_and_nothing_else(engine: Engine) -> None:
    reproduce(engine)
    assert engine.removed == ["left behind"]


def test_two_different_builds_are_not_and_the_path_is_named(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    listings = iter([LISTING, {**LISTING, "opt/x": "file 0644 0:0 abc"}])
    monkeypatch.setattr(image, "contents", lambda *_: next(listings))
    with pytest.raises(ReproducibilityError, match=r"opt/x: absent \| file 0644 0:0 abc"):
        reproduce(engine)


@pytest.mark.parametrize(("inputs", "refused"), [(INPUTS, True), ("sha256:older", False)])
def test_a_recorded_digest_counts_while_it_is_of_the_same_files(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, inputs: str, refused: bool
) -> None:
    recorded = {"inputs": inputs, "content": "sha256:elsewhere"}
    monkeypatch.setattr(locks, "recorded", lambda lane: recorded)
    if refused:
        with pytest.raises(ReproducibilityError, match="sha256:elsewhere"):
            reproduce(engine)
        assert engine.recorded == []
    else:
        reproduce(engine)


def test_every_input_counts() -> None:
    lane = lanes.load(LANE)
    before = recipe.inputs_digest(lane)
    assert before == recipe.inputs_digest(lane)
    assert before != recipe.inputs_digest(dataclasses.replace(lane, hexagon=("73", "75")))
    assert before != recipe.inputs_digest(dataclasses.replace(lane, source_date_epoch=1))


@pytest.mark.parametrize(
    "name",
    [
        *("Dockerfile", "python.txt", "qairt.txt", "docker/sdk.toml", "docker/lay_out_sdk.py"),
        *("toolchains/aarch64-gcc11/tools.txt", "toolchains/openqnn/Makefile"),
    ],
)
def test_files_of_the_build_are_among_its_inputs(name: str) -> None:
    assert recipe.sources(lanes.load(LANE))[name].is_file()


def test_tests_pages_and_what_tools_leave_behind_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = ("tests/a.py", "lib/__pycache__/a.pyc", "build/a.o", "lib/.mypy_cache/3.11/a.db", ".x")
    for name in ("Makefile", "lib/a.py", "README.md", *left):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.setattr(recipe, "ROOT", tmp_path)
    monkeypatch.setattr(recipe, "_TOOLCHAINS", tmp_path)
    lane = lanes.load(LANE)
    names = {name for name, path in recipe.sources(lane).items() if path.is_relative_to(tmp_path)}
    assert names == {"Makefile", "lib/a.py"}


FULL = "ApplyLayer exit status 1: write /usr/lib/x.so: no space left on device"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (f'{{"status":"Importing"}}\r\n{{"error":"{FULL}"}}\r\n', DiskFullError),
        ('{"error":"archive/tar: invalid tar header"}', ImageBuildError),
    ],
)
def test_an_import_that_fails_half_way_is_named(
    answer: str, error: type[Exception], tmp_path: Path
) -> None:
    """The engine answers 200 to it."""
    client = Mock()
    client.api.import_image_from_file.return_value = answer
    with pytest.raises(error):
        recipe._import(client, tmp_path / "base.tar", "tag", Mock(tail=lambda: ""))


def test_an_image_whose_content_was_listed_in_another_form_is_labelled_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = recipe.inputs_digest(lanes.load(LANE))
    monkeypatch.setattr(content, "FORM", content.FORM - 1)
    assert recipe.inputs_digest(lanes.load(LANE)) != before
