"""A run in brief, as JSON for programs."""

from collections.abc import Sequence
from typing import Any

from app.simulate.crowd.figures import Estimates, Figures, Spread
from app.simulate.crowd.record import Recording
from app.simulate.crowd.verdicts import Verdict


def summary_of(recording: Recording, figures: Figures, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """What `--json` prints; durations are seconds."""
    wish, limits = recording.wish, recording.limits
    return {
        "room": recording.room,
        "urls": recording.urls,
        "throughGate": recording.sites,
        "visitors": wish.visitors,
        "seed": wish.seed,
        "shape": wish.shape,
        "overSeconds": wish.over_s,
        "listening": wish.listening,
        "ended": recording.ended,
        "tookSeconds": round(recording.took_s, 3),
        "limits": limits
        and {
            "batch": limits.batch,
            "intervalSeconds": limits.interval_s,
            "ratePerMinute": limits.rate_per_minute,
            "rateBurst": limits.burst,
            "maxActive": limits.max_active,
        },
        "outcomes": {kind: dict(counts) for kind, counts in figures.outcomes.items()},
        "waitSeconds": _spread(figures.waits),
        "waitsByArrival": [slot._asdict() for slot in figures.arrivals],
        "pollsPerVisitor": _spread(figures.polls),
        "pollsPerSecond": _spread(figures.polls_per_s),
        "answerSeconds": _spread(figures.answer),
        "ownLagSeconds": _spread(figures.lag),
        "waitedForConnectionSeconds": _spread(figures.queued),
        "ownCpuShare": round(figures.cpu_share, 3),
        "requests": figures.requests,
        "estimates": _estimates(figures.estimates),
        "estimatesAtJoining": _estimates(figures.first_estimates),
        "errors": figures.errors,
        "promises": [
            {
                "name": verdict.name,
                "promise": verdict.promise,
                "holds": verdict.holds,
                "detail": verdict.detail,
                "broken": verdict.broken,
                "examples": list(verdict.examples),
            }
            for verdict in verdicts
        ],
    }


def _spread(spread: Spread) -> dict[str, float]:
    return {name: round(value, 4) for name, value in spread._asdict().items()}


def _estimates(estimates: Estimates) -> dict[str, float]:
    return {**estimates._asdict(), "share": round(estimates.share, 4)}
