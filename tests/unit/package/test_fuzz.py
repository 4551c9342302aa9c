"""Thousands of damaged and hostile archives: each is refused in a sentence, or is the same."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from scripts.package import rule
from scripts.package.archive import _TIME
from tests import packages

COUNT = 2080
# Words of Python and its libraries, which mean nothing to a user.
PYTHON = re.compile(r"Expecting|codec|Errno|end-of-stream|CRC|while decompressing")
MEMORY = 200 << 20
NAMES = [
    "r//abs",
    "/abs",
    "../up",
    "r/../../up",
    "r/a\nb",
    "r/x\ndrop\t/abs",
    "r/a\tb",
    "r/ ",
    "r/-rf",
]
NAMES += [
    "r/.hidden",
    "r/" + "a/" * 60 + "b",
    "r/caf\u00e9",
    "r/\x1b[2J",
    "r",
    "",
    "r/a/",
    "r/a\\b",
]
KINDS = [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE]
KINDS += [tarfile.DIRTYPE, tarfile.CONTTYPE, tarfile.GNUTYPE_SPARSE, tarfile.AREGTYPE, b"Z"]
FORMATS: list[Literal[0, 1, 2]] = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]

# Runs in a process of its own, whose memory is bounded: reads a list of archives, and answers with
# what became of each.
CHILD = """
import json, resource, sys
from pathlib import Path
from scripts.errors import ArtefactError
from scripts.package import inspection, package

limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
for line in sys.stdin:
    path = Path(line.strip())
    try:
        with package.unpacked(path) as unpacked:
            digest = unpacked.package.digest
            files = sorted(str(f.relative_to(unpacked.folder)) for f in unpacked.folder.rglob("*"))
            expected = [entry.path for entry in unpacked.package.entries]
            assert {f for f in files if (unpacked.folder / f).is_file()} == set(expected)
        inspection.inspect(path).tables()
        answer = ["same", digest]
    except ArtefactError as error:
        answer = ["refused", error.what, error.cause, error.remedy]
    print(json.dumps(answer), flush=True)
status = Path("/proc/self/status").read_text().split()
print(status[status.index("VmHWM:") + 1])
"""

Files = list[tuple[tarfile.TarInfo, bytes]]
Mutation = Callable[[random.Random, bytes], bytes]


def files(whole: bytes) -> Files:
    with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
        return [(member, (tar.extractfile(member) or io.BytesIO()).read()) for member in tar]


def packed(members: Files, form: Literal[0, 1, 2] = tarfile.USTAR_FORMAT) -> bytes:
    """Write headers and contents as they are, whether they fit each other or not."""
    stream = b"".join(
        member.tobuf(form) + content + bytes(-len(content) % tarfile.BLOCKSIZE)
        for member, content in members
    )
    end = bytes(2 * tarfile.BLOCKSIZE)
    end += bytes(-len(stream + end) % tarfile.RECORDSIZE)
    return gzip.compress(stream + end, 1)


def stranger(name: str, content: bytes = b"x", **values: object) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.size, member.mtime = len(content), _TIME
    for key, value in values.items():
        setattr(member, key, value)
    return member, content


def truncated(dice: random.Random, whole: bytes) -> bytes:
    return whole[: dice.randrange(len(whole))]


def flipped(dice: random.Random, whole: bytes) -> bytes:
    data = bytearray(whole)
    for _ in range(dice.choice([1, 1, 2, 16])):
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    return bytes(data)


def flipped_inside(dice: random.Random, whole: bytes) -> bytes:
    return gzip.compress(flipped(dice, gzip.decompress(whole)), 1)


def flipped_in_a_header(dice: random.Random, whole: bytes) -> bytes:
    data = bytearray(gzip.decompress(whole))
    block = data.find(b"ustar", dice.randrange(len(data) // 2)) - 257
    data[block + dice.randrange(512)] ^= 1 << dice.randrange(8)
    total = sum(data[block : block + 148]) + sum(data[block + 156 : block + 512]) + 8 * 32
    data[block + 148 : block + 156] = b"%06o\0 " % total  # so that it is read further
    return gzip.compress(bytes(data), 1)


def renamed(dice: random.Random, whole: bytes) -> bytes:
    members = files(whole)
    dice.choice(members)[0].name = dice.choice(NAMES)
    return packed(members, dice.choice(FORMATS[1:]))


def added(dice: random.Random, whole: bytes) -> bytes:
    members = files(whole)
    root = members[0][0].name.partition("/")[0]
    name = dice.choice([*NAMES, f"{root}//abs", f"{root}/new", f"{root}/../up", f"{root}/a\tb"])
    members.insert(dice.randrange(len(members)), stranger(name))
    return packed(members, dice.choice(FORMATS[1:]))


def duplicated(dice: random.Random, whole: bytes) -> bytes:
    members = files(whole)
    members.insert(dice.randrange(len(members) + 1), dice.choice(members))
    return packed(members)


def left_out(dice: random.Random, whole: bytes) -> bytes:
    members = files(whole)
    members.pop(dice.randrange(len(members)))
    return packed(members)


def shuffled(dice: random.Random, whole: bytes) -> bytes:
    members = files(whole)
    dice.shuffle(members)
    return packed(members)


def linked(dice: random.Random, whole: bytes) -> bytes:
    """A link in the place of a file, or before one that is then written through it."""
    members = files(whole)
    place = dice.randrange(len(members))
    name = members[place][0].name
    target = dice.choice(["/etc/passwd", "../../up", members[0][0].name, "."])
    link = stranger(name, b"", type=dice.choice(KINDS), linkname=target)
    members[place : place + dice.randrange(2)] = [link]
    return packed(members, dice.choice(FORMATS))


def owned(dice: random.Random, whole: bytes) -> bytes:
    """Other modes, set-uid among them, owners and times."""
    members = files(whole)
    member, _ = dice.choice(members)
    what = dice.choice(["mode", "uid", "gid", "mtime", "uname"])
    values = {"mode": dice.choice([0o4755, 0o2755, 0o6777, 0o777, 0, 0o1644, 0o600])}
    setattr(member, what, values.get(what, "root" if what == "uname" else 1 + dice.randrange(1000)))
    return packed(members)


def enormous(dice: random.Random, whole: bytes) -> bytes:
    """A size that is not there, names and headers of megabytes, documents of many."""
    members = files(whole)
    place = dice.randrange(len(members))
    root = members[0][0].name.partition("/")[0]
    kind = dice.randrange(5)
    if kind == 0:
        members[place][0].size = dice.choice([1 << 33, 1 << 40, 1 << 62])
        return packed(members, tarfile.GNU_FORMAT)
    if kind == 1:
        members[place][0].name = f"{root}/" + "n" * (1 << 20)
        return packed(members, dice.choice(FORMATS[1:]))
    if kind == 2:
        members[place][0].pax_headers = {"comment": "c" * (1 << 20)}
        return packed(members, tarfile.PAX_FORMAT)
    if kind == 3:
        names = [f"{root}/{name}" for name in ("manifest.json", "SHA256SUMS")]
        members = [pair for pair in members if pair[0].name not in names[:1]]
        return packed([*members, stranger(names[0], b" " * (rule.MAX_DOCUMENT + 1))])
    many = [stranger(f"{root}/f{index}", b"") for index in range(rule.MAX_FILES + 1)]
    return packed([*members, *many])


def rewritten(dice: random.Random, whole: bytes) -> bytes:
    """A manifest or statement that says something else, with sums that fit it or not."""
    members = files(whole)
    place = next(i for i, (m, _) in enumerate(members) if m.name.endswith("/manifest.json"))
    member, content = members[place]
    document = json.loads(content)
    entry = dice.choice(document["files"])
    change = dice.choice(["path", "size", "mode", "sha256", "name", "facts", "deep", "nothing"])
    strange: Any = dice.choice([None, -1, 1 << 70, "\x1b[2J", "../x", [], {}, True, "a\nb", 1.5])
    if change in entry:
        entry[change] = strange
    elif change == "facts":
        document[dice.choice(sorted(document))] = strange
    elif change == "name":
        entry[dice.choice(["more", "path"])] = strange
    text = json.dumps(document).encode()
    if change == "deep":
        text = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    member.size = len(text)
    members[place] = (member, text)
    return packed(members)


MUTATIONS: list[Mutation] = [
    *(truncated, flipped, flipped_inside, flipped_in_a_header, renamed, added, duplicated),
    *(left_out, shuffled, linked, owned, enormous, rewritten),
]


@pytest.fixture
def room() -> Iterator[Path]:
    """A folder in memory where there is one: thousands of packages are unpacked there."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.mark.parametrize("seed", [1])
def test_every_archive_is_refused_or_the_same(tmp_path: Path, room: Path, seed: int) -> None:
    whole = packages.package(tmp_path / "build").read_bytes()
    (folder := room / "archives").mkdir()
    (temporary := room / "tmp").mkdir()
    path = folder / "x.tar.gz"
    path.write_bytes(whole)
    outside = {file.name for file in Path("/").iterdir()}
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(MEMORY)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={"TMPDIR": str(temporary)},
    ) as child:  # fmt: skip
        assert child.stdin
        assert child.stdout

        def ask() -> list[str]:
            child.stdin.write(f"{path}\n")  # type: ignore[union-attr]
            child.stdin.flush()  # type: ignore[union-attr]
            return json.loads(child.stdout.readline())  # type: ignore[union-attr]

        same = ask()
        assert same[0] == "same"
        refused = 0
        for turn in range(COUNT):
            dice = random.Random(f"{seed} {turn}")
            mutation = MUTATIONS[turn % len(MUTATIONS)]
            path.write_bytes(mutation(dice, whole))
            answer = ask()
            if answer != same:
                assert answer[0] == "refused", (turn, mutation)
                assert len(answer[1].splitlines()) == 1, (turn, answer)
                assert answer[1].isprintable(), (turn, answer)
                assert answer[2] and answer[3], (turn, answer)
                assert not PYTHON.search(answer[1]), (turn, answer)
                refused += 1
            assert [file.name for file in folder.iterdir()] == [path.name], (turn, mutation)
            assert not list(temporary.iterdir()), (turn, mutation)
        child.stdin.close()
        # `ru_maxrss` of a child begins at what its parent had.
        peak = int(child.stdout.read()) << 10
    assert child.returncode == 0
    assert refused > COUNT * 3 / 4
    assert {file.name for file in Path("/").iterdir()} == outside
    assert sorted(file.name for file in room.iterdir()) == ["archives", "tmp"]
    assert peak < MEMORY
