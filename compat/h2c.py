"""One GET over HTTP/2 in clear, with prior knowledge: as much of the protocol as that needs."""

import socket
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS = 0, 1, 4
END_STREAM, END_HEADERS = 1, 4

# HPACK's static table has the usual statuses, so that one byte tells them.
STATUSES = {0x88: 200, 0x8C: 400, 0x8D: 404, 0x8E: 500}


def get(host, path, headers):
    """The status and the body. Anything but proper frames raises."""
    name, port = host.split(":")
    fields = {":method": "GET", ":scheme": "http", ":path": path, ":authority": host, **headers}
    block = b"".join(literal(name, value) for name, value in fields.items())
    with socket.create_connection((name, int(port)), timeout=10) as connection:
        connection.sendall(PREFACE + frame(SETTINGS, 0, 0, b""))
        connection.sendall(frame(HEADERS, END_HEADERS | END_STREAM, 1, block))
        return read_answer(connection.makefile("rb"))


def read_answer(stream):
    status, body, first = None, b"", True
    while True:
        kind, flags, number, payload = read_frame(stream)
        if first and kind != SETTINGS:
            raise AssertionError(f"the first frame is of kind {kind}, not SETTINGS")
        first = False
        if number != 1:
            continue
        if kind == HEADERS:
            status = STATUSES.get(payload[0])
        if kind == DATA:
            body += payload
        if flags & END_STREAM:
            return status, body


def frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def read_frame(stream):
    head = stream.read(9)
    if len(head) < 9:
        raise AssertionError("the server hung up")
    length = struct.unpack(">I", b"\0" + head[:3])[0]
    return *struct.unpack(">BBI", head[3:]), stream.read(length)


def literal(name, value):
    """One HPACK field, neither indexed nor compressed; lengths below 127 fit one byte."""
    if max(len(name), len(value)) >= 127:
        raise ValueError("too long for this encoder")
    return b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
