from pathlib import Path

import pytest

from scripts.pipeline import source


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "scripts" / "data").mkdir(parents=True)
    (tmp_path / "scripts" / "__init__.py").touch()
    (tmp_path / "scripts" / "data" / "__init__.py").touch()
    (tmp_path / "scripts" / "data" / "x.toml").write_text("a = 1")
    (tmp_path / "scripts" / "one.py").write_text("from scripts import two\nimport json\n")
    (tmp_path / "scripts" / "two.py").write_text("from scripts.data import thing\n")
    (tmp_path / "scripts" / "three.py").touch()
    monkeypatch.setattr(source, "ROOT", tmp_path)
    source.digest.cache_clear()
    return tmp_path / "scripts"


def digest() -> str:
    source.digest.cache_clear()
    return source.digest("scripts.one")


def test_closure_follows_imports_within_the_repository(tree: Path) -> None:
    names = {path.name for path in source.closure("scripts.one")}
    assert {"one.py", "two.py"} <= names
    assert "three.py" not in names


@pytest.mark.parametrize("name", ["one.py", "two.py", "data/x.toml"])
def test_a_change_that_can_matter_changes_the_digest(tree: Path, name: str) -> None:
    before = digest()
    with (tree / name).open("a") as file:
        file.write("\n# changed\n")
    assert digest() != before


def test_a_change_elsewhere_does_not(tree: Path) -> None:
    before = digest()
    (tree / "three.py").write_text("x = 1")
    assert digest() == before
