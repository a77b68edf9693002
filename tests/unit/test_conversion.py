import os
import random
import subprocess
import sys
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image as Picture
from PIL import ImageChops, ImageCms, ImageStat
from PIL.Image import Image, Transpose
from tests.support.picture_files import (
    animated,
    converted,
    encoded,
    opened,
    png_chunk,
    saved,
    scene,
    with_credentials,
    with_png_chunks,
    with_provenance,
)
from tests.support.platforms import only_on_linux

from blockrun_image.errors import StorageError
from blockrun_image_mcp.formats import suffix_of
from blockrun_image_mcp.images import conversion
from blockrun_image_mcp.images.provenance import Provenance

ABOUT = Provenance("google/nano-banana", prompt="a fox")
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
SUFFIXES = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp"}
WHITE_HALF = "Its transparent parts became white, because JPEG has no transparency."

SOURCES = {
    "PNG": encoded("PNG"),
    "PNG with alpha": encoded("PNG", "RGBA"),
    "PNG grey with alpha": encoded("PNG", "LA"),
    "PNG grey": encoded("PNG", "L"),
    "PNG black and white": encoded("PNG", "1"),
    "PNG palette": encoded("PNG", "P"),
    "PNG interlaced": encoded("PNG", interlace=1),
    "JPEG": encoded("JPEG"),
    "JPEG grey": encoded("JPEG", "L"),
    "JPEG progressive": encoded("JPEG", progressive=True),
    "WEBP": encoded("WEBP"),
    "WEBP lossless": encoded("WEBP", lossless=True),
    "WEBP with alpha": encoded("WEBP", "RGBA"),
    "GIF": encoded("GIF"),
    "GIF grey": encoded("GIF", "L"),
    "AVIF": encoded("AVIF"),
    "AVIF with alpha": encoded("AVIF", "RGBA"),
    "BMP": encoded("BMP"),
    "TIFF": encoded("TIFF"),
    "TIFF with alpha": encoded("TIFF", "RGBA"),
    "TIFF compressed": encoded("TIFF", compression="tiff_lzw"),
}
PAIRS = [
    pytest.param(picture, kind, id=f"{name} to {kind}")
    for name, picture in SOURCES.items()
    for kind in SUFFIXES
    if name.split()[0] != kind
]


def differences(one: Image, other: Image) -> list[float]:
    """Return how far apart the visible pixels of two pictures are, on average, in each channel."""
    on_grey = [
        Picture.alpha_composite(Picture.new("RGBA", each.size, "grey"), each.convert("RGBA")) for each in (one, other)
    ]
    return ImageStat.Stat(ImageChops.difference(*on_grey)).mean


def on_white(picture: Image) -> Image:
    return Picture.alpha_composite(Picture.new("RGBA", picture.size, "white"), picture.convert("RGBA"))


@pytest.mark.parametrize(("picture", "kind"), PAIRS)
def test_picture_of_every_format_is_converted(picture: bytes, kind: str) -> None:
    content, warning = converted(picture, SUFFIXES[kind], ABOUT)
    before, after = opened(picture), opened(content)
    assert (after.format, after.size) == (kind, before.size)
    assert suffix_of(content) == SUFFIXES[kind]
    assert ABOUT.model.encode() in after.info["xmp"]
    is_white = kind == "JPEG" and before.has_transparency_data
    assert (warning or "").endswith(WHITE_HALF) == is_white
    found = differences(on_white(before) if is_white else before, after)
    assert max(found) <= (0 if kind == "PNG" else 8), found


@pytest.mark.parametrize("kind", SUFFIXES)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_picture_in_that_format_is_not_encoded_again(kind: str, mode: str) -> None:
    picture = encoded(kind, mode)
    assert converted(picture, SUFFIXES[kind], ABOUT) == (with_provenance(picture, ABOUT), None)


@pytest.mark.parametrize("kind", SUFFIXES)
def test_damaged_or_signed_picture_in_that_format_stays_as_it_is(kind: str) -> None:
    for picture in (encoded(kind)[:-30], with_credentials(kind), animated(kind) if kind != "JPEG" else encoded("MPO")):
        assert converted(picture, SUFFIXES[kind], ABOUT) == (with_provenance(picture, ABOUT), None)


@pytest.mark.parametrize(
    "picture",
    [
        encoded("PNG", "RGBA"),
        encoded("PNG", "LA"),
        encoded("WEBP", "RGBA", lossless=True),
        encoded("PNG", "P", transparency=scene("P").getpixel((0, 0))),
        encoded("PNG", "P", transparency=bytes(range(256))),
        encoded("PNG", "RGB", transparency=(255, 0, 0)),
        encoded("PNG", "L", transparency=76),
        encoded("GIF", transparency=0),
    ],
    ids=["RGBA", "LA", "WEBP", "one colour", "half transparent colours", "RGB key", "grey key", "GIF"],
)
def test_transparency_becomes_white_in_jpeg_and_is_kept_elsewhere(picture: bytes) -> None:
    content, warning = converted(picture, ".jpg", ABOUT)
    assert warning is not None
    assert warning.endswith(f"to JPEG. {WHITE_HALF}")
    assert max(differences(on_white(opened(picture)), opened(content))) < 8
    for suffix in {".png", ".webp"} - {suffix_of(picture)}:
        kept, warning = converted(picture, suffix, ABOUT)
        assert warning is None
        alphas = [opened(each).convert("RGBA").getchannel("A") for each in (picture, kept)]
        assert ImageChops.difference(*alphas).getbbox() is None


def test_opaque_alpha_is_dropped_without_a_warning() -> None:
    picture = scene()
    picture.putalpha(255)
    for suffix in (".jpg", ".webp"):
        content, warning = converted(saved(picture, "PNG"), suffix, ABOUT)
        assert (opened(content).mode, warning) == ("RGB", None)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "AVIF", "TIFF"])
def test_first_frame_of_an_animation_is_kept_with_a_warning(kind: str) -> None:
    content, warning = converted(animated(kind), ".jpg", ABOUT)
    assert warning == f"The picture was converted from {kind} to JPEG. Only its first frame was kept."
    assert max(differences(opened(encoded(kind)), opened(content))) < 8


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "AVIF", "GIF"])
def test_loss_of_a_signature_is_told(kind: str) -> None:
    content, warning = converted(with_credentials(kind), ".jpg", ABOUT)
    assert warning is not None
    assert "content credentials (C2PA) were lost" in warning
    assert opened(content).format == "JPEG"


TURNS: list[Callable[[Image], Image]] = [
    lambda picture: picture,
    *(
        (lambda picture, method=method: picture.transpose(method))
        for method in (
            Transpose.FLIP_LEFT_RIGHT,
            Transpose.ROTATE_180,
            Transpose.FLIP_TOP_BOTTOM,
            Transpose.TRANSPOSE,
            Transpose.ROTATE_270,
            Transpose.TRANSVERSE,
            Transpose.ROTATE_90,
        )
    ),
]


def exif(orientation: int) -> bytes:
    written = Picture.Exif()
    written[0x0112] = orientation
    written[0x8298] = "a secret owner"
    return written.tobytes()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG", "TIFF"])
def test_picture_is_turned_as_exif_says(kind: str, orientation: int) -> None:
    source = encoded(kind, exif=exif(orientation))
    suffix = ".webp" if kind == "PNG" else ".png"
    content, _ = converted(source, suffix, ABOUT)
    after = opened(content)
    assert max(differences(TURNS[orientation - 1](opened(encoded(kind))), after)) < (8 if suffix == ".webp" else 0.1)
    assert 0x0112 not in after.getexif()
    assert b"a secret owner" not in content


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize(
    "damaged",
    [
        b"Exif\0\0",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0MM\0*\0\0\0\x08\xff\xff",
        b"Exif\0\0" + b"\xff" * 60,
        b"Exif",
    ],
)
def test_damaged_exif_does_not_stop_a_conversion(damaged: bytes) -> None:
    content, _ = converted(encoded("JPEG", exif=damaged), ".png", ABOUT)
    assert max(differences(opened(encoded("JPEG")), opened(content))) == 0


def test_picture_is_turned_although_the_rest_of_exif_is_damaged() -> None:
    orientation, place = b"\x01\x12\0\3\0\0\0\1\0\6\0\0", b"\x88\x25\0\6\0\0\0\1\xea\0\0\0"  # at a negative offset
    source = encoded("JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\2" + orientation + place + bytes(8))
    after = opened(converted(source, ".png", ABOUT)[0])
    assert max(differences(opened(encoded("JPEG")).transpose(Transpose.ROTATE_270), after)) == 0


@pytest.mark.parametrize(("kind", "suffix"), [("PNG", ".jpg"), ("PNG", ".webp"), ("JPEG", ".png"), ("WEBP", ".jpg")])
def test_colour_profile_is_kept(kind: str, suffix: str) -> None:
    content, _ = converted(encoded(kind, icc_profile=SRGB), suffix, ABOUT)
    assert opened(content).info["icc_profile"] == SRGB


@pytest.mark.parametrize(
    ("picture", "suffix"),
    [
        (encoded("PNG", "L", icc_profile=SRGB), ".jpg"),
        (encoded("JPEG", icc_profile=SRGB[:16] + b"GRAY" + SRGB[20:]), ".png"),
        (encoded("JPEG", "L", icc_profile=SRGB[:16] + b"GRAY" + SRGB[20:]), ".webp"),
        (encoded("JPEG", "CMYK", icc_profile=SRGB[:16] + b"CMYK" + SRGB[20:]), ".png"),
        (encoded("JPEG", icc_profile=b"no profile"), ".png"),
        (encoded("JPEG", icc_profile=SRGB + bytes(1_000_000)), ".png"),
    ],
    ids=["RGB of grey", "grey of RGB", "grey of WEBP", "CMYK", "no profile", "huge"],
)
def test_colour_profile_of_other_pixels_is_dropped(picture: bytes, suffix: str) -> None:
    assert "icc_profile" not in opened(converted(picture, suffix, ABOUT)[0]).info


def test_grey_profile_of_grey_pixels_is_kept() -> None:
    grey = SRGB[:16] + b"GRAY" + SRGB[20:]
    assert opened(converted(encoded("PNG", "L", icc_profile=grey), ".jpg", ABOUT)[0]).info["icc_profile"] == grey


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_cmyk_becomes_rgb(suffix: str) -> None:
    after = opened(converted(encoded("JPEG", "CMYK", quality=95), suffix, ABOUT)[0])
    assert after.mode == "RGB"
    assert max(differences(scene(), after)) < 8


def test_16_bits_become_8_evenly() -> None:
    levels = [0, 255, 256, 32_768, 65_279, 65_535]
    wide = Picture.frombytes("I;16", (6, 1), b"".join(level.to_bytes(2, "little") for level in levels))
    for kind in ("TIFF", "PNG"):
        content, _ = converted(saved(wide, kind), ".webp" if kind == "PNG" else ".png", ABOUT)
        assert opened(content).size == (6, 1)
    narrow = opened(converted(saved(wide, "TIFF"), ".png", ABOUT)[0])
    assert narrow.mode == "L"
    assert list(narrow.tobytes()) == [0, 0, 0, 127, 254, 255]


def test_text_of_the_original_is_not_carried_over() -> None:
    source = with_png_chunks(encoded("PNG"), png_chunk(b"tEXt", b"parameters\0a secret prompt"))
    gif = encoded("GIF", comment=b"a secret prompt")
    for picture in (source, gif, encoded("JPEG", comment=b"a secret prompt", xmp=b"a secret prompt")):
        for suffix in set(SUFFIXES.values()) - {suffix_of(picture)}:
            assert b"secret" not in converted(picture, suffix, ABOUT)[0]


@pytest.mark.parametrize(
    ("picture", "format"),
    [
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', ".svg"),
        (b"\0\0\0\x18ftypheic" + bytes(40), ".heic"),
        (b"\xff\x0a" + bytes(40), ".jxl"),
        (encoded("ICO"), ".ico"),
        (encoded("JPEG2000"), ".jp2"),
        (b"8BPS" + bytes(40), ".psd"),
        (b"not a picture", "unknown"),
        (b"", "unknown"),
    ],
)
@pytest.mark.parametrize("suffix", SUFFIXES.values())
def test_error_names_the_format_that_cannot_be_converted(picture: bytes, format: str, suffix: str) -> None:
    with pytest.raises(StorageError, match=f"in the format {format} cannot be converted"):
        converted(picture, suffix, ABOUT)


@pytest.mark.parametrize(
    ("size", "suffix", "why"),
    [((16_384, 1), ".webp", "to WEBP: .* 16383 pixels"), ((1, 65_536), ".jpg", "to JPEG: ")],
)
def test_error_says_that_a_side_is_too_long_for_the_format(size: tuple[int, int], suffix: str, why: str) -> None:
    with pytest.raises(StorageError, match=why):
        converted(saved(Picture.new("L", size), "PNG"), suffix, ABOUT)


def test_noise_fits_into_every_format() -> None:
    noise = Picture.frombytes("RGB", (1_024, 1_024), random.Random(1).randbytes(3 * 1_024 * 1_024))
    for suffix in (".jpg", ".webp"):
        assert opened(converted(saved(noise, "PNG", compress_level=1), suffix, ABOUT)[0]).size == (1_024, 1_024)


def convert(work: tuple[bytes, str]) -> tuple[bytes, str | None]:
    return converted(*work, ABOUT)


def test_threads_do_not_disturb_one_another() -> None:
    filters = list(warnings.filters)
    work = [(picture, suffix) for picture in SOURCES.values() for suffix in SUFFIXES.values()]
    alone = [convert(each) for each in work]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(convert, work * 3))
    assert together == alone * 3
    assert list(warnings.filters) == filters


def test_pillow_is_loaded_only_when_a_picture_comes() -> None:
    code = "import sys, blockrun_image_mcp.images.conversion; sys.exit('PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=30).returncode == 0


PEAK = """
import os, sys
from pathlib import Path
from blockrun_image_mcp.images.conversion import converted
from blockrun_image_mcp.images.provenance import Provenance

def kilobytes(name):
    return int(next(line for line in open("/proc/self/status") if line.startswith(name)).split()[1])

small, picture = (Path(path).read_bytes() for path in sys.argv[1:3])
converted(small, sys.argv[3], Provenance("m"))  # loads what is needed
Path("/proc/self/clear_refs").write_text("5")  # begin to measure
before = kilobytes("VmRSS")
converted(picture, sys.argv[3], Provenance("m"))
print((kilobytes("VmHWM") - before) * 1024)
"""


def peak_bytes(picture: bytes, suffix: str, folder: Path) -> int:
    """Return the memory that a process needs to convert a picture, beyond that for the picture itself."""
    for name, content in (("small.png", encoded("PNG")), ("picture.png", picture)):
        (folder / name).write_bytes(content)
    arguments = [str(folder / "small.png"), str(folder / "picture.png"), suffix]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    done = subprocess.run([sys.executable, "-c", PEAK, *arguments], env=environment, capture_output=True, check=True)
    return int(done.stdout)


@only_on_linux("the figures of /proc")
@pytest.mark.parametrize(("mode", "suffix", "most"), [("RGB", ".jpg", 7.2), ("RGBA", ".jpg", 10), ("RGB", ".webp", 20)])
def test_large_picture_is_converted_in_little_memory(mode: str, suffix: str, most: float, tmp_path: Path) -> None:
    side = 2_560
    pixels = Picture.frombytes(mode, (side, side), random.Random(1).randbytes(side * side * len(mode)))
    picture = saved(pixels, "PNG", compress_level=1)
    assert peak_bytes(picture, suffix, tmp_path) / side**2 < most


def test_picture_that_the_lean_method_cannot_encode_is_encoded_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = converted(encoded("PNG"), ".webp", ABOUT)
    monkeypatch.setattr(conversion, "_MANY_PIXELS", 1)
    monkeypatch.setattr(conversion, "_LEAN_METHOD", 99)
    assert converted(encoded("PNG"), ".webp", ABOUT) == expected


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_large_picture_is_checked_by_its_end_alone(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversion, "_MAX_CHECKED_BYTES", 0)
    written = BytesIO()
    Picture.effect_noise((300, 200), 50).convert("RGB").save(written, kind)
    picture = written.getvalue()
    assert conversion.is_whole(picture)
    assert not conversion.is_whole(picture[:-20])
    if kind == "PNG":
        assert not conversion.is_whole(picture[:2_000] + b"?" + picture[2_001:])
