"""The content digest sees all that counts, and nothing of the engine's or the clock's."""

import io
import tarfile
from collections.abc import Callable, Iterator

import pytest

from scripts.errors import ImageBuildError
from scripts.image import content

Entry = tuple[tarfile.TarInfo, bytes]


def file(name: str, data: bytes = b"data", mode: int = 0o644) -> Entry:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(data), mode
    return member, data


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> Entry:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member, b""


def tar(*entries: Entry) -> io.BytesIO:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member, data in entries:
            archive.addfile(member, io.BytesIO(data))
    stream.seek(0)
    return stream


def digest(*entries: Entry) -> str:
    return content.digest(content.listing(tar(*entries)))


def changed(change: Callable[[tarfile.TarInfo], object]) -> Entry:
    member, data = file("opt/a")
    change(member)
    return member, data


REFERENCE = digest(file("opt/a"), link("opt/b", "a"))


@pytest.mark.parametrize(
    "entries",
    [
        (file("opt/a", b"datA"), link("opt/b", "a")),
        (file("opt/a", mode=0o755), link("opt/b", "a")),
        (file("opt/a"), link("opt/b", "c")),
        (file("opt/a"), file("opt/b")),
        (file("opt/a"),),
        (file("opt/a"), link("opt/b", "a"), file("opt/c")),
        (changed(lambda m: setattr(m, "uid", 1)), link("opt/b", "a")),
        (changed(lambda m: setattr(m, "gid", 1)), link("opt/b", "a")),
        (
            changed(lambda m: setattr(m, "pax_headers", {"SCHILY.xattr.user.a": "x"})),
            link("opt/b", "a"),
        ),
    ],
)
def test_each_property_counts(entries: tuple[Entry, ...]) -> None:
    assert digest(*entries) != REFERENCE


@pytest.mark.parametrize(
    "entries",
    [
        (link("opt/b", "a"), file("opt/a")),
        (file("./opt/a"), link("./opt/b", "a")),
        (changed(lambda m: setattr(m, "mtime", 99)), link("opt/b", "a")),
        (changed(lambda m: setattr(m, "mode", 0o100644)), link("opt/b", "a")),
        (
            *(file("opt/a"), link("opt/b", "a"), file(".dockerenv", b"")),
            *(file("etc/resolv.conf"), file("dev/console"), link("etc/mtab", "/proc/mounts")),
        ),
    ],
)
def test_order_times_and_the_engines_own_files_do_not(entries: tuple[Entry, ...]) -> None:
    assert digest(*entries) == REFERENCE


def test_either_name_of_a_hard_link_may_come_first() -> None:
    first = digest(file("a"), link("b", "a", tarfile.LNKTYPE))
    assert first == digest(file("b"), link("a", "b", tarfile.LNKTYPE))
    assert first == digest(file("a"), file("b"))


@pytest.mark.parametrize("target", ["dev/x", "./dev/x", "etc/hosts", "opt/later", ""])
def test_a_hard_link_to_what_is_not_looked_at_is_refused(target: str) -> None:
    entries = [file("dev/x"), file("etc/hosts"), link("opt/b", target, tarfile.LNKTYPE)]
    with pytest.raises(ImageBuildError, match=r"'opt/b' .* is a hard link to"):
        digest(*entries, file("opt/later"))


def test_a_link_target_cannot_stand_for_another_path() -> None:
    for sides in ("{a}\nlink 0644 0:0 -> {b}", "{a}  opt/a\n{text}"):
        before = content.listing(tar(link("opt/a", "x"), link("opt/b", "y")))
        forged = sides.format(a="x", b="y", text=before["opt/b"])
        assert digest(link("opt/b", forged)) != content.digest(before)


def test_a_file_cannot_stand_for_the_configuration() -> None:
    started = content.configuration(CONFIG, [])
    names = [name.strip("/") for name in started]
    assert not content.listing(tar(*map(file, names))).keys() & started.keys()


def test_differences_name_the_first_paths() -> None:
    first = content.listing(tar(file("a"), file("b"), file("d")))
    second = content.listing(tar(file("a"), file("b", b"other"), file("c")))
    assert [line.split(":")[0] for line in content.differences(first, second)] == ["b", "c", "d"]
    assert "absent" in content.differences(first, second)[1]
    assert len(content.differences(first, second, limit=1)) == 1
    assert content.differences(first, first) == []


@pytest.mark.parametrize("size", [1, 7, 512, 1 << 20])
def test_stream_is_whole_whatever_the_size_of_its_chunks(size: int) -> None:
    data = tar(file("opt/a", b"data" * 5000), link("opt/b", "a")).getvalue()

    def chunks() -> Iterator[bytes]:
        for start in range(0, len(data), size):
            yield data[start : start + size]
            yield b""

    listed = content.listing(content.stream(chunks()))
    assert listed == content.listing(io.BytesIO(data))


CONFIG = {
    "Entrypoint": None,
    "Cmd": [],
    "Env": ["PATH=/bin"],
    "User": "",
    "WorkingDir": "/src",
    "Labels": {"dinov3-qnn.stage": "true", "dinov3-qnn.lane": "bookworm", "maintainer": "me"},
    "Hostname": "one",
}


def test_how_an_image_is_started_is_part_of_it() -> None:
    before = content.configuration(CONFIG, ["dinov3-qnn.lane"])
    assert before == {
        "/(configuration) Env": '["PATH=/bin"]',
        "/(configuration) WorkingDir": '"/src"',
        "/(configuration) label dinov3-qnn.stage": '"true"',
    }


@pytest.mark.parametrize(
    "change",
    [
        {"Entrypoint": ["/bin/evil"]},
        {"Cmd": ["sh"]},
        {"Env": ["PATH=/evil:/bin"]},
        {"User": "0"},
        {"WorkingDir": "/"},
        {"Healthcheck": {"Test": ["CMD", "evil"]}},
        {"Labels": {"dinov3-qnn.stage": "false"}},
    ],
)
def test_another_start_is_another_image(change: dict[str, object]) -> None:
    assert content.configuration({**CONFIG, **change}, []) != content.configuration(CONFIG, [])


def test_what_engines_say_of_themselves_is_not() -> None:
    other = {**CONFIG, "Hostname": "two", "Cmd": None, "User": None}
    assert content.configuration(other, []) == content.configuration(CONFIG, [])
