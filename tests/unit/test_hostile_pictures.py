"""Files that are made to exhaust, crash or mislead what decodes them."""

import struct
import warnings
import zlib

import pytest
from tests.support.picture_files import (
    CREDENTIALS_UUID,
    animated,
    converted,
    encoded,
    png_chunk,
    riff,
    with_jpeg_segment,
    with_png_chunks,
    with_provenance,
)

from blockrun_image.errors import StorageError
from blockrun_image_mcp.images.conversion import is_whole, reduced
from blockrun_image_mcp.images.provenance import Provenance, has_content_credentials

KINDS = ("PNG", "JPEG", "WEBP", "GIF", "AVIF", "BMP", "TIFF")
ABOUT = Provenance("google/nano-banana")
PNG, JPEG, WEBP, GIF, AVIF, BMP, TIFF = WHOLE = [encoded(kind) for kind in KINDS]

GIF_FRAME = 13 + (3 << (GIF[10] & 7) + 1)  # behind the palette


def png_of(width: int, height: int, depth: int = 8, colour: int = 2) -> bytes:
    """Return a PNG that claims this size and has few pixels."""
    header = png_chunk(b"IHDR", struct.pack(">LLBBBBB", width, height, depth, colour, 0, 0, 0))
    return PNG[:8] + header + png_chunk(b"IDAT", zlib.compress(bytes(1_000))) + png_chunk(b"IEND")


def jpeg_of(width: int, height: int) -> bytes:
    at = JPEG.index(b"\xff\xc0") + 5
    return JPEG[:at] + struct.pack(">HH", height, width) + JPEG[at + 4 :]


def gif_of(width: int, height: int) -> bytes:
    return GIF[:6] + struct.pack("<HH", width, height) + GIF[10:]


def gif_with_frame_of(width: int, height: int) -> bytes:
    at = GIF_FRAME + 5
    return GIF[:at] + struct.pack("<HH", width, height) + GIF[at + 4 :]


def webp_of(width: int, height: int) -> bytes:
    """Return an animated WEBP with this canvas."""
    return (
        animated("WEBP")[:24]
        + (width - 1).to_bytes(3, "little")
        + (height - 1).to_bytes(3, "little")
        + animated("WEBP")[30:]
    )


def bmp_of(width: int, height: int) -> bytes:
    return BMP[:18] + struct.pack("<ll", width, height) + BMP[26:]


def avif_of(width: int, height: int) -> bytes:
    at = AVIF.index(b"ispe") + 8
    return AVIF[:at] + struct.pack(">LL", width, height) + AVIF[at + 8 :]


def tiff_of(width: int, height: int, tile: tuple[int, int] | None = None, next_at: int = 0) -> bytes:
    """Return a TIFF in grey that claims this size, compressed."""
    pixels = zlib.compress(bytes(1_000))
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1)]
    tags += [(322, 4, 1, tile[0]), (323, 4, 1, tile[1])] if tile else [(278, 4, 1, height)]
    tags += [(324 if tile else 273, 4, 1, 200), (325 if tile else 279, 4, 1, len(pixels))]
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHLL", *tag) for tag in sorted(tags))
    return (b"II*\0" + struct.pack("<L", 8) + directory + struct.pack("<L", next_at)).ljust(200, b"\0") + pixels


TOO_LARGE = {
    "png of 65,535": png_of(65_535, 65_535),
    "png just above the limit": png_of(8_193, 8_192),
    "png in black and white": png_of(100_000, 1_000, 1, 0),
    "png with 16 bits": png_of(10_000, 10_000, 16, 6),
    "png of the largest size": png_of(2**31 - 1, 2**31 - 1),
    "png of one line": png_of(2**31 - 1, 1),
    "jpeg of 65,500": jpeg_of(65_500, 65_500),
    "jpeg just above the limit": jpeg_of(8_193, 8_192),
    "gif of 65,535": gif_of(65_535, 65_535),
    "gif just above the limit": gif_of(8_193, 8_192),
    "gif with a frame of 65,535": gif_with_frame_of(65_535, 65_535),
    "gif with a frame above the limit": gif_with_frame_of(8_193, 8_192),
    "webp of 16,384": webp_of(16_384, 16_384),
    "webp of 65,535": webp_of(65_535, 65_535),
    "webp just above the limit": webp_of(8_193, 8_192),
    "avif of 65,535": avif_of(65_535, 65_535),
    "bmp of 65,535": bmp_of(65_535, 65_535),
    "bmp of the largest size": bmp_of(2**31 - 1, 2**31 - 1),
    "bmp upside down": bmp_of(65_535, -65_535),
    "tiff of 65,535": tiff_of(65_535, 65_535),
    "tiff of the largest size": tiff_of(2**32 - 1, 2**32 - 1),
    "tiff with a huge tile": tiff_of(16, 16, (13_008, 13_008)),
    "tiff with a wide tile": tiff_of(16, 16_384, (16_384, 16)),
    "jpeg of many scans": jpeg_of(8_192, 8_192)[:-2] + b"\xff\xda\0\x08\1\1\0\0\x3f\0" * 20 + b"\xff\xd9",
}
BOMBS = {
    "png of empty chunks": with_png_chunks(PNG, png_chunk(b"abCd") * 100_000),
    "png of texts": with_png_chunks(PNG, *[png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1_000_000)))] * 70),
    "png with a long text": with_png_chunks(PNG, png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(50_000_000)))),
    "png with a long iTXt": with_png_chunks(PNG, png_chunk(b"iTXt", b"a\0\1\0\0\0" + zlib.compress(bytes(50_000_000)))),
    "png with a long profile": with_png_chunks(PNG, png_chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(50_000_000)))),
    "gif with a comment of small blocks": GIF[:GIF_FRAME] + b"!\xfe" + b"\1a" * 200_000 + b"\0" + GIF[GIF_FRAME:],
    "gif of zeros": GIF[:13] + bytes(1_000_000),
    "jpeg of segments": JPEG[:2] + b"\xff\xe2\0\2" * 200_000 + JPEG[2:],
}
DAMAGED = {
    **{
        f"{kind} cut after {at} %": whole[: len(whole) * at // 100]
        for kind, whole in zip(KINDS, WHOLE, strict=True)
        for at in (30, 60, 90)
    },
    "png of no size": png_of(0, 0),
    "png of no kind": png_of(16, 16, 8, 1),
    "png with a wrong checksum": PNG[:40] + bytes([PNG[40] ^ 1]) + PNG[41:],
    "png without pixels": PNG[:33] + png_chunk(b"IEND"),
    "png with too few pixels": png_of(1_000, 1_000),
    "png signature alone": PNG[:8],
    "jpeg signature alone": b"\xff\xd8\xff",
    "jpeg of no size": jpeg_of(0, 0),
    "jpeg of fill bytes": b"\xff\xd8" + b"\xff" * 10_000,
    "webp of no chunk": riff(b""),
    "webp with a huge chunk": riff(b"VP8 \xff\xff\xff\xff" + bytes(100)),
    "webp of zeros": riff(b"VP8L\x64\0\0\0" + bytes(100)),
    "webp with a false size": b"RIFF\xff\xff\xff\xff" + WEBP[8:100],
    "gif of no frame": GIF[:13],
    "gif signature alone": b"GIF89a",
    "gif with a strange code size": GIF[: GIF_FRAME + 10] + b"\xff" + GIF[GIF_FRAME + 11 :],
    "bmp of no size": bmp_of(0, 0),
    "bmp of negative width": bmp_of(-5, 5),
    "tiff whose directory is its own next": tiff_of(16_000, 16, next_at=8),
    "tiff whose directory is outside": b"II*\0\xff\xff\xff\xff" + bytes(100),
    "tiff of nothing": b"MM\0*\0\0\0\x08\0\0",
    "avif without a picture": AVIF[:40] + bytes(200),
    "avif header alone": b"\0\0\0\x20ftypavif" + bytes(20),
    "html in a jpeg's clothes": b"\xff\xd8\xff<html><script>alert(1)</script>",
    "a script in a gif's clothes": b"GIF89a=1;alert(1)//" + bytes(100),
}
CURIOUS = {
    "png with a huge chunk": PNG[:33] + b"\x7f\xff\xff\xffIDAT" + PNG[41:],
    "jpeg with a short segment": JPEG[:2] + b"\xff\xe1\0\0" + JPEG[2:],
    "png with more pixels than it has room for": PNG[:33]
    + png_chunk(b"IDAT", zlib.compress(bytes(10_000_000)))
    + png_chunk(b"IEND"),
    "png that claims a million frames": with_png_chunks(PNG, png_chunk(b"acTL", struct.pack(">LL", 10**6, 0))),
    "png that claims all frames": with_png_chunks(PNG, png_chunk(b"acTL", struct.pack(">LL", 2**32 - 1, 0))),
    "gif of a million frames": GIF[:-1] + GIF[GIF_FRAME:-1] * (20_000_000 // len(GIF)) + b";",
    "png and zip": PNG + b"PK\x03\x04" + bytes(100),
    "jpeg and php": with_jpeg_segment(JPEG, 0xFE, b"<?php system($_GET['c']); ?>"),
    "jpeg with a false profile": with_jpeg_segment(JPEG, 0xE2, b"ICC_PROFILE\0\xff\xff" + bytes(100)),
    "jpeg with a false MPF": with_jpeg_segment(JPEG, 0xE2, b"MPF\0II*\0\xff\xff\xff\xff"),
    "tiff of itself": tiff_of(16, 16, next_at=8),
}


def outcomes(picture: bytes) -> list[str]:
    """Return the words of the errors of all that can be done with a picture; another error is a failure."""
    with_provenance(picture, ABOUT)
    has_content_credentials(picture)
    errors: list[str] = []
    with warnings.catch_warnings(action="ignore"):
        for do in (
            lambda: reduced(picture, 64, 100_000),
            *(lambda suffix=suffix: converted(picture, suffix, ABOUT) for suffix in (".png", ".jpg", ".webp")),
        ):
            try:
                do()
            except StorageError as error:
                errors.append(error.message)
    assert all(len(error) < 200 and error.isprintable() for error in errors)
    return errors


def attempts(picture: bytes) -> int:
    """Return how many of the four outcomes need the picture to be decoded."""
    return 4 if not picture.startswith((b"\x89PNG", b"\xff\xd8\xff", b"RIFF")) else 3


@pytest.mark.parametrize("picture", TOO_LARGE.values(), ids=TOO_LARGE)
def test_huge_picture_is_not_decoded(picture: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        pytest.fail("room was made for its pixels")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load_prepare", fail)
    assert len(outcomes(picture)) == attempts(picture)
    assert not is_whole(picture)


@pytest.mark.parametrize("picture", BOMBS.values(), ids=BOMBS)
def test_bomb_is_refused(picture: bytes) -> None:
    assert len(outcomes(picture)) == attempts(picture)
    assert not is_whole(picture)


@pytest.mark.parametrize("picture", DAMAGED.values(), ids=DAMAGED)
def test_damaged_picture_is_refused(picture: bytes) -> None:
    assert len(outcomes(picture)) == attempts(picture)
    assert not is_whole(picture)


@pytest.mark.parametrize("picture", CURIOUS.values(), ids=CURIOUS)
def test_picture_with_strange_additions_is_converted_without_them(picture: bytes) -> None:
    assert outcomes(picture) == []
    for suffix in (".png", ".jpg", ".webp"):
        with warnings.catch_warnings(action="ignore"):
            content, _ = converted(picture, suffix, ABOUT)
        if attempts(picture) == 4 or suffix == ".webp":
            assert len(content) < 10_000
            assert b"php" not in content


@pytest.mark.parametrize("kind", KINDS)
def test_changed_byte_never_raises_another_error(kind: str) -> None:
    whole = WHOLE[KINDS.index(kind)] + CREDENTIALS_UUID
    for at in range(0, min(len(whole), 600), 7):
        outcomes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])


def test_png_with_a_wrong_checksum_is_not_whole() -> None:
    checksum = len(PNG) - 16  # of the pixels
    assert not is_whole(PNG[:checksum] + bytes(4) + PNG[checksum + 4 :])


def test_error_says_what_is_wrong() -> None:
    with pytest.raises(StorageError, match=r"^A picture of 65,535 x 65,535 pixels is too large to be decoded"):
        converted(TOO_LARGE["gif of 65,535"], ".png", ABOUT)
    with pytest.raises(StorageError, match="so many parts"):
        converted(BOMBS["jpeg of segments"], ".png", ABOUT)
    with pytest.raises(StorageError, match=r"could not be converted to JPEG: .*truncated"):
        converted(PNG[:-40], ".jpg", ABOUT)
