"""Answers that were paid for and cannot be used."""

import anyio
import pytest
from tests.support.fakes import URL, FailingGateway, FakeGateway, FakeLedger, FakeStore, SendingGateway
from tests.support.purchases import PRICE, made, purchase

from blockrun_image.catalog import Catalog
from blockrun_image.errors import Answer, Charged, GatewayError, OutcomeUnknownError, StorageError
from blockrun_image.file_names import SaveAs
from blockrun_image.images import Image, ImagesResponse, PictureDetails, SavedPicture
from blockrun_image.toolset import ImageToolset
from blockrun_image_mcp.ledger.ledger import Ledger

pytestmark = pytest.mark.anyio


def unusable(charged: Charged) -> OutcomeUnknownError:
    error = OutcomeUnknownError("It is no picture.", charged=charged)
    error.raw = b"<html>"
    return error


@pytest.mark.parametrize("charged", ["yes", "unknown"])
async def test_unusable_answer_is_saved_as_received(charged: Charged) -> None:
    ledger, store = FakeLedger(), FakeStore()
    with pytest.raises(OutcomeUnknownError) as caught:
        await made(purchase(ledger, FailingGateway(unusable(charged)), store=store))
    assert caught.value.message == "It is no picture. The answer is saved unchanged: /pictures/1.bin"
    assert [*store.kept.values()] == [b"<html>"]
    assert ledger.notes[-1][0] == ("settled" if charged == "yes" else "unknown")


@pytest.mark.parametrize("charged", ["yes", "unknown"])
async def test_attempt_list_names_the_file_of_an_unusable_answer(ledger: Ledger, charged: Charged) -> None:
    with pytest.raises(OutcomeUnknownError):
        await made(purchase(ledger, FailingGateway(unusable(charged)), store=FakeStore()))
    (entry,) = await ledger.recent(9)
    kept = "It is no picture. The answer is saved unchanged: /pictures/1.bin"
    assert (entry.state, entry.to_dict()["warnings"]) == ("settled" if charged == "yes" else "unknown", [kept])
    assert entry.to_text().endswith(f"\n  {kept}")


async def test_error_and_attempt_list_name_the_request_id_of_an_unusable_answer(ledger: Ledger) -> None:
    error = unusable("unknown")
    error.answer = Answer(request_id="req_7")
    with pytest.raises(OutcomeUnknownError) as caught:
        await made(purchase(ledger, FailingGateway(error), store=FakeStore()))
    assert "It is no picture. The gateway's request id is req_7. The answer is" in caught.value.message
    assert [entry.warnings for entry in await ledger.recent(9)] == [[caught.value.message]]


async def test_attempt_list_names_the_file_of_a_picture_that_cannot_be_saved(ledger: Ledger) -> None:
    gateway = SendingGateway(Image(data=b"lost"), charged="0.042")
    with pytest.raises(StorageError):
        await made(purchase(ledger, gateway, store=FakeStore()))
    (entry,) = await ledger.recent(9)
    assert (entry.state, entry.warnings) == ("settled", ["The disk is full. It is kept unchanged: /pictures/1.bin"])


async def test_answer_that_cannot_be_saved_is_reported_as_lost() -> None:
    with pytest.raises(OutcomeUnknownError) as caught:
        await made(purchase(FakeLedger(), FailingGateway(unusable("yes")), store=FakeStore(is_full=True)))
    assert caught.value.message == "It is no picture. The disk is full."


async def test_answer_is_not_saved_without_a_store() -> None:
    with pytest.raises(OutcomeUnknownError, match=r"It is no picture\.$"):
        await made(purchase(FakeLedger(), FailingGateway(unusable("yes"))))


async def test_rest_of_a_partly_used_answer_is_saved() -> None:
    class Partly(FakeGateway):
        async def generate(self, *_: object, **__: object) -> ImagesResponse:
            await anyio.lowlevel.checkpoint()
            return ImagesResponse([Image(URL)], PRICE, raw=b"{}")

    store = FakeStore()
    response = await made(purchase(FakeLedger(), Partly(), store=store))
    assert response.warnings[0].endswith("could not be used. The answer is saved unchanged: /pictures/1.bin")
    assert [*store.kept.values()] == [b"{}"]


async def test_unwritable_folder_is_detected_before_sending() -> None:
    gateway, ledger = FakeGateway(Image(URL)), FakeLedger()
    with pytest.raises(StorageError) as caught:
        await made(purchase(ledger, gateway, store=FakeStore(is_readonly=True)))
    assert (caught.value.charged, gateway.requests, ledger.notes[-1]) == ("no", [], ("released",))


async def test_refusal_with_an_open_payment_is_released_to_be_held() -> None:
    error = GatewayError("Refused.", charged="unknown")
    error.is_payment_open = True
    ledger = FakeLedger()
    with pytest.raises(GatewayError):
        await made(purchase(ledger, FailingGateway(error)))
    assert ledger.notes[-1] == ("released",)


async def test_picture_that_cannot_be_saved_causes_a_warning(catalog: Catalog) -> None:
    gateway = FakeGateway(Image(data=b"lost"), Image(URL), charged="0.084")
    toolset = ImageToolset(catalog, gateway, FakeStore(is_full=True))
    result = await toolset.generate_image("a cat", "dall-e-3", n=2)
    assert result.warnings[0] == "The disk is full. It could not be kept."


async def test_warning_gives_both_reasons_if_a_picture_can_be_neither_saved_nor_kept(catalog: Catalog) -> None:
    class Choosy(FakeStore):
        async def save(self, picture: bytes, details: PictureDetails, name: SaveAs | None = None) -> SavedPicture:
            await anyio.lowlevel.checkpoint()
            raise StorageError("Its format is unknown.")

    gateway = FakeGateway(Image(data=b"odd"), Image(URL), charged="0.084")
    result = await ImageToolset(catalog, gateway, Choosy(is_full=True)).generate_image("a cat", "dall-e-3", n=2)
    assert result.warnings[0] == "Its format is unknown. The disk is full. It could not be kept."


async def test_unchecked_picture_is_reported() -> None:
    gateway = FakeGateway(Image(data=b"png"), Image(data=b"unchecked"))
    response = await made(purchase(FakeLedger(), gateway, store=FakeStore()))
    assert [each.path is not None for each in response.images] == [True, True]
    assert "Image 2: It was saved as PNG, and not checked to be whole." in response.warnings
