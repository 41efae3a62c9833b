"""The report's sentences: the answer first, then what it does not know.

Every sentence is made of numbers in the study; where there are none, the sentence says so instead.
Names go into plain text here; the page escapes them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scalingsweep import laws
from scalingsweep.report import cells, equal, law, numbers, saved
from scalingsweep.report.figures import forgetting
from scalingsweep.report.study import Arm, Study


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One comparison of the headline: a figure, what it is of, and the sentences under it."""

    figure: str
    interval: str
    of: str
    sentences: tuple[str, ...]


def claims(study: Study) -> list[Claim]:
    """One claim per CPT arm that can be compared."""
    return [_claim(study, scratch, cpt) for scratch, cpt in law.pairs(study)]


def _claim(study: Study, scratch: Arm, cpt: Arm) -> Claim:
    points = equal.points(study, scratch, cpt)
    bounds = equal.bounds(study, scratch, cpt)
    replay = f" with {numbers.percent(cpt.replay_ratio)} replay" if cpt.replay_ratio else ""
    of = f"{cpt.corpus} tokens than {scratch.name} for {cpt.name}{replay}, at equal loss"
    if not points and bounds:
        return _bounded(bounds, f"fewer {of}", scratch, cpt, tuple(_forgets(study, cpt)))
    if not points:
        return Claim(
            figure=numbers.DASH,
            interval="",
            of=f"{cpt.name}{replay} against {scratch.name}: nothing to compare yet",
            sentences=_without_points(study, scratch, cpt),
        )
    shares = [point.tokens_saved for point in points]
    middle = float(np.median(shares))
    low, high = min(shares), max(shares)
    D = [point.D_scratch for point in points]
    N = [point.N for point in points]
    paired = (
        f"The median of {several(len(points), 'pair')} of runs of equal loss and size; the share "
        f"of tokens saved ranges from {numbers.percent(low)} to {numbers.percent(high)}."
    )
    domain = (
        f"This is interpolation for {span(N)} parameters and {span(D)} tokens from scratch; "
        "beyond that it is not measured."
    )
    sentences = [paired, domain]
    if bounds:
        sentences.append(_ahead(bounds, scratch, cpt))
    interval, quoted = _by_law(study, scratch, cpt, points)
    sentences += quoted
    sentences += _gap(points)
    sentences += _forgets(study, cpt)
    return Claim(
        figure=numbers.percent(abs(middle)),
        interval=interval,
        of=f"{'fewer' if middle >= 0 else 'more'} {of}",
        sentences=tuple(sentences),
    )


def _bounded(
    bounds: list[equal.Bound], of: str, scratch: Arm, cpt: Arm, more: tuple[str, ...]
) -> Claim:
    least = min(bound.tokens_saved for bound in bounds)
    unknown = (
        "How much more than that is saved was not measured: it takes shorter runs of "
        f"{cpt.name} or longer ones of {scratch.name}."
    )
    return Claim(
        figure=f"≥ {numbers.percent(least)}",
        interval="",
        of=of,
        sentences=(
            _ahead(bounds, scratch, cpt),
            unknown,
            *more,
        ),
    )


def _ahead(bounds: list[equal.Bound], scratch: Arm, cpt: Arm) -> str:
    sizes = list(dict.fromkeys(bound.size for bound in bounds))
    at = f"at {listed(sizes)}" if len(sizes) < 4 else f"at {len(sizes)} sizes"
    shortest, longest = ([getattr(b, name) for b in bounds] for name in ("D_cpt", "D_scratch"))
    return (
        f"{at[0].upper()}{at[1:]} the shortest run of {cpt.name} ({span(shortest)} tokens) is "
        f"already as good as the longest of {scratch.name} ({span(longest)}): it saves "
        f"{numbers.percent(min(b.tokens_saved for b in bounds))} or more there."
    )


def _by_law(
    study: Study, scratch: Arm, cpt: Arm, points: list[equal.Point]
) -> tuple[str, list[str]]:
    """The interval for the headline, and the laws' own median over the same sizes and tokens."""
    both = saved.pair(study, scratch, cpt)
    if both is None:
        return "", ["No law was fitted to both arms, so this has no interval."]
    N, D = (np.asarray([getattr(p, name) for p in points]) for name in ("N", "D_scratch"))
    middle = float(np.nanmedian(1 - both.needed(N, D) / D))
    drawn = both.draws(N, D)
    quoted = f"The median that {law.label(both.cpt)} gives for the same runs is "
    if drawn is None:
        return "", [
            f"{quoted}{numbers.percent(middle, 1)}; the fit left no resamples for an interval."
        ]
    medians = np.median(np.where(np.isfinite(drawn), drawn, -np.inf), axis=1)
    low, high = (_end(float(end)) for end in both.ends(medians))
    level = numbers.percent((both.cpt.fit.get("interval") or {}).get("level"))
    return (
        f"laws: {low} to {high} ({level} interval)",
        [f"{quoted}{numbers.percent(middle, 1)}, with a {level} interval of {low} to {high}."],
    )


def _end(share: float) -> str:
    # beyond ten times the cost it is no number any more: CPT may never get there
    return numbers.percent(share, 1) if share > -10 else "no saving at all"


def _without_points(study: Study, scratch: Arm, cpt: Arm) -> tuple[str, ...]:
    for arm in (scratch, cpt):
        if not cells.with_loss(study, arm):
            return (f"{arm.name} has no observation yet, so nothing can be compared.",)
    apart = (
        "No two runs of the same size and seed overlap in loss, so nothing is saved that could be "
        "measured; budgets closer to each other would show it."
    )
    return (apart,)


def _gap(points: list[equal.Point]) -> list[str]:
    """Whether the saving shrinks during training and grows with size, as slopes of the points."""
    D = np.log([point.D_scratch for point in points])
    N = np.log([point.N for point in points])
    if len(points) < 6 or np.ptp(D) < 0.5:
        return []
    columns = [np.ones_like(D), D - D.mean()]
    sized = bool(np.ptp(N) > 0.5)
    columns += [N - N.mean()] if sized else []
    design = np.stack(columns, axis=1)
    shares = np.asarray([point.tokens_saved for point in points])
    slopes, *_ = np.linalg.lstsq(design, shares, rcond=None)
    words = [f"{_moves(float(slopes[1]))} with each doubling of the tokens"]
    if sized:
        words.append(f"{_moves(float(slopes[2]))} with each doubling of the size")
    return [f"Over these pairs the saving {' and '.join(words)}."]


def _moves(slope: float) -> str:
    change = 100 * slope * np.log(2)
    if abs(change) < 0.5:
        return "stays within half a point"
    return f"{'grows' if change > 0 else 'shrinks'} by {abs(change):.1f} points"


def _forgets(study: Study, cpt: Arm) -> list[str]:
    rises = [rise for _, rise in forgetting.rises(study, cpt)]
    if not rises:
        return []
    corpus = forgetting.corpus_of(study, cpt)
    middle = float(np.median(rises))
    if middle > 0.005:
        return [f"Its loss on {corpus} rose by a median {middle:.3f} nats per token."]
    return [f"Its loss on {corpus} did not rise (median change {middle:+.3f} nats per token)."]


def span(values: Sequence[float]) -> str:
    """The least and the greatest, in human units."""
    ends = numbers.count(min(values)), numbers.count(max(values))
    return ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"


def unidentified(study: Study) -> list[str]:
    """One sentence per arm whose law has loose parameters, or no optimum, or no fit at all."""
    said = []
    for arm in study.arms:
        fitted = law.of(study, arm.name)
        if fitted is None:
            if cells.with_loss(study, arm):
                said.append(f"{arm.name}: no law was fitted.")
            continue
        loose = []
        for name in law.PARAMETERS:
            entry = law.parameter(fitted.fit, name, arm.name) or {}
            if entry.get("atBound"):
                loose.append(f"{SYMBOLS[name]} (at its bound)")
            elif entry.get("identified") is False:
                loose.append(SYMBOLS[name])
        if loose:
            said.append(f"{arm.name}: the grid does not identify {listed(loose)}.")
        why = fitted.surface.why_no_allocation()
        if why:
            said.append(f"{arm.name}: there is no compute-optimal size, because {why}.")
    return said


METHODS = {
    "bootstrap-rows": "a bootstrap over rows",
    "bootstrap-clusters": "a bootstrap over clusters, as the branches of one trunk share noise",
    "profile-t": "profile likelihood with t quantiles, as there are too few clusters to resample",
    "none": "no method: none were asked for",
}
SYMBOLS = {"E": "E", "A": "A", "B": "B", "alpha": "α", "beta": "β", "gamma": "γ"}


def gamma(study: Study) -> list[str]:
    """What γ says: the difference between arms, never one arm's γ against zero (paper.md)."""
    said = []
    for scratch, cpt in law.pairs(study):
        both = saved.pair(study, scratch, cpt)
        if both is None or both.cpt.fit.get("law") == laws.Law.CHINCHILLA:
            continue
        gammas = float(both.cpt.surface.gamma), float(both.scratch.surface.gamma)
        contrasts = both.cpt.fit.get("contrasts") or {}
        entry = contrasts.get(f"gamma[{cpt.name}]-gamma[{scratch.name}]") or {}
        ends = entry.get("low"), entry.get("high")
        told = f" (interval {numbers.interval(*ends)})" if None not in ends else ""
        said.append(
            f"γ is {numbers.coefficient(gammas[0])} in {cpt.name} and "
            f"{numbers.coefficient(gammas[1])} in {scratch.name}: a difference of "
            f"{numbers.coefficient(gammas[0] - gammas[1], *ends)}{told}."
        )
    if said:
        said.append(
            "Only such a difference can speak of transfer: runs from scratch have a γ of their own."
        )
    return said


def listed(words: Sequence[str]) -> str:
    """a, b and c."""
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def several(count: int, noun: str) -> str:
    """`1 arm`, `4 arms`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
