"""Has the data changed? Two samples of some features compared, with an alarm that keeps a promise.

SciPy is imported inside the functions; it comes with scikit-learn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Values = torch.Tensor | NDArray[Any] | Sequence[float] | Sequence[str]
FEWEST = 30  # samples on each side: with fewer, no test here sees anything
EXPECTED = 5  # samples in a cell that the formula of the chi-squared test needs (Cochran 1954)


@dataclass(frozen=True)
class FeatureDrift:
    """One feature, then and now.

    ``statistic`` is the Kolmogorov-Smirnov distance (0 to 1) for numbers, chi-squared for categories: see ``test``.
    ``p_value`` is how often samples of one source differ as much, ``adjusted`` that after Holm's correction for all
    features. ``psi`` is the size of the change, and ``psi_by_chance`` about its mean where nothing changed.
    """

    name: str
    test: str
    statistic: float
    p_value: float
    adjusted: float
    psi: float
    psi_by_chance: float


@dataclass(frozen=True)
class DriftReport:
    """All features, then and now; ``str(report)`` is a table of them.

    Where nothing changed, at most a share ``alpha`` of such reports raises an alarm.
    """

    features: tuple[FeatureDrift, ...]
    alpha: float

    @property
    def drifted(self) -> tuple[str, ...]:
        """The names of the features that changed, the surest first."""
        found = [feature for feature in self.features if feature.adjusted <= self.alpha]
        return tuple(feature.name for feature in sorted(found, key=lambda feature: feature.p_value))

    @property
    def alarm(self) -> bool:
        """Whether any feature changed."""
        return bool(self.drifted)

    def __str__(self) -> str:
        width = max(len(feature.name) for feature in self.features)
        lines = [f"{'':{width}}  statistic   p-value  adjusted     PSI  by chance"]
        lines += [
            f"{one.name:{width}}  {one.test:3}{one.statistic:6.3g}{one.p_value:10.4f}{one.adjusted:10.4f}"
            f"{one.psi:8.3f}{one.psi_by_chance:11.3f}{'  drift' if one.name in self.drifted else ''}"
            for one in self.features
        ]
        return "\n".join(lines)


def drift_report(reference: Mapping[str, Values], current: Mapping[str, Values], *, alpha: float = 0.05) -> DriftReport:
    """Compare the features of two samples, and say which changed.

    Numbers (floats) are compared by the two-sample Kolmogorov-Smirnov test, categories (whole numbers or strings) by
    the chi-squared test; where some are too rare for its formula, the p-value comes from 10,000 shuffles, or as many
    as an alarm takes. A count or an age is a whole number, too, and compared without its order, which sees less: give
    measurements as floats. The p-values are corrected by Holm's method: where nothing changed, the chance of *any*
    alarm is at most ``alpha``, however the features depend on each other.

    Args:
        reference: for each feature, its values (samples,) where all was well; no training data, none of ``current``.
        current: the same features of the samples in question.
        alpha: the share of false alarms that is allowed.

    Raises:
        ValueError: the two do not have the same features, one has fewer than 30 samples or several lengths, values are
            not finite (1e300 counts as infinite) or not (samples,), or most categories occur fewer than 5 times.

    Source: Holm 1979, https://www.jstor.org/stable/4615733
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is {alpha}, but it is the share of false alarms: give a number between 0 and 1.")
    if not reference or set(reference) != set(current) or not all(isinstance(name, str) for name in reference):
        raise ValueError(
            f"The reference has the features {list(reference)}, the current data {list(current)}: give both the same "
            "names, as strings, at least one."
        )
    before, after = _samples(reference, "reference"), _samples(current, "current data")
    found = {name: _test(before[name], after[name], name, alpha / len(reference)) for name in reference}
    adjusted = dict(zip(found, holm([p_value for _, _, p_value in found.values()]), strict=True))
    rows = (FeatureDrift(name, *found[name], adjusted[name], *_psi(before[name], after[name], 10)) for name in found)
    return DriftReport(tuple(rows), alpha)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values corrected for their number, in the same order.

    The smallest is multiplied by their number, the next by one less, and so on; none overtakes another, or 1.

    Raises:
        ValueError: one is not between 0 and 1.
    """
    given = [float(p_value) for p_value in p_values]
    if not all(0 <= p_value <= 1 for p_value in given):
        raise ValueError(f"The p-values are {given}: give numbers between 0 and 1.")
    adjusted, least = [0.0] * len(given), 0.0
    for rank, place in enumerate(sorted(range(len(given)), key=given.__getitem__)):
        least = max(least, min(1.0, (len(given) - rank) * given[place]))
        adjusted[place] = least
    return adjusted


def population_stability_index(reference: Values, current: Values, *, bins: int = 10) -> float:
    """Return the size of the change: the sum of ``(q - p) * ln(q / p)`` over bins, p and q the shares of the two.

    For numbers, quantiles of the reference are the bounds of the bins, so that each holds the same share of it; a value
    that fills more than a bin, as in a constant feature, gets one of its own. Each category is a bin. Half a sample is
    added to each bin, so that an empty one gives no infinity; a bin that is empty in both is left out.

    Where nothing changed, the mean is about ``(bins - 1) * (1 / len(reference) + 1 / len(current))``: no fixed
    threshold suits samples of all sizes.

    Args:
        reference: values (samples,).
        current: values (samples,).
        bins: how many, for numbers.

    Raises:
        ValueError: ``bins`` is less than 2, the reference has fewer values than bins, nothing is in ``current``, or
            values are not finite or not (samples,).

    Source: Yurdakul 2018, https://scholarworks.wmich.edu/dissertations/3208
    """
    if bins < 2:
        raise ValueError(f"bins is {bins}, but one bin holds everything: give 2 or more.")
    before, after = _values(reference, "The reference"), _values(current, "The current data")
    if len(before) < bins or len(after) == 0:
        raise ValueError(f"{len(before)} values then and {len(after)} now are too few for {bins} bins: collect more.")
    return _psi(before, after, bins)[0]


def image_features(images: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return numbers that describe each image, float64 (N,) each.

    ``brightness`` is the mean and ``contrast`` the standard deviation of its pixels, both from 0 to 1; ``slant`` is
    the correlation of the bright pixels' places: -1 for a backslash, 0 for an upright or blank image, 1 for a slash.

    Args:
        images: uint8 (N, C, H, W).

    Raises:
        ValueError: the images have another type or shape.
    """
    if images.dtype != torch.uint8 or images.ndim != 4 or 0 in images.shape[1:]:
        kind = str(images.dtype).removeprefix("torch.")
        raise ValueError(f"images are {kind} of shape {tuple(images.shape)}: give uint8 (N, C, H, W), as in files.")
    height, width = (torch.arange(size, dtype=torch.float64) for size in images.shape[2:])
    up, right = torch.meshgrid(-height, width, indexing="ij")  # row numbers grow downwards
    places, found = torch.stack([up, right, up * up, right * right, up * right]), []
    for part in images.split(1000):  # float64 takes eight times the room
        light = part.cpu().double().mean(dim=1) / 255
        weights = light / light.sum(dim=(1, 2), keepdim=True).clamp_min(1e-12)
        u, r, uu, rr, ur = torch.einsum("khw,nhw->kn", places, weights)
        slant = (ur - u * r) / ((uu - u * u) * (rr - r * r)).clamp_min(1e-9).sqrt()
        brightness = light.mean(dim=(1, 2), keepdim=True)
        contrast = (light - brightness).square().mean(dim=(1, 2)).sqrt()
        found.append(torch.stack([brightness.flatten(), contrast, slant]))
    return dict(zip(("brightness", "contrast", "slant"), torch.cat(found, dim=1), strict=True))


def _psi(before: NDArray[Any], after: NDArray[Any], bins: int) -> tuple[float, float]:
    """Return the index, and about its mean where nothing changed."""
    counts = _binned(before, after, bins) if _measured(before, after) else _counted(before, after)
    counts = counts[:, counts.sum(axis=0) > 0]
    p, q = (counts + 0.5) / (counts + 0.5).sum(axis=1, keepdims=True)
    chance = (counts.shape[1] - 1) * (1 / len(before) + 1 / len(after))
    return float(((q - p) * np.log(q / p)).sum()), chance


def _binned(before: NDArray[Any], after: NDArray[Any], bins: int) -> NDArray[np.float64]:
    quantiles = np.quantile(before, np.linspace(0, 1, bins + 1))
    distinct, times = np.unique(quantiles, return_counts=True)
    alone = distinct[times > 1]  # values that fill a bin or more: from just below them to them
    bounds = np.unique(np.concatenate([quantiles[1:-1], alone, np.nextafter(alone, -np.inf)]))
    places = [np.searchsorted(bounds, sample, side="left") for sample in (before, after)]
    return np.stack([np.bincount(place, minlength=len(bounds) + 1) for place in places]).astype(np.float64)


def _counted(before: NDArray[Any], after: NDArray[Any]) -> NDArray[np.float64]:
    """Return how often each category occurs, (2, categories)."""
    categories, places = np.unique(np.concatenate([before, after]), return_inverse=True)
    parts = np.split(places, [len(before)])
    return np.stack([np.bincount(part, minlength=len(categories)) for part in parts]).astype(np.float64)


def _test(before: NDArray[Any], after: NDArray[Any], name: str, least: float) -> tuple[str, float, float]:
    """Return the test, its statistic and its p-value, which can be as small as ``least``."""
    from scipy.stats import chi2_contingency, ks_2samp  # type: ignore[import-untyped]

    if _measured(before, after):
        result = ks_2samp(before, after, method="asymp")  # the exact one may give up, with a warning
        return "KS", float(result.statistic), float(result.pvalue)
    counts = _counted(before, after)
    sums = counts.sum(axis=0)
    if np.median(sums) < EXPECTED:
        raise ValueError(f"Most categories of {name!r} occur fewer than 5 times: give floats, or join rare categories.")
    result = chi2_contingency(counts, correction=False)
    expected, as_far, rounds = result.expected_freq, 0, max(10, 1 + int(1 / least / 1000))
    if expected.min() >= EXPECTED:
        return "chi", float(result.statistic), float(result.pvalue)
    generator = np.random.default_rng(0)
    for _ in range(rounds):
        shuffled = generator.multivariate_hypergeometric(sums.astype(int), len(after), size=1000)
        # With the sums given, the two rows of a table are equally far from what is expected of them.
        statistics = (shuffled - expected[1]) ** 2 @ (1 / expected).sum(axis=0)
        as_far += int((statistics >= result.statistic * (1 - 1e-9)).sum())
    return "chi", float(result.statistic), (as_far + 1) / (1000 * rounds + 1)


def _measured(before: NDArray[Any], after: NDArray[Any]) -> bool:
    """Return whether these are numbers, not categories; refuse two that cannot be compared."""
    kinds = [{"f": "floats", "U": "strings"}.get(sample.dtype.kind, "whole numbers") for sample in (before, after)]
    if kinds[0] != kinds[1]:
        raise ValueError(f"The reference holds {kinds[0]}, the current data {kinds[1]}: give the same kind in both.")
    return kinds[0] == "floats"


def _samples(features: Mapping[str, Values], whose: str) -> dict[str, NDArray[Any]]:
    found = {name: _values(values, f"{name!r} in the {whose}") for name, values in features.items()}
    lengths = {len(values) for values in found.values()}
    if len(lengths) > 1 or min(lengths) < FEWEST:
        raise ValueError(f"The {whose} has features of {sorted(lengths)} values: give all as many, at least {FEWEST}.")
    return found


def _values(values: Values, what: str) -> NDArray[Any]:
    """Return ``values`` as float64, or as whole numbers or strings, of shape (samples,)."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        values = values.float() if values.dtype == torch.bfloat16 else values  # NumPy has none
    array = np.asarray(values)
    if array.dtype.kind == "O" and all(isinstance(value, str) for value in array.flat):
        array = array.astype(str)  # a column of strings in pandas
    if array.ndim != 1 or array.dtype.kind not in "fiubU":
        raise ValueError(f"{what} is {array.dtype} of shape {array.shape}: give one number or string for each sample.")
    if array.dtype.kind == "f":
        array = array.astype(np.float64)
        for sample in np.flatnonzero(~(np.abs(array) < 1e300)):  # differences of larger ones are infinite
            raise ValueError(f"{what} holds {array[sample]} (sample {sample}): count such samples, and leave them out.")
    return array
