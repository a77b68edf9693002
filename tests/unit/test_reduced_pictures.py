import pytest
from PIL import Image as Picture
from PIL import ImageChops, ImageCms, ImageStat
from tests.support.picture_files import animated, encoded, opened, saved, scene

from blockrun_image.errors import StorageError
from blockrun_image_mcp.formats import suffix_of
from blockrun_image_mcp.images.conversion import is_whole, reduced

TYPES = {".jpg": "image/jpeg", ".png": "image/png"}
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "AVIF", "BMP", "TIFF")
NOISE = Picture.effect_noise((256, 256), 200)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("max_pixels", [1, 16, 100, 1_000])
def test_picture_of_every_format_is_reduced(kind: str, max_pixels: int) -> None:
    content, media_type = reduced(encoded(kind, size=(240, 160)), max_pixels, 100_000)
    after = opened(content)
    assert media_type == "image/jpeg" == TYPES[suffix_of(content) or ""]
    assert max(after.size) == min(240, max_pixels)
    assert abs(after.height - after.width * 2 / 3) < 1
    if max_pixels > 16:
        expected = scene(size=(240, 160)).resize(after.size)  # pyright: ignore[reportUnknownMemberType]
        assert max(ImageStat.Stat(ImageChops.difference(after, expected)).mean) < 8


@pytest.mark.parametrize("max_bytes", [1_000, 3_000, 10_000, 30_000, 100_000])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_reduced_picture_has_at_most_so_many_bytes(mode: str, max_bytes: int) -> None:
    noise = NOISE.convert(mode)
    if mode == "RGBA":
        noise.putalpha(NOISE)
    content, media_type = reduced(saved(noise, "PNG"), 256, max_bytes)
    assert len(content) <= max_bytes
    assert media_type == TYPES[suffix_of(content) or ""]


def test_transparent_picture_stays_transparent_if_it_fits() -> None:
    picture = encoded("PNG", "RGBA", size=(240, 160))
    content, media_type = reduced(picture, 120, 100_000)
    assert media_type == "image/png"
    assert opened(content).getchannel("A").getextrema() == (0, 255)
    content, media_type = reduced(picture, 120, 1_500)
    assert media_type == "image/jpeg"
    assert opened(content).getpixel((115, 5)) == (255, 255, 255)


def test_opaque_alpha_is_dropped() -> None:
    picture = scene()
    picture.putalpha(255)
    assert reduced(saved(picture, "PNG"), 40, 100_000)[1] == "image/jpeg"


def test_reduced_picture_is_upright_and_without_metadata() -> None:
    exif = Picture.Exif()
    exif[0x0112], exif[0x8298] = 6, "a secret owner"
    content, _ = reduced(encoded("JPEG", size=(400, 100), exif=exif.tobytes(), comment=b"secret"), 50, 100_000)
    after = opened(content)
    assert after.height == 50
    assert after.width < after.height
    assert b"secret" not in content
    assert after.getpixel((after.width - 2, 2)) == pytest.approx((254, 0, 0), abs=40)  # the red corner has moved


def test_colours_become_those_of_srgb() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
    at = profile.index(b"rXYZ", 132)  # its reds and greens are exchanged
    swapped = profile[:at] + profile[at:].replace(b"rXYZ", b"tXYZ", 1).replace(b"gXYZ", b"rXYZ", 1).replace(
        b"tXYZ", b"gXYZ", 1
    )
    content, _ = reduced(saved(Picture.new("RGB", (40, 40), (200, 10, 10)), "PNG", icc_profile=swapped), 20, 100_000)
    after = opened(content)
    assert "icc_profile" not in after.info
    assert after.getpixel((10, 10)) == pytest.approx((10, 200, 10), abs=6)


@pytest.mark.parametrize("profile", [b"no profile", bytes(16) + b"RGB " + bytes(200), bytes(16) + b"GRAY" + bytes(200)])
def test_unusable_colour_profile_does_not_matter(profile: bytes) -> None:
    for mode in ("RGB", "L", "CMYK"):
        content, _ = reduced(encoded("JPEG", mode, icc_profile=profile), 24, 100_000)
        assert max(opened(content).size) == 24


@pytest.mark.parametrize("size", [(5_000, 1), (1, 5_000), (1, 1), (3, 4_000)])
def test_narrow_picture_keeps_a_pixel(size: tuple[int, int]) -> None:
    after = opened(reduced(saved(Picture.new("RGB", size), "PNG"), 100, 100_000)[0])
    assert min(after.size) == 1
    assert max(after.size) == min(100, max(size))


@pytest.mark.parametrize("max_bytes", [0, 10, 300])
def test_impossible_size_is_an_error(max_bytes: int) -> None:
    with pytest.raises(StorageError, match="bytes are too few"):
        reduced(encoded("PNG"), 48, max_bytes)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_animation_is_reduced_to_its_first_frame(kind: str) -> None:
    content, _ = reduced(animated(kind), 48, 100_000)
    assert max(ImageStat.Stat(ImageChops.difference(opened(content).convert("RGB"), scene())).mean) < 8


@pytest.mark.parametrize("kind", FORMATS)
def test_whole_picture_is_recognised(kind: str) -> None:
    assert is_whole(encoded(kind))
    assert is_whole(encoded(kind, "L"))


def test_jpeg_of_several_pictures_is_whole() -> None:
    assert is_whole(encoded("MPO"))


@pytest.mark.parametrize("content", [b"", b"<svg/>", b"\xff\x0a" + bytes(40), encoded("ICO"), encoded("JPEG2000")])
def test_what_cannot_be_checked_is_not_called_whole(content: bytes) -> None:
    assert not is_whole(content)
