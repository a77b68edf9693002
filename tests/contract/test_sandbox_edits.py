"""What the sandbox does with edits: on both rails, in both forms, with the money of a generation."""

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.support.edits import FORM_PATH, GPT_IMAGE, JSON_PATH, KEY, Edit, mask_of, picture, shown, uri
from tests.support.payer import decoded, header, signed
from tests.support.picture_files import opened
from tests.support.sandbox import Sandbox, contract

from blockrun_image import Catalog
from blockrun_image_sandbox.server import running_sandbox

FORMS = ("json", "form")
WALLET = "/api/v1"
SAMPLES = {(x, y) for x in range(8, 1024, 16) for y in range(8, 1024, 16)}
"""Places of a picture, none of them at the edge of anything."""


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def paid(sandbox: Sandbox, edit: Edit, form: str) -> dict[str, str]:
    """Return the header of a payment for an edit."""
    quote = edit.post(sandbox, form, WALLET, {})
    return header(signed(decoded(quote.headers["PAYMENT-REQUIRED"])["accepts"][0]))


@pytest.mark.parametrize("prefix", ["/v1", WALLET])
@pytest.mark.parametrize("form", FORMS)
def test_edit_is_charged_once_at_the_price_of_a_generation(sandbox: Sandbox, form: str, prefix: str) -> None:
    answer = Edit().post(sandbox, form, prefix)
    assert (answer.status_code, len(answer.json()["data"])) == (200, 1)
    assert answer.headers["x-blockrun-cost-usd"] == "0.053"
    assert (sandbox.posts, sandbox.charges, sandbox.charged_micro_usd) == (1, 1, 53_000)
    (settlement,) = sandbox.settlements
    assert (settlement["pictures"], settlement["mask"]) == ([digest(picture())], None)
    assert (settlement["model"], settlement["prompt"], settlement["size"]) == (
        "nano-banana",
        "Make it warm",
        "1024x1024",
    )


@pytest.mark.parametrize("form", FORMS)
def test_unpaid_edit_is_a_free_exact_quote_and_its_payment_buys_it_once(sandbox: Sandbox, form: str) -> None:
    edit = Edit(fields={"n": 2})
    quote = edit.post(sandbox, form, WALLET, {})
    challenge = decoded(quote.headers["PAYMENT-REQUIRED"])
    assert (quote.status_code, sandbox.charges) == (402, 0)
    assert challenge["resource"]["url"] == f"{sandbox.origin}{WALLET}{JSON_PATH if form == 'json' else FORM_PATH}"
    assert (challenge["accepts"][0]["amount"], quote.json()["price"]["amount"]) == ("106000", "0.106000")
    payment = header(signed(challenge["accepts"][0]))
    answer = edit.post(sandbox, form, WALLET, payment)
    assert (answer.status_code, len(answer.json()["data"])) == (200, 2)
    assert answer.headers["X-Payment-Receipt"] == sandbox.last_settlement["tx"]
    assert edit.post(sandbox, form, WALLET, payment).json()["code"] == "PAYMENT_REPLAY"
    assert (sandbox.quotes, sandbox.paid_posts, sandbox.charges, sandbox.charged_micro_usd) == (1, 2, 1, 106_000)


def test_the_same_request_as_a_generation_costs_the_same(sandbox: Sandbox) -> None:
    sandbox.change_models({"add": GPT_IMAGE})
    for asked in ({"model": "nano-banana-pro", "n": 3}, {"model": "openai/gpt-image-1", "size": "1536x1024"}):
        Edit(fields=asked).post(sandbox)
        httpx2.post(f"{sandbox.base_url}/images/generations", json={"prompt": "A fox", **asked}, headers=KEY)
        edited, generated = sandbox.settlements[-2:]
        assert edited["micro_usd"] == generated["micro_usd"]
        assert (generated["pictures"], generated["mask"]) == ([], None)


def test_payment_for_other_pictures_of_the_same_price_is_taken(sandbox: Sandbox) -> None:
    payment = paid(sandbox, Edit(), "json")
    assert Edit(pictures=[picture("blue")]).post(sandbox, "json", WALLET, payment).status_code == 200
    assert sandbox.last_settlement["pictures"] == [digest(picture("blue"))]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_each_format_of_pictures_is_taken_alone_and_among_others(sandbox: Sandbox, kind: str, form: str) -> None:
    pictures = [picture("red", kind=kind), picture("green"), picture("blue", (64, 512))]
    if form == "json":
        images = [uri(pictures[0], f"image/{kind.lower()}"), *map(uri, pictures[1:])]
        alone, several = Edit(fields={"image": images[0]}), Edit(fields={"image": images})
    else:
        alone, several = Edit(pictures[:1]), Edit(pictures)
    assert alone.post(sandbox, form).status_code == 200
    assert several.post(sandbox, form).status_code == 200
    assert [item["pictures"] for item in sandbox.settlements] == [
        [digest(pictures[0])],
        [digest(each) for each in pictures],
    ]


@pytest.mark.parametrize("name", ["image", "image[]"])
def test_both_names_of_openai_for_files_are_taken(sandbox: Sandbox, name: str) -> None:
    form = Edit([picture("red"), picture("blue")], fields={"response_format": "url", "n": "2"}).as_form(name)
    answer = httpx2.post(
        f"{sandbox.base_url}{FORM_PATH}",
        content=form.content,
        headers={**KEY, "Content-Type": form.headers["content-type"]},
    )
    assert len(answer.json()["data"]) == 2
    assert sandbox.last_settlement["pictures"] == [digest(picture("red")), digest(picture("blue"))]


@pytest.mark.parametrize("transparent", [True, False])
@pytest.mark.parametrize("form", FORMS)
def test_only_the_area_of_the_mask_changes(sandbox: Sandbox, form: str, transparent: bool) -> None:
    sandbox.change_models({"add": GPT_IMAGE})
    mask = mask_of((128, 64, 191, 127), transparent=transparent)
    fields = {"model": "openai/gpt-image-1", "prompt": "Make it green", "size": "1024x1024"}
    answer = Edit([picture("red", (256, 256))], mask, fields).post(sandbox, form)
    image = shown(sandbox, answer)
    left_alone = {at for at in SAMPLES if image.getpixel(at) == (255, 0, 0)}
    in_corner = {(x, y) for x, y in SAMPLES if x <= 260 and y <= 260}
    in_area = {(x, y) for x, y in SAMPLES if 512 <= x < 768 and 256 <= y < 512}
    assert left_alone == SAMPLES - in_corner - in_area
    assert all(image.getpixel(at) == (255, 255, 255) for at in in_corner)
    assert sandbox.last_settlement["mask"] == digest(mask)


@pytest.mark.parametrize("form", FORMS)
def test_slow_edit_becomes_a_job_polled_among_the_generations(sandbox: Sandbox, form: str) -> None:
    sandbox.script([{"slow": True}])
    accepted = Edit().post(sandbox, form)
    assert (accepted.status_code, sandbox.charges) == (202, 0)
    job = accepted.json()
    assert job["poll_url"] == f"/v1/images/generations/{job['id']}"
    assert httpx2.get(sandbox.origin + job["poll_url"]).json()["status"] == "in_progress"
    done = httpx2.get(sandbox.origin + job["poll_url"])
    assert (done.json()["status"], shown(sandbox, done).size, sandbox.charges) == ("completed", (1024, 1024), 1)


@pytest.mark.parametrize("form", FORMS)
def test_payment_buys_one_job_and_buys_again_after_it_failed(sandbox: Sandbox, form: str) -> None:
    edit, payments = Edit(), [paid(sandbox, Edit(), "json") for _ in range(2)]
    sandbox.script([{"slow": True}])
    first, again = (edit.post(sandbox, form, WALLET, payments[0]).json() for _ in range(2))
    assert first == again
    sandbox.script([{"slow": True, "status": 500}])
    assert first["poll_url"] == f"{WALLET}/images/generations/{first['id']}"
    failing = edit.post(sandbox, form, WALLET, payments[1]).json()
    for job, payment, status in ((first, payments[0], "completed"), (failing, payments[1], "failed")):
        polls = [httpx2.get(sandbox.origin + job["poll_url"], headers=payment).json() for _ in range(2)]
        assert polls[1]["status"] == status
    assert sandbox.charges == 1
    assert edit.post(sandbox, form, WALLET, payments[1]).status_code == 200
    assert sandbox.charges == 2


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("fault", "charges"),
    [
        ({"status": 503}, 0),
        ({"status": 500, "settles": True}, 1),
        ({"cut": "before"}, 0),
        ({"cut": "during"}, 1),
        ({"cut": "after", "reset": True}, 1),
        ({"status": 200, "body": {"data": []}}, 1),
    ],
)
def test_faults_of_generations_befall_edits(
    sandbox: Sandbox, form: str, fault: Mapping[str, Any], charges: int
) -> None:
    sandbox.script([fault])
    if "cut" in fault:
        with pytest.raises(httpx2.TransportError):
            Edit().post(sandbox, form)
    else:
        answer = Edit().post(sandbox, form)
        assert answer.status_code == fault["status"]
    assert sandbox.charges == charges


def test_quote_of_an_edit_can_be_falsified(sandbox: Sandbox) -> None:
    sandbox.script([{"challenge": {"accepts": [{"amount": "9"}]}}, {"payment_code": "SETTLEMENT_FAILED"}])
    quote = Edit().post(sandbox, "json", WALLET, {})
    (terms,) = decoded(quote.headers["PAYMENT-REQUIRED"])["accepts"]
    refused = Edit().post(sandbox, "json", WALLET, header(signed(terms)))
    assert (terms["amount"], refused.json()["code"], sandbox.charges) == ("9", "SETTLEMENT_FAILED", 0)


@pytest.mark.parametrize("slow", [False, True])
@pytest.mark.parametrize("form", [*FORMS, "generation"])
def test_pictures_can_come_as_data(sandbox: Sandbox, form: str, slow: bool) -> None:
    sandbox.script([{"as": "data", "slow": slow}, {"as": "b64_json", "slow": slow}, {"slow": slow}])
    images: list[dict[str, Any]] = []
    for _ in range(3):
        if form == "generation":
            body = {"model": "nano-banana", "prompt": "A fox"}
            answer = httpx2.post(f"{sandbox.base_url}/images/generations", json=body, headers=KEY)
        else:
            answer = Edit().post(sandbox, form)
        if slow:
            poll_url = sandbox.origin + answer.json()["poll_url"]
            answer = [httpx2.get(poll_url) for _ in range(2)][1]
        images += answer.json()["data"]
    data, bare, address = images
    content = sandbox.get(address["url"]).content
    assert opened(content).size == (1024, 1024)
    assert data == {"url": uri(content)}
    assert bare == {"b64_json": base64.b64encode(content).decode()}


def test_a_quote_does_not_use_up_the_form_of_the_answer(sandbox: Sandbox) -> None:
    payment = paid(sandbox, Edit(), "json")
    sandbox.script([{"as": "data"}])
    assert Edit().post(sandbox, "json", WALLET, {}).status_code == 402
    assert Edit().post(sandbox, "json", WALLET, payment).json()["data"][0]["url"].startswith("data:image/png;base64,")


def test_same_edit_has_the_same_picture_and_variants_have_others(sandbox: Sandbox) -> None:
    first, second = (Edit(fields={"n": 3}).post(sandbox).json()["data"] for _ in range(2))
    other = Edit([picture("blue")], fields={"n": 3}).post(sandbox).json()["data"]
    assert first == second
    contents = {sandbox.get(image["url"]).content for image in [*first, *other]}
    assert len(contents) == 6


PAINTER = {
    "provider": "Acme",
    "prices": [{"size": "64x64", "usd": "0.1"}],
    "sizes": ["64x64"],
    "edits": {"max_pictures": 2, "picture_usd": "0.01"},
    "parameters": {
        "background": {"type": "string", "description": "Background", "enum": ["auto", "plain"]},
        "steps": {"type": "integer", "description": "Steps", "maximum": 9, "adds_usd": {"8": "0.5"}},
        "seamless": {"type": "boolean", "description": "Whether it tiles"},
    },
}


@pytest.mark.anyio
@pytest.mark.parametrize("form", [*FORMS, "generation"])
async def test_pictures_and_parameters_add_to_the_price(tmp_path: Path, form: str) -> None:
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps({"x-models": {"acme/painter": PAINTER}}))
    given = {"background": "plain", "steps": 8, "seamless": True}
    async with (
        running_sandbox(Catalog.load(file)) as origin,
        httpx2.AsyncClient(base_url=origin, headers=KEY, trust_env=False) as http,
    ):
        for steps, status in ((8, 200), (10, 400)):
            fields = {"model": "acme/painter", **given, "steps": steps}
            edit = Edit(
                [picture(), picture("blue")], fields={**fields, "seamless": "true"} if form == "form" else fields
            )
            if form == "form":
                whole = edit.as_form()
                headers = {"Content-Type": whole.headers["content-type"]}
                answer = await http.post(f"/v1{FORM_PATH}", content=whole.content, headers=headers)
            elif form == "json":
                answer = await http.post(f"/v1{JSON_PATH}", json=edit.as_json())
            else:
                answer = await http.post("/v1/images/generations", json={"prompt": "A fox", **fields})
            assert answer.status_code == status
        (settlement,) = (await http.get("/sandbox/settlements")).json()["items"]
    assert settlement["parameters"] == given
    assert settlement["micro_usd"] == 600_000 + (0 if form == "generation" else 20_000)


@pytest.mark.anyio
async def test_only_the_newest_edits_can_be_looked_at() -> None:
    async with running_sandbox(contract()) as origin, httpx2.AsyncClient(base_url=origin, headers=KEY) as http:
        urls: list[str] = []
        for shade in range(51):
            body = Edit([picture(f"rgb({shade}, 0, 0)", (16, 16))]).as_json()
            urls.append((await http.post(f"/v1{JSON_PATH}", json=body)).json()["data"][0]["url"])
        assert [(await http.get(url)).status_code for url in (urls[0], urls[1], urls[-1])] == [404, 200, 200]
        assert (await http.get("/sandbox/settlements")).json()["count"] == 51


def test_a_large_edit_is_taken_and_a_large_generation_is_not(sandbox: Sandbox) -> None:
    content = picture() + bytes(4_000_000 - len(picture()))
    assert Edit([content] * 3).post(sandbox).status_code == 200
    assert Edit([content] * 3).post(sandbox, "form").status_code == 200
    body = json.dumps({"model": "nano-banana", "prompt": "A fox", "image": uri(content)})
    answer = httpx2.post(f"{sandbox.base_url}/images/generations", content=body, headers=KEY)
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, "The body is too large.")
    assert sandbox.charges == 2
