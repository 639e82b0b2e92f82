"""MessagePack, as much of it as extensions speak: to and from Python values."""

import struct

INTEGERS = [
    (0xCC, ">B"), (0xCD, ">H"), (0xCE, ">I"), (0xCF, ">Q"),
    (0xD0, ">b"), (0xD1, ">h"), (0xD2, ">i"), (0xD3, ">q"),
]


def sized(data, fixed, forms):
    """A head with a length in the shortest of its forms."""
    if fixed and len(data) < fixed[1]:
        return bytes([fixed[0] | len(data)])
    for code, shape, limit in forms:
        if len(data) < limit:
            return bytes([code]) + struct.pack(shape, len(data))
    raise ValueError("too long")


def integer(value):
    if 0 <= value < 0x80:
        return bytes([value])
    if -0x20 <= value < 0:
        return struct.pack(">b", value)
    for code, shape in INTEGERS[:4] if value >= 0 else INTEGERS[4:]:
        try:
            return bytes([code]) + struct.pack(shape, value)
        except struct.error:
            continue
    raise ValueError(f"{value} has no form")


def packb(value):
    """The bytes of a value."""
    if value is None:
        return b"\xc0"
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return integer(value)
    if isinstance(value, float):
        return b"\xcb" + struct.pack(">d", value)
    if isinstance(value, str):
        data = value.encode()
        forms = [(0xD9, ">B", 1 << 8), (0xDA, ">H", 1 << 16), (0xDB, ">I", 1 << 32)]
        return sized(data, (0xA0, 32), forms) + data
    if isinstance(value, bytes):
        forms = [(0xC4, ">B", 1 << 8), (0xC5, ">H", 1 << 16), (0xC6, ">I", 1 << 32)]
        return sized(value, None, forms) + value
    if isinstance(value, (list, tuple)):
        forms = [(0xDC, ">H", 1 << 16), (0xDD, ">I", 1 << 32)]
        return sized(value, (0x90, 16), forms) + b"".join(map(packb, value))
    if isinstance(value, dict):
        forms = [(0xDE, ">H", 1 << 16), (0xDF, ">I", 1 << 32)]
        pairs = b"".join(packb(name) + packb(item) for name, item in value.items())
        return sized(value, (0x80, 16), forms) + pairs
    raise TypeError(f"{type(value)} has no form")


class Reader:
    """Values from bytes, one after the other."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, count):
        if self.at + count > len(self.data):
            raise ValueError("it ends too early")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, shape):
        return struct.unpack(shape, self.take(struct.calcsize(shape)))[0]

    def many(self, count):
        return [self.value() for _ in range(count)]

    def pairs(self, count):
        return {self.value(): self.value() for _ in range(count)}

    def value(self):
        code = self.take(1)[0]
        if code < 0x80:
            return code
        if code < 0x90:
            return self.pairs(code & 0x0F)
        if code < 0xA0:
            return self.many(code & 0x0F)
        if code < 0xC0:
            return self.take(code & 0x1F).decode()
        if code >= 0xE0:
            return code - 0x100
        if code in (0xC0, 0xC2, 0xC3):
            return {0xC0: None, 0xC2: False, 0xC3: True}[code]
        if code in dict(INTEGERS):
            return self.number(dict(INTEGERS)[code])
        lengths = {0: ">B", 1: ">H", 2: ">I"}
        if 0xC4 <= code <= 0xC6:
            return self.take(self.number(lengths[code - 0xC4]))
        if 0xD9 <= code <= 0xDB:
            return self.take(self.number(lengths[code - 0xD9])).decode()
        if code in (0xCA, 0xCB):
            return self.number(">f" if code == 0xCA else ">d")
        if code in (0xDC, 0xDD):
            return self.many(self.number(lengths[code - 0xDB]))
        if code in (0xDE, 0xDF):
            return self.pairs(self.number(lengths[code - 0xDD]))
        raise ValueError(f"no value begins with {code:#x}")


def unpackb(data):
    """The one value in these bytes."""
    reader = Reader(data)
    value = reader.value()
    if reader.at != len(data):
        raise ValueError("something follows")
    return value
