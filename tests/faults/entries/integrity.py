"""Faults of data sets: who knows which rules, what is checked, and what stays after a refusal."""

from entry import Entry

_GENERATE = "lenssim generate -m III -n 64 --shard-size 32 --workers 0"
_ZEROS = """python - <<'PY'
import h5py
with h5py.File('a/shards/000000.h5', 'r+') as file:
    file['images'][:] = 0
PY
"""
_GALAXIES = """python - <<'PY'
import os
import numpy as np
rows, columns = np.indices((40, 40)) - 19.5
os.makedirs('gal')
np.save('gal/g.npy', [np.exp(-np.hypot(rows, columns) / (2 + k / 5)) for k in range(12)])
PY
"""
_PLAN = """python - <<'PY'
from pathlib import Path
from lenssim.data.format.files import read_json, write_json
document = read_json(Path('a/plan.json'))
write_json(Path('a/plan.json'), document | {'n': 2**40, 'shard_size': 1})
PY
rm a/manifest.json
"""

ENTRIES = (
    Entry(
        name="F15",
        fault="A data set over a symbolic link was filled, then refused.",
        script=f"mkdir disk linked; ln -s $PWD/disk linked/shards; {_GENERATE} -o linked; code=$?; ls disk; exit $code",
        code=2,
        says="linked/shards is a link that leaves the data set's folder",
        never=r"000000|Traceback",
    ),
    Entry(
        name="F15-annex",
        fault="A link inside the data set's folder was refused as one that leaves it.",
        script=(
            f"{_GENERATE} -o a && mkdir -p a/.git/annex/objects && mv a/shards/000000.h5 a/.git/annex/objects/x && "
            "ln -s ../.git/annex/objects/x a/shards/000000.h5 && lenssim verify a"
        ),
        says="2 shards, 64 samples: every hash right",
    ),
    Entry(
        name="F19",
        seconds=300,
        fault="The absolute path of the galaxies was part of a data set's identity.",
        script=(
            f"{_GALAXIES} {_GENERATE} --galaxies gal/g.npy -o a && mv gal gal2 && "
            f"{_GENERATE} --galaxies gal2/g.npy -n 128 -o a && grep -c $PWD a/plan.json a/shards/000000.h5; "
            "lenssim verify a --resimulate 4 --galaxies gal2/g.npy"
        ),
        says="4 samples made again and equal to the bit",
        never=r"Traceback|:[1-9]",
    ),
    Entry(
        name="F19-hint",
        fault="verify --resimulate could not be told where the galaxies are now.",
        script=f"{_GALAXIES} {_GENERATE} --galaxies gal/g.npy -o a && mv gal gal2 && lenssim verify a --resimulate 4",
        code=2,
        says="give --galaxies PATH",
    ),
    Entry(
        name="F24",
        fault="Files were 0644 whatever the umask.",
        script=(
            f"umask 002; {_GENERATE} -o a; lenssim export a --to npy -o b; find a b -type f -printf '%m\\n' | sort -u"
        ),
        says=r"(?m)^664$",
        never=r"(?m)Traceback|^6[0-57]\d$|^66[0-35-7]$",
    ),
    Entry(
        name="R2",
        seconds=300,
        fault="Only verify read hashes, so that a copy made damage official.",
        script=(
            f"{_GENERATE} -o a && {_ZEROS} lenssim repack a -o b; echo code $?; lenssim show a; echo code $?; "
            "for layout in npy fits webdataset; do lenssim export a --to $layout -o $layout; echo code $?; done"
        ),
        says=r"(?s)(000000\.h5: dataset images does not hold what was written[^\n]*\ncode 3\n.*){5}",
    ),
    Entry(
        name="R2-seed",
        seconds=300,
        fault="A shard of another seed with the same number of bytes was taken.",
        script=(
            f"{_GENERATE} --classes no_sub -o a && {_GENERATE} --classes no_sub --seed 1 -o b && "
            "cp b/shards/000000.h5 a/shards/000000.h5 && "
            "lenssim train regress --targets theta_E --data a --epochs 1 --out r"
        ),
        code=1,
        says=r"000000\.h5 belongs to another data set",
    ),
    Entry(
        name="R6-plan",
        seconds=300,
        fault="info, seal and verify did not end on a plan of 2^40 shards.",
        script=(
            f"{_GENERATE} -o a && {_PLAN} for command in info seal verify; do lenssim $command a; echo code $?; done"
        ),
        says=r"(?s)at most 1,000,000.*code 1.*at most 1,000,000.*code 1.*at most 1,000,000.*code 3",
    ),
    Entry(
        name="R8-full",
        seconds=300,
        fault="An export onto a full disk ended in a traceback and could not be repeated.",
        script=(
            f"{_GENERATE} -o a && mkdir disk && unshare -m bash -c 'mount -t tmpfs -o size=300k tmpfs disk && "
            "lenssim export a --to npy -o disk/x; echo code $?; mount -o remount,size=20m disk && "
            'lenssim export a --to npy -o disk/x && find disk/x -name "*.npy" | wc -l\''
        ),
        says=r"(?s)the disk is full.*repeat the command to continue.*code 4.*\n64\n",
    ),
    Entry(
        name="R8-read-only",
        seconds=300,
        fault="A target that cannot be written ended in a traceback.",
        script=(
            f"{_GENERATE} -o a && unshare -m bash -c 'mount --bind . . && cd $PWD && mount -o remount,bind,ro . && "
            "lenssim show a; echo code $?; "
            "for layout in npy fits; do lenssim export a --to $layout -o b; echo code $?; done'"
        ),
        says=r"(?s)(Read-only file system.*code 1.*){3}",
    ),
    Entry(
        name="R10-unfinished",
        fault="verify of an unfinished set exited 3 where 4 is documented.",
        script=f"{_GENERATE} -o a && rm a/manifest.json a/shards/000001.json && lenssim verify a",
        code=4,
        says="1 of 2 shards; repeat its generate command to continue",
    ),
)
