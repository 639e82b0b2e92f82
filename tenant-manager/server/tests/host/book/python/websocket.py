"""WebSockets over the standard library: one connection, messages in order.

A ping is answered, a close is answered and ends the connection; messages in
several frames are put together. Blocking, for scripts that do one thing.
"""

import base64
import hashlib
import os
import socket
import struct
from urllib.parse import urlsplit

MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONTINUED, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA


class Closed(Exception):
    """The other side closed, with this code if it gave one."""

    def __init__(self, code=None):
        super().__init__(f"closed with {code}")
        self.code = code


class Refused(Exception):
    """The server answered the handshake with this status."""

    def __init__(self, status):
        super().__init__(f"refused with {status}")
        self.status = status


def accept_of(key):
    """What a server answers to a key."""
    return base64.b64encode(hashlib.sha1(key.encode() + MAGIC).digest()).decode()


def read_head(stream):
    """The first line of a head, and its fields by lower-case name."""
    first = stream.readline().decode("latin-1").strip()
    fields = {}
    while line := stream.readline().decode("latin-1").strip():
        name, _, value = line.partition(":")
        fields[name.strip().lower()] = value.strip()
    return first, fields


class WebSocket:
    """An open connection. Only clients mask what they send."""

    def __init__(self, sock, stream, is_client):
        self.sock = sock
        self.stream = stream
        self.is_client = is_client
        self.closing = False

    def exactly(self, count):
        data = self.stream.read(count)
        if len(data) < count:
            raise Closed()
        return data

    def frame(self):
        first, second = self.exactly(2)
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack(">H", self.exactly(2))
        elif length == 127:
            (length,) = struct.unpack(">Q", self.exactly(8))
        mask = self.exactly(4) if second & 0x80 else None
        data = self.exactly(length)
        if mask:
            data = bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))
        return bool(first & 0x80), first & 0x0F, data

    def recv(self):
        """The next message: str or bytes."""
        kind, parts = None, []
        while True:
            final, opcode, data = self.frame()
            if opcode == PING:
                self.write(PONG, data)
            elif opcode == CLOSE:
                if not self.closing:
                    self.write(CLOSE, data[:2])
                raise Closed(struct.unpack(">H", data[:2])[0] if len(data) > 1 else None)
            elif opcode != PONG:
                if opcode != CONTINUED:
                    kind = opcode
                parts.append(data)
                if final:
                    whole = b"".join(parts)
                    return whole.decode() if kind == TEXT else whole

    def write(self, opcode, data):
        head = bytes([0x80 | opcode])
        masked = 0x80 if self.is_client else 0
        if len(data) < 126:
            head += bytes([masked | len(data)])
        elif len(data) < 1 << 16:
            head += bytes([masked | 126]) + struct.pack(">H", len(data))
        else:
            head += bytes([masked | 127]) + struct.pack(">Q", len(data))
        if self.is_client:
            mask = os.urandom(4)
            head += mask
            data = bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))
        self.sock.sendall(head + data)

    def send(self, message):
        """Sends a str as text, bytes as binary."""
        if isinstance(message, str):
            self.write(TEXT, message.encode())
        else:
            self.write(BINARY, message)

    def close(self, code=1000):
        """Closes in order: what still comes is let go."""
        self.closing = True
        self.write(CLOSE, struct.pack(">H", code))
        try:
            while True:
                self.recv()
        except (Closed, OSError):
            self.sock.close()


def connect(url):
    """Opens a `ws://` URL."""
    parts = urlsplit(url)
    sock = socket.create_connection((parts.hostname, parts.port or 80), timeout=30)
    stream = sock.makefile("rb")
    key = base64.b64encode(os.urandom(16)).decode()
    sock.sendall(
        (
            f"GET {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        ).encode()
    )
    first, fields = read_head(stream)
    status = int(first.split()[1])
    if status != 101:
        raise Refused(status)
    assert fields["sec-websocket-accept"] == accept_of(key), fields
    return WebSocket(sock, stream, True)


def accept(listener):
    """The next client's connection."""
    sock, _ = listener.accept()
    sock.settimeout(30)
    stream = sock.makefile("rb")
    _, fields = read_head(stream)
    answer = accept_of(fields["sec-websocket-key"])
    sock.sendall(
        (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Accept: {answer}\r\n\r\n"
        ).encode()
    )
    return WebSocket(sock, stream, False)
