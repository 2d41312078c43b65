"""Runs, checkpoints and answers: what they depend on is checked, and one bad input costs no other answer."""

from entry import Entry

__all__ = ["ENTRIES"]

_IMAGES = """
python - <<'END'
import numpy as np
from make import ring
for k in (1, 2):
    np.save(f"image_{k}.npy", ring(seed=k))
stack = np.stack([ring(seed=k) for k in range(3)])
stack[1] = np.nan
np.save("stack.npy", stack)
np.save("one.npy", ring()[None, None])
np.save("three.npy", np.stack([ring(seed=k) for k in range(3)]))
END
"""

_FLIP = """
cp -r $RUN run
python - <<'END'
import pathlib, zipfile
path = pathlib.Path("run/checkpoints/best.ckpt")
content = bytearray(path.read_bytes())
first = next(entry for entry in zipfile.ZipFile(path).infolist() if entry.filename.endswith("data/0"))
at = first.header_offset
start = at + 30 + sum(int.from_bytes(content[at + k:at + k + 2], "little") for k in (26, 28))
content[start + 3] ^= 0x40
path.write_bytes(content)
END
"""

_COPIES = """
lenssim generate -m III -n 768 --workers 0 -o a && lenssim export a --to npy --out b &&
lenssim import deeplense b -o c && lenssim train classify --data c --epochs 1 --out r || exit 9
python - <<'END'
import pathlib
import numpy as np
from lenssim.data.streaming.dataset import ShardDataset
data = ShardDataset("c")
learned = np.concatenate([data.rows("train"), data.rows("validation")])
for folder, rows in {"d": np.arange(len(data)), "f": learned}.items():
    for label, name in enumerate(data.classes):
        pathlib.Path(folder, name).mkdir(parents=True)
        for row in rows[data.labels[rows] == label][:100]:
            np.save(f"{folder}/{name}/other_name_{row}.npy", data.images(np.array([row]))[0, 0])
END
lenssim import deeplense d -o e && lenssim import deeplense f -o g || exit 9
"""

_CHECKPOINT = r"best\.ckpt is not the file that this training wrote"
_UNPROVEN = r"none can be in the training data|Traceback"

ENTRIES = (
    Entry(
        name="F6",
        fault="Copies of training images under other names were said not to be in the training data.",
        script=_COPIES + "lenssim evaluate r --data e && lenssim evaluate r --data a",
        says=r"all samples but \d+ that the run learned from",
        never=_UNPROVEN,
        seconds=300,
    ),
    Entry(
        name="F6-all",
        fault="A data set of training images alone judged the run.",
        script=_COPIES + "lenssim evaluate r --data g",
        code=1,
        says=r"on 0 of 300 images: all of them are among those that the run learned from",
        never=_UNPROVEN,
        seconds=300,
    ),
    Entry(
        name="R1",
        fault="One flipped bit of the first weight of best.ckpt changed answers, and nothing noticed.",
        script=_IMAGES + _FLIP + "lenssim predict run image_1.npy",
        code=1,
        says=_CHECKPOINT,
        needs_run=True,
    ),
    Entry(
        name="R1-evaluate",
        fault="evaluate scored the run with the flipped bit.",
        script=_FLIP + "lenssim evaluate run --data $DATA",
        code=1,
        says=_CHECKPOINT,
        needs_run=True,
    ),
    Entry(
        name="R1-start",
        fault="A training began with the flipped weights.",
        script=_FLIP
        + "lenssim train classify --data $DATA --start run --epochs 1 --out next",
        code=1,
        says=_CHECKPOINT,
        needs_run=True,
    ),
    Entry(
        name="R1-other",
        fault="The best.ckpt and novelty.json of another run of the same net were taken.",
        script=_IMAGES
        + """
cp -r $RUN run
lenssim train classify --data $DATA --epochs 1 --seed 5 --normalise asinh --out other || exit 9
for name in checkpoints/best.ckpt novelty.json; do
  cp run/$name kept; cp other/$name run/$name
  lenssim predict run image_1.npy; [ $? = 1 ] || exit 8
  cp kept run/$name
done
lenssim predict run image_1.npy
""",
        says=r"novelty\.json is not the file that this training wrote",
        needs_run=True,
        seconds=400,
    ),
    Entry(
        name="R2-evaluate",
        fault="evaluate scored images that had been zeroed in a shard by h5py.",
        script="""
cp -r $DATA data
python - <<'END'
import h5py
with h5py.File("data/shards/000003.h5", "r+") as file:
    file["images"][:] = 0
END
lenssim evaluate $RUN --data data
""",
        code=3,
        says=r"000003\.h5: dataset images does not hold what was written",
        needs_run=True,
    ),
    Entry(
        name="F11",
        fault="text.usetex in the user's matplotlibrc: no evaluation, no metrics.json.",
        script="""
mkdir m && printf 'text.usetex: True\\nsavefig.format: pdf\\nbackend: nonsense\\n' > m/matplotlibrc
cp -r $RUN run
MPLBACKEND=nonsense MPLCONFIGDIR=$PWD/m lenssim evaluate run --data $DATA &&
MPLCONFIGDIR=$PWD/m lenssim show $DATA -o sheets && ls run/evaluation-*/metrics.json run/evaluation-*/roc.png
""",
        says=r"evaluation-.*/roc\.png",
        never=r"warning: the figure|Traceback",
        needs_run=True,
    ),
    Entry(
        name="F14",
        fault="One bad file cost the answers for all others.",
        script=_IMAGES
        + ": > empty.npy; lenssim predict $RUN image_1.npy empty.npy stack.npy image_2.npy --json",
        code=1,
        says=r'image_2\.npy", "image": 0, "predicted"',
        needs_run=True,
    ),
    Entry(
        name="F14-named",
        fault="The bad files were not named beside the answers.",
        script=_IMAGES
        + ": > empty.npy; lenssim predict $RUN image_1.npy empty.npy stack.npy",
        code=1,
        says=r"stack\.npy, image 1: 4096 of its pixels are NaN",
        needs_run=True,
    ),
    Entry(
        name="F14-folder",
        fault="A folder of images was said to hold no data set.",
        script=_IMAGES
        + """
mkdir files; mv image_1.npy files/A.NPY; mv image_2.npy files/; touch files/._hidden.npy
lenssim predict $RUN files/
""",
        says=r"no_sub.*unlike",
        never=r"holds no data set|Traceback",
        needs_run=True,
    ),
    Entry(
        name="F9-predict",
        fault="(1, 1, H, W) was refused, and (3, H, W) was taken for three images without a word.",
        script=_IMAGES + "lenssim predict $RUN one.npy three.npy",
        says=r"three\.npy: read as 3 images of one band",
        needs_run=True,
    ),
)
