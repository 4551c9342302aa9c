import shutil
import subprocess
from pathlib import Path

import pytest

from scripts import source


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "scripts" / "data").mkdir(parents=True)
    (tmp_path / "scripts" / "__init__.py").touch()
    (tmp_path / "scripts" / "data" / "__init__.py").touch()
    (tmp_path / "scripts" / "data" / "x.toml").write_text("a = 1")
    (tmp_path / "scripts" / "one.py").write_text("from scripts import two\nimport json\n")
    (tmp_path / "scripts" / "two.py").write_text(
        "from scripts.data import thing\nFILES = ('abi.toml', 'library.toml', 'net.npz')\n"
    )
    (tmp_path / "scripts" / "three.py").touch()
    (tmp_path / "scripts" / "net.npz").write_text("weights")
    (tmp_path / "scripts" / "other.npz").write_text("weights")
    for name in ("arm", "x86", "openqnn"):
        (tmp_path / "toolchains" / name).mkdir(parents=True)
        (tmp_path / "toolchains" / name / "abi.toml").write_text("ceiling = 1")
    (tmp_path / "toolchains" / "library.toml").write_text("exports = 1")
    monkeypatch.setattr(source, "ROOT", tmp_path)
    source.forget()
    return tmp_path / "scripts"


def digest() -> str:
    source.forget()
    return source.digest("scripts.one")


def test_closure_follows_imports_within_the_repository(tree: Path) -> None:
    names = {path.name for path in source.closure("scripts.one")}
    assert {"one.py", "two.py"} <= names
    assert "three.py" not in names


READ = ["../toolchains/arm/abi.toml", "../toolchains/x86/abi.toml", "../toolchains/library.toml"]


@pytest.mark.parametrize("name", ["one.py", "two.py", "data/x.toml", "net.npz", *READ])
def test_a_change_that_can_matter_changes_the_digest(tree: Path, name: str) -> None:
    before = digest()
    with (tree / name).open("a") as file:
        file.write("\n# changed\n")
    assert digest() != before


@pytest.mark.parametrize("name", ["three.py", "other.npz", "../toolchains/openqnn/abi.toml"])
def test_a_change_elsewhere_does_not(tree: Path, name: str) -> None:
    before = digest()
    (tree / name).write_text("x = 1")
    assert digest() == before


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with sources, as committed."""
    root = tmp_path / "repository"
    for name in source.FOLDERS:
        (root / name).mkdir(parents=True)
        (root / name / "file").write_text(name)
    (root / ".gitignore").write_text("/build\n")
    git(root, "init", "--quiet")
    commit(root)
    return root


def git(root: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=me", "-c", "user.email=me@example.org"]
    command = ["git", "-C", str(root), *identity, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def commit(root: Path) -> None:
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "change")


def test_sources_as_committed_are_named_by_their_commit(repository: Path) -> None:
    (repository / "README.md").write_text("not what builds are made by")
    (repository / "scripts/__pycache__").mkdir()
    assert source.revision(repository) == {"gitCommit": git(repository, "rev-parse", "HEAD")}


@pytest.mark.parametrize("name", ["scripts/file", "docker/new", "NOTICE"])
def test_changed_sources_are_named_by_what_is_in_them(repository: Path, name: str) -> None:
    (repository / name).write_text("changed")
    before = source.revision(repository)
    (repository / name).write_text("again")
    assert set(before) == {"sha256"}
    assert source.revision(repository) != before


@pytest.mark.parametrize(
    "setting",
    [
        ("config", "status.showUntrackedFiles", "no"),
        ("config", "core.excludesFile", "everything"),
        ("update-index", "--assume-unchanged", "scripts/file"),
        ("update-index", "--skip-worktree", "scripts/file"),
    ],
    ids=lambda words: words[1],
)
@pytest.mark.parametrize("name", ["scripts/file", "docker/new"])
def test_no_setting_of_git_hides_a_change(
    repository: Path, setting: tuple[str, ...], name: str
) -> None:
    git(repository, *setting)
    (repository / "everything").write_text("*\n")
    assert set(source.revision(repository)) == {"gitCommit"}
    (repository / name).write_text("changed")
    assert set(source.revision(repository)) == {"sha256"}


def test_modes_and_lost_files_are_changes_too(repository: Path) -> None:
    (repository / "scripts/file").chmod(0o755)
    assert set(source.revision(repository)) == {"sha256"}
    (repository / "scripts/file").chmod(0o644)
    assert set(source.revision(repository)) == {"gitCommit"}
    (repository / "docker/file").unlink()
    assert set(source.revision(repository)) == {"sha256"}


def test_sources_in_no_repository_of_their_own_are_named_by_what_is_in_them(
    repository: Path, tmp_path: Path
) -> None:
    plain, inside = tmp_path / "plain", repository / "build" / "copy"
    for copy in (plain, inside):
        shutil.copytree(repository, copy, ignore=shutil.ignore_patterns(".git", "build"))
    (inside / "scripts/file.pyc").write_bytes(b"what Python leaves behind")
    (inside / "docker/.mypy_cache").mkdir()
    (inside / "docker/.mypy_cache/file").write_bytes(b"what a linter leaves behind")
    assert source.revision(plain) == source.revision(inside)
    assert set(source.revision(plain)) == {"sha256"}
