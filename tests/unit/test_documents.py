"""What the documents name is there: files, links, headings, tasks; and the rooms are as held."""

import re
from pathlib import Path

import pytest

import tasks
from scripts.source import ROOT
from tests.unit import test_rooms as rooms

LEFT_OUT = ("build", ".venv", ".cache", "node_modules")
DOCUMENTS = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not set(path.relative_to(ROOT).parts) & set(LEFT_OUT)
    and not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
)
OURS = ("scripts/", "tests/", "docs/", "docker/", "toolchains/", "examples/")
OPENQNN = "toolchains/openqnn/lib/python/openqnn/"
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
QUOTED = re.compile(r"`([^`\s]+)`")
TASK = re.compile(r"\binvoke ([a-z][a-z.-]*)")


def anchors(document: Path) -> set[str]:
    """The names of a document's headings in links, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(document: Path) -> list[str]:
    links = [link for link in LINK.findall(document.read_text()) if "://" not in link]
    return [link for link in links if not leads_somewhere(document, link)]


def leads_somewhere(document: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (document.parent / path).resolve() if path else document
    return target.exists() and (not anchor or anchor in anchors(target))


def missing_files(document: Path) -> list[str]:
    """Paths of this repository that a document quotes, and that are not there."""
    names = [name.split("::")[0] for name in QUOTED.findall(document.read_text())]
    names = [re.sub(r"^openqnn/", OPENQNN, name) for name in names]
    ours = [name for name in names if name.startswith(OURS) and "<" not in name]
    folders = (ROOT, document.parent)
    return [name for name in ours if not any(any(f.glob(name.rstrip("/"))) for f in folders)]


def unknown_tasks(document: Path) -> list[str]:
    return [name for name in TASK.findall(document.read_text()) if name.rstrip(".") not in known()]


def known() -> set[str]:
    names = tasks.namespace.task_names
    return {name for task, others in names.items() for name in (task, *others)}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_document_names_is_there(document: Path) -> None:
    assert not broken_links(document)
    assert not missing_files(document)
    assert not unknown_tasks(document)


def test_the_architecture_shows_the_rooms_as_they_are_held() -> None:
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|$", section("The rooms"), re.MULTILINE)
    shown = {name: cell.strip() for name, cell in rows}
    assert set(shown) == set(rooms.ROOMS)
    for name, cell in shown.items():
        above = list(shown)[: list(shown).index(name)]
        listed = set(above) if cell == "all above" else set(re.findall(r"`(\w+)`", cell))
        assert listed == rooms.ROOMS[name], name


def section(title: str) -> str:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    return text.split(f"## {title}\n")[1].split("\n## ")[0]


def test_what_is_not_there_is_seen(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text("# A page\n[a](b.md) [c](#no) [d](#a-page) `scripts/no.py` `invoke nought`")
    assert broken_links(document) == ["b.md", "#no"]
    assert missing_files(document) == ["scripts/no.py"]
    assert unknown_tasks(document) == ["nought"]
