import csv

import numpy as np
import pytest
import torch
import yaml
from error_codes import has_code

from lenssim.api.run import Run
from lenssim.data.generation.simulation import generate, make_plan
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.data.streaming.live import LiveDataset
from lenssim.errors import ConfigError, DataError
from lenssim.learn.evaluation.evaluation import evaluate, evaluation_folder
from lenssim.learn.evaluation.prediction import predict
from lenssim.learn.heads import HEADS
from lenssim.learn.runs.run import open_run
from lenssim.learn.scores.posterior import LEVELS
from lenssim.learn.tasks import parse_config
from lenssim.learn.tasks.regress import Regress
from lenssim.learn.training.training import train
from lenssim.simulate.preset import parse_preset, preset_text


@pytest.fixture(scope="module")
def plan():
    document = yaml.safe_load(preset_text("III-corrected"))
    document["instrument"] |= {"num_pix": 32, "pixel_scale": 0.2}
    return make_plan(parse_preset(document), 512, seed=4, noise="none", supersampling=1)


@pytest.fixture(scope="module")
def folder(plan, tmp_path_factory):
    path = tmp_path_factory.mktemp("regress") / "data"
    generate(path, plan)
    return path


def config(data, **settings):
    given = {
        "task": "regress",
        "data": str(data),
        "targets": ["theta_E", "gamma1"],
        "batch_size": 32,
    }
    return parse_config({**given, "epochs": 2, **settings})


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    return train(config(folder), tmp_path_factory.mktemp("runs") / "run")


def pretend(task, truth, errors, seed=0):
    """Outputs (1, N, K) of a full head whose means are off by normal errors of the stated size, and say that size."""
    rng = np.random.default_rng(seed)
    white = (truth - task.mean) / task.spread
    stated = np.log(1 / np.broadcast_to(errors, white.shape))
    outputs = np.concatenate(
        [white + errors * rng.normal(size=white.shape), stated, np.zeros((len(white), 1))],
        axis=1,
    )
    return torch.from_numpy(outputs)[None]


def test_a_run_keeps_what_its_targets_were_drawn_from(folder, run):
    kept = open_run(run.folder).record.task.prior
    assert set(kept) == {"gamma1"}  # theta_E follows from the mass that is drawn
    (gamma1,) = (
        own["parameters"]["gamma1"]
        for own in ShardDataset(folder).config["preset"]["lens"][1:]
    )
    assert kept["gamma1"].model_dump(mode="json") == gamma1


def test_batches_carry_true_parameters_on_disk_and_live(folder, plan):
    names = ("theta_E", "e1")
    stored, live = ShardDataset(folder), LiveDataset(plan)
    stored.columns = live.columns = names
    rows = np.array([5, 300, 7])
    for dataset in (stored, live):
        batch = dataset.batch(rows)
        expected = np.stack([stored.params[name][rows] for name in names], axis=1)
        np.testing.assert_array_equal(batch["target"].numpy(), expected)


def test_a_regression_is_trained_kept_judged_and_asked(run, folder):
    again, dataset = open_run(run.folder), ShardDataset(folder)
    assert again.record.task == run.record.task
    assert isinstance(again.record.task, Regress)
    document = evaluate(again, dataset, resamples=50)
    held = evaluation_folder(again, dataset)
    drawn = (
        "errors",
        "truth",
        "coverage",
        "chi2",
        "ranks",
        "bins",
        "certain",
        "uncertain",
        "corner",
    )
    assert {*(f"{name}.png" for name in drawn), "predictions.csv"} <= {
        path.name for path in held.iterdir()
    }
    table = document["tables"]["68 % errors"]
    assert [line[""] for line in table] == [
        "this run",
        "Hezaveh et al. 2017",
        "Sorscher & Wagner-Carena",
    ]
    assert table[2]["theta_E"] == "0.07"
    with (held / "predictions.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    rows = dataset.rows("test")
    assert [int(line["index"]) for line in table] == dataset.index[rows].tolist()
    truth, found = (
        np.array([float(line[key]) for line in table])
        for key in ("theta_E_true", "theta_E")
    )
    np.testing.assert_allclose(truth, dataset.params["theta_E"][rows], rtol=1e-6)
    scores = document["metrics"]["targets"]["theta_E"]
    assert scores["mae"]["value"] == pytest.approx(np.abs(found - truth).mean(), rel=1e-4)
    assert scores["mae_of_the_mean"]["value"] == pytest.approx(
        np.abs(truth - run.record.task.mean[0]).mean(), rel=1e-4
    )
    assert sum(part["n"] for part in scores["by_bin"]) == len(rows)
    answer = next(iter(predict(again, [folder]))).answer
    assert answer["targets"].keys() == {"theta_E", "gamma1"}
    assert answer["sigma"]["theta_E"] ** 2 == pytest.approx(answer["covariance"][0][0])


def test_calibration_puts_stated_errors_right(run, folder):
    """Errors stated too small or too large, by target, are found so, and then cover what they should."""
    task, dataset = run.record.task, ShardDataset(folder)
    rows = np.arange(512)
    truth = dataset.targets(task.columns, rows)
    outputs = pretend(task, truth, np.array([0.2, 0.5]))
    outputs[..., 2:4] += torch.log(torch.tensor([3.0, 0.5]))
    right = task.calibrated(outputs, dataset, rows)
    assert right.widths == pytest.approx((3, 0.5), rel=0.12)  # three standard errors
    assert right.slopes == pytest.approx(
        (1 / 1.04, 1 / 1.25), abs=0.05
    )  # truth and noise are told: truth by its share
    judged = right.judge(outputs, dataset, rows, 50, 0)
    spread = {n: 3 * np.sqrt(share * (1 - share) / 512) for n, share in LEVELS.items()}
    for scores in judged.metrics["targets"].values():
        for n, share in LEVELS.items():
            assert scores[f"within_{n}"]["value"] == pytest.approx(share, abs=spread[n])
        assert scores["ranks_p"] > 0.001
    for n, share in LEVELS.items():
        assert judged.metrics[f"joint_{n}"]["value"] == pytest.approx(share, abs=spread[n])
    assert judged.facts["chi2_ks"]["p_value"] > 0.01
    assert judged.facts["density_ranks_p"] > 0.001
    before = judged.facts["before_calibration"]
    assert before["chi2"] == pytest.approx((9 + 0.25) / 2, rel=0.1)


def test_a_few_outliers_do_not_widen_the_errors_of_the_others(run, folder):
    task, dataset = run.record.task, ShardDataset(folder)
    rows = np.arange(512)
    truth = dataset.targets(task.columns, rows)
    outputs = pretend(task, truth, np.array([0.2, 0.5]))
    outputs[:, :5, :2] += 100
    assert task.calibrated(outputs, dataset, rows).widths == pytest.approx((1, 1), rel=0.12)


def bare(run):
    """Its task as it was before the calibration."""
    return run.record.task.model_copy(update={"widths": (), "slopes": (), "radii": ()})


def test_passes_are_a_mixture(run):
    task = bare(run)
    outputs = torch.randn(
        4, 3, task.outputs, generator=torch.Generator().manual_seed(1)
    ).double()
    together, each = task.posterior(outputs), [task.posterior(one[None]) for one in outputs]
    np.testing.assert_allclose(together.mean, np.mean([one.mean for one in each], axis=0))
    apart = np.stack([one.mean for one in each]) - together.mean
    np.testing.assert_allclose(
        together.epistemic, np.einsum("pni,pnj->nij", apart, apart) / 4
    )
    np.testing.assert_allclose(
        together.aleatoric, np.mean([one.covariance for one in each], axis=0)
    )
    np.testing.assert_allclose(together.covariance, together.aleatoric + together.epistemic)
    assert not each[0].epistemic.any()
    densities = [one.log_density(together.mean) for one in each]
    np.testing.assert_allclose(
        together.log_density(together.mean), np.log(np.mean(np.exp(densities), axis=0))
    )
    (answer, *_) = task.answers(outputs)
    parts = (
        answer["sigma_aleatoric"]["gamma1"] ** 2 + answer["sigma_epistemic"]["gamma1"] ** 2
    )
    assert answer["sigma"]["gamma1"] ** 2 == pytest.approx(parts)


def test_whitening_and_its_inverse(run):
    task = bare(run)
    values = torch.randn(100, 2, dtype=torch.float64) * 3 + 7
    outputs = torch.cat(
        [task.whiten(values), torch.zeros(100, 3, dtype=torch.float64)], dim=1
    )
    np.testing.assert_allclose(
        task.posterior(outputs[None]).mean, values.numpy(), rtol=1e-12, atol=1e-12
    )


def test_an_answer_outside_the_training_range_says_so(run):
    task = run.record.task
    outputs = torch.zeros(1, 2, task.outputs)
    outputs[0, 1, 0] = 50
    inside, outside = task.answers(outputs)
    assert (inside["outside"], outside["outside"]) == ([], ["theta_E"])
    assert task.presentation.cells(outside)["outside the training range"] == "theta_E"


def test_an_answer_that_says_less_than_the_validation_is_unsure(run, folder):
    task, dataset = run.record.task, ShardDataset(folder)
    rows = np.arange(512)
    truth = dataset.targets(task.columns, rows)
    outputs = pretend(task, truth, 0.2 + 0.1 * np.arange(512)[:, None] / 512)
    calibrated = task.calibrated(outputs, dataset, rows)
    assert np.shape(calibrated.sigma_quantiles) == (2, 101)
    sure, unsure = calibrated.answers(outputs[:, [10, 500]])
    assert sure["unsure"] == []
    assert unsure["unsure"] == ["theta_E", "gamma1"]
    assert calibrated.presentation.cells(unsure)["unsure"] == "theta_E, gamma1"
    joint, passes = calibrated.joined([calibrated], [outputs, outputs])
    assert joint.answers(passes[:, [500]])[0]["unsure"] == ["theta_E", "gamma1"]


def test_a_run_of_an_earlier_version_says_nothing_of_widths(run):
    task = run.record.task.model_copy(update={"sigma_quantiles": ()})
    (answer,) = task.answers(torch.zeros(1, 1, task.outputs))
    assert "unsure" not in answer
    assert "unsure" not in task.presentation.cells(answer)


def test_predict_says_when_all_answers_are_alike(run, folder, tmp_path, capfd):
    """Six times the same image."""
    image = ShardDataset(folder).images(np.arange(1))
    np.save(tmp_path / "same.npy", np.repeat(image, 6, axis=0))
    Run(run.folder).predict(tmp_path / "same.npy")
    said = capfd.readouterr().err
    assert "all 6 answers for theta_E are nearly the same" in said
    assert "all 6 answers for gamma1 are nearly the same" in said


@pytest.mark.parametrize("name", HEADS)
def test_every_head_learns(name, folder, tmp_path):
    run = train(config(folder, head=name, epochs=1), tmp_path / "run")
    assert np.isfinite(run.record.result.val_loss)
    assert min(run.record.task.widths) > 0
    answer = next(iter(predict(run, [folder]))).answer
    assert np.isfinite([*answer["targets"].values(), *answer["sigma"].values()]).all()


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (
            {"targets": ["theta_e"]},
            ConfigError,
            "unknown target in .*: did you mean 'theta_E'",
        ),
        (
            {"targets": ["z_lens"]},
            DataError,
            "z_lens is the same in all samples: nothing to learn",
        ),
        (
            {"targets": ["log10_m_axion"]},
            DataError,
            "have no log10_m_axion; --only takes one of no_sub, cdm, axion",
        ),
        (
            {"targets": ["log10_m_axion"], "only": "axoin"},
            ConfigError,
            "did you mean 'axion'",
        ),
        ({"targets": ["theta_E", "theta_E"]}, ConfigError, "give each once"),
        ({"targets": []}, ConfigError, "targets"),
        ({"head": "ful"}, ConfigError, "did you mean 'full'"),
        (
            {"targets": ["theta_E", "center_x"], "augment": "dihedral"},
            ConfigError,
            "center_x is measured without the other",
        ),
        ({"class_weights": "balanced"}, ConfigError, "unknown setting 'class_weights'"),
    ],
)
def test_what_cannot_be_learned_is_refused(settings, error, message, folder, tmp_path):
    with pytest.raises(error, match=message):
        train(config(folder, **settings), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.thorough
def test_one_class_alone(folder, tmp_path):
    asked = config(
        folder, targets=["log10_m_axion"], only="axion", augment="dihedral", epochs=1
    )
    run = train(asked, tmp_path / "run")
    dataset = ShardDataset(folder)
    axion = dataset.labels[dataset.rows("train")] == dataset.classes.index("axion")
    assert run.record.samples["train"] == axion.sum()
    assert (
        evaluate(run, dataset, resamples=20)["n"]
        == (dataset.labels[dataset.rows("test")] == 2).sum()
    )


def test_a_limit_counts_the_samples_of_that_class(folder, tmp_path):
    asked = config(
        folder, targets=["log10_m_axion"], only="axion", limit=32, batch_size=16, epochs=1
    )
    run, dataset = train(asked, tmp_path / "run"), ShardDataset(folder)
    rows = run.record.task.usable(dataset, dataset.rows("train"))[:32]
    assert run.record.samples["train"] == 32
    assert run.record.task.mean == (
        pytest.approx(dataset.targets(["log10_m_axion"], rows).mean()),
    )


def test_data_without_a_target_are_not_judged(run, folder):
    """A run without --only meets classes that do not have its target."""
    task, dataset = (
        run.record.task.model_copy(update={"columns": ("theta_E", "log10_m_axion")}),
        ShardDataset(folder),
    )
    rows = dataset.rows("test")
    with pytest.raises(
        DataError,
        match=f"of {len(rows)} samples have no log10_m_axion",
        check=has_code("no-targets"),
    ):
        task.judge(torch.zeros(1, len(rows), task.outputs), dataset, rows, 20, 0)


def test_too_few_samples_for_a_validation_are_refused(plan, tmp_path):
    generate(tmp_path / "few", plan.model_copy(update={"n": 64}))
    with pytest.raises(
        DataError,
        match="validation split has no sample; splits are cut in blocks of 64",
        check=has_code("split-empty", split="validation"),
    ):
        train(config(tmp_path / "few"), tmp_path / "run")
