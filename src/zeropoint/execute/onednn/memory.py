"""Memory of uint8 images: planned once for the shapes of a call's inputs, or owned by nobody.

    first call     every image gets fresh memory. After each step a `Watch` notes in which storage
                   each result lies, so that views, and results written onto an operand, are known
                   as what they are
    then           a `Plan`: each request for memory is answered by a piece of the thread's arena
                   that no value needs any more, in the order of the first call
    another size   the arena is dropped; the plans of the latest sizes are kept

No operator promises anything. What outlives the call, because an output of the network lies in it,
is fresh at every call; so is everything in a call that departs from its plan.

Fresh memory costs a page fault every 4096 bytes; memory that was just written is in the cache.
"""

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from zeropoint.execute.onednn.layout import empty

Shape = tuple[int, ...]

PLANS_KEPT = 32


class Departure(Exception):  # it is no error: the call begins anew
    """A call asks for other memory than the first call with inputs of these shapes."""


@dataclass(frozen=True)
class Request:
    """An image that step `begin` asked for, and whose memory is needed until the step `end`.

    `end` is None if an output lies in it.
    """

    shape: Shape
    begin: int
    end: int | None


@dataclass(frozen=True)
class Plan:
    """The requests of a call, and the steps whose last operand may be overwritten."""

    requests: tuple[Request, ...]
    overwriting: frozenset[int]

    def arena(self) -> list[Tensor | None]:
        """Memory for each request; None for one that outlives the call."""
        blocks: list[tuple[int, Tensor]] = []  # the last step that needs it, and the bytes
        images: list[Tensor | None] = []
        for request in self.requests:
            if request.end is None:
                images.append(None)
                continue
            size = max(1, torch.Size(request.shape).numel())
            free = [i for i, (end, block) in enumerate(blocks) if end < request.begin]
            fitting = [i for i in free if len(blocks[i][1]) >= size]
            if fitting:
                chosen = min(fitting, key=lambda i: len(blocks[i][1]))
            else:
                blocks.append((0, torch.empty(size, dtype=torch.uint8)))
                chosen = len(blocks) - 1
            block = blocks[chosen][1]
            blocks[chosen] = (request.end, block)
            images.append(_laid_over(block, request.shape))
        return images


def _laid_over(block: Tensor, shape: Shape) -> Tensor:
    """The first bytes of a block as an image in channels_last."""
    meta = empty(shape, torch.uint8, device="meta")
    return block.as_strided(shape, meta.stride())


class Memory(threading.local):
    """Where the kernels of one executor get memory from; a thread has its own.

    Outside a call it is fresh.
    """

    def __init__(self) -> None:
        self._scratch = torch.empty(0, dtype=torch.uint8)
        self._asked: list[tuple[Shape, Tensor]] | None = None
        self._plan: Plan | None = None
        self._images: list[Tensor | None] = []
        self._next = 0

    def follow(self, plan: Plan) -> None:
        """The next requests are those of the plan."""
        if plan is not self._plan:
            self._images = []  # before the new: both would be twice the memory
            self._plan, self._images = plan, plan.arena()
        self._asked, self._next = None, 0

    def watch(self) -> list[tuple[Shape, Tensor]]:
        """The next requests get fresh memory; the list holds them as they come."""
        self._plan, self._images = None, []
        self._asked = []
        return self._asked

    def rest(self) -> None:
        """The call is over: what was asked for is let go, but for the arena of a plan."""
        self._asked = None

    def take(self, shape: Shape) -> Tensor:
        """A uint8 image in channels_last with arbitrary contents.

        Departure if the plan that is followed has another request in this place.
        """
        if self._plan is None:
            image = empty(shape, torch.uint8)
            if self._asked is not None:
                self._asked.append((shape, image))
            return image
        place = self._next
        if place >= len(self._images) or self._plan.requests[place].shape != shape:
            raise Departure
        self._next = place + 1
        planned = self._images[place]
        return empty(shape, torch.uint8) if planned is None else planned

    def scratch(self, size: int) -> int:
        """The address of so many bytes that any primitive of this thread may write to."""
        if len(self._scratch) < size:
            self._scratch = torch.empty(size, dtype=torch.uint8)
        return self._scratch.data_ptr()


class Watch:
    """Notes, in a call on fresh memory, which slots lie in which storage."""

    def __init__(
        self, slots: Sequence[object], last: Sequence[int | None], asked: list[tuple[Shape, Tensor]]
    ) -> None:
        """`last` is the step after which each slot is emptied; None if it never is."""
        self._slots, self._last, self._asked = slots, last, asked
        self._foreign = {_storage(slot) for slot in slots if isinstance(slot, Tensor)}
        self._begins: list[int] = []
        self._ends: dict[int, int | None] = {}
        self._overwriting: set[int] = set()

    def may_overwrite(self, step: int, slot: int, others: Collection[int]) -> bool:
        """True if nothing but the operand in `slot` lies in its memory, and it is done after this.

        `others` are the slots of the step's other operands.
        """
        operand = self._slots[slot]
        assert isinstance(operand, Tensor)  # a residual is one
        storage = _storage(operand)
        if storage in self._foreign or self._last[slot] != step:
            return False
        sharing = [
            place
            for place, other in enumerate(self._slots)
            if isinstance(other, Tensor) and _storage(other) == storage
        ]
        if any(self._last[place] != step or place in others for place in sharing):
            return False
        self._overwriting.add(step)
        return True

    def wrote(self, step: int, slots: Collection[int]) -> None:
        """A step has filled these slots."""
        self._begins += [step] * (len(self._asked) - len(self._begins))
        for slot in slots:
            value = self._slots[slot]
            if isinstance(value, Tensor):
                self._needed(_storage(value), self._last[slot])

    def plan(self) -> Plan:
        """What the call has shown."""
        requests = [
            Request(shape, begin, self._ends.get(_storage(image), begin))
            for (shape, image), begin in zip(self._asked, self._begins, strict=True)
        ]
        return Plan(tuple(requests), frozenset(self._overwriting))

    def _needed(self, storage: int, until: int | None) -> None:
        before = self._ends.get(storage, -1)
        if until is None or before is None:
            self._ends[storage] = None
        else:
            self._ends[storage] = max(until, before)


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
