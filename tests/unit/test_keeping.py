"""What becomes of the pictures of a purchase: where they are saved, for whom, and what is said if they are not."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.support.fakes import OTHER_URL, URL, FakeAttempt, FakeGateway, FakeStore

from blockrun_image.attempts import AttemptState, AttemptStatus, CallInfo, Order
from blockrun_image.catalog import Catalog
from blockrun_image.errors import InvalidRequestError
from blockrun_image.fixed_ports import FixedPorts
from blockrun_image.images import Image, ImageArguments, ImagesResponse, SavedPicture
from blockrun_image.keeping import Saving
from blockrun_image.null_ledger import NullLedger
from blockrun_image.ports import Collected, Reserved
from blockrun_image.results import GeneratedImages
from blockrun_image.timings import CallTimings
from blockrun_image.toolset import ImageToolset
from blockrun_image_mcp.tasks import TaskSupervisor

pytestmark = pytest.mark.anyio

TWO = (Image(URL), Image(OTHER_URL))
QUICK = CallTimings(join_seconds=0.0, saving_seconds=0.05)
PATIENT = CallTimings(join_seconds=0.0)


class SlowFetches(FakeGateway):
    """Hands pictures out once it may."""

    def __init__(self, *images: Image) -> None:
        super().__init__(*images, charged="0.042")
        self.gate = anyio.Event()

    async def fetch(self, url: str) -> bytes:
        picture = await super().fetch(url)
        await self.gate.wait()
        return picture


class OneAttempt(NullLedger):
    """Has the second call collect the attempt of the first one."""

    attempt: FakeAttempt | None = None

    async def begin(self, call: CallInfo, order: Order | None) -> Any:
        if self.attempt is not None:
            return Collected(self.attempt)
        assert order is not None
        response = ImagesResponse([Image(URL)])
        self.attempt = FakeAttempt(order.request, *[AttemptStatus(AttemptState.SETTLED, response=response)] * 9)
        return Reserved(self.attempt)


def toolset(catalog: Catalog, gateway: FakeGateway, store: FakeStore, *, keeps: bool = True) -> ImageToolset:
    return ImageToolset(catalog, ports=FixedPorts(gateway, NullLedger(), store, keeps_pictures=keeps))


@asynccontextmanager
async def supervised(
    catalog: Catalog, gateway: FakeGateway, store: FakeStore, timings: CallTimings = QUICK
) -> AsyncGenerator[ImageToolset]:
    async with TaskSupervisor() as tasks:
        ports = FixedPorts(gateway, NullLedger(), store)
        yield ImageToolset(catalog, ports=ports, run=tasks.run, timings=timings)
        await tasks.drain()


async def bought(tools: ImageToolset, n: int = 1, save_as: str | None = None) -> GeneratedImages:
    return await tools.generate_image("a fox", "dall-e-3", n=n, save_as=save_as)


async def test_every_picture_is_saved_and_keeps_its_url(catalog: Catalog) -> None:
    store = FakeStore()
    result = await bought(toolset(catalog, FakeGateway(*TWO, charged="0.084"), store), n=2)
    assert [image.url for image in result.images] == [URL, OTHER_URL]
    assert {image.path: (image.url or "").encode() for image in result.images} == store.kept
    assert result.warnings == []


async def test_file_is_told_what_is_known_of_its_picture(catalog: Catalog) -> None:
    store, gateway = FakeStore(), FakeGateway(Image(URL, revised_prompt="A vixen"), Image(OTHER_URL), charged="0.084")
    await bought(toolset(catalog, gateway, store), n=2)
    first, second = store.details.values()
    assert (first.model, first.revised_prompt, str(first.charged_usd)) == ("dall-e-3", "A vixen", "0.042")
    assert "a fox" in first.prompt
    assert second.revised_prompt is None


async def test_pictures_are_only_fetched_for_a_name_if_they_are_not_kept(catalog: Catalog) -> None:
    store, gateway = FakeStore(), FakeGateway(Image(URL))
    tools = toolset(catalog, gateway, store, keeps=False)
    assert [image.path for image in (await bought(tools)).images] == [None]
    assert gateway.fetched == []
    assert [image.path for image in (await bought(tools, save_as="fox.png")).images] == [Path("/pictures/fox.png")]


async def test_names_of_several_pictures_are_numbered(catalog: Catalog) -> None:
    store = FakeStore()
    tools = toolset(catalog, FakeGateway(*TWO), store)
    await bought(tools, n=2, save_as="assets/fox.png")
    await bought(tools, n=2, save_as="{n}/fox.webp")
    names = [path.relative_to("/pictures").as_posix() for path in store.kept]
    assert names == ["assets/fox-1.png", "assets/fox-2.png", "1/fox.webp", "2/fox.webp"]


async def test_picture_that_cannot_be_fetched_keeps_its_url_with_a_warning(catalog: Catalog) -> None:
    lost = f"{URL}?lost"
    result = await bought(toolset(catalog, FakeGateway(Image(lost), Image(OTHER_URL)), FakeStore()), n=2)
    assert [(image.url, image.path is None) for image in result.images] == [(lost, True), (OTHER_URL, False)]
    assert result.warnings == ["Image 1 could not be saved. Its URL has expired."]


async def test_any_failure_to_save_is_a_warning_beside_the_url(catalog: Catalog) -> None:
    class Broken(FakeStore):
        async def save(self, *_: object, **__: object) -> SavedPicture:
            raise RuntimeError("secret")

    result = await bought(toolset(catalog, FakeGateway(Image(URL)), Broken()))
    assert [image.url for image in result.images] == [URL]
    assert result.warnings == ["Image 1 could not be saved (RuntimeError)."]


async def test_file_that_was_removed_is_fetched_again_if_it_has_a_url(catalog: Catalog) -> None:
    store, gateway = FakeStore(), FakeGateway()
    lost, local = Path("/pictures/lost.png"), Path("/pictures/local.png")
    request = catalog.resolve(ImageArguments("a fox", "dall-e-3", n=2))
    images = [Image(URL, lost), Image(local.as_uri(), local)]
    saving = Saving(FixedPorts(gateway, store=store), store, request, None, images, None)
    await saving.run()
    assert gateway.fetched == [URL]
    assert saving.so_far() == ([saving.images[0], images[1]], ["Image 2 could not be saved. Its file was removed."])
    assert store.kept[saving.images[0].path or lost] == URL.encode()
    again = Saving(FixedPorts(gateway, store=store), store, request, None, [saving.images[0]], None)
    await again.run()
    assert (gateway.fetched, again.images) == ([URL], [saving.images[0]])


async def test_full_folder_is_a_warning_unless_the_picture_has_a_name(catalog: Catalog) -> None:
    store, gateway = FakeStore(), FakeGateway(Image(URL))
    store.has_no_room = True
    tools = toolset(catalog, gateway, store)
    assert "its limit is 5 MB" in (await bought(tools)).warnings[0]
    assert gateway.fetched == []
    assert (await bought(tools, save_as="fox.png")).warnings == []


@pytest.mark.parametrize(
    "name", ["..", "../..", "/", "../fox.png", "/etc/fox.png", "fox.exe", ".git/hooks/fox.png", "C:\\fox.png"]
)
async def test_refused_name_costs_nothing(catalog: Catalog, name: str) -> None:
    gateway = FakeGateway(Image(URL))
    with pytest.raises(InvalidRequestError, match="save_as cannot be") as caught:
        await bought(toolset(catalog, gateway, FakeStore()), save_as=name)
    assert (gateway.requests, caught.value.charged) == ([], "no")


async def test_name_is_refused_without_a_folder(catalog: Catalog) -> None:
    gateway = FakeGateway(Image(URL))
    with pytest.raises(InvalidRequestError, match="there is no folder"):
        await ImageToolset(catalog, gateway).generate_image("a fox", "dall-e-3", save_as="fox.png")
    assert gateway.requests == []


async def test_slow_fetch_goes_on_after_the_answer(catalog: Catalog) -> None:
    store, gateway = FakeStore(), SlowFetches(Image(URL))
    async with supervised(catalog, gateway, store) as tools:
        result, kept = await bought(tools), dict(store.kept)
        gateway.gate.set()
    assert ([image.path for image in result.images], kept) == ([None], {})
    assert result.warnings[0].startswith("Image 1 is still being saved in the images folder")
    assert list(store.kept.values()) == [URL.encode()]


async def test_pictures_that_were_saved_in_time_are_told(catalog: Catalog) -> None:
    class OneStuck(SlowFetches):
        async def fetch(self, url: str) -> bytes:
            return await super().fetch(url) if url == OTHER_URL else url.encode()

    store, gateway = FakeStore(), OneStuck(*TWO)
    async with supervised(catalog, gateway, store) as tools:
        result = await bought(tools, n=2)
        gateway.gate.set()
    assert [image.path is None for image in result.images] == [False, True]
    assert result.warnings[0].startswith("Image 2 is still being saved")


async def test_same_call_after_a_cancel_shares_the_fetch_and_the_file(catalog: Catalog) -> None:
    store, gateway, ledger = FakeStore(), SlowFetches(Image(URL)), OneAttempt()
    async with TaskSupervisor() as tasks:
        tools = ImageToolset(catalog, ports=FixedPorts(gateway, ledger, store), run=tasks.run, timings=PATIENT)
        with anyio.move_on_after(0.05):
            await bought(tools, save_as="fox.png")
        async with anyio.create_task_group() as calls:
            calls.start_soon(bought, tools, 1, "fox.png")
            await anyio.sleep(0.05)
            gateway.gate.set()
        await tasks.drain()
    assert (gateway.fetched, [*store.kept]) == ([URL], [Path("/pictures/fox.png")])


async def test_fetch_goes_on_after_its_caller_has_gone(catalog: Catalog) -> None:
    store, gateway = FakeStore(), SlowFetches(Image(URL))
    async with supervised(catalog, gateway, store, PATIENT) as tools:
        with anyio.move_on_after(0.05):
            await bought(tools)
        gateway.gate.set()
    assert list(store.kept.values()) == [URL.encode()]


async def test_joined_calls_share_one_fetch_and_have_a_file_each(catalog: Catalog) -> None:
    store, gateway = FakeStore(), SlowFetches(Image(URL))
    results: list[GeneratedImages] = []

    async def call(tools: ImageToolset, name: str) -> None:
        results.append(await bought(tools, save_as=name))

    async with supervised(catalog, gateway, store, PATIENT) as tools, anyio.create_task_group() as calls:
        for name in ("a.png", "b.png", "b.png"):
            calls.start_soon(call, tools, name)
            await anyio.sleep(0.01)
        gateway.gate.set()
    assert (len(gateway.requests), gateway.fetched) == (1, [URL])
    assert {path.name for path in store.kept} == {"a.png", "b.png"}
    assert sorted(str(image.path) for result in results for image in result.images) == [
        "/pictures/a.png",
        "/pictures/b.png",
        "/pictures/b.png",
    ]
