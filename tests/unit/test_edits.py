"""Pictures that a call starts from: which, from where, at whose price, and when two calls are the same."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.support.fakes import URL, EarlierCall, FakeGateway, FakeLedger
from tests.support.inputs import FakeReader

from blockrun_image.arguments import check_arguments
from blockrun_image.attempts import Approval, AttemptState, AttemptStatus
from blockrun_image.callers import Caller
from blockrun_image.catalog import Catalog
from blockrun_image.document import Editing
from blockrun_image.editing import with_editing
from blockrun_image.errors import ImageError, InvalidRequestError, SpecError
from blockrun_image.fixed_ports import FixedPorts
from blockrun_image.images import Image, ImageRequest, ImagesResponse, InputPicture
from blockrun_image.ports import NeedsApproval, NothingFound
from blockrun_image.pricing import Estimate
from blockrun_image.results import GeneratedImages
from blockrun_image.schemas import tool_schemas
from blockrun_image.spec import EditOperation
from blockrun_image.timings import CallTimings
from blockrun_image.toolset import ImageToolset

pytestmark = pytest.mark.anyio

SAVED = Image("https://pictures.example/lost.png", id="0123456789ab")


class Ledger(FakeLedger):
    """Knows the pictures of earlier calls."""

    def __init__(self, *last: Image) -> None:
        super().__init__()
        self._last = last

    async def picture(self, id: str) -> Image | None:
        await anyio.lowlevel.checkpoint()
        return next((image for image in (SAVED, *self._last) if image.id == id), None)

    async def last_pictures(self, caller: Caller | None) -> Sequence[Image]:
        await anyio.lowlevel.checkpoint()
        return self._last


@pytest.fixture
def catalog() -> Catalog:
    """Return a catalogue of which two models start from pictures, and one of them takes a mask."""
    contract = Catalog.load()
    catalog = with_editing(contract, contract.spec.edits)
    pro = catalog.models["nano-banana-pro"].model_copy(update={"edits": Editing(max_pictures=1, masks=True)})
    return replace(catalog, models={**catalog.models, "nano-banana-pro": pro})


class Edits:
    """A toolset with files and earlier pictures, and what the gateway was asked for."""

    def __init__(self, catalog: Catalog, *last: Image, ledger: FakeLedger | None = None) -> None:
        self.gateway = FakeGateway(Image(URL))
        self.ledger = ledger or Ledger(*last)
        self.reader = FakeReader({"cat.png": b"cat", "copy.png": b"cat", "dog.png": b"dog"}, {"0123456789ab": b"saved"})
        self.tools = ImageToolset(catalog, ports=FixedPorts(self.gateway, self.ledger, reader=self.reader))

    async def make(self, *images: str, model: str = "nano-banana", **more: Any) -> GeneratedImages:
        return await self.tools.generate_image("Make it blue", model, images=images, **more)

    async def refusal(self, *images: str, **more: Any) -> InvalidRequestError:
        with pytest.raises(InvalidRequestError) as caught:
            await self.make(*images, **more)
        assert not self.gateway.requests
        return caught.value

    @property
    def sent(self) -> Sequence[bytes]:
        return [picture.content for picture in self.gateway.requests[-1].images]


async def test_file_is_sent_as_it_was_made_ready_and_the_result_names_it(catalog: Catalog) -> None:
    edits = Edits(catalog)
    result = await edits.make("cat.png", "dog.png")
    assert edits.sent == [b"ready cat", b"ready dog"]
    assert [limits.max_pictures for limits in edits.reader.limits] == [3, 3]
    assert result.to_dict()["started_from"] == ["/project/cat.png", "/project/dog.png"]
    assert "Started from: /project/cat.png, /project/dog.png" in result.to_text()


async def test_prompt_of_an_edit_is_an_instruction_and_stays_as_it_is(catalog: Catalog) -> None:
    edits = Edits(catalog)
    result = await edits.make("cat.png", lighting="golden hour")
    assert edits.gateway.requests[0].prompt == "Make it blue"
    assert "it says what to change in a picture" in result.to_text()
    assert "lighting was not used" in result.to_text()


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("images://0123456789ab", b"ready saved"),
        ("https://pictures.example/a.png", b"ready https://pictures.example/a.png"),
        ("last", b"ready https://pictures.example/last.png"),
        (" LAST ", b"ready https://pictures.example/last.png"),
    ],
)
async def test_picture_is_found_by_any_of_its_names(catalog: Catalog, name: str, sent: bytes) -> None:
    edits = Edits(catalog, Image("https://pictures.example/last.png"))
    await edits.make(name)
    assert edits.sent == [sent]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("fish.png", "There is no file fish.png"),
        ("images://ba9876543210", "There is no picture images://ba9876543210"),
        ("images://recent", "A picture cannot be named"),
        ("file:///etc/passwd", "A picture cannot be named"),
        ("data:image/png;base64,AAAA", "A picture cannot be named"),
        ("https://pictures.example/a.png\nSaved: /etc", "A picture cannot be named"),
        ("https://pictures.example/\u200b.png", "A picture cannot be named"),
        ("https://", "A picture cannot be named"),
        (f"https://pictures.example/{'a' * 3_000}", "A picture cannot be named"),
        ("https://pictures.example/lost.png", "Its URL has expired"),
        ("last", "There is no last picture"),
    ],
)
async def test_picture_that_is_not_found_costs_nothing(catalog: Catalog, name: str, words: str) -> None:
    edits = Edits(catalog)
    error = await edits.refusal(name)
    assert words in error.message
    assert error.charged == "no"
    assert not [note for note in edits.ledger.notes if note[0] == "reserved"]


async def test_last_of_several_pictures_is_refused_with_their_names(catalog: Catalog) -> None:
    edits = Edits(catalog, SAVED, Image("https://pictures.example/b.png"))
    error = await edits.refusal("last")
    assert "made 2 images" in error.message
    assert [*error.valid_values] == ["images://0123456789ab", "https://pictures.example/b.png"]


@pytest.mark.parametrize(
    ("images", "model", "more", "words"),
    [
        (["cat.png"], "dall-e-3", {}, "dall-e-3 does not start from pictures"),
        (["cat.png"] * 4, "nano-banana", {}, "starts from at most 3 pictures, not 4"),
        (["cat.png"], "nano-banana", {"mask": "dog.png"}, "nano-banana takes no mask"),
        ([], "nano-banana-pro", {"mask": "dog.png"}, "A mask needs exactly one picture"),
        (["cat.png"], "nano-banana", {"quality": "hd"}, "quality"),
    ],
)
async def test_edit_that_the_model_does_not_make_is_refused(
    catalog: Catalog, images: Sequence[str], model: str, more: Any, words: str
) -> None:
    assert words in (await Edits(catalog).refusal(*images, model=model, **more)).message


async def test_without_an_operation_no_model_starts_from_pictures() -> None:
    error = await Edits(Catalog.load()).refusal("cat.png")
    assert (error.message, error.hint) == (
        "nano-banana does not start from pictures.",
        "At this gateway, no model does.",
    )


async def test_mask_is_made_for_the_picture_as_it_is_sent(catalog: Catalog) -> None:
    edits = Edits(catalog)
    await edits.make("cat.png", model="nano-banana-pro", mask="dog.png")
    mask = edits.gateway.requests[0].mask
    assert mask is not None
    assert (mask.content, mask.source) == (b"mask 30x20 dog", "/project/dog.png")


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        (["cat.png"], ["cat.png"], True),
        (["cat.png"], ["copy.png"], True),
        (["cat.png"], ["dog.png"], False),
        (["cat.png", "dog.png"], ["dog.png", "cat.png"], False),
        (["last"], ["LAST"], True),
        (["cat.png"], [], False),
    ],
)
async def test_calls_are_the_same_if_their_files_have_the_same_content(
    catalog: Catalog, one: Sequence[str], other: Sequence[str], is_same: bool
) -> None:
    edits = Edits(catalog, Image("https://pictures.example/last.png"))
    await edits.make(*one)
    first = edits.ledger.calls[-1].key
    await edits.make(*other)
    assert (edits.ledger.calls[-1].key == first) == is_same


async def test_repeated_edit_of_the_last_picture_collects_and_looks_for_no_newer_one(catalog: Catalog) -> None:
    source = InputPicture(hashlib.sha256(b"old").hexdigest(), "/pictures/old.png")
    request = ImageRequest("Make it blue", "nano-banana", "1024x1024", None, 1, images=(source,))
    response = ImagesResponse([Image(URL)], Decimal("0.053"))
    edits = Edits(catalog, ledger=EarlierCall(request, AttemptStatus(AttemptState.SETTLED, response=response)))
    result = await edits.make("last")
    assert not edits.gateway.requests
    assert result.to_dict()["started_from"] == ["/pictures/old.png"]
    assert "nothing more was charged" in result.to_text()


async def test_file_that_is_gone_does_not_keep_anyone_from_pictures_paid_for(catalog: Catalog) -> None:
    request = ImageRequest("Make it blue", "nano-banana", "1024x1024", None, 1)
    response = ImagesResponse([Image(URL)], Decimal("0.053"))
    edits = Edits(catalog, ledger=EarlierCall(request, AttemptStatus(AttemptState.SETTLED, response=response)))
    result = await edits.make("gone.png")
    assert "Today this call would be refused: There is no file gone.png." in result.to_text()


async def test_user_is_asked_about_the_real_files(catalog: Catalog) -> None:
    edits = Edits(catalog)
    edits.ledger._begun.extend([NothingFound(), NeedsApproval(Decimal("0.053"))])  # pyright: ignore[reportPrivateUsage] - what it answers next
    asked: list[ImageRequest] = []

    async def approve(request: ImageRequest, expected: Estimate, needed: NeedsApproval) -> Approval:
        await anyio.lowlevel.checkpoint()
        asked.append(request)
        return Approval("yes", needed.max_usd)

    await edits.make("cat.png", approve=approve)
    assert [picture.source for picture in asked[0].images] == ["/project/cat.png"]
    assert edits.sent == [b"ready cat"]


async def test_edit_costs_what_a_generation_costs(catalog: Catalog) -> None:
    result = await Edits(catalog).make("cat.png")
    assert result.estimate.price_text() == "$0.053"


async def test_toolset_without_a_reader_says_so(catalog: Catalog) -> None:
    tools = ImageToolset(catalog, FakeGateway(Image(URL)), ledger=FakeLedger())
    with pytest.raises(ImageError, match="this toolset reads no pictures"):
        await tools.generate_image("Make it blue", "nano-banana", images=["cat.png"])


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ("cat.png", ["cat.png"]),
        ('["cat.png", "dog.png"]', ["cat.png", "dog.png"]),
        ("[cat.png", ["[cat.png"]),
        (["cat.png", "", "none"], ["cat.png"]),
        ([], None),
        ("", None),
    ],
)
def test_list_of_pictures_may_be_written_as_one_text(catalog: Catalog, written: object, names: object) -> None:
    schema = tool_schemas(catalog)[0]
    checked = check_arguments(schema, {"prompt": "x", "model": "nano-banana", "images": written})
    assert checked.get("images") == names


@pytest.mark.parametrize("written", [3, {"file": "cat.png"}, [3], True])
def test_what_is_no_list_of_texts_is_refused(catalog: Catalog, written: object) -> None:
    schema = tool_schemas(catalog)[0]
    with pytest.raises(InvalidRequestError, match="images must be a list of texts"):
        check_arguments(schema, {"prompt": "x", "model": "nano-banana", "images": written})


async def test_saved_picture_without_a_file_or_a_url_is_refused(catalog: Catalog) -> None:
    error = await Edits(catalog, Image("file:///pictures/gone.png", id="ffffffffffff")).refusal("last")
    assert error.message == "The file of that picture is no longer there."


async def test_picture_that_is_not_found_in_time_costs_nothing(catalog: Catalog) -> None:
    edits = Edits(catalog)

    async def never(content: bytes, limits: Editing) -> Any:
        await anyio.sleep(60)

    edits.reader.ready = never
    edits.tools = ImageToolset(
        catalog,
        timings=CallTimings(call_timeout_seconds=10, send_share=0.01),
        ports=FixedPorts(edits.gateway, edits.ledger, reader=edits.reader),
    )
    assert "could not be fetched in time. Nothing was sent." in (await edits.refusal("cat.png")).message


def test_many_models_that_start_from_pictures_are_not_all_named(catalog: Catalog) -> None:
    editor = catalog.models["nano-banana"]
    many = {f"editor-{number}": editor.model_copy(update={"id": f"editor-{number}"}) for number in range(6)}
    schema = tool_schemas(replace(catalog, models={**catalog.models, **many}))[0]
    assert "Only some models; see list_models." in schema.properties["images"]["description"]


def test_description_says_for_itself_which_models_start_from_pictures(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.json"
    entry = {"provider": "Fox", "sizes": ["64x64"]}
    models = {"one": {**entry, "edits": {"max_pictures": 2}}, "two": entry}
    path.write_text(json.dumps({"x-edits": {"path": "/images/edits"}, "x-models": models}))
    catalog = Catalog.load(path)
    assert [model.id for model in with_editing(catalog, catalog.spec.edits).editors] == ["one"]
    path.write_text(json.dumps({"x-edits": None, "x-models": models}))
    catalog = Catalog.load(path)
    assert catalog.spec.edits is None
    assert not with_editing(catalog, EditOperation("/images/edits")).models["two"].edits
    path.write_text(json.dumps({"x-edits": {"path": "/images/paint"}}))
    with pytest.raises(SpecError, match="there is no path /images/paint"):
        Catalog.load(path)
