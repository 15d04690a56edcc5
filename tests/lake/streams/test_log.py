"""A log is what was written, or its beginning; never anything else."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from penstock.errors import SourceError
from penstock.lake.streams.log import framed, frames

BODIES = st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=6)


def bodies(data: bytes) -> list[bytes]:
    return [body for body, _ in frames(data, "log")]


@given(BODIES, st.data())
def test_a_log_cut_anywhere_gives_its_whole_frames(written: list[bytes], data: st.DataObject):
    whole = b"".join(map(framed, written))
    cut = data.draw(st.integers(0, len(whole)))
    ends = [sum(len(framed(body)) for body in written[:n]) for n in range(len(written) + 1)]
    assert bodies(whole[:cut]) == written[: sum(end <= cut for end in ends) - 1]


@given(BODIES, st.integers(1, 200))
def test_room_without_content_behind_a_log_is_no_frame(written: list[bytes], zeros: int):
    assert bodies(b"".join(map(framed, written)) + b"\0" * zeros) == written


@given(BODIES, st.data())
def test_a_changed_byte_is_told_or_at_the_very_end(written: list[bytes], data: st.DataObject):
    whole = bytearray(b"".join(map(framed, written)))
    at = data.draw(st.integers(0, len(whole) - 1))
    bit = data.draw(st.integers(0, 7))
    whole[at] ^= 1 << bit
    try:
        found = bodies(bytes(whole))
    except SourceError as error:
        assert error.code == "TAIL_DAMAGED"
        return
    assert found == written[:-1]  # nothing but zeros is left of the last one
    assert not bytes(whole[len(b"".join(map(framed, written[:-1]))) :]).strip(b"\0") or not written[-1].strip(b"\0")


def test_damage_is_told_with_file_and_place():
    log = bytearray(framed(b"first") + framed(b"second"))
    log[18] ^= 1
    with pytest.raises(SourceError, match=r"TAIL_DAMAGED: 000001\.segment is damaged at byte 0"):
        list(frames(bytes(log), "000001.segment"))


@given(st.binary(min_size=20, max_size=200))
def test_noise_is_no_log(noise: bytes):
    assume(noise.strip(b"\0"))
    try:
        assert bodies(noise) == []
    except SourceError as error:
        assert error.code == "TAIL_DAMAGED"
