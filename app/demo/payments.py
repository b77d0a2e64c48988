"""The worker's side of a payment, with a bank that only pretends.

    stanchion worker --queue box-office --handlers app.demo.payments:work

A task may be handed out twice, so the effect of a payment must be harmless to repeat. A real bank takes the order's id
as its idempotency key and answers a repeat with the first receipt; the pretended one makes the receipt from that id.
"""

import asyncio
import hashlib

from app.worker import GiveUp, Handlers, Task, TryLater

QUEUE = "box-office"
TYPE = "payment"
CARDS = {
    "good": "A card with money on it",
    "slow": "A card whose bank wants to be asked twice",
    "empty": "A card without money",
}
"""What a visitor may choose to pay with, to see what becomes of it."""
BANK_S = 1.5
"""How long the pretended bank thinks."""

work = Handlers()


@work.handles(TYPE, time_limit_s=30)
async def charge(task: Task) -> dict[str, str]:
    """Charge a card."""
    await asyncio.sleep(BANK_S)
    card = task.payload["card"]
    if card == "empty":
        raise GiveUp("The bank refused the card.")
    if card == "slow" and task.retries == 0:
        raise TryLater(1, "The bank is busy.")
    return {"receipt": receipt_of(task.payload["order"])}


def receipt_of(order_id: str) -> str:
    """The receipt's number: the same for the same order, however often it is charged."""
    return hashlib.sha256(order_id.encode()).hexdigest()[:8].upper()
