"""How long a visitor is told to wait before asking again.

The load of polls is spread to a ceiling: a crowd of W that is told W / ceiling seconds asks ceiling times a
second. Those near the front ask more often, and nobody is told more than half of the time they have to react,
even where that breaks the ceiling.
"""

MIN_POLL_S = 1.0
MAX_POLL_S = 60.0
SHARE_OF_WAIT = 0.1
JITTER = 0.15


def poll_after_s(wait_s: float, crowd: int, ceiling_per_s: float, reaction_s: float, draw: float) -> float:
    """Seconds until the next poll.

    Args:
        wait_s: the visitor's estimated wait; for somebody whose turn is open, what is left of it.
        crowd: how many wait in the room.
        ceiling_per_s: polls a second that the waiting crowd may cost.
        reaction_s: how long the visitor has to react once the turn comes.
        draw: a random number in [0, 1), which spreads polls that would come together.
    """
    chosen_s = max(wait_s * SHARE_OF_WAIT, crowd / ceiling_per_s)
    if chosen_s > wait_s / 2:  # near the front
        chosen_s = wait_s / 2
    if chosen_s < MIN_POLL_S:
        chosen_s = MIN_POLL_S
    elif chosen_s > MAX_POLL_S:
        chosen_s = MAX_POLL_S
    jittered_s = chosen_s * (1 + JITTER * (2 * draw - 1))
    return max(min(jittered_s, reaction_s / 2), 0.1)
