"""Takes orders and sees each through: a payment is a task that a worker finishes, followed until it is settled.

Nothing is lost when the site or the service goes away in between: the order is in the ledger before the task is made,
the task carries the order's id as its idempotency key, and a restarted site takes its unfinished orders up again.
"""

import asyncio

from app.client.tasks import Refused, TaskClient
from app.demo.hall import Seat
from app.demo.holds import Hold
from app.demo.ledger import Ledger, Order
from app.demo.payments import QUEUE, TYPE
from app.errors import StanchionError, StoreUnavailable
from app.logs import get_logger

log = get_logger(__name__)

LOOK_EVERY_S = 0.4
RETRY_S = 1.0


class Cashier:
    """The payments of one ledger. Open it with `start`, and call `aclose` at the end."""

    def __init__(self, ledger: Ledger, tasks: TaskClient) -> None:
        self._ledger = ledger
        self._tasks = tasks
        self._following: dict[str, asyncio.Task[None]] = {}

    def start(self) -> None:
        """Take up what a site that was stopped has left unfinished."""
        for order in self._ledger.unfinished():
            self._follow(order)

    async def aclose(self) -> None:
        """Follow nothing more; what is unfinished stays in the ledger."""
        following = list(self._following.values())
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)

    def take(self, hold: Hold, card: str) -> Order:
        """Turn a hold into an order. Taking it twice is one order.

        Raises:
            SeatTaken, HoldOutlived: the seat is not this visitor's to buy.
        """
        order = self._ledger.reserve(hold.order_id, hold.visitor, hold.seat, card, hold.lock.fence)
        self._follow(order)
        return order

    def _follow(self, order: Order) -> None:
        if order.state != "paying" or order.id in self._following:
            return
        following = asyncio.create_task(self._settle(order), name=f"order {order.id}")
        self._following[order.id] = following
        following.add_done_callback(lambda _: self._following.pop(order.id, None))

    async def _settle(self, order: Order) -> None:
        """Make the payment's task and look at it until it is finished."""
        task_id = order.task_id
        while True:
            try:
                if task_id is None:
                    task_id = await self._enqueue(order)
                    self._ledger.queued(order.id, task_id)
                if await self._is_settled(order, task_id):
                    return
                await asyncio.sleep(LOOK_EVERY_S)
            except Refused as refusal:
                if refusal.status != 404:
                    log.error("payment_refused", order=order.id, error=refusal.message)
                    self._ledger.failed(order.id, f"The payment was not taken: {refusal.message}")
                    return
                task_id = None  # the queue has forgotten it: once more, which the bank sees as the same payment
                self._ledger.queued(order.id, None)
                await asyncio.sleep(RETRY_S)
            except StanchionError as error:
                if not isinstance(error, StoreUnavailable):
                    raise
                log.warning("payment_unheard", order=order.id, error=error.message)
                await asyncio.sleep(RETRY_S)

    async def _enqueue(self, order: Order) -> str:
        task = {
            "type": TYPE,
            "payload": {"order": order.id, "card": order.card, "euros": order.seat.price, "for": _what(order.seat)},
            "maxRetries": 5,
            "idempotencyKey": order.id,
        }
        answer = await self._tasks.call("POST", "/task", task, params={"queue": QUEUE})
        return str(answer["taskId"])

    async def _is_settled(self, order: Order, task_id: str) -> bool:
        task = await self._tasks.call("GET", f"/task/{task_id}")
        if task["status"] == "completed":
            self._ledger.paid(order.id, str(task["result"]["receipt"]))
        elif task["status"] == "failed":
            reason = str(task.get("error") or "").partition(": ")[2] or "The bank could not be reached."
            self._ledger.failed(order.id, reason)
        else:
            return False
        return True


def _what(seat: Seat) -> str:
    return f"Evening {seat.evening}, seat {seat.name}"
