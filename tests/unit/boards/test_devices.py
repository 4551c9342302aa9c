"""`devices.toml`: what is understood, and what is refused with a word on where."""

from pathlib import Path

import pytest

from scripts.boards import devices
from scripts.errors import UsageError
from scripts.source import ROOT

GOOD = """
[devices.one]
host = "192.0.2.1"
user = "root"
path = "/opt/x"
[devices.two]
host = "192.0.2.2"
user = "root"
path = "/opt/x"
port = 2222
keep = 1
[groups]
all = ["two", "one"]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "devices.toml"
    path.write_text(GOOD)
    return path


def test_names_and_groups_select_each_device_once(file: Path) -> None:
    selected = devices.select(["one", "all"], file)
    assert [device.name for device in selected] == ["one", "two"]
    assert (selected[1].port, selected[1].keep, selected[0].port) == (2222, 1, 22)


def test_the_committed_example_is_understood() -> None:
    known, groups = devices.load(ROOT / "devices.example.toml")
    assert {name for group in groups.values() for name in group} <= set(known)


def test_a_missing_file_names_the_example(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        devices.load(tmp_path / "devices.toml")
    assert "devices.example.toml" in caught.value.remedy


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('password = "x"', "holds a password"),
        ('hosts = "x"', r"unknown keys \['hosts'\]"),
        ("port = 1\nkeep = true", "keep must be a whole number"),
        ('port = "22"', "port must be a whole number"),
        ('key = "k"\npassword_env = "E"', "two ways to log in"),
        ('skel = "mine"', "neither 'package' nor 'board'"),
        ("keep = 0", "at least 1"),
        ("port", "is not TOML"),
        ("port = 9999999", r"devices\.toml: \[devices\.one\]: port has 9999999"),
        ("port = 65536", "port has 65536, and ports go from 1 to 65535"),
        ("port = 0", "port has 0"),
        ("port = -22", "port has -22"),
        (f"port = {'9' * 5000}", "a number in it has too many digits"),
        (f"x = {'[' * 5000}", "nested too deeply"),
        ('key = "a\\u001b[2J"', "key is .* cannot be shown"),
        ("[groups]\nx = 1", "group x is not a list"),
        ('[groups]\nx = "one"', "group x is not a list"),
        ('[groups]\nx = [["one"]]', "group x is not a list"),
        ('[devices."../../x"]', r"\[devices\] has the name '\.\./\.\./x'"),
        ('[devices."a,b"]', "has the name 'a,b'"),
        ('[groups]\n"" = []', "has the name ''"),
        ('jump = "u@h:0"', "jump has 0"),
        ('jump = "u@h:99999"', "jump has 99999"),
        ('jump = "u@h:٢٢"', "not user@host:port"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, line: str, words: str) -> None:
    file = tmp_path / "devices.toml"
    file.write_text(f'[devices.one]\nhost = "h"\nuser = "u"\npath = "/p"\n{line}\n')
    with pytest.raises(UsageError, match=words):
        devices.load(file)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("devices = 3", "devices is not a table"),
        ("groups = 1", "groups is not a table"),
        ("[devices]\none = 1", r"\[devices\.one\] is not a table"),
        ('[devices.one]\nhost = ""\nuser = "u"\npath = "/p"', "host is empty"),
        ('[devices.one]\nhost = "h"\nuser = "u\\n"\npath = "/p"', "cannot be shown"),
        ('[devices.one]\nhost = "h"\nuser = "u"\npath = "/p/../.."', "a part `..`"),
        ('[devices.one]\nhost = "h"\nuser = "u"\npath = "/./"', "a folder of its own"),
    ],
)
def test_other_shapes_are_named(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "devices.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=words):
        devices.load(file)


def test_what_is_no_text_is_named(tmp_path: Path) -> None:
    (file := tmp_path / "devices.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="not text at byte 0"):
        devices.load(file)


@pytest.mark.parametrize("text", ["", "[devices]", "[groups]\nall = []"])
@pytest.mark.parametrize("names", [[], ["one"], ["all"]])
def test_a_file_without_devices_says_so(tmp_path: Path, text: str, names: list[str]) -> None:
    file = tmp_path / "devices.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match="names no device") as caught:
        devices.select(names, file)
    assert "devices.example.toml" in caught.value.remedy


@pytest.mark.parametrize("port", [1, 65535])
def test_every_port_that_there_is_may_be_given(tmp_path: Path, port: int) -> None:
    file = tmp_path / "devices.toml"
    file.write_text(GOOD.replace("2222", str(port)))
    assert devices.load(file)[0]["two"].port == port


@pytest.mark.parametrize("path", ["", "/", "relative"])
def test_releases_need_a_folder_of_their_own(tmp_path: Path, path: str) -> None:
    file = tmp_path / "devices.toml"
    file.write_text(f'[devices.one]\nhost = "h"\nuser = "u"\npath = "{path}"\n')
    with pytest.raises(UsageError, match="absolute, and a folder of its own"):
        devices.load(file)


def test_what_must_be_said_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "devices.toml"
    file.write_text('[devices.one]\nhost = "h"\n')
    with pytest.raises(UsageError, match="lacks path, user"):
        devices.load(file)


@pytest.mark.parametrize("names", [[], ["none"]])
def test_unknown_names_list_the_known_ones(file: Path, names: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        devices.select(names, file)
    assert "one" in caught.value.remedy
