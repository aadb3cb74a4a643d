import pytest

from nautilus_enhanced.sandbox.connection import FrameSender
from nautilus_enhanced.sandbox.connection import text_frame


class FakeTransport:
    def __init__(self):
        self.written = []
        self.waiting = 0
        self.closing = False

    def is_closing(self):
        return self.closing

    def get_write_buffer_size(self):
        return self.waiting

    def write(self, data):
        self.written.append(data)

    def abort(self):
        self.closing = True


@pytest.mark.parametrize(
    ("size", "header"),
    [
        (0, b"\x81\x00"),
        (125, b"\x81\x7d"),
        (126, b"\x81\x7e\x00\x7e"),
        (65_535, b"\x81\x7e\xff\xff"),
        (65_536, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_frames_have_the_header_of_their_length(size, header):
    assert text_frame(b"x" * size) == header + b"x" * size


def test_frames_are_written_in_one_piece():
    transport = FakeTransport()
    sender = FrameSender(transport, limit_bytes=10)
    assert sender.send([b"a", b"b"])
    assert transport.written == [b"ab"]


def test_a_slow_reader_is_cut_off():
    transport = FakeTransport()
    sender = FrameSender(transport, limit_bytes=10)
    transport.waiting = 11
    assert not sender.send([b"a"])
    assert transport.closing
    assert sender.overflowed
    assert not sender.send([b"a"])
    assert transport.written == []
    assert sender.waiting_bytes == 0
