import json
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import ImageChops
from tests.support.picture_files import (
    CREDENTIALS_UUID,
    animated,
    encoded,
    opened,
    png_chunk,
    riff,
    with_credentials,
    with_jpeg_segment,
    with_png_chunks,
    with_provenance,
    with_webp_chunk,
)

from blockrun_image_mcp.images.provenance import Provenance, has_content_credentials

EXIFTOOL = shutil.which("exiftool")
MODEL = Provenance("google/nano-banana")
FULL = Provenance("openai/dall-e-3", prompt="a fox", revised_prompt="a red fox", cost_usd="0.04")
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
EXTENSION = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
XMP_KEY = b"XML:com.adobe.xmp\0\0\0\0\0"
XMP_NAMESPACE = b"http://ns.adobe.com/xap/1.0/\0"

PICTURES = {
    "png": encoded("PNG"),
    "png with palette": encoded("PNG", "P"),
    "png with 16 bits": encoded("PNG", "I;16"),
    "png animated": animated("PNG"),
    "jpeg": encoded("JPEG"),
    "jpeg progressive": encoded("JPEG", progressive=True),
    "jpeg in grey": encoded("JPEG", "L"),
    "jpeg with EXIF": encoded("JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"),
    "webp": encoded("WEBP"),
    "webp of an odd size": encoded("WEBP", size=(47, 31)),
    "webp lossless": encoded("WEBP", lossless=True),
    "webp lossless with alpha": encoded("WEBP", "RGBA", lossless=True),
    "webp with alpha": encoded("WEBP", "RGBA"),
    "webp with profile": encoded("WEBP", icc_profile=b"a profile of odd length"),
    "webp animated": animated("WEBP"),
}
ALL = pytest.mark.parametrize("picture", PICTURES.values(), ids=PICTURES)


def fields(picture: bytes) -> dict[str, str]:
    """Return the texts of a picture's XMP, as Pillow finds it, by their names without namespaces."""
    packet = opened(picture).info["xmp"]
    assert isinstance(packet, bytes)
    description = ElementTree.fromstring(packet).find(f"{RDF}RDF/{RDF}Description")
    assert description is not None
    return {each.tag.partition("}")[2]: "".join(each.itertext()) for each in description}


@ALL
def test_picture_says_that_a_model_made_it(picture: bytes) -> None:
    assert fields(with_provenance(picture, FULL)) == {
        "DigitalSourceType": SOURCE_TYPE,
        "AISystemUsed": "openai/dall-e-3",
        "AIPromptInformation": "a fox\nRevised prompt: a red fox",
        "CreatorTool": "blockrun-image-mcp",
        "UserComment": "Cost: 0.04 USD",
    }


@ALL
def test_pixels_and_frames_stay_as_they_are(picture: bytes) -> None:
    before, after = opened(picture), opened(with_provenance(picture, FULL))
    assert (after.mode, after.size) == (before.mode, before.size)
    assert (after.info.get("exif"), after.info.get("icc_profile")) == (
        before.info.get("exif"),
        before.info.get("icc_profile"),
    )
    assert getattr(after, "n_frames", 1) == getattr(before, "n_frames", 1)
    assert ImageChops.difference(after.convert("RGBA"), before.convert("RGBA")).getbbox(alpha_only=False) is None


@ALL
def test_original_bytes_stay_in_their_order(picture: bytes) -> None:
    after = with_provenance(picture, MODEL)
    added = len(after) - len(picture)
    if picture.startswith(b"RIFF"):  # only the sizes and flags at the beginning differ
        chunks = picture[30 if picture[12:16] == b"VP8X" else 12 :]
        assert after[30 : 30 + len(chunks)] == chunks
    else:
        at = next(at for at in range(len(picture)) if picture[at] != after[at])
        assert after[:at] + after[at + added :] == picture


def test_only_what_is_given_is_written() -> None:
    assert set(fields(with_provenance(PICTURES["png"], MODEL))) == {"DigitalSourceType", "AISystemUsed", "CreatorTool"}
    revised = Provenance("m", revised_prompt="a red fox")
    assert fields(with_provenance(PICTURES["png"], revised))["AIPromptInformation"] == "Revised prompt: a red fox"


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
@pytest.mark.parametrize(
    ("text", "written"),
    [
        ('</rdf:li> & "<b>" ]]>', '</rdf:li> & "<b>" ]]>'),
        ("two\nlines\0 and \x1b[31m red", "two lines and [31m red"),
        ("\ud800 alone, \ufffe and \u202e turned", "alone, and turned"),
        ('<?xpacket end="w"?>', '<?xpacket end="w"?>'),
        ("ein Füchslein 狐狸 🦊", "ein Füchslein 狐狸 🦊"),
    ],
)
def test_texts_are_data(kind: str, text: str, written: str) -> None:
    about = Provenance(text, prompt=text, cost_usd=text)
    found = fields(with_provenance(PICTURES[kind], about))
    assert (found["AISystemUsed"], found["AIPromptInformation"]) == (written, written)
    assert found["UserComment"].startswith("Cost: ")


@pytest.mark.parametrize("character", ["&", "<", "🦊", "a"])
def test_long_texts_are_cut_to_what_a_jpeg_can_hold(character: str) -> None:
    long = character * 100_000
    found = fields(with_provenance(PICTURES["jpeg"], Provenance(long, long, long, long)))
    assert found["AIPromptInformation"].count(character) > 10_000
    assert len(found["AISystemUsed"]) == 200


@ALL
def test_picture_with_xmp_is_left_alone(picture: bytes) -> None:
    once = with_provenance(picture, MODEL)
    assert with_provenance(once, FULL) == once


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "AVIF", "TIFF"])
def test_signed_picture_is_left_alone(kind: str) -> None:
    signed = with_credentials(kind)
    assert has_content_credentials(signed)
    assert not has_content_credentials(encoded(kind))
    assert with_provenance(signed, FULL) == signed


@pytest.mark.parametrize(
    "signed",
    [
        with_png_chunks(PICTURES["png"], png_chunk(b"caBX")),
        PICTURES["png"][:-12] + png_chunk(b"caBX", b"behind the pixels") + PICTURES["png"][-12:],
        with_png_chunks(PICTURES["png"], png_chunk(b"juNK", b"in a chunk of another name" + CREDENTIALS_UUID)),
        with_webp_chunk(PICTURES["webp animated"], b"C2PA", b""),
        with_jpeg_segment(PICTURES["jpeg with EXIF"], 0xEB, b"JP\0\1\0\0\0\1\0\0\0\1jumb"),
        PICTURES["jpeg"][:-100] + CREDENTIALS_UUID,
    ],
    ids=["empty chunk", "late chunk", "other chunk", "animated", "before EXIF", "cut"],
)
def test_signature_is_found_wherever_it_is(signed: bytes) -> None:
    assert has_content_credentials(signed)
    assert with_provenance(signed, FULL) == signed


def test_other_segments_with_the_same_marker_are_no_signature() -> None:
    picture = with_jpeg_segment(PICTURES["jpeg"], 0xEB, b"HDR_RI ver=11 and more of it")
    assert not has_content_credentials(picture)
    assert fields(with_provenance(picture, MODEL))["AISystemUsed"] == MODEL.model


@pytest.mark.parametrize("kind", ["GIF", "AVIF", "BMP", "TIFF", "ICO", "JPEG2000"])
def test_other_formats_are_left_alone(kind: str) -> None:
    assert with_provenance(encoded(kind), FULL) == encoded(kind)


@pytest.mark.parametrize("content", [b"", b"<svg/>", b"\xff\x0a" + bytes(40), b"RIFF", b"\xff\xd8\xff", b"{}"])
def test_what_is_no_picture_is_left_alone(content: bytes) -> None:
    assert with_provenance(content, FULL) == content


VP8X = b"VP8X\x0a\0\0\0\0\0\0\0"
DAMAGED = {
    "png cut": PICTURES["png"][:-13],
    "png without header": PICTURES["png"][:8] + PICTURES["png"][33:],
    "png signature alone": PICTURES["png"][:8],
    "png with a huge length": PICTURES["png"][:33] + b"\xff\xff\xff\xffIDAT" + PICTURES["png"][41:],
    "png of endless chunks": with_png_chunks(PICTURES["png"], png_chunk(b"abCd") * 20_001),
    "jpeg without pixels": PICTURES["jpeg"][: PICTURES["jpeg"].index(b"\xff\xda")],
    "jpeg with a short length": with_jpeg_segment(PICTURES["jpeg"], 0xE2, b"")[:4] + b"\0\0" + PICTURES["jpeg"][2:],
    "jpeg with a huge length": PICTURES["jpeg"][:2] + b"\xff\xe2\xff\xff" + PICTURES["jpeg"][2:],
    "jpeg of endless segments": PICTURES["jpeg"][:2] + b"\xff\xe2\0\2" * 20_001 + PICTURES["jpeg"][2:],
    "jpeg of fill bytes": b"\xff\xd8" + b"\xff" * 100,
    "jpeg out of step": PICTURES["jpeg"][:2] + b"\0" + PICTURES["jpeg"][2:],
    "webp cut": PICTURES["webp"][:-10],
    "webp with a huge chunk": riff(b"VP8 \xff\xff\xff\xff" + bytes(40)),
    "jpeg with another byte for a marker": PICTURES["jpeg"].replace(b"\xff\xdb", b"\xfe\xdb", 1),
    "webp whose chunk is longer than itself": riff(PICTURES["webp"][12:-10])[:12] + PICTURES["webp"][12:],
    "webp with a huge size": b"RIFF\xff\xff\xff\xffWEBP" + PICTURES["webp"][12:],
    "webp with no chunk": riff(b""),
    "webp of another kind": riff(b"VP9 \x0a\0\0\0" + bytes(10)),
    "webp with no start code": riff(b"VP8 \x0a\0\0\0" + bytes(10)),
    "webp with an empty frame": riff(b"VP8 \0\0\0\0"),
    "webp of no width": riff(b"VP8 \x0a\0\0\0" + b"\0\0\0\x9d\x01\x2a" + bytes(4)),
    "webp with half a number": riff(PICTURES["webp"][12:] + b"XMP"),
    "webp of endless chunks": riff(PICTURES["webp"][12:] + b"abcd\0\0\0\0" * 20_001),
    "webp with a short VP8X": riff(b"VP8X\0\0\0\0")[:20],
}


@pytest.mark.parametrize("picture", DAMAGED.values(), ids=DAMAGED)
def test_damaged_picture_is_left_alone(picture: bytes) -> None:
    assert with_provenance(picture, FULL) == picture


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "webp animated"])
def test_bytes_behind_the_picture_are_kept(kind: str) -> None:
    after = with_provenance(PICTURES[kind] + b"what follows", MODEL)
    assert after.endswith(b"what follows")
    assert fields(after)["AISystemUsed"] == MODEL.model


def test_xmp_of_a_jpeg_follows_what_readers_expect_first() -> None:
    after = with_provenance(PICTURES["jpeg with EXIF"], MODEL)
    assert after.index(b"JFIF") < after.index(b"Exif\0\0") < after.index(XMP_NAMESPACE) < after.index(b"\xff\xdb")


def test_xmp_of_a_png_stands_before_the_pixels() -> None:
    after = with_provenance(PICTURES["png animated"], MODEL)
    assert after.index(b"IHDR") < after.index(XMP_KEY) < after.index(b"IDAT")


@pytest.mark.parametrize(
    ("kind", "flags"), [("webp", 0x04), ("webp lossless", 0x04), ("webp lossless with alpha", 0x14)]
)
def test_webp_announces_xmp_and_alpha(kind: str, flags: int) -> None:
    after = with_provenance(PICTURES[kind], MODEL)
    assert (after[12:16], after[20], after[24:30]) == (b"VP8X", flags, b"\x2f\0\0\x1f\0\0")


@pytest.mark.skipif(EXIFTOOL is None, reason="exiftool is not installed")
@ALL
def test_exiftool_reads_the_same(picture: bytes, tmp_path: Path) -> None:
    (tmp_path / "picture").write_bytes(with_provenance(picture, FULL))
    command = [EXIFTOOL or "", "-j", "-n", "-validate", "-warning", "-XMP:all", "-error", str(tmp_path / "picture")]
    [read] = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=30).stdout)
    assert read["DigitalSourceType"] == SOURCE_TYPE
    assert read["AISystemUsed"] == "openai/dall-e-3"
    assert read["AIPromptInformation"] == "a fox\nRevised prompt: a red fox"
    assert read["UserComment"] == "Cost: 0.04 USD"
    assert "Error" not in read
