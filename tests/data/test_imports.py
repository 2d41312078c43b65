"""What an import may be asked, and that a refused one leaves nothing behind."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from error_codes import has_code

from lenssim.data.exchange.export import export_fits, export_npy, export_webdataset
from lenssim.data.exchange.importers import IMPORTERS, import_folder
from lenssim.data.exchange.importing import Listeners
from lenssim.data.format.manifest import PLAN, read_manifest, read_plan, shard_name
from lenssim.data.format.reading import read_samples
from lenssim.data.generation.dataset_card import card_text
from lenssim.data.inspection.verification import verify
from lenssim.data.streaming.dataset import ShardDataset
from lenssim.errors import ConfigError, DataError

SIDE = 12


def image(seed: int, side: int = SIDE) -> np.ndarray:
    return np.random.default_rng(seed).random((side, side))


def folders(root: Path, *names: str, count: int = 2) -> Path:
    for label, name in enumerate(names):
        (root / name).mkdir(parents=True)
        for i in range(count):
            np.save(root / name / f"{i:03d}.npy", image(10 * label + i))
    return root


def samples_of(folder: Path):
    assert verify(folder).problems == []
    return read_samples(folder / "shards" / shard_name(0))


def test_splits_are_imported_apart(tmp_path):
    root = folders(tmp_path / "set", "train/no_sub", "train/cdm", "val/no_sub", "val/cdm")
    with pytest.raises(
        ConfigError,
        match=r"holds splits \(train, val\), not classes; choose one by --split",
        check=has_code("split-unclear"),
    ):
        import_folder("deeplense", root, tmp_path / "D")
    for split in ("train", "validation"):
        manifest = import_folder("deeplense", root, tmp_path / split, split=split)
        assert manifest.class_counts == {"no_sub": 2, "cdm": 2}
        assert read_plan(tmp_path / split).config["split"] == split
        assert samples_of(tmp_path / split).texts["file"][0] == "no_sub/000.npy"
    with pytest.raises(
        ConfigError,
        match="'test' is not clear: it holds train, val",
        check=has_code("split-unclear", split="test"),
    ):
        import_folder("deeplense", root, tmp_path / "D", split="test")
    with pytest.raises(
        ConfigError, check=has_code("unknown-split", suggestion="validation")
    ):
        import_folder("deeplense", root, tmp_path / "D", split="valid")
    import_folder(
        "deeplense", root / "train", tmp_path / "given", split="train"
    )  # the split's own folder
    assert not (tmp_path / "D").exists()


def test_classes_may_be_renamed_to_the_published_ones(tmp_path):
    root = folders(tmp_path / "set", "Axion", "CDM", "No_Sub")
    heard: list[str] = []
    assert import_folder(
        "deeplense", root, tmp_path / "D", listeners=Listeners(note=heard.append)
    ).classes == (
        "Axion",
        "CDM",
        "No_Sub",
    )
    assert any("--map-classes Axion=axion,CDM=cdm,No_Sub=no_sub" in line for line in heard)
    renamed = {"Axion": "axion", "CDM": "cdm", "No_Sub": "no_sub"}
    manifest = import_folder(
        "deeplense",
        root,
        tmp_path / "E",
        map_classes=renamed,
        listeners=Listeners(note=heard.append),
    )
    assert manifest.classes == ("no_sub", "cdm", "axion")
    assert samples_of(tmp_path / "E").texts["file"][:3] == [
        "No_Sub/000.npy",
        "CDM/000.npy",
        "Axion/000.npy",
    ]
    assert "--map-classes Axion=axion,CDM=cdm,No_Sub=no_sub" in card_text(
        read_plan(tmp_path / "E"), read_manifest(tmp_path / "E"), None
    )
    for mapping, message in {
        ("nosub", "x"): "has no folder 'nosub'",
        ("CDM", "../up"): "cannot be the name",
    }.items():
        with pytest.raises(ConfigError, match=message):
            import_folder("deeplense", root, tmp_path / "F", map_classes=dict([mapping]))


def test_two_folders_may_become_one_class(tmp_path):
    root = folders(tmp_path / "set", "vort", "axion", "sphere")
    manifest = import_folder(
        "deeplense", root, tmp_path / "D", map_classes={"vort": "axion", "sphere": "cdm"}
    )
    assert manifest.class_counts == {"cdm": 2, "axion": 4}
    assert len(set(samples_of(tmp_path / "D").texts["file"])) == 6


def test_a_refused_import_is_forgotten(tmp_path):
    root = folders(tmp_path / "set", "a", "b")
    np.save(root / "a/009.npy", image(0, SIDE + 1))
    with pytest.raises(ConfigError, check=has_code("sizes-differ")):
        import_folder("deeplense", root, tmp_path / "D")
    assert not (tmp_path / "D").exists()
    (root / "a/009.npy").unlink()
    assert import_folder("deeplense", root, tmp_path / "D").n == 4


def test_a_plan_without_shards_stands_in_nobodys_way(tmp_path):
    root = folders(tmp_path / "set", "a", "b", count=3)
    import_folder("deeplense", root, tmp_path / "D")
    plan = (tmp_path / "D" / PLAN).read_bytes()
    (tmp_path / "E/shards").mkdir(parents=True)
    (tmp_path / "E" / PLAN).write_bytes(plan)
    (root / "a/002.npy").unlink()
    assert import_folder("deeplense", root, tmp_path / "E").n == 5
    with pytest.raises(
        ConfigError, match="holds another data set", check=has_code("config-differs")
    ):
        import_folder("deeplense", root, tmp_path / "D")


def test_contents_belong_to_the_identity(tmp_path):
    root = folders(tmp_path / "set", "a", "b")
    import_folder("deeplense", root, tmp_path / "D")
    np.save(root / "a/000.npy", image(99))
    with pytest.raises(
        ConfigError, match="contents_sha256", check=has_code("config-differs")
    ):
        import_folder("deeplense", root, tmp_path / "D")


def test_skipped_files_are_counted_by_kind(tmp_path):
    root = folders(tmp_path / "set", "a", "b", count=4)
    np.save(root / "a/bad.npy", np.ones((SIDE, SIDE)))
    np.save(root / "b/size.npy", image(0, SIDE + 1))
    (root / "a/notes.txt").write_text("x")
    (root / "a/.hidden").write_text("x")
    (root / "b/part2").mkdir()
    np.save(root / "b/part2/000.npy", image(5))
    (root / "empty").mkdir()
    warned: list[str] = []
    noted: list[str] = []
    manifest = import_folder(
        "deeplense",
        root,
        tmp_path / "D",
        skip_bad=True,
        listeners=Listeners(warn=warned.append, note=noted.append),
    )
    assert manifest.class_counts == {"a": 4, "b": 4}
    assert noted[-1] == (
        "files taken: 8; skipped: 1 files that are no images, 1 files in sub-folders, 1 empty class folders, "
        "1 files that cannot be used, 1 files of another size; passed over 1 hidden names"
    )
    for name in ("bad.npy", "size.npy", "notes.txt", "part2", "empty"):
        assert any(name in line for line in warned)


def test_labels_that_contradict_their_folder_are_refused(tmp_path):
    root = folders(tmp_path / "set", "a", "b", count=0)
    for name, labels in {"a": (0, 0, 1), "b": (1, 1, 1)}.items():
        for i, label in enumerate(labels):
            np.save(root / name / f"{i}.npy", np.append(image(i).ravel(), label))
    with pytest.raises(
        DataError,
        match=r"a/2\.npy: its label is 1, but .*a/0\.npy of the same class has the label 0",
        check=has_code("labels-differ"),
    ):
        import_folder("deeplense", root, tmp_path / "D")


def test_bands_are_asked_for(tmp_path):
    root = folders(tmp_path / "set", "lens", "other", count=0)
    for name in ("lens", "other"):
        np.save(root / name / "a.npy", np.stack([image(1), image(2), image(3)]))
    with pytest.raises(
        DataError,
        match=r"holds 3 images .* if these are bands, --bands 3",
        check=has_code("image-shape"),
    ):
        import_folder("deeplense", root, tmp_path / "D")
    assert import_folder("deeplense", root, tmp_path / "D", bands=3).image_shape == (
        3,
        SIDE,
        SIDE,
    )
    np.testing.assert_array_equal(
        samples_of(tmp_path / "D").images[0, 2], image(3).astype(np.float32)
    )


def test_the_extension_of_fits_files_is_chosen(tmp_path):
    root = folders(tmp_path / "set", "a", "b", count=0)
    for label, name in enumerate(("a", "b")):
        units = [
            fits.ImageHDU(image(label), name="ERR"),
            fits.ImageHDU(image(5 + label), name="SCI"),
        ]
        fits.HDUList([fits.PrimaryHDU(), *units]).writeto(root / name / "x.FITS")
    heard: list[str] = []
    import_folder("deeplense", root, tmp_path / "D", listeners=Listeners(note=heard.append))
    assert heard[0] == "2 files: took SCI, not ERR"
    np.testing.assert_array_equal(
        samples_of(tmp_path / "D").images[0, 0], image(5).astype(np.float32)
    )
    import_folder("deeplense", root, tmp_path / "E", extension="ERR")
    np.testing.assert_array_equal(
        samples_of(tmp_path / "E").images[0, 0], image(0).astype(np.float32)
    )


def test_an_import_beside_its_classes_is_no_class(tmp_path):
    root = folders(tmp_path, "a", "b")
    first = import_folder("deeplense", root, root / "D")
    assert import_folder("deeplense", root, root / "D") == first


@pytest.mark.parametrize(
    "table",
    [
        "file,log10_m_axion\naxion/000.npy,-22.5\n",
        "\ufefffile;index;log10_m_axion\r\naxion/000.npy;3;-22,5\r\n\r\n",
        '\ufefffile,log10_m_axion\r\naxion/000.npy,"-22,5"\r\n',
        "log10_m_axion\tfile\n-2.25e1\taxion/000.npy\n",
    ],
)
def test_tables_of_masses_as_spreadsheets_save_them(tmp_path, table):
    root = folders(tmp_path / "set", "axion")
    (root / "masses.csv").write_bytes(table.encode())
    import_folder("deeplense", root, tmp_path / "D")
    np.testing.assert_array_equal(
        samples_of(tmp_path / "D").params["log10_m_axion"], [-22.5, np.nan]
    )


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            b"name,mass\naxion/000.npy,-22\n",
            "names no columns file and log10_m_axion.*it is 'name,mass'",
        ),
        (
            b"file,log10_m_axion\naxion/999.npy,-22\n",
            "line 2 speaks of 'axion/999.npy', which is no image",
        ),
        (
            b"file,log10_m_axion\naxion/000.npy,-22\naxion/000.npy,-23\n",
            "line 3 speaks of .* a second time",
        ),
        (
            b"file,log10_m_axion\naxion/000.npy,-22,5\n",
            "line 2 has 3 cells, its first line 2",
        ),
        (b"file,log10_m_axion\naxion/000.npy,nan\n", "'nan', not a number"),
        (
            b"file,log10_m_axion\naxion/000.npy,1e-23\n",
            r"line 2: log10_m_axion must lie in \[-26, 0\] .*give its logarithm, -23",
        ),
        (b"file,log10_m_axion\naxion/000.npy,1e300\n", "line 2: log10_m_axion must lie in"),
        (b"file,log10_m_axion\naxion/000.npy,-27\n", "line 2: log10_m_axion must lie in"),
        (
            b"file,log10_m_axion\naxion\\000.npy,-22\n",
            r"line 2 speaks of .*write / in place of \\",
        ),
        (b"file,log10_m_axion\naxion/000.npy,\n", "'', not a number"),
        ("file,log10_m_axion\n".encode("utf-16"), "no UTF-8 text"),
        (b"", "names no columns"),
    ],
)
def test_other_tables_are_refused_with_what_they_say(tmp_path, table, message):
    root = folders(tmp_path / "set", "axion")
    (root / "masses.csv").write_bytes(table)
    with pytest.raises(DataError, match=message, check=has_code("file-invalid")) as caught:
        import_folder("deeplense", root, tmp_path / "D")
    assert "masses.csv" in str(caught.value)
    assert not (tmp_path / "D").exists()


TWINS = {
    "capitals": ("CDM", "cdm"),
    "accents": ("\u00e9", "e\u0301"),
    "letters": ("ß", "SS"),
}


@pytest.mark.parametrize("twins", TWINS.values(), ids=TWINS)
def test_classes_that_some_disks_mix_up_are_refused_or_joined(tmp_path, twins):
    root = folders(tmp_path / "set", *twins)
    with pytest.raises(DataError, check=has_code("class-folder-name")):
        import_folder("deeplense", root, tmp_path / "D")
    assert not (tmp_path / "D").exists()
    manifest = import_folder(
        "deeplense", root, tmp_path / "D", map_classes={twins[0]: twins[1]}
    )
    assert manifest.classes == (twins[1],)


def test_an_image_in_several_classes_is_counted(tmp_path):
    root = folders(tmp_path / "set", "axion", "cdm")
    shutil.copy(root / "axion" / "000.npy", root / "cdm" / "900.npy")
    shutil.copy(root / "axion" / "000.npy", root / "axion" / "900.npy")  # no contradiction
    said: list[str] = []
    import_folder("deeplense", root, tmp_path / "D", listeners=Listeners(warn=said.append))
    (line,) = said
    assert line.startswith("warning: 1 images lie in several classes")
    assert {"cdm/900.npy", "axion/000.npy"} <= set(line.replace(",", "").split())


@pytest.mark.parametrize("where", [".", "axion/D", "cdm/deep/D"])
def test_a_data_set_is_not_written_among_its_images(tmp_path, where):
    root = folders(tmp_path / "set", "axion", "cdm")
    before = sorted(root.rglob("*"))
    with pytest.raises(ConfigError, check=has_code("same-folder")):
        import_folder("deeplense", root, root / where)
    assert sorted(root.rglob("*")) == before


@pytest.mark.parametrize("layout", IMPORTERS)
def test_no_layout_is_written_onto_its_source(tmp_path, layout):
    root = folders(tmp_path / "set", "LR", "HR")
    with pytest.raises(ConfigError, check=has_code("same-folder")):
        import_folder(layout, root, root / "LR" / "..")


def pairs(root: Path, count: int = 3, side: int = 2 * SIDE) -> Path:
    for name in ("LR", "HR"):
        (root / name).mkdir(parents=True)
    for i in range(count):
        np.save(root / "LR" / f"sample{i}.npy", image(i)[None])
        np.save(root / "HR" / f"sample{i}.npy", image(50 + i, side)[None])
    return root


def test_pairs_keep_their_fine_image_beside_them(tmp_path):
    manifest = import_folder("pairs", pairs(tmp_path / "set"), tmp_path / "D")
    assert (manifest.n, manifest.image_shape) == (3, (1, SIDE, SIDE))
    samples = samples_of(tmp_path / "D")
    assert samples.texts["file"] == [f"LR/sample{i}.npy" for i in range(3)]
    np.testing.assert_array_equal(
        samples.truth["hr"][2, 0], image(52, 2 * SIDE).astype(np.float32)
    )
    dataset = ShardDataset(tmp_path / "D", maps=["hr"])
    batch = dataset[1]
    assert batch["hr"].shape == (1, 2 * SIDE, 2 * SIDE)
    np.testing.assert_array_equal(batch["image"][0], image(1).astype(np.float32))
    assert ShardDataset(tmp_path / "D", picture="hr").image_shape == (1, 2 * SIDE, 2 * SIDE)
    with fits.open(export_fits(tmp_path / "D", tmp_path / "fits")[0]) as units:
        np.testing.assert_array_equal(units["HR"].data, samples.truth["hr"])
    assert export_webdataset(tmp_path / "D", tmp_path / "tar")
    assert export_npy(tmp_path / "D", tmp_path / "npy")


def test_pairs_without_a_partner_are_named(tmp_path):
    root = pairs(tmp_path / "set")
    (root / "HR/sample1.npy").unlink()
    with pytest.raises(
        DataError,
        match=r"LR holds 1 files without a partner of the same name, the first sample1\.npy",
        check=has_code("unusable-images"),
    ):
        import_folder("pairs", root, tmp_path / "D")
    assert not (tmp_path / "D").exists()
    heard: list[str] = []
    assert (
        import_folder(
            "pairs",
            root,
            tmp_path / "D",
            skip_bad=True,
            listeners=Listeners(note=heard.append),
        ).n
        == 2
    )
    assert heard == ["files taken: 2; skipped: 1 files without a partner"]
    with pytest.raises(
        ConfigError, match="are in one folder", check=has_code("same-folder")
    ):
        import_folder("pairs", root, tmp_path / "E", image="HR")
    with pytest.raises(DataError, match="is no folder", check=has_code("no-folder")):
        import_folder("pairs", root, tmp_path / "E", truth="SR")


def test_commands(tmp_path, lenssim):
    folders(tmp_path / "set", "train/CDM", "train/Axion")
    (tmp_path / "set/train/CDM/._0.npy").write_bytes(bytes(100))
    done = lenssim("import", "deeplense", "set", "-o", "D")
    assert (done.code, "choose one by --split train" in done.err) == (2, True)
    options = ("--split", "train", "--map-classes", "CDM=cdm,Axion=axion")
    done = lenssim("import", "deeplense", "set", "-o", "D", *options)
    assert (done.code, "(cdm 2, axion 2)" in done.out) == (0, True), done.err
    assert "files taken: 4; skipped: none; passed over 1 hidden names" in done.err
    done = lenssim(
        "import", "deeplense", "set", "-o", "E", "--split", "train", "--map-classes", "CDM"
    )
    assert (done.code, "--map-classes takes FOLDER=CLASS" in done.err) == (2, True)
    pairs(tmp_path / "both")
    assert lenssim("import", "pairs", "both", "-o", "P").code == 0
    assert lenssim("show", "P", "--picture", "hr").code == 0


def test_names_that_no_format_can_hold_are_refused_before_anything_is_written(
    tmp_path, lenssim
):
    root = folders(tmp_path / "set", "a")
    (root / "a/000.npy").rename(os.fsdecode(os.fsencode(root / "a") + b"/\xff.npy"))
    done = lenssim("import", "deeplense", "set", "-o", "D")
    assert (done.code, "is not UTF-8" in done.err) == (1, True)
    assert not (tmp_path / "D").exists()


def test_images_without_class_folders_have_no_labels(lenssim, tmp_path):
    folder = tmp_path / "survey"
    folder.mkdir()
    rng = np.random.default_rng(0)
    images = rng.random((4, SIDE, SIDE)).astype(np.float32)
    for number, image in enumerate(images):
        np.save(folder / f"{number}.npy", image)
    (folder / "notes.txt").write_text("seeing was bad")
    refused = lenssim("import", "folder", folder, "--out", folder / "D")
    assert refused.code == 1
    assert "notes.txt" in refused.err
    done = lenssim("import", "folder", folder, "--out", folder / "D", "--skip-bad")
    assert done.code == 0, done.err
    assert f"next: lenssim show {folder / 'D'}\n" in done.out
    data = ShardDataset(folder / "D")
    assert data.labels is None
    np.testing.assert_array_equal(data.images(range(4))[:, 0], images)
    again = lenssim("import", "folder", folder, "--out", folder / "D", "--skip-bad")
    assert again.code == 0, again.err


def test_bands_of_one_galaxy_are_not_taken_for_galaxies_without_a_word(tmp_path):
    """Each would count, and training and test would share a galaxy."""
    root = tmp_path / "set"
    root.mkdir()
    for number, name in enumerate(("7_g", "7_r", "8_g", "lens_9")):
        np.save(root / f"{name}.npy", image(number))
    said: list[str] = []
    import_folder("folder", root, tmp_path / "D", listeners=Listeners(warn=said.append))
    (line,) = said
    assert "2 images show 1 galaxies" in line
    assert "7_g.npy and 7_r.npy" in line
