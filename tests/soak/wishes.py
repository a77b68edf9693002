"""What clients want, and how they behave until they have it: they wait, leave, cancel, repeat, and go elsewhere."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from tests.soak.books import Books
from tests.soak.hosts import Answer, Call, Host
from tests.soak.plans import PRICES, pick, seeded

_BEHAVIOURS = {"wait": 30, "leave": 28, "cancel": 28, "variations": 5, "rephrase": 9}
_VARIATIONS = 4
PICTURE = "cat.png"
"""The file that edits start from, in a folder that servers read pictures in."""
_EDITED = 3  # each third wish
_MAX_CALLS = 16
_PATIENT_AFTER = 3
_LAST = ("complete", "budget_exceeded")


@dataclass
class Wish:
    """All calls with one prompt.

    `begun` are the times at which one more picture was wanted, `told` are those at which an answer said that money is,
    or may be, gone without a picture, each with the chain of calls that it ended.
    """

    number: int
    prompt: str
    model: str
    chains: int = 1
    begun: list[float] = field(default_factory=list[float])
    told: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])
    calls: list[Call] = field(default_factory=list[Call])
    answers: list[tuple[Call, Answer]] = field(default_factory=list[tuple[Call, Answer]])

    def was_troubled(self, begun: float, over: float) -> bool:
        """Tell whether anything was done, between two times, to a server that was asked for it."""
        return any(host.was_troubled(begun, over) for host in {call.host for call in self.calls})


class Clients:
    """Makes wishes, and notes what each client is told."""

    def __init__(self, seed: int, scale: float, books: Books) -> None:
        self.hosts: Sequence[Host] = ()
        self.wishes: dict[str, Wish] = {}
        self.calls = 0
        self.cancels = 0
        self.is_calm = False
        self.outcomes: Counter[str] = Counter()
        self._seed = seed
        self._scale = scale
        self._books = books
        self._drawn: dict[str, asyncio.Event] = {}

    async def wish(self, number: int) -> None:
        """Want one picture, or several at once, until that is over."""
        dice = seeded(self._seed, "wish", number)
        behaviour = pick(dice, _BEHAVIOURS)
        chains = _VARIATIONS if behaviour == "variations" else 1
        wish = self._new(number, dice, "a red fox in the snow", chains)
        host = self.hosts[number % len(self.hosts)]
        await host.is_up.wait()
        wish.begun += [self._books.clock.now()] * chains
        firsts = [self._call(wish, chain, host) for chain in range(chains)]
        await asyncio.gather(*(self._follow(first, behaviour) for first in firsts))

    def note(self, call: Call, answer: Answer) -> None:
        """Take what a server answers, also to a call that is over."""
        wish = self.wishes[call.prompt]
        now = self._books.clock.now()
        is_money_gone = answer.kind == "error" and answer.charged != "no"
        kind = f"{answer.type}, charged: {answer.charged}" if answer.kind == "error" else answer.kind
        self.outcomes[f"{kind} (too late)" if call.is_dropped else kind] += 1
        self._books.say(call.prompt, f"call {call.id} at {call.host.name}: {kind} {answer.urls or answer.text[:300]}")
        wish.answers.append((call, answer))
        if is_money_gone:
            wish.told.append((now, call.chain))
        if not call.answer.done():
            call.answer.set_result(answer)

    def note_drawn(self, prompt: str) -> None:
        """Take that the gateway has just answered."""
        if prompt in self._drawn:
            self._drawn[prompt].set()

    def _new(self, number: int, dice: Random, words: str, chains: int = 1) -> Wish:
        model = "dall-e-3" if chains == 1 and dice.random() < 0.15 else next(iter(PRICES))
        wish = Wish(number, f"Wish {number} of seed {self._seed}: {words}", model, chains)
        self.wishes[wish.prompt] = wish
        return wish

    def _call(self, wish: Wish, chain: int, host: Host) -> Call:
        call = Call(wish.prompt, chain, host)
        wish.calls.append(call)
        self.calls += 1
        asked = {"prompt": wish.prompt, "model": wish.model, "size": "1024x1024", "enrich": "off"}
        is_edit = wish.number % _EDITED == 0 and wish.model == next(iter(PRICES))
        host.call(call, {**asked, "images": [PICTURE]} if is_edit else asked)
        self._books.say(wish.prompt, f"call {call.id} to {host.name}, chain {chain}")
        return call

    async def _follow(self, call: Call, behaviour: str) -> None:
        """Call again and again until there is a picture, or a reason to stop."""
        wish = self.wishes[call.prompt]
        dice = seeded(self._seed, "chain", wish.number, call.chain)
        number = 1
        while True:
            is_patient = number > _PATIENT_AFTER or self.is_calm
            ended = await self._end(call, "wait" if is_patient else behaviour, dice)
            if ended == "complete" and dice.random() < 0.05 and wish.chains == 1 and not self.is_calm:
                await self._nap(dice.uniform(3, 30))
                wish.begun.append(self._books.clock.now())
            elif ended in _LAST or number >= _MAX_CALLS or (ended == "money" and dice.random() < 0.5):
                return
            elif behaviour == "rephrase" and ended in ("error", "cancelled"):
                wish = self._new(wish.number, dice, f"a red fox, said differently after {number} calls")
                wish.begun.append(self._books.clock.now())
                behaviour = "wait"
            await self._nap(_pause(ended, dice) * (number if ended == "error" else 1))
            host = call.host
            if ended == "cancelled" and dice.random() < 0.3:
                host = dice.choice(self.hosts)
            await host.is_up.wait()
            number += 1
            call = self._call(wish, call.chain, host)

    async def _end(self, call: Call, behaviour: str, dice: Random) -> str:
        """Behave until a call is over for its client, and return how it ended."""
        patience = 150 / self._scale + 30
        moment = ""
        if behaviour in ("leave", "variations"):
            patience = dice.choice((5, 5, 5, 10, 30, 60)) / self._scale + 0.3  # its clock starts before the server's
        elif behaviour in ("cancel", "rephrase"):
            moment = dice.choice(("any", "any", "at once", "as it is drawn"))
            patience = {"any": dice.uniform(0, 40) / self._scale, "at once": dice.uniform(0, 0.05)}.get(
                moment, patience
            )
        drawn = self._drawn.setdefault(call.prompt, asyncio.Event())
        drawn.clear()
        signs = [asyncio.ensure_future(asyncio.shield(call.answer))]
        if moment == "as it is drawn":
            signs.append(asyncio.ensure_future(drawn.wait()))
        await asyncio.wait(signs, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        for sign in signs[1:]:
            if sign.done():
                await asyncio.sleep(dice.choice((0, 0.001, 0.003, 0.01)))
            sign.cancel()
        call.over = self._books.clock.now()
        if call.answer.done():
            answer = call.answer.result()
            is_money_gone = answer.kind == "error" and answer.charged != "no"
            return "money" if is_money_gone else answer.type if answer.type in _LAST else answer.kind
        signs[0].cancel()
        return self._leave(call, behaviour, patience, is_cancelled=bool(moment))

    def _leave(self, call: Call, behaviour: str, patience: float, *, is_cancelled: bool) -> str:
        call.is_dropped = True
        if is_cancelled:
            self.cancels += 1
            call.host.cancel(call)
        elif behaviour == "wait":
            self.outcomes[f"no answer in {patience:.0f} s"] += 1
        self._books.say(call.prompt, f"call {call.id} is {'cancelled' if is_cancelled else 'left'}")
        return "cancelled" if is_cancelled else "left"

    async def _nap(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self._scale)


def _pause(ended: str, dice: Random) -> float:
    """Return how long a client waits before the next call, in seconds before they are scaled."""
    if ended in ("left", "lost"):
        return dice.choice((0, dice.uniform(0, 3), dice.uniform(0, 50)))
    if ended == "cancelled":
        return dice.choice((dice.uniform(1, 10), dice.uniform(1, 60)))
    return dice.uniform(1, 8)
