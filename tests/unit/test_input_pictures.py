"""Pictures as a model gets them to start from: right, small enough, and with nothing else in them."""

import zlib

import pytest
from PIL import Image as Picture
from PIL import ImageChops, ImageCms, ImageStat, PngImagePlugin
from PIL.Image import Exif, Image
from tests.support.picture_files import (
    animated,
    encoded,
    opened,
    png_chunk,
    saved,
    scene,
    with_jpeg_segment,
    with_png_chunks,
    with_webp_chunk,
)

from blockrun_image.errors import InvalidRequestError
from blockrun_image.ports import ReadyPicture
from blockrun_image_mcp.images.inputs import prepared, prepared_mask

MOST = 4_000_000
SECRET = b"51.5007,-0.1246 SECRET"
TEXT = SECRET.decode()


def ready(content: bytes, max_bytes: int = MOST, max_side: int | None = None) -> ReadyPicture:
    """Return a picture that was made ready, and check what holds for each."""
    made = prepared(content, max_bytes, max_side)
    assert len(made.content) <= max_bytes
    assert SECRET not in made.content
    picture = opened(made.content)
    assert picture.size == (made.width, made.height)
    assert f"image/{(picture.format or '').lower()}" == made.media_type
    assert picture.mode in {"RGB", "RGBA"}
    assert not picture.getexif()
    assert set(picture.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    return made


def difference(one: Image, other: Image) -> int:
    """Return the largest difference of any channel of any pixel."""
    extrema = ImageChops.difference(one.convert("RGB"), other.convert("RGB")).getextrema()
    return max(high for _, high in extrema)  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType, reportUnknownArgumentType] - one pair for each channel


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (encoded("PNG"), "image/png"),
        (encoded("GIF", "P"), "image/png"),
        (encoded("BMP"), "image/png"),
        (encoded("TIFF"), "image/png"),
        (encoded("TIFF", compression="tiff_lzw"), "image/png"),
        (encoded("WEBP", lossless=True), "image/jpeg"),
        (encoded("JPEG", quality=95), "image/jpeg"),
        (encoded("JPEG", progressive=True), "image/jpeg"),
        (encoded("AVIF"), "image/jpeg"),
    ],
)
def test_each_format_becomes_a_png_or_a_jpeg_of_the_same_pixels(content: bytes, media_type: str) -> None:
    made = ready(content)
    assert made.media_type == media_type
    apart = ImageStat.Stat(ImageChops.difference(opened(made.content), opened(content).convert("RGB"))).mean
    assert max(apart) <= (0 if media_type == "image/png" else 4)


@pytest.mark.parametrize("mode", ["1", "L", "P", "I;16", "CMYK", "LA", "RGBA", "RGBX", "YCbCr", "HSV", "LAB", "F"])
def test_each_mode_becomes_plain_colours(mode: str) -> None:
    kind = {"CMYK": "TIFF", "RGBX": "TIFF", "YCbCr": "TIFF", "HSV": "PNG", "LAB": "TIFF", "F": "TIFF"}.get(mode, "PNG")
    picture = scene("RGB").convert("HSV").convert("RGB") if mode == "HSV" else scene(mode)
    made = ready(saved(picture, kind))
    assert opened(made.content).mode == ("RGBA" if mode in {"LA", "RGBA"} else "RGB")


def test_transparent_parts_stay_transparent() -> None:
    made = opened(ready(encoded("PNG", "RGBA")).content)
    assert (made.getpixel((2, 2)), made.getchannel("A").getextrema()) == ((255, 0, 0, 255), (0, 255))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "AVIF", "TIFF"])
def test_first_frame_of_an_animation_is_sent(kind: str) -> None:
    made = ready(animated(kind))
    assert difference(opened(made.content), scene()) <= 110
    assert not getattr(opened(made.content), "is_animated", False)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_picture_is_sent_upright(orientation: int) -> None:
    turns = {
        2: Picture.Transpose.FLIP_LEFT_RIGHT,
        3: Picture.Transpose.ROTATE_180,
        4: Picture.Transpose.FLIP_TOP_BOTTOM,
        5: Picture.Transpose.TRANSPOSE,
        6: Picture.Transpose.ROTATE_270,
        7: Picture.Transpose.TRANSVERSE,
        8: Picture.Transpose.ROTATE_90,
    }
    exif = Exif()
    exif[0x0112] = orientation
    content = saved(scene(), "PNG", exif=exif)
    upright = scene() if orientation == 1 else scene().transpose(turns[orientation])
    assert difference(opened(ready(content).content), upright) == 0


def with_gps() -> bytes:
    exif = Exif()
    exif[0x010E] = TEXT
    exif.get_ifd(0x8825)[0x001D] = TEXT
    return saved(scene(), "JPEG", exif=exif)


def with_thumbnail() -> bytes:
    thumbnail = saved(Picture.new("RGB", (16, 16)), "JPEG", comment=SECRET)
    exif = b"Exif\0\0II*\0\x08\0\0\0\0\0\x0e\0\0\0" + thumbnail
    return with_jpeg_segment(encoded("JPEG"), 0xE1, exif)


def with_text() -> bytes:
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", TEXT)
    text.add_itxt("XML:com.adobe.xmp", TEXT)
    text.add_text("Hidden", TEXT, zip=True)
    return saved(scene(), "PNG", pnginfo=text)


@pytest.mark.parametrize(
    "content",
    [
        with_gps(),
        with_thumbnail(),
        with_text(),
        encoded("JPEG", comment=SECRET),
        encoded("GIF", "P", comment=SECRET),
        encoded("TIFF", description=TEXT, software=TEXT, artist=TEXT),
        encoded("WEBP", xmp=SECRET),
        encoded("PNG") + SECRET,
        encoded("JPEG") + SECRET,
        encoded("GIF", "P") + SECRET,
        encoded("JPEG") + b"PK\3\4" + SECRET,
        encoded("PNG") + b"%PDF-1.7 " + SECRET,
        encoded("JPEG") + b"<?php " + SECRET,
        with_png_chunks(encoded("PNG"), png_chunk(b"prIv", SECRET)),
        with_png_chunks(encoded("PNG"), png_chunk(b"eXIf", b"II*\0\x08\0\0\0\0\0" + SECRET)),
        with_png_chunks(encoded("PNG"), png_chunk(b"tIME", b"\x07\xe9\1\1\1\1\1"), png_chunk(b"iTXt", SECRET)),
        with_jpeg_segment(encoded("JPEG"), 0xE1, b"http://ns.adobe.com/xap/1.0/\0" + SECRET),
        with_jpeg_segment(encoded("JPEG"), 0xED, b"Photoshop 3.0\0" + SECRET),
        with_jpeg_segment(encoded("JPEG"), 0xEB, b"JP\0\1" + SECRET),
        with_webp_chunk(encoded("WEBP"), b"priv", SECRET),
        encoded("PNG", icc_profile=b"\0" * 40 + SECRET),
    ],
)
def test_nothing_but_pixels_is_sent(content: bytes) -> None:
    made = ready(content)
    assert (made.width, made.height) == (48, 32)


def test_colours_of_another_profile_become_those_of_srgb() -> None:
    for space in ("LAB", "sRGB"):
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile(space)).tobytes()  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType] - typed in part
        assert difference(opened(ready(saved(scene(), "PNG", icc_profile=profile)).content), scene()) <= 2


def bomb_of_png(side: int) -> bytes:
    rows = zlib.compress(bytes(1_000_000), 9)
    header = side.to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0"
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", rows) + png_chunk(b"IEND")


def header_of_gif(side: int) -> bytes:
    return (
        b"GIF89a" + side.to_bytes(2, "little") * 2 + b"\0\0\0," + bytes(4) + side.to_bytes(2, "little") * 2 + b"\0\2\0;"
    )


def header_of_bmp(side: int) -> bytes:
    head = b"BM" + (54).to_bytes(4, "little") + bytes(4) + (54).to_bytes(4, "little")
    return head + (40).to_bytes(4, "little") + side.to_bytes(4, "little") * 2 + b"\1\0\x18\0" + bytes(24)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"plain text",
        b"<html><body>an error page</body></html>",
        b'{"error": "expired"}',
        b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaA==\n-----END OPENSSH PRIVATE KEY-----\n",
        b"root:x:0:0:root:/root:/bin/bash\n",
        b"\x7fELF\2\1\1" + bytes(64),
        b"PK\3\4" + bytes(64),
        b"%PDF-1.7\n" + bytes(64),
        b"MZ" + bytes(64),
        b"SQLite format 3\0" + bytes(64),
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"\0\0\0\x18ftypheic" + bytes(64),
        b"\0\0\1\0\1\0" + bytes(64),
        b"8BPS" + bytes(64),
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
        b"P6 10 10 255\n" + bytes(300),
        b"\xd7\xcd\xc6\x9a" + bytes(64),
        b"\x89PNG\r\n\x1a\n",
        b"\x89PNG\r\n\x1a\n" + SECRET * 10,
        b"\xff\xd8\xff" + SECRET * 10,
        b"GIF89a" + SECRET,
        b"BM" + SECRET,
        b"II*\0" + SECRET,
        b"RIFF\x10\0\0\0WEBPVP8 " + SECRET,
        encoded("PNG")[:-40],
        encoded("PNG")[:60],
        encoded("JPEG", size=(480, 320))[:1000],
        encoded("WEBP")[:-30],
        encoded("TIFF")[:200],
        encoded("GIF", "P")[:100],
        encoded("AVIF")[:-50],
        encoded("PNG")[:45] + b"\0\0" + encoded("PNG")[47:],
        bomb_of_png(30_000),
        bomb_of_png(2**31 - 1),
        bomb_of_png(8_000),
        header_of_gif(65_535),
        header_of_bmp(40_000),
        with_png_chunks(encoded("PNG"), *[png_chunk(b"prIv")] * 250_000),
        b"\0" * 1000,
        b"\xff" * 1000,
        bytes(range(256)) * 4,
    ],
    ids=lambda content: repr(content[:12]) if isinstance(content, bytes) else None,
)
def test_what_is_no_whole_picture_is_refused_in_words(content: bytes) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        prepared(content, MOST)
    assert caught.value.message.startswith("A picture to start from cannot be used: ")
    assert caught.value.charged == "no"
    assert "SECRET" not in caught.value.message


@pytest.mark.parametrize("cut", range(20, 3_000, 149))
def test_truncated_picture_is_refused_or_whole(cut: int) -> None:
    content = encoded("PNG", size=(64, 64))[:cut]
    try:
        made = ready(content)
    except InvalidRequestError:
        return
    assert (made.width, made.height) == (64, 64)


def noise(size: tuple[int, int], mode: str = "RGB") -> bytes:
    picture = Picture.effect_noise(size, 90)
    return saved(Picture.merge(mode, [picture] * len(mode)), "PNG")


@pytest.mark.parametrize(("max_bytes", "max_side"), [(100_000, None), (20_000, None), (MOST, 64), (10_000, 300)])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_picture_is_made_smaller_until_it_fits(mode: str, max_bytes: int, max_side: int | None) -> None:
    made = ready(noise((600, 400), mode), max_bytes, max_side)
    assert max(made.width, made.height) <= (max_side or 600)
    assert made.width / made.height == pytest.approx(1.5, rel=0.05)


def test_small_picture_is_not_made_larger() -> None:
    assert (ready(saved(Picture.new("RGB", (1, 1), "red"), "PNG")).width, ready(encoded("PNG")).width) == (1, 48)


def test_large_photo_fits_in_the_limit_without_losing_its_size() -> None:
    photo = saved(scene(size=(3_000, 2_000)), "JPEG", quality=95)
    made = ready(photo)
    assert (made.width, made.height, made.media_type) == (3_000, 2_000, "image/jpeg")


def area_of(mask: bytes) -> set[tuple[int, int]]:
    """Return the pixels to change, and check that both readings of the mask agree."""
    picture = opened(mask)
    assert (picture.format, picture.mode) == ("PNG", "RGBA")
    area: set[tuple[int, int]] = set()
    for x in range(picture.width):
        for y in range(picture.height):
            pixel = picture.getpixel((x, y))
            assert pixel in {(255, 255, 255, 0), (0, 0, 0, 255)}
            if pixel == (255, 255, 255, 0):
                area.add((x, y))
    return area


def drawn(mode: str, rest: object, area: object, size: tuple[int, int] = (8, 4)) -> bytes:
    picture = Picture.new(mode, size, rest)  # pyright: ignore[reportArgumentType] - a colour of any mode
    picture.paste(area, (0, 0, size[0] // 4, size[1] // 2))  # pyright: ignore[reportArgumentType] - as above
    return saved(picture, "PNG")


@pytest.mark.parametrize(
    "mask",
    [
        drawn("L", 0, 255),
        drawn("1", 0, 1),
        drawn("RGB", (0, 0, 0), (255, 255, 255)),
        drawn("RGB", (90, 90, 90), (200, 200, 200)),
        drawn("RGBA", (0, 0, 0, 255), (0, 0, 0, 0)),
        drawn("RGBA", (255, 255, 255, 255), (0, 0, 0, 0)),
        drawn("RGBA", (0, 0, 0, 255), (255, 255, 255, 255)),
        drawn("LA", (0, 255), (0, 0)),
        drawn("L", 0, 255, (16, 8)),
    ],
)
def test_mask_marks_its_area_as_white_and_transparent_at_once(mask: bytes) -> None:
    assert area_of(prepared_mask(mask, (8, 4))) == {(0, 0), (1, 0), (0, 1), (1, 1)}


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (drawn("L", 0, 0), "The mask marks nothing"),
        (drawn("L", 0, 255, (8, 8)), "they need the same shape"),
        (b"no picture", "The mask cannot be used"),
    ],
)
def test_mask_that_cannot_be_used_is_refused(mask: bytes, words: str) -> None:
    with pytest.raises(InvalidRequestError, match=words):
        prepared_mask(mask, (8, 4))


def test_mask_may_mark_everything() -> None:
    assert len(area_of(prepared_mask(drawn("L", 255, 255), (8, 4)))) == 32


def test_cmyk_with_a_profile_and_without_one_have_the_colours_that_are_seen() -> None:
    for content in (saved(scene("CMYK"), "JPEG", quality=95), saved(scene("CMYK"), "TIFF")):
        red = opened(ready(content).content).getpixel((4, 4))
        assert isinstance(red, tuple)
        assert red[0] > 200
        assert max(red[1:]) < 60
