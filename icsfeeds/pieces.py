"""Parts of a calendar, deflated once and joined into plain or gzip bytes for any number of readers."""

import hashlib
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

_LEVEL = 4
_POLYNOMIAL = 0xEDB88320
_TOP = 1 << 31
_GZIP_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
# An empty block that says that it is the last one (RFC 1951 §3.2.3).
_GZIP_LAST = b"\x03\x00"
# More than this is never held as a whole.
JOINED_MOST = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Piece:
    """Some of a calendar's lines. Deflated so that it can stand between any others in one gzip stream.

    zones: which zones it names, in which years. `shift` is what its length does to a CRC-32 before it.
    """

    deflated: bytes
    size: int
    crc: int
    shift: int
    digest: bytes
    zones: tuple[tuple[str, int, int], ...] = ()

    def text(self) -> bytes:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(self.deflated)


def piece(text: bytes, zones: tuple[tuple[str, int, int], ...] = ()) -> Piece:
    """The lines, deflated. A full flush ends on a byte and forgets what was before: what follows refers to nothing."""
    deflater = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    deflated = deflater.compress(text) + deflater.flush(zlib.Z_FULL_FLUSH)
    return Piece(deflated, len(text), zlib.crc32(text), _shift(len(text)), hashlib.sha256(text).digest(), zones)


@dataclass(slots=True)
class Joined:
    """A whole body out of pieces: its tag, both of its lengths, and its bytes in either form."""

    pieces: Sequence[Piece]
    tag: str
    size: int = field(init=False)
    gzip_size: int = field(init=False)
    _plain: bytes | None = None
    _gzip: bytes | None = None

    def __post_init__(self) -> None:
        self.size = sum(one.size for one in self.pieces)
        self.gzip_size = sum(len(one.deflated) for one in self.pieces) + len(_GZIP_HEAD) + len(_GZIP_LAST) + 8

    @property
    def weight(self) -> int:
        """Bytes held, at most."""
        whole = sum(size for size in (self.size, self.gzip_size) if size <= JOINED_MOST)
        return self.gzip_size + whole + 200 * len(self.pieces)

    def whole(self, *, gzipped: bool) -> bytes | None:
        """All bytes; None when they are more than should ever be held."""
        if gzipped:
            if self._gzip is None and self.gzip_size <= JOINED_MOST:
                self._gzip = b"".join(self._gzip_chunks())
            return self._gzip
        if self._plain is None and self.size <= JOINED_MOST:
            self._plain = b"".join(one.text() for one in self.pieces)
        return self._plain

    def chunks(self, *, gzipped: bool) -> Iterator[bytes]:
        """The bytes piece by piece."""
        return self._gzip_chunks() if gzipped else (one.text() for one in self.pieces)

    def _gzip_chunks(self) -> Iterator[bytes]:
        yield _GZIP_HEAD
        crc = 0
        for one in self.pieces:
            crc = _times(one.shift, crc) ^ one.crc
            yield one.deflated
        yield _GZIP_LAST + crc.to_bytes(4, "little") + (self.size & 0xFFFFFFFF).to_bytes(4, "little")


def join(pieces: Sequence[Piece]) -> Joined:
    """The body that these pieces are, in their order. Its tag is a digest of its bytes."""
    digest = hashlib.sha256()
    for one in pieces:
        digest.update(one.digest)
    return Joined(pieces, digest.hexdigest()[:32])


def _times(a: int, b: int) -> int:
    """a · b modulo CRC-32's polynomial; bits are mirrored, so the top one is x⁰ (as in zlib's crc32_combine)."""
    product = 0
    mask = _TOP
    while a:
        if a & mask:
            product ^= b
            a ^= mask
        mask >>= 1
        b = b >> 1 ^ _POLYNOMIAL if b & 1 else b >> 1
    return product


def _powers() -> list[int]:
    """x^(8·2ᵏ) for each k."""
    found = [_TOP >> 8]
    while len(found) < 40:
        found.append(_times(found[-1], found[-1]))
    return found


_POWERS = _powers()


def _shift(size: int) -> int:
    """What `size` bytes do to the CRC-32 of what stands before them: x^(8·size)."""
    found = _TOP
    for power in _POWERS:
        if size & 1:
            found = _times(power, found)
        size >>= 1
        if not size:
            break
    return found
