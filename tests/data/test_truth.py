"""Truth as pictures: kept, identified, verified, read, repacked and exported like the images."""

import shutil

import numpy as np
import pytest
import yaml
from error_codes import has_code

from lenssim.data.exchange.export import export_fits, export_webdataset
from lenssim.data.format.manifest import SHARDS, read_plan, shard_name
from lenssim.data.format.packing import pack
from lenssim.data.format.reading import read_samples
from lenssim.data.format.spec import spec_of
from lenssim.data.generation.building import seal
from lenssim.data.generation.finishing import finish_shard
from lenssim.data.generation.simulation import generate, make_plan
from lenssim.data.inspection.repacking import repack
from lenssim.data.inspection.resimulation import resimulate
from lenssim.data.inspection.verification import verify
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.errors import ConfigError, DataError, VerificationError
from lenssim.simulate.draw import draw
from lenssim.simulate.engines.batched.convergence import convergence
from lenssim.simulate.engines.batched.fit import smooth_residual
from lenssim.simulate.engines.batched.gradients import differentiable
from lenssim.simulate.fit import residual as residual_module
from lenssim.simulate.fit.residual import searched_residual
from lenssim.simulate.fit.scan import ScanGrid
from lenssim.simulate.fit.settings import Search
from lenssim.simulate.noise.variance import noise_sigma
from lenssim.simulate.pipeline import simulate
from lenssim.simulate.preset import load_preset, parse_preset, preset_text
from lenssim.simulate.spec import SimulationSpec

BOTH = ("clean", "kappa")
CLASSES = ("no_sub", "cdm", "axion")
ALL = (*BOTH, "residual")


@pytest.fixture(scope="module", autouse=True)
def eager():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LENSSIM_KERNELS", "eager")
        yield


def plan(n=70, **options):
    document = yaml.safe_load(preset_text("III"))
    document["instrument"]["num_pix"] = 24
    return make_plan(
        parse_preset(document), n, seed=5, device="cpu", **{"shard_size": 32, **options}
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("truth") / "D"
    generate(place, plan(truth=BOTH))
    return place


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    place = tmp_path_factory.mktemp("fitted") / "D"
    generate(place, plan(32, truth=["residual"]))
    return place


@pytest.mark.thorough
def test_a_residual_is_that_of_a_smooth_fit_to_the_image(fitted):
    samples = read_samples(fitted / SHARDS / shard_name(0))
    camera, scenes, residual = (
        parse_preset(plan().config["preset"]).instrument,
        samples.scenes(),
        samples.truth["residual"],
    )
    again = smooth_residual(
        samples.images[:3], scenes.take(slice(3)), camera, kernels="eager"
    )
    np.testing.assert_array_equal(residual[:3], again)
    chi2 = samples.params["chi2"]
    np.testing.assert_allclose(chi2, (residual.astype(float) ** 2).sum((1, 2, 3)))
    smooth, degrees = samples.labels == 0, 24 * 24 - len(differentiable(scenes.components))
    assert abs(chi2[smooth].mean() - degrees) < 5 * np.sqrt(2 * degrees / smooth.sum())
    assert np.median(chi2[~smooth]) > 2 * chi2[smooth].max()
    assert verify(fitted).problems == []
    assert resimulate(fitted, 1)[1] == []


@pytest.mark.parametrize("name", ALL)
def test_a_data_set_shows_a_picture_for_the_image(folder, fitted, name):
    data = fitted if name == "residual" else folder
    plain, mine, rows = (
        ShardDataset(data),
        ShardDataset(data, picture=name),
        np.array([20, 3, 31]),
    )
    assert mine.image_shape == (1, 24, 24)
    np.testing.assert_array_equal(mine.images(rows), plain.read_map(name, rows))
    np.testing.assert_array_equal(mine.batch(rows)["image"], plain.read_map(name, rows))
    assert not np.array_equal(mine.images(rows), plain.images(rows))
    np.testing.assert_array_equal(mine.labels, plain.labels)


def test_pictures_are_what_they_say(folder):
    samples = read_samples(folder / SHARDS / shard_name(1))
    clean, kappa = samples.truth["clean"], samples.truth["kappa"]
    assert {clean.shape, kappa.shape, samples.images.shape} == {(32, 1, 24, 24)}
    again = convergence(
        samples.scenes(), parse_preset(plan().config["preset"]).instrument, kernels="eager"
    )
    np.testing.assert_array_equal(kappa, again)
    assert not kappa[samples.labels == 0].any()
    assert (kappa[samples.labels > 0].max((1, 2, 3)) > 0.1).all()
    noise = samples.images - clean
    assert 0 < np.abs(noise.mean()) < 0.1 * noise.std()


def test_without_noise_images_are_clean(tmp_path):
    generate(tmp_path / "D", plan(noise="none", truth=["clean"]))
    samples = read_samples(tmp_path / "D" / SHARDS / shard_name(0))
    assert list(samples.truth) == ["clean"]
    np.testing.assert_array_equal(samples.images, samples.truth["clean"])


@pytest.mark.parametrize(
    ("workers", "shard_size"),
    [pytest.param(2, 32, marks=[pytest.mark.dask, pytest.mark.thorough]), (0, 64)],
)
def test_bits_do_not_depend_on_workers_or_shards(folder, tmp_path, workers, shard_size):
    manifest = generate(
        tmp_path / "D",
        plan(truth=("kappa", "clean"), shard_size=shard_size),
        workers=workers,
    )
    assert manifest.fingerprint == ShardDataset(folder).fingerprint


def test_they_are_part_of_the_config_only_where_asked_for(folder):
    assert "truth" not in plan().config
    assert plan(truth=["kappa", "clean"]).config == plan().config | {"truth": list(BOTH)}
    with pytest.raises(
        ConfigError,
        match=r"truth: \['clean', 'kappa'\] there, nothing asked for",
        check=has_code("config-differs"),
    ):
        generate(folder, plan())
    with pytest.raises(
        ConfigError,
        match=r"truth\[0\]|truth: \['clean', 'kappa'\] there, \['clean'\] asked for",
        check=has_code("config-differs"),
    ):
        generate(folder, plan(truth=["clean"]))


def test_what_cannot_be_is_refused(folder, tmp_path):
    with pytest.raises(
        ConfigError,
        match=r"unknown truth 'kapa'.*kappa",
        check=has_code("unknown-map", name="kapa", suggestion="kappa"),
    ):
        plan(truth=["kapa"])
    with pytest.raises(
        ConfigError,
        match="kappa needs the deflections of the batched engine",
        check=has_code("engine-options"),
    ):
        plan(truth=["kappa"], engine_name="lenstronomy")
    with pytest.raises(ConfigError, check=has_code("engine-options", option="residual")):
        plan(truth=["residual"], engine_name="lenstronomy")
    with pytest.raises(
        ConfigError,
        match="residuals need images in e-/s with noise of a known sigma",
        check=has_code("no-residual"),
    ):
        make_plan(load_preset("I"), 6, noise="published", truth=["residual"])
    assert plan(truth=["clean"], engine_name="lenstronomy").config["truth"] == ["clean"]
    generate(tmp_path / "plain", plan())
    with pytest.raises(
        ConfigError,
        check=has_code("no-map", name="kappa"),
    ):
        ShardDataset(tmp_path / "plain", maps=["kappa"])
    with pytest.raises(
        ConfigError,
        match="keeps no 'residual'; pictures are kept by lenssim generate --truth",
        check=has_code("no-map", name="residual"),
    ):
        ShardDataset(tmp_path / "plain", picture="residual")


def test_a_config_says_where_its_residuals_start():
    assert "residual_from" not in plan(truth=["residual"]).config, "old hashes stay"
    searched = plan(truth=["residual"], residual_from="search")
    assert searched.config["residual_from"] == "search"
    assert spec_of(searched.config).residual_from == "search"
    assert spec_of(searched.config).config() == searched.config


@pytest.mark.parametrize(
    ("truth", "start"), [(["clean"], "search"), (["residual"], "seach")]
)
def test_a_start_of_no_residual_is_refused(truth, start):
    with pytest.raises(ConfigError, check=has_code("residual-start")):
        plan(truth=truth, residual_from=start)


@pytest.fixture
def small_search(monkeypatch):
    """Fewer starts: these tests ask for the residual, and not how lenses are found."""
    grid = ScanGrid((0.8, 1.0, 1.25, 1.6), 3)

    def search(**options):
        return Search(**options, grid=grid, starts=3, minima=1, escalates=False)

    monkeypatch.setattr(residual_module, "Search", search)


@pytest.mark.thorough
@pytest.mark.usefixtures("small_search")
def test_residuals_from_a_search_are_those_from_the_truth():
    """The minimum next to the true lens, without the truth; of each image alone."""
    exposures = {
        start: simulate(
            SimulationSpec.of(
                load_preset("III-corrected").with_classes(("no_sub", "cdm")),
                seed=5,
                device="cpu",
                maps=("residual",),
                residual_from=start,
            ),
            np.arange(2),
        )
        for start in ("truth", "search")
    }
    chi2 = {start: exposure.params["chi2"] for start, exposure in exposures.items()}
    np.testing.assert_allclose(chi2["search"], chi2["truth"], atol=0.1)
    searched = exposures["search"]
    alone = simulate(searched.spec, [1]).maps["residual"]
    np.testing.assert_array_equal(alone[0], searched.maps["residual"][1])


@pytest.mark.usefixtures("small_search")
def test_blank_images_have_a_residual(monkeypatch):
    preset = load_preset("III-corrected")
    blank = np.random.default_rng(1).normal(0, 0.01, (1, 1, 64, 64)).astype(np.float32)
    blank[0, 0, :5] = np.nan
    scenes = draw(preset, [0], seed=1)
    monkeypatch.setattr(residual_module, "MAX_STEPS", 1)
    residual = searched_residual(blank, scenes, preset.instrument, kernels="eager")
    assert np.isfinite(residual).all()
    assert (residual[0, 0, :5] == 0).all()
    seen = residual[0, 0, 5:]
    sigma = noise_sigma(blank.astype(float), scenes, preset.instrument)
    empty = blank[0, 0, 5:] / sigma[0, 0, 5:]
    assert (seen**2).sum() <= (empty**2).sum() * (1 + 1e-6)


def test_verification_and_resimulation_know_them(folder, tmp_path):
    assert verify(folder).problems == []
    assert resimulate(folder, 5)[1] == []
    data = shutil.copytree(folder, tmp_path / "D")
    path = data / SHARDS / shard_name(1)
    samples = read_samples(path)
    samples.truth["kappa"][3, 0, 2, 2] += 1
    path.write_bytes(bytes(pack(samples)))
    assert any(
        "dataset kappa does not hold what was written" in line
        for line in verify(data).problems
    )
    with pytest.raises(
        VerificationError,
        match="dataset kappa does not hold what was written",
        check=has_code("damaged-data"),
    ):
        resimulate(data, 70)
    finish_shard(data, read_plan(data), 1, samples)  # now with the right hashes
    seal(data, read_plan(data))
    assert verify(data).problems == []
    assert any("dataset kappa of sample 35" in line for line in resimulate(data, 70)[1])


def test_a_picture_of_another_shape_is_refused(folder, tmp_path):
    data = shutil.copytree(folder, tmp_path / "D")
    path = data / SHARDS / shard_name(0)
    samples = read_samples(path)
    samples.truth["clean"] = samples.truth["clean"][:, :, :-1]
    path.write_bytes(bytes(pack(samples)))
    with pytest.raises(
        DataError,
        match="clean has the shape",
        check=has_code("shard-structure", name="clean"),
    ):
        read_samples(path)


def test_a_data_set_gives_them_on_request(folder):
    plain, mine = ShardDataset(folder), ShardDataset(folder, maps=BOTH)
    rows = np.array([40, 3, 69, 41])
    assert set(plain[3]) == {"image", "label", "index"}
    batch = mine.batch(rows)
    assert set(batch) == {"image", "label", "index", *BOTH}
    stored = [read_samples(folder / SHARDS / shard_name(shard)).truth for shard in range(3)]
    for name in BOTH:
        whole = np.concatenate([truth[name] for truth in stored])
        np.testing.assert_array_equal(batch[name], whole[rows])
        assert mine[40][name].shape == (1, 24, 24)


def test_repacking_is_generating(folder, tmp_path):
    made = generate(tmp_path / "made", plan(truth=BOTH, storage="int16"))
    packed = repack(folder, tmp_path / "packed", "int16", False)
    assert packed.fingerprint == made.fingerprint
    assert verify(tmp_path / "packed").problems == []
    truth = [
        read_samples(place / SHARDS / shard_name(2)).truth["kappa"]
        for place in (folder, tmp_path / "packed")
    ]
    np.testing.assert_array_equal(*truth)


def test_exports_hold_them(folder, tmp_path):
    import io
    import tarfile

    from astropy.io import fits

    samples = read_samples(folder / SHARDS / shard_name(0))
    first = export_webdataset(folder, tmp_path / "tar")[0]
    with tarfile.open(first) as tar:
        for name in BOTH:
            member = tar.extractfile(f"000000004.{name}.npy")
            np.testing.assert_array_equal(
                np.load(io.BytesIO(member.read())), samples.truth[name][4]
            )
    with fits.open(export_fits(folder, tmp_path / "fits")[0], checksum=True) as units:
        assert units["CLEAN"].header["BUNIT"] == "electron/s"
        for name in BOTH:
            np.testing.assert_array_equal(units[name.upper()].data, samples.truth[name])


def test_contact_sheets_show_them(folder, fitted, tmp_path, lenssim):
    for data, name in ((folder, "kappa"), (fitted, "residual")):
        done = lenssim("show", data, "--picture", name, "--count", 4, "--out", tmp_path)
        assert [line.rpartition("/")[2] for line in done.out.split()] == [
            f"{name}-{c}.png" for c in CLASSES
        ]
        assert all(
            (tmp_path / f"{name}-{c}.png").read_bytes().startswith(b"\x89PNG")
            for c in CLASSES
        )
    done = lenssim("show", folder, "--picture", "kapa", "--out", tmp_path / "none")
    assert (done.code, (tmp_path / "none").exists()) == (2, False)
    assert "unknown picture 'kapa': did you mean 'kappa'" in done.err


def test_the_command_line_keeps_them(lenssim, tmp_path, monkeypatch):
    common = ("generate", "-m", "III", "-n", 3, "--workers", 0, "--out", "D")
    assert lenssim(*common, "--truth", "clean, kappa").code == 0
    assert ShardDataset(tmp_path / "D").config["truth"] == list(BOTH)
    done = lenssim(*common)
    assert done.code == 2
    assert "truth: ['clean', 'kappa'] there, nothing asked for" in done.err
