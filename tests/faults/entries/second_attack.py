"""Faults that a second attack found: wrong values from Python, numbers too large, values that imports let pass."""

from entry import Entry

_OPEN = "lenssim generate -m III -n 6 --workers 0 -o a >/dev/null 2>&1\n"
_NEVER = r"Traceback \(most recent call last\)|leaked"


def _python(lines: str) -> str:
    """Bash lines that run Python which must end with an error of lenssim's, whose message it prints."""
    body = "\n".join(f"    {line}" for line in lines.strip().splitlines())
    return f"""
python - <<'EOF'
import sys
import numpy as np
import lenssim as ls
from lenssim.errors import LenssimError
try:
{body}
except LenssimError as error:
    print("refused:", error)
    sys.exit(0)
except Exception as error:
    print("leaked", type(error).__name__, error)
    sys.exit(1)
print("leaked: nothing was refused")
sys.exit(1)
EOF
"""


_WRONG_VALUES = {
    "n": "ls.generate('III', '64', 'o', workers=0)",
    "n-fraction": "ls.generate('III', 3.5, 'o', workers=0)",
    "seed": "ls.generate('III', 3, 'o', seed='x', workers=0)",
    "seed-fraction": "ls.generate('III', 3, 'o', seed=1.5, workers=0)",
    "workers": "ls.generate('III', 3, 'o', workers='2')",
    "workers-fraction": "ls.generate('III', 3, 'o', workers=1.5)",
    "shard-size": "ls.generate('III', 3, 'o', shard_size=1.5, workers=0)",
    "noise": "ls.generate('III', 3, 'o', noise=3, workers=0)",
    "maps": "ls.generate('III', 3, 'o', maps=3, workers=0)",
    "classes": "ls.generate('III', 3, 'o', classes=[1], workers=0)",
    "out": "ls.generate('III', 3, None, workers=0)",
    "set": "ls.render('III', theta_E='big')",
    "set-list": "ls.render('III', theta_E=[1, 2])",
    "number-fraction": "ls.render('III', number=1.5)",
    "number-huge": "ls.render('III', number=2**63)",
    "open": "ls.open(None)",
    "load-run": "ls.load_run(None)",
    "train-task": "ls.train(None, 'a', out='r')",
    "doctor": "ls.doctor('x')",
}

ENTRIES = (
    Entry(
        "S1-mask",
        "a mask of booleans chose rows 0 and 1 again and again: images of other samples, without a word",
        _OPEN
        + """
python - <<'EOF'
import numpy as np
import lenssim as ls
data = ls.open("a")
mask = np.arange(len(data)) % 2 == 0
try:
    same = np.array_equal(data.images(mask), data.images(np.flatnonzero(mask)))
except ls.errors.LenssimError:
    same = True
print("right" if same else "wrong images")
EOF
""",
        says="right",
        never="wrong images|Traceback",
    ),
    Entry(
        "S1-fraction",
        "the row 0.5 was read as row 0",
        _OPEN + _python("ls.open('a').images([0.5])"),
        says="refused:",
        never=_NEVER,
    ),
    Entry(
        "S1-outside",
        "a row that is not there was an IndexError of numpy's",
        _OPEN + _python("ls.open('a').images([10**6])"),
        says="refused:",
        never=_NEVER,
    ),
    Entry(
        "S2-masked",
        "predict dropped the mask of a masked array and answered for the masked pixels",
        _python(
            "image = ls.expose('III', 1, engine='lenstronomy').observed[0, 0]\n"
            "import os\n"
            "ls.load_run(os.environ['RUN']).predict(np.ma.masked_array(image, image > 0.1))"
        ),
        says="refused:.*mask",
        never=_NEVER,
        needs_run=True,
    ),
    Entry(
        "S2-empty",
        "an array of no images was an IndexError inside the augmentation",
        _python("import os\nls.load_run(os.environ['RUN']).predict(np.zeros((0, 64, 64)))"),
        says="refused:",
        never=_NEVER,
        needs_run=True,
    ),
    Entry(
        "S2-ragged",
        "arrays of different shapes in a list, and a path beside an array, were a ValueError of numpy's",
        _python(
            "import os\nls.load_run(os.environ['RUN']).predict(['x.npy', np.zeros((64, 64))])"
        ),
        says="refused:",
        never=_NEVER,
        needs_run=True,
    ),
    Entry(
        "S2-key",
        "a batch without `image` was a KeyError",
        _python("import os\nls.load_run(os.environ['RUN']).predict({'x': 1})"),
        says="refused:.*image",
        never=_NEVER,
        needs_run=True,
    ),
    Entry(
        "S2-grad",
        "tensors that require gradients, or are bfloat16, were errors of torch's",
        """
python - <<'EOF'
import os
import torch
import lenssim as ls
image = torch.tensor(ls.expose("III", 1, engine="lenstronomy").observed)
run = ls.load_run(os.environ["RUN"])
print(len(run.predict(image.float().requires_grad_())["novelty"]), "answered")
print(len(run.predict(image.bfloat16())["novelty"]), "answered")
EOF
""",
        says="1 answered",
        needs_run=True,
    ),
    Entry(
        "S3-number",
        "a sample number above 2^63 was an OverflowError",
        "lenssim render -m III -o x.npy --engine lenstronomy --number 9223372036854775808",
        code=2,
        says="number",
    ),
    Entry(
        "S3-seed",
        "a seed that torch cannot take was a traceback",
        "lenssim train classify --data $DATA --epochs 1 --out r --seed 1180591620717411303424",
        code=2,
        says="seed",
        needs_run=True,
    ),
    Entry(
        "S4-masses",
        "a mass in eV, or of 1e300, in masses.csv was stored as its logarithm; presets must lie in [-26, 0]",
        """
python -c "from make import *; folder('S4', ['a', 'axion'])"
printf 'file,log10_m_axion\\naxion/00000.npy,1e-23\\n' > S4/masses.csv
lenssim import deeplense S4 -o a
""",
        code=1,
        says=r"masses\.csv: line 2.*log10_m_axion",
    ),
    Entry(
        "S5-capitals",
        "classes that differ by capitals alone are refused in presets, but were imported",
        """
python -c "from make import *; folder('S5', ['CDM', 'cdm'])"
lenssim import deeplense S5 -o a
""",
        code=1,
        says="differ by capitals alone",
    ),
    Entry(
        "S7-itself",
        "a damaged data set that is repacked into its own folder was called complete, with exit code 0",
        _OPEN
        + """
python -c "
import h5py
with h5py.File('a/shards/000000.h5', 'r+') as shard:
    shard['images'][:] = 0
"
lenssim repack a -o a; code=$?
[ $code = 2 ] || [ $code = 3 ] && echo refused
""",
        says="refused",
    ),
    Entry(
        "S8-memory",
        "under a limit of memory a library that could not be loaded was a traceback",
        "ulimit -v 900000\nlenssim generate -m III -n 6 --workers 0 -o a",
        code=2,
        says="a library that a shard needs cannot be loaded.*ulimit",
    ),
    *(
        Entry(
            f"S6-{name}",
            "a wrong value from Python was an error from inside, or was rounded",
            _python(call),
            says="refused:",
            never=_NEVER,
        )
        for name, call in _WRONG_VALUES.items()
    ),
)
