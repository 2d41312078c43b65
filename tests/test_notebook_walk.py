"""The walk of a notebook's user: from nothing to draws of a posterior, in lines that import nothing else."""

import subprocess
import sys

import pytest

WALK = """
import lenssim as ls
import numpy as np
print("the script begins")
data = ls.generate("III", 300, "data/III", workers=2)
print(data)
image = ls.render("III", "axion", log10_m_axion=-23.8)
image.save("vortex.fits")
data.show(count=4).save("figures")
for batch in data.loader("train", batch_size=32):
    print(batch["image"].shape)
run = ls.train("classify", data, net="cnn", epochs=1, out="runs/cnn")
run = ls.load_run("runs/cnn")
print(run.evaluate(data).macro_auc)
print(run.predict(np.stack([image.observed[0, 0], data.images([0])[0, 0]])))
targets = ["source_center_x", "source_center_y"]
ls.train("regress", data, targets=targets, epochs=1, out="runs/source")
posterior = ls.load_run("runs/source").posterior(data.split("test"))
draws = posterior.sample(1000)
print(draws.shape, np.isfinite(draws).all())
"""


@pytest.mark.thorough
def test_the_walk_of_a_notebook_user(tmp_path):
    """It is a script too, whose workers need no guard of `__main__`: it runs once."""
    assert len(WALK.strip().splitlines()) < 25
    path = tmp_path / "walk.py"
    path.write_text(WALK)
    done = subprocess.run(
        [sys.executable, path], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("the script begins") == 1
    assert "Traceback" not in done.stderr
    assert "epoch 1/1" in done.stderr
    assert done.stdout.endswith("(1000, 64, 2) True\n")
    assert (tmp_path / "vortex.fits").is_file()
