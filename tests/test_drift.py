"""Drift: right sizes and p-values, an alarm that keeps its promise, and an error for everything else."""

import math
import tracemalloc
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import chi2_contingency, fisher_exact, ks_2samp

from course_utils.drift import drift_report, holm, image_features, population_stability_index


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_psi_by_hand() -> None:
    """Ten reference values in two bins, five in each; of four current ones, one in the first."""
    reference, current = np.arange(10.0), np.array([0.0, 9.0, 9.0, 8.0])
    p, q = (5.5 / 11, 5.5 / 11), (1.5 / 5, 3.5 / 5)
    expected = sum((b - a) * math.log(b / a) for a, b in zip(p, q, strict=True))
    assert population_stability_index(reference, current, bins=2) == pytest.approx(expected, rel=1e-12)
    shares, new_shares = (6.5 / 11.5, 4.5 / 11.5, 0.5 / 11.5), (1.5 / 4.5, 0.5 / 4.5, 2.5 / 4.5)  # c is new
    expected = sum((b - a) * math.log(b / a) for a, b in zip(shares, new_shares, strict=True))
    assert population_stability_index(["a"] * 6 + ["b"] * 4, ["a", "c", "c"]) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("before", "after"), [(1000, 200), (1000, 50), (200, 200)])
def test_without_drift_the_psi_has_the_mean_that_is_said(before: int, after: int, rng: np.random.Generator) -> None:
    found = [population_stability_index(rng.normal(size=before), rng.normal(size=after)) for _ in range(400)]
    assert np.mean(found) == pytest.approx(9 * (1 / before + 1 / after), rel=0.15)


def test_psi_of_values_that_occur_often(rng: np.random.Generator) -> None:
    constant = np.full(100, 0.3)
    assert population_stability_index(constant, np.full(40, 0.3)) == 0
    for moved in (0.2, 0.4, np.nextafter(0.3, 1), np.nextafter(0.3, 0)):
        assert population_stability_index(constant, np.full(40, moved)) > 3
    clipped = rng.normal(size=1000).clip(0)  # half of them are 0
    assert population_stability_index(clipped, clipped.copy()) == pytest.approx(0, abs=1e-12)
    assert population_stability_index(clipped, np.where(clipped == 0, -1.0, clipped)) > 1


def test_psi_stays_finite_where_a_bin_is_empty(rng: np.random.Generator) -> None:
    far = population_stability_index(rng.normal(size=500), rng.normal(size=500) + 50)
    assert 5 < far < 50


def test_psi_does_not_depend_on_the_unit(rng: np.random.Generator) -> None:
    before, after = rng.normal(size=300), rng.normal(0.3, size=300)
    one = population_stability_index(before, after)
    assert population_stability_index(torch.from_numpy(before) * 1e6 - 7, after * 1e6 - 7) == pytest.approx(one)


def test_holm_by_hand_and_its_order() -> None:
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.9, 0.5]) == [1.0, 1.0]
    assert holm([0.01, 0.01]) == [0.02, 0.02]
    assert holm([]) == []


@pytest.mark.parametrize("p_values", [[math.nan, 0.01, 0.02], [0.01, math.nan], [-0.1, 0.5], [0.1, 5]])
def test_what_is_no_p_value(p_values: list[float]) -> None:
    with pytest.raises(ValueError, match=r"The p-values are \[.*\]: give numbers between 0 and 1"):
        holm(p_values)
    assert holm([]) == []
    names = ["b", "a"]
    assert dict(zip(names, holm([0.5, 0.001]), strict=True)) == {"b": 0.5, "a": 0.002}


def test_the_report_holds_scipys_numbers(rng: np.random.Generator) -> None:
    before = {"size": torch.randn(300), "answer": ["a"] * 180 + ["b"] * 80 + ["c"] * 40}
    after = {"answer": ["a"] * 60 + ["b"] * 30 + ["c"] * 10, "size": torch.randn(100) + 0.8}
    report = drift_report(before, after, alpha=0.01)
    size, answer = report.features
    ks = ks_2samp(before["size"], after["size"], method="asymp")
    assert (size.name, size.test, answer.name, answer.test) == ("size", "KS", "answer", "chi")
    assert (size.statistic, size.p_value) == pytest.approx((ks.statistic, ks.pvalue), rel=1e-6)
    chi = chi2_contingency([[180, 80, 40], [60, 30, 10]], correction=False)
    assert (answer.statistic, answer.p_value) == pytest.approx((chi.statistic, chi.pvalue), rel=1e-6)
    assert [size.adjusted, answer.adjusted] == pytest.approx(holm([ks.pvalue, chi.pvalue]), rel=1e-6)
    assert size.psi == pytest.approx(population_stability_index(before["size"], after["size"]))
    assert size.psi_by_chance == pytest.approx(9 * (1 / 300 + 1 / 100))
    assert answer.psi_by_chance == pytest.approx(2 * (1 / 300 + 1 / 100))
    assert report.drifted == ("size",)
    assert report.alarm


def test_rare_categories_get_the_exact_p_value() -> None:
    """With two categories it is Fisher's, which orders the tables by their probability."""
    before, after = {"answer": ["a"] * 95 + ["b"] * 5}, {"answer": ["a"] * 32 + ["b"] * 8}
    (answer,) = drift_report(before, after).features
    exact = fisher_exact([[95, 5], [32, 8]]).pvalue
    assert answer.p_value == pytest.approx(exact, abs=4 * (exact / 9999) ** 0.5)
    assert answer.statistic == pytest.approx(chi2_contingency([[95, 5], [32, 8]], correction=False).statistic)


def test_many_rare_categories_raise_no_false_alarm(rng: np.random.Generator) -> None:
    shares = 0.7 ** np.arange(12) / (0.7 ** np.arange(12)).sum()
    alarms = [
        drift_report({"a": rng.choice(12, 300, p=shares)}, {"a": rng.choice(12, 60, p=shares)}).alarm
        for _ in range(200)
    ]
    assert 0.01 < np.mean(alarms) < 0.05 + 2.6 * (0.05 * 0.95 / 200) ** 0.5


def test_a_rare_category_raises_an_alarm_among_many_features(rng: np.random.Generator) -> None:
    """10,000 shuffles give no p-value below 1e-4, and Holm multiplies it by 200 features: there must be more."""
    before, after = {"answer": ["a"] * 1000}, {"answer": ["a"] * 160 + ["b"] * 20}
    others = {f"f{i}": np.linspace(0, 1, 1000) for i in range(199)}
    report = drift_report(
        {**before, **others}, {**after, **{name: np.linspace(0, 1, 180) for name in others}}, alpha=0.01
    )
    assert report.drifted == ("answer",)
    assert report.features[0].p_value == pytest.approx(1 / 20_001, rel=0.06)  # 1 of 20,001 or a thousand more


def test_the_shuffles_of_many_categories_take_little_memory(rng: np.random.Generator) -> None:
    before, after = (rng.integers(0, 400, size) for size in (2000, 200))
    tracemalloc.start()
    (one,) = drift_report({"a": before}, {"a": after}).features
    assert tracemalloc.get_traced_memory()[1] < 20e6  # 10,000 shuffles at once would be 32 MB and more
    tracemalloc.stop()
    assert 0.001 < one.p_value < 0.999


def test_strings_of_pandas_and_small_floats() -> None:
    words = ["a", "b"] * 50
    assert drift_report({"w": pd.Series(words)}, {"w": pd.Series(words, dtype="category")}).features[0].test == "chi"
    assert drift_report({"w": words}, {"w": np.array(words, dtype=object)}).features[0].statistic == 0
    assert not drift_report({"x": torch.linspace(0, 1, 90).bfloat16()}, {"x": torch.linspace(0, 1, 90).half()}).alarm


def test_one_category_is_no_drift_and_a_new_one_in_one_sample_neither() -> None:
    assert not drift_report({"answer": ["a"] * 100}, {"answer": ["a"] * 50}).alarm
    assert not drift_report({"answer": ["a"] * 1000}, {"answer": ["a"] * 199 + ["b"]}).alarm
    assert drift_report({"answer": ["a"] * 1000}, {"answer": ["a"] * 180 + ["b"] * 20}).alarm


def test_the_alarm_keeps_its_promise_and_sees_what_changed(rng: np.random.Generator) -> None:
    """With five features that depend on each other, one in twenty reports may be a false alarm."""

    def sample(size: int, shift: float = 0.0) -> dict[str, Any]:
        common = rng.normal(size=size)
        features: dict[str, Any] = {f"f{i}": common + rng.normal(size=size) for i in range(3)}
        features["f0"] = features["f0"] + shift
        return {**features, "g": rng.random(size) ** 9, "answer": rng.integers(0, 8, size)}

    alarms = [drift_report(sample(400), sample(100)).alarm for _ in range(400)]
    assert 0.005 < np.mean(alarms) < 0.05 + 2.6 * (0.05 * 0.95 / 400) ** 0.5
    seen = [drift_report(sample(400), sample(100, shift=1.0)).drifted for _ in range(40)]
    assert np.mean([found[:1] == ("f0",) for found in seen]) > 0.9


def test_the_surest_comes_first_and_the_table_says_what_drifted() -> None:
    before = {"a": torch.linspace(0, 1, 100), "b": torch.linspace(0, 1, 100), "c": torch.linspace(0, 1, 100)}
    after = {"a": torch.linspace(0, 0.6, 100), "b": torch.linspace(0, 0.3, 100), "c": torch.linspace(0, 0.9, 100)}
    report = drift_report(before, after)
    assert report.drifted == ("b", "a")
    lines = str(report).splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["a", "b", "c"]
    assert [line.endswith("drift") for line in lines[1:]] == [True, True, False]
    assert not drift_report(before, before).alarm


def test_the_features_of_images_by_hand() -> None:
    images = torch.zeros(5, 1, 6, 6, dtype=torch.uint8)
    for place in range(6):
        images[0, 0, place, 5 - place] = 255  # a slash
        images[1, 0, place, place] = 128  # a backslash
        images[2, 0, place, 2] = 200  # upright
    images[4] = 255
    found = image_features(images)
    assert found["slant"].tolist() == pytest.approx([1, -1, 0, 0, 0], abs=1e-9)
    assert found["brightness"].tolist() == pytest.approx([1 / 6, 128 / 255 / 6, 200 / 255 / 6, 0, 1])
    assert found["contrast"][0].item() == pytest.approx((1 / 6 * 5 / 6) ** 0.5)
    assert found["contrast"][4].item() == 0
    colours = torch.randint(0, 256, (3, 3, 8, 12), dtype=torch.uint8)
    found = image_features(colours)
    assert found["brightness"].tolist() == pytest.approx((colours.double().mean(dim=(1, 2, 3)) / 255).tolist())
    assert {tuple(values.shape) for values in found.values()} == {(3,)}
    dimmed = image_features(colours // 2)
    assert torch.allclose(dimmed["slant"], found["slant"], atol=0.05)


def test_features_of_many_images_and_of_none() -> None:
    images = torch.randint(0, 256, (2300, 1, 4, 4), dtype=torch.uint8)
    found, last = image_features(images), image_features(images[-7:])
    assert all(len(values) == 2300 and torch.allclose(values[-7:], last[name]) for name, values in found.items())
    assert all(values.shape == (0,) for values in image_features(images[:0]).values())


FINE = {"size": torch.linspace(0, 1, 50)}


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (FINE, {"weight": torch.ones(50)}, r"the features \['size'\], the current data \['weight'\]: give both"),
        ({}, {}, "at least one"),
        (
            FINE,
            {"size": torch.ones(29)},
            r"current data has features of \[29\] values: give all as many, at least 30",
        ),
        ({"a": torch.ones(50), "b": torch.ones(40)}, {"a": torch.ones(50), "b": torch.ones(50)}, r"\[40, 50\] values"),
        (FINE, {"size": torch.ones(50, 2)}, r"'size' in the current data is float32 of shape \(50, 2\): give one"),
        (FINE, {"size": [None] * 50}, "'size' in the current data is object"),
        (FINE, {"size": ["a"] * 49 + [None]}, "'size' in the current data is object"),
        (FINE, {"size": torch.ones(50, dtype=torch.complex64)}, "'size' in the current data is complex64"),
        (FINE, {"size": [0.0] * 40 + [math.nan] * 10}, r"'size' in the current data holds nan \(sample 40\): count"),
        (FINE, {"size": [0.0] * 49 + [math.inf]}, r"holds inf \(sample 49\)"),
        (FINE, {"size": [-1.7e308, 1.7e308] * 25}, r"holds -1.7e\+308 \(sample 0\)"),
        (FINE, {"size": torch.ones(50, dtype=torch.int64)}, "holds floats, the current data whole numbers: give"),
        ({"size": ["a"] * 50}, {"size": [1] * 50}, "holds strings, the current data whole numbers"),
        ({"id": torch.arange(50)}, {"id": torch.arange(50) + 50}, "Most categories of 'id' occur fewer than 5 times"),
        ({"age": torch.arange(60) // 2}, {"age": torch.arange(60) // 2}, "of 'age' occur fewer than 5 .* give floats"),
        ({1: torch.ones(50)}, {1: torch.ones(50)}, r"the features \[1\], .* give both the same names, as strings"),
        ({1: torch.ones(50), "a": torch.ones(50)}, {1: torch.ones(50)}, r"the features \[1, 'a'\]"),
    ],
)
def test_what_cannot_be_compared(before: Any, after: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        drift_report(before, after)


@pytest.mark.parametrize("alpha", [0.0, 1.0, -1, math.nan])
def test_alpha_is_a_share(alpha: float) -> None:
    with pytest.raises(ValueError, match="share of false alarms"):
        drift_report(FINE, FINE, alpha=alpha)


def test_what_has_no_psi() -> None:
    with pytest.raises(ValueError, match="bins is 1, but one bin holds everything"):
        population_stability_index(torch.ones(50), torch.ones(50), bins=1)
    with pytest.raises(ValueError, match="7 values then and 50 now are too few for 10 bins"):
        population_stability_index(torch.ones(7), torch.ones(50))
    with pytest.raises(ValueError, match="50 values then and 0 now"):
        population_stability_index(torch.ones(50), torch.ones(0))
    with pytest.raises(ValueError, match="The reference holds nan"):
        population_stability_index([math.nan] * 20, torch.ones(20))


@pytest.mark.parametrize(
    "images",
    [torch.zeros(2, 1, 8, 8), torch.zeros(2, 8, 8, dtype=torch.uint8), torch.zeros(2, 0, 8, 8, dtype=torch.uint8)],
    ids=["float", "no channel", "no pixels"],
)
def test_features_of_something_else(images: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"images are \w+ of shape .*: give uint8 \(N, C, H, W\)"):
        image_features(images)
