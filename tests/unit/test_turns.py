import threading
from itertools import pairwise

import pytest

from scripts.turns import Turns

Captured = pytest.CaptureFixture[str]


def test_one_is_shown_as_it_comes_and_the_others_whole_when_they_end(capsys: Captured) -> None:
    turns = Turns()
    first, second, third = turns.open(), turns.open(), turns.open()
    turns.write(second, "second 1\n")
    turns.write(first, b"first 1\n")
    turns.write(third, "third 1\n")
    assert capsys.readouterr().out == "first 1\n"
    turns.write(third, "third 2\n")
    turns.close(third)
    turns.write(first, "first 2\n")
    assert capsys.readouterr().out == "first 2\n"
    turns.close(first)
    assert capsys.readouterr().out == "third 1\nthird 2\nsecond 1\n"
    turns.write(second, "second 2\n")
    assert capsys.readouterr().out == "second 2\n"


def test_what_belongs_to_no_block_is_said_between_two(capsys: Captured) -> None:
    turns = Turns()
    turns.say("before\n")
    block = turns.open()
    turns.say("meanwhile\n")
    turns.write(block, "block\n")
    assert capsys.readouterr().out == "before\nblock\n"
    turns.close(block)
    turns.close(block)
    turns.say("after\n")
    assert capsys.readouterr().out == "meanwhile\nafter\n"


def test_nothing_that_is_kept_is_lost_at_the_end(capsys: Captured) -> None:
    turns = Turns()
    blocks = [turns.open() for _ in range(3)]
    for number, block in enumerate(blocks):
        turns.write(block, f"{number}\n")
    turns.close_all()
    assert sorted(capsys.readouterr().out.split()) == ["0", "1", "2"]


def test_blocks_of_many_threads_stay_whole(capsys: Captured) -> None:
    turns = Turns()

    def speak(name: str) -> None:
        block = turns.open()
        for _ in range(200):
            turns.write(block, f"{name}\n")
        turns.close(block)

    threads = [threading.Thread(target=speak, args=(name,)) for name in "abcdef"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = capsys.readouterr().out.split()
    assert len(lines) == 1200
    assert sum(a != b for a, b in pairwise(lines)) == 5
