"""The promises, held against what was recorded. Pure: events in, verdicts out.

Seen from outside, the moment of a turn is only known to lie between two answers. Every check takes the reading that
favours the service, so that what it calls broken is broken.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from math import floor, inf

from app.simulate.crowd.gate_checks import check_gate
from app.simulate.crowd.journeys import Journey, Outcome, Place
from app.simulate.crowd.record import ADMITTED, IN_LINE, Act, Event, Limits, Recording, Sample
from app.simulate.crowd.verdicts import MOST_EXAMPLES, SKEW_S, Verdict, not_checked, steered, verdict

STARTS = 200
"""From how many moments on admissions are counted against the limits."""


def check_all(recording: Recording, journeys: Sequence[Journey]) -> list[Verdict]:
    """Every promise, in the order of the report."""
    places = [place for journey in journeys for place in journey.places]
    return [
        positions_are_unique(places),
        places_are_kept(journeys),
        first_come_first_served(places),
        nobody_moves_back(places),
        active_is_kept(recording, journeys),
        rate_is_kept(recording, places),
        batches_are_kept(recording, places),
        *check_gate(recording, journeys),
        *([news_never_move_back(recording)] if recording.wish.listening else []),
        nobody_is_lost(recording, journeys),
    ]


def positions_are_unique(places: Iterable[Place]) -> Verdict:
    """No position of an epoch is given to two visitors, or twice to one."""
    holders: dict[tuple[int, int], list[int]] = defaultdict(list)
    for place in places:
        holders[place.epoch, place.position].append(place.visitor)
    twice = [
        f"position {position} of epoch {epoch}: visitors {_some(visitors)}"
        for (epoch, position), visitors in sorted(holders.items())
        if len(visitors) > 1
    ]
    return verdict("unique", "no position is given out twice", twice, f"{len(holders)} positions")


def _some(visitors: Sequence[int]) -> str:
    shown = ", ".join(map(str, visitors[:MOST_EXAMPLES]))
    return f"{shown} and {len(visitors) - MOST_EXAMPLES} more" if len(visitors) > MOST_EXAMPLES else shown


def places_are_kept(journeys: Iterable[Journey]) -> Verdict:
    """A ticket shows the same place with every answer, on every replica, after every reload, in every tab."""
    strays, answers = [], 0
    for journey in journeys:
        answers += sum(event.told for event in journey.events)
        strays += [
            f"visitor {event.visitor} at {event.sent_s:.1f} s: {event.act} names position {event.position}"
            for event in journey.strays
        ]
    return verdict("kept", "reloads and tabs keep the place", strays, f"{answers} answers about a place")


def first_come_first_served(places: Iterable[Place]) -> Verdict:
    """Nobody still waits whose place lies before that of somebody who has already been let in.

    Whoever was passed over for not asking is left out: they had given up being next.
    """
    broken, checked = [], 0
    by_epoch: dict[int, list[Place]] = defaultdict(list)
    for place in places:
        by_epoch[place.epoch].append(place)
    for line in by_epoch.values():
        line.sort(key=lambda place: place.position, reverse=True)
        first_behind, who = inf, 0  # the first admission among those further back
        for place in line:
            waited = [answer.sent_s for answer in place.answers if answer.status in IN_LINE and not answer.stale]
            if waited and not place.was_passed:
                checked += 1
                if max(waited) > first_behind + SKEW_S:
                    broken.append(
                        f"position {place.position} waited at {max(waited):.1f} s; "
                        f"position {who} was let in by {first_behind:.1f} s"
                    )
            if place.admitted_s is not None and place.admitted_s < first_behind:
                first_behind, who = place.admitted_s, place.position
    return verdict("order", "first come, first served", broken, f"{checked} who waited")


def nobody_moves_back(places: Sequence[Place]) -> Verdict:
    """`ahead` never rises, but by those who were passed over and came back to the front."""
    passes = sorted(answer.got_s for place in places for answer in place.answers if answer.status == "passed")
    broken, checked = [], 0
    for place in places:
        if place.was_passed:
            continue
        best, settled = inf, 0  # the least that was told, long enough ago
        answers = [answer for answer in place.answers if answer.status in IN_LINE and not answer.stale]
        for answer in sorted(answers, key=lambda answer: answer.sent_s):
            while answers[settled].got_s + SKEW_S < answer.sent_s:
                best = min(best, answers[settled].ahead)
                settled += 1
            checked += 1
            allowed = best + bisect_right(passes, answer.got_s)
            if answer.ahead > allowed:
                broken.append(f"position {place.position} at {answer.got_s:.1f} s: {answer.ahead} ahead, after {best}")
                break
    return verdict("forward", "nobody moves back", broken, f"{checked} answers to those in line")


def news_never_move_back(recording: Recording) -> Verdict:
    """What one stream has said of the edge it does not take back."""
    setbacks = [
        f"visitor {setback.visitor} at {setback.at_s:.1f} s: {setback.after.edge} after {setback.before.edge}"
        for setback in recording.setbacks
    ]
    streams = sum(event.act is Act.LISTEN and event.http == 200 for event in recording.events)
    return verdict("news", "pushed news never move back", setbacks, f"{recording.heard} news by {streams} streams")


def active_is_kept(recording: Recording, journeys: Sequence[Journey]) -> Verdict:
    """Never more than maxActive inside or on turn: of this crowd at once, and of all as the operator's figure says."""
    name, promise = "active", "no more inside than maxActive"
    limit = recording.limits.max_active if recording.limits else None
    if limit is None or recording.limits is None:
        return not_checked(recording, name, promise, "maxActive")
    if recording.operator_acted:
        return steered(name, promise)
    most, at_s = most_at_once([hold for journey in journeys for hold in holds_of(journey)])
    broken = [f"{most} at once at {at_s:.1f} s"] if most > limit else []
    seen = [sample for sample in recording.samples if sample.active is not None]
    broken += [
        f"{sample.active} by the operator's figure at {sample.at_s:.1f} s" for sample in seen if _over(sample, limit)
    ]
    figure = max((sample.active or 0 for sample in seen), default=0)
    return verdict(name, promise, broken, f"maxActive {limit}; seen {most} of this crowd, {figure} in all")


def holds_of(journey: Journey) -> list[tuple[float, float]]:
    """The times during which this visitor surely held a slot: from the answer that said so until what it promised is over."""
    holds: list[tuple[float, float]] = []
    for place in journey.places:
        answers = [answer for answer in place.answers if answer.status in ADMITTED and not answer.stale]
        for answer in answers:
            # The look behind an answer may be a little old, so the last part of what it promised is not counted.
            end_s = answer.sent_s + answer.left_s - SKEW_S
            if place.left_s is not None:
                end_s = min(end_s, place.left_s)
            if end_s > answer.got_s:
                holds.append((answer.got_s, end_s))
    return _joined(holds)


def _joined(spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    joined: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def most_at_once(spans: Iterable[tuple[float, float]]) -> tuple[int, float]:
    """The largest number of spans that overlap, and when that was first reached."""
    edges = sorted([(start, 1) for start, _ in spans] + [(end, -1) for _, end in spans])
    now = most = 0
    most_at_s = 0.0
    for at_s, step in edges:
        now += step
        if now > most:
            most, most_at_s = now, at_s
    return most, most_at_s


def rate_is_kept(recording: Recording, places: Sequence[Place]) -> Verdict:
    """Between any two moments no more turns than the rate gives in that time, and the burst on top."""
    limits, pace = recording.limits, None
    if limits and limits.rate_per_minute is not None:
        pace = rate_allows(limits), f"{limits.rate_per_minute:g} a minute, burst {limits.burst}"
    return _pace_is_kept(recording, places, "rate", "no more turns than the rate gives", "ratePerMinute", pace)


def batches_are_kept(recording: Recording, places: Sequence[Place]) -> Verdict:
    """Between any two moments no more turns than the batches of that time, and what an earlier one had left."""
    limits, pace = recording.limits, None
    if limits and limits.batch is not None:
        pace = batches_allow(limits), f"{limits.batch} every {limits.interval_s:g} s"
    return _pace_is_kept(recording, places, "batches", "no more turns than the batches give", "batches", pace)


def _pace_is_kept(
    recording: Recording,
    places: Sequence[Place],
    name: str,
    promise: str,
    setting: str,
    pace: tuple[Callable[[float], float], str] | None,
) -> Verdict:
    """Whether the turns kept to one of the room's paces: what it allows, and how it reads; None: the room has none."""
    if pace is None:
        return not_checked(recording, name, promise, setting)
    if recording.operator_acted:
        return steered(name, promise)
    allows, told = pace
    broken, most = _beyond(places, allows)
    return verdict(name, promise, broken, f"{told}; at most {most:.0%} of what was allowed")


def rate_allows(limits: Limits) -> Callable[[float], float]:
    """How many turns a rate may give within so many seconds."""
    per_second = (limits.rate_per_minute or 0.0) / 60
    return lambda seconds: limits.burst + per_second * seconds


def batches_allow(limits: Limits) -> Callable[[float], float]:
    """How many turns batches may give within so many seconds."""
    batch, interval_s = limits.batch or 0, limits.interval_s
    return lambda seconds: batch * (floor(seconds / interval_s) + 2)


def _beyond(places: Iterable[Place], allows: Callable[[float], float]) -> tuple[list[str], float]:
    """Where surely more turns came than allowed; and the largest part of the allowance that was seen used."""
    spans = sorted((place.admitted_s, place.admitted_after_s) for place in places if place.admitted_s is not None)
    after = sorted({after_s for _, after_s in spans})
    starts = after[:: max(1, len(after) // STARTS)]
    broken, most = [], 0.0
    for start_s in starts:
        count = 0
        for admitted_s, after_s in spans:
            if after_s < start_s:
                continue
            count += 1
            allowed = allows(admitted_s - start_s + SKEW_S)
            most = max(most, count / allowed)
            if count > allowed:
                broken.append(f"{count} turns from {start_s:.1f} s to {admitted_s:.1f} s, allowed {allowed:.0f}")
                break
    return broken, most


def nobody_is_lost(recording: Recording, journeys: Sequence[Journey]) -> Verdict:
    """Everyone who stayed got in, or is still in line at the end."""
    lost = [journey for journey in journeys if journey.outcome is Outcome.LOST]
    by_player = sum(journey.outcome is Outcome.LOST_BY_PLAYER for journey in journeys)
    examples = [f"visitor {one.visitor.number} ({one.visitor.kind}): {_last_told(one.events)}" for one in lost]
    counts = Counter(journey.outcome for journey in journeys)
    told = ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome if counts[outcome])
    if lost and recording.operator_acted:
        return steered("lost", "nobody who stayed is lost")
    found = verdict("lost", "nobody who stayed is lost", examples, told)
    if by_player and found.holds:
        return found._replace(holds=None, detail=f"{told}: the player was too slow to tell")
    return found


def _last_told(events: Sequence[Event]) -> str:
    asked = [event for event in events if event.act is not Act.GIVE_UP]
    if not asked:
        return "nothing"
    last, refusals = asked[-1], 0
    for event in reversed(asked[:-1]):
        if 0 < event.http < 500:
            break
        refusals += 1
    after = f", after {refusals} without a word or with 503" if refusals else ""
    return f"{last.act} at {last.sent_s:.1f} s: {last.http} {last.status}{after}"


def _over(sample: Sample, limit: int) -> bool:
    return sample.active is not None and sample.active > limit
