"""Laws of finding: scores against brute force, probabilities against Bayes, and the commands."""

import json

import numpy as np
import pytest
import torch
import yaml
from error_codes import has_code
from sklearn.metrics import roc_auc_score, roc_curve

import lenssim as package
from lenssim.errors import ConfigError, DataError
from lenssim.learn.figures.finding import completeness_figure
from lenssim.learn.figures.presentations.finding import FindingPresentation
from lenssim.learn.scores.finding import (
    FALSE_POSITIVES,
    Ranking,
    completeness_by,
    intervals,
    operating_point,
    shifted,
    threshold_at,
)
from lenssim.learn.scores.hand_made import hand_made_features
from lenssim.learn.scores.task_scores import TaskScores
from lenssim.learn.tasks import parse_config
from lenssim.learn.tasks.find import Find
from lenssim.simulate.preset import load_preset

CLASSES = ("lens", "spiral", "merger")


def ranked(kind: str, seed: int, n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Truth and scores (n,); `ties` has ten values only, `discrete` two, `apart` no overlap."""
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < 0.4
    score = rng.normal(size=n) + 1.2 * truth
    if kind == "ties":
        score = np.round(score * 2) / 2
    elif kind == "discrete":
        score = (score > 0).astype(float)
    elif kind == "apart":
        score = truth + rng.random(n) / 2
    return truth, score


KINDS = ("free", "ties", "discrete", "apart")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_scores_of_a_ranking_are_those_of_their_definitions(kind, seed):
    truth, score = ranked(kind, seed)
    scores = {name: value[0] for name, value in Ranking.of(truth, score).scores().items()}
    assert scores["auc"] == pytest.approx(roc_auc_score(truth, score), abs=1e-12)
    for name, allowed in FALSE_POSITIVES.items():
        rates = [
            (score[truth] >= threshold).mean()
            for threshold in score
            if (score[~truth] >= threshold).sum() <= allowed
        ]
        assert scores[name] == pytest.approx(max(rates, default=0.0))
    fpr, tpr, _ = roc_curve(truth, score, drop_intermediate=False)
    assert scores["tpr_1e-2"] == pytest.approx(tpr[fpr <= 1e-2].max())


@pytest.mark.parametrize("kind", KINDS)
def test_weights_stand_for_repeated_images(kind):
    truth, score = ranked(kind, 5, 80)
    weights = np.random.default_rng(1).integers(0, 3, size=(4, 80))
    together = Ranking.of(truth, score).scores(weights, 0.1)
    for b, row in enumerate(weights):
        repeated = np.repeat(np.arange(80), row)
        alone = Ranking.of(truth[repeated], score[repeated]).scores(None, 0.1)
        for name, values in alone.items():
            assert together[name][b] == pytest.approx(values[0]), name


def test_two_scores_find_nothing_without_false_positives():
    truth, score = ranked("discrete", 0)
    assert Ranking.of(truth, score).scores()["tpr0"][0] == 0


@pytest.mark.parametrize("prevalence", [0.5, 0.1, 1e-3])
def test_purity_is_that_of_a_population_with_the_prevalence(prevalence):
    truth, score = ranked("free", 2, 4000)
    curve = Ranking.of(truth, score).curve(prevalence)
    k = len(curve["fpr"]) // 3
    above = score >= curve["threshold"][k]
    lenses = prevalence * above[truth].mean()
    others = (1 - prevalence) * above[~truth].mean()
    assert curve["purity"][k] == pytest.approx(lenses / (lenses + others))


@pytest.mark.parametrize("prevalence", [0.9, 0.5, 0.02])
def test_a_shifted_probability_is_calibrated_at_the_new_prevalence(prevalence):
    """Two normal populations: the probability for equal shares is known, and Bayes gives the other."""
    rng = np.random.default_rng(3)
    truth = rng.random(400_000) < prevalence
    x = rng.normal(size=len(truth)) + truth
    even = 1 / (1 + np.exp(-(x - 0.5)))
    probability = shifted(even, 0.5, prevalence)
    edges = np.quantile(probability, np.linspace(0, 1, 9)[1:-1])
    bins = np.digitize(probability, edges)
    for k in range(8):
        expected = probability[bins == k].mean()
        error = np.sqrt(expected * (1 - expected) / (bins == k).sum())
        assert abs(truth[bins == k].mean() - expected) < 4.5 * error
    np.testing.assert_allclose(shifted(probability, prevalence, 0.5), even, rtol=1e-9)


@pytest.mark.parametrize("rate", [0.1, 0.01, 0.001])
def test_a_threshold_keeps_its_rate(rate):
    truth, score = ranked("free", 4, 5000)
    threshold = threshold_at(truth, score, rate)
    others = int((~truth).sum())
    point = operating_point(truth, score, threshold, 0.5)
    assert point["wrong"] == int(rate * others)
    assert point["completeness"] == pytest.approx((score[truth] > threshold).mean())


def test_intervals_over_seeds_are_those_of_one_network():
    """Rankings that differ much widen the interval; equal ones leave it."""
    truth, score = ranked("free", 6, 400)
    rng = np.random.default_rng(0)
    worse = score + 2.5 * rng.normal(size=len(score))
    alone = intervals(truth, [score], 0.5, resamples=200)["auc"]
    twice = intervals(truth, [score, score], 0.5, resamples=200)["auc"]
    apart = intervals(truth, [score, worse], 0.5, resamples=200)["auc"]
    assert twice["value"] == alone["value"] > apart["value"]
    width = alone["high"] - alone["low"]
    assert abs((twice["high"] - twice["low"]) / width - 1) < 0.35
    assert (apart["high"] - apart["low"]) / width > 1.8
    assert apart["low"] < roc_auc_score(truth, worse) < apart["high"]


def test_intervals_of_one_kind_of_image_are_not_defined():
    scores = intervals(np.ones(20, bool), [np.arange(20.0)], 0.5, resamples=20)
    assert scores["auc"] == {"value": None, "low": None, "high": None}


def test_completeness_by_a_property_counts_every_lens_once():
    truth, score = ranked("free", 8, 600)
    theta_E = np.where(truth, np.exp(score), np.nan)
    table = completeness_by(truth, score, 1.0, {"theta_E": theta_E, "flat": truth + 0.0})
    assert list(table) == ["theta_E"]
    assert sum(entry["n"] for entry in table["theta_E"]) == truth.sum()
    found = sum(entry["n"] * entry["completeness"] for entry in table["theta_E"])
    assert found == pytest.approx((score[truth] > 1).sum())
    assert table["theta_E"][0]["auc"]["value"] < table["theta_E"][-1]["auc"]["value"]


def test_the_figure_of_completeness_draws_every_bin_with_its_interval():
    truth, score = ranked("free", 9, 600)
    bins = completeness_by(truth, score, 1.0, {"theta_E": np.exp(score)})
    (axes,) = completeness_figure(bins, "title").axes
    (container,) = axes.containers
    for bars in container.lines[2]:
        assert np.isfinite(np.concatenate(bars.get_segments())).all()
    x, y = container.lines[0].get_data()
    np.testing.assert_allclose(y, [entry["completeness"] for entry in bins["theta_E"]])
    assert (np.diff(x) > 0).all()


def test_every_figure_of_a_finder_has_its_own_caption():
    """Of other tasks, `errors` are those of measured numbers."""
    truth, score = ranked("free", 9, 100)
    label = np.where(truth, "lens", "other")
    facts = {"prevalence": 0.1, "completeness": {"theta_E": []}}
    scores = TaskScores({}, facts, {"label": label, "score": score})
    presentation = FindingPresentation("lens")
    figures = presentation.figures(scores, None, np.arange(100), "title")
    assert set(figures) == set(presentation.captions)


def test_a_bin_from_zero_fits_on_a_logarithmic_axis():
    truth, score = ranked("free", 9, 600)
    pixels = np.where(score < -1, 0.0, np.exp(2 * score))
    bins = completeness_by(truth, score, 1.0, {"npix": pixels})
    assert bins["npix"][0]["low"] == 0
    (axes,) = completeness_figure(bins, "title").axes
    assert axes.get_xscale() == "log"
    (container,) = axes.containers
    x, _ = container.lines[0].get_data()
    assert (x > 0).all()


class Labelled:
    def __init__(self, labels, classes=CLASSES):
        self.labels, self.classes, self.folder = labels, classes, "labelled"

    def __len__(self):
        return len(self.labels)


def fitted(labels: np.ndarray, **settings) -> Find:
    rows = np.arange(len(labels))
    config = parse_config({"task": "find", "data": "d", **settings})
    return Find.fit(config, Labelled(labels), {"train": rows, "validation": rows})


LABELS = np.repeat([0, 1, 2], [20, 50, 30])


@pytest.mark.parametrize(("slope", "offset"), [(1.0, 0.0), (0.4, 1.5), (3.0, -2.0)])
def test_calibration_recovers_slope_and_offset(slope, offset):
    rng = np.random.default_rng(0)
    odds = torch.from_numpy(rng.normal(-1, 2, size=20_000))
    truth = rng.random(20_000) < odds.sigmoid().numpy()
    task = fitted(LABELS).model_copy(update={"share": float(truth.mean())})
    outputs = ((odds - offset) / slope)[None, :, None]
    rows = np.arange(20_000)
    calibrated = task.calibrated(outputs, Labelled(np.where(truth, 0, 1)), rows)
    assert calibrated.slope == pytest.approx(slope, rel=0.06)
    assert calibrated.offset == pytest.approx(offset, abs=0.1)
    np.testing.assert_allclose(
        calibrated.scores(outputs), odds.sigmoid().numpy(), atol=0.02
    )
    assert list(calibrated.thresholds) == ["0.1", "0.01", "0.001"]


def test_every_other_class_counts_as_other():
    task = fitted(LABELS, positive="merger", balanced=True)
    assert task.share == pytest.approx(0.3)
    assert task.title == "find merger among lens, spiral"
    outputs = torch.randn(100, 1, generator=torch.Generator().manual_seed(0))
    loss = task.loss(outputs, {"label": torch.from_numpy(LABELS)})
    truth = LABELS == 2
    each = np.log1p(np.exp(np.where(truth, -1, 1) * outputs[:, 0].numpy()))
    expected = (each[truth].mean() + each[~truth].mean()) / 2
    assert float(loss) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("views", ["mean", "product"])
def test_views_are_joined_as_their_name_says(views):
    outputs = torch.randn(8, 50, 1, generator=torch.Generator().manual_seed(1)).double()
    task = fitted(LABELS, views=views).model_copy(update={"slope": 1.3, "offset": 0.2})
    each = (1.3 * outputs[..., 0] + 0.2).sigmoid().numpy()
    expected = each.mean(0) if views == "mean" else each.prod(0) ** (1 / 8)
    np.testing.assert_allclose(task.scores(outputs), expected, rtol=1e-9)
    if views == "product":
        order = np.argsort(task.scores(outputs))
        np.testing.assert_array_equal(order, np.argsort(each.prod(0)))


def test_networks_are_calibrated_by_themselves_before_they_join():
    """A network with other units and another share of lenses says the same, and changes nothing."""
    outputs = torch.randn(1, 40, 1, generator=torch.Generator().manual_seed(2)).double()
    task = fitted(LABELS)
    odds = np.log(0.2 / 0.8) - np.log(0.5 / 0.5)
    other = task.model_copy(update={"slope": 0.5, "offset": 3.0 - odds, "share": 0.5})
    joint, passes = task.joined([other], [outputs, (outputs - 3) / 0.5])
    assert joint.members == (1, 1)
    np.testing.assert_allclose(joint.scores(passes), task.scores(outputs), rtol=1e-9)


@pytest.mark.parametrize(
    ("settings", "labels", "error"),
    [
        ({"positive": "ring"}, LABELS, (ConfigError, "unknown-class")),
        ({}, np.zeros(50, int), (DataError, "split-empty")),
        ({}, np.ones(50, int), (DataError, "split-empty")),
    ],
)
def test_what_cannot_be_found_is_refused(settings, labels, error):
    kind, code = error
    with pytest.raises(kind, check=has_code(code)):
        fitted(labels, **settings)


@pytest.mark.parametrize("prevalence", [0.0, 1.0, -0.1, float("nan")])
def test_a_prevalence_is_a_share(prevalence):
    with pytest.raises(ConfigError, check=has_code("option-range", option="prevalence")):
        fitted(LABELS).at_prevalence(prevalence)


@pytest.mark.thorough
def test_find_from_the_command_line(lenssim, tiny_data_of_find, tmp_path):
    for seed in (0, 1):
        done = lenssim(
            *("train", "find", "--data", tiny_data_of_find, "--positive", "cdm"),
            *("--out", f"r{seed}", "--epochs", 1, "--batch-size", 32, "--seed", seed),
        )
        assert done.code == 0, done.err
    together = ("evaluate", "r0", "--with", "r1", "--data", tiny_data_of_find, "--tta")
    done = lenssim(*together, "--prevalence", 0.01, "--json")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert document["prevalence"] == 0.01
    assert set(document["metrics"]["joined_by"]) == {"mean", "product"}
    over_seeds = document["metrics"]["images and seeds"]["auc"]
    assert over_seeds["low"] <= over_seeds["value"] <= over_seeds["high"]
    folder = tmp_path / document["folder"]
    assert folder.name.endswith("-tta-at-0.01")
    assert {path.stem for path in folder.glob("*.png")} >= {"roc", "purity", "errors"}
    printed = lenssim(*together).out
    assert "AUC of one network, over images and seeds" in printed
    assert "TPR10 of the product of passes" in printed
    np.save("image.npy", package.open(tiny_data_of_find).images([0])[0])
    answers = [
        json.loads(
            lenssim("predict", "r0", "image.npy", "--prevalence", share, "--json").out
        )["predictions"][0]
        for share in (0.5, 0.001)
    ]
    assert answers[0]["score"] == answers[1]["score"]
    assert answers[0]["probability"] > 100 * answers[1]["probability"]
    refused = lenssim("predict", "r0", "image.npy", "--prevalence", 2)
    assert refused.code == 2
    assert "between 0 and 1" in refused.err


@pytest.fixture(scope="module")
def tiny_data_of_find(tmp_path_factory):
    folder = tmp_path_factory.mktemp("find") / "III"
    package.generate("III", 256, folder, workers=0, noise="none")
    return folder


def test_runs_of_other_tasks_take_no_prevalence(workplace):
    run = package.load_run(workplace / "runs/cnn")
    with pytest.raises(ConfigError, check=has_code("no-prevalence")):
        run.predict(workplace / "data/III", prevalence=0.1)


@pytest.mark.parametrize("settings", [{}, {"balanced_batches": True}])
def test_half_of_a_batch_is_found_only_if_asked_for(settings):
    config = parse_config({"task": "find", "data": "d", **settings})
    rows = np.arange(10, 60)
    half = fitted(LABELS).half_of_batches(config, Labelled(LABELS), rows)
    if settings:
        np.testing.assert_array_equal(half, LABELS[rows] == 0)
    else:
        assert half is None


def test_batches_and_loss_are_not_balanced_together():
    settings = {"balanced": True, "balanced_batches": True}
    with pytest.raises(ConfigError, match="give one of them"):
        parse_config({"task": "find", "data": "d", **settings})


@pytest.fixture(scope="module")
def lenses_and_twins(tmp_path_factory):
    """Small stamps of a finder's preset with their twins, and a run on them."""
    folder = tmp_path_factory.mktemp("twins")
    document = load_preset("challenge-space").model_dump(mode="json")
    document["instrument"]["num_pix"] = 16
    document["supersampling"] = 1
    preset = folder / "small.yaml"
    preset.write_text(yaml.safe_dump(document))
    package.generate(preset, 256, folder / "data", workers=0, maps=("twin",))
    package.train(
        "find",
        data=folder / "data",
        out=folder / "run",
        epochs=1,
        normalise="sky",
        balanced_batches=True,
    )
    return folder


@pytest.mark.thorough
def test_an_evaluation_shows_the_twins_too(lenses_and_twins):
    """The AUC of twins is that of their own scores, and an image of a non-lens is its twin."""
    run = package.load_run(lenses_and_twins / "run")
    data = package.open(lenses_and_twins / "data")
    evaluation = run.evaluate(lenses_and_twins / "data")
    rows = np.flatnonzero(np.arange(256) // 64 == 3)
    truth = data.labels[rows] == data.classes.index("lens")
    score = run.predict(data.images(rows, "twin"))["score"]
    metrics = evaluation.document["metrics"]
    stated = metrics["twin"]["auc"]
    assert stated["value"] == pytest.approx(roc_auc_score(truth, score), abs=1e-6)
    assert stated["low"] < stated["value"] < stated["high"]
    details = FindingPresentation("lens").details(metrics)
    assert details["AUC of lenses without their arcs (0.5 without a leak)"] == stated


def test_hand_made_features_know_no_unit_and_no_turn():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(4, 2, 41, 41)) + 20 * np.exp(
        -((np.hypot(*np.mgrid[-20:21, -20:21]) - 9) ** 2) / 4
    )
    features = hand_made_features(images)
    assert features.shape == (4, 2 * 8 * 10)
    np.testing.assert_allclose(
        hand_made_features(1e-12 * images), features, rtol=1e-6, atol=1e-6
    )
    turned = hand_made_features(images[..., ::-1, ::-1])
    np.testing.assert_allclose(turned, features, rtol=1e-6, atol=1e-6)


def test_edges_of_a_ring_follow_it():
    """The sixth feature is the logarithm of the power across a ring over that along it."""
    arc = np.hypot(*np.mgrid[-20:21, -20:21]) - 9
    side = np.mgrid[-20:21, -20:21][1] > 0
    noise = np.random.default_rng(0).normal(size=(1, 1, 41, 41))
    half_ring = noise + 30 * side * np.exp(-(arc**2) / 4)
    alignment = [
        hand_made_features(images).reshape(8, 10)[:, 5] for images in (half_ring, noise)
    ]
    assert alignment[0].max() > alignment[1].max() + 1
