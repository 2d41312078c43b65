"""Faults of processes: workers that stop, systems other than Linux, what stays behind, who may ask."""

from pathlib import Path

from entry import Entry

STRANGER = Path(__file__).resolve().parents[2] / "data" / "stranger.py"
MAC = (
    "mkdir s; printf 'import os, multiprocessing\\ndel os.sched_getaffinity\\n"
    'multiprocessing.set_start_method("spawn", force=True)\\n\' > s/sitecustomize.py; export PYTHONPATH=$PWD/s\n'
)
EMPTY = '[ -z "$(ls t)" ] && echo nothing is left in TMPDIR\n'
ASK = f"""
cat > ask.py <<'END'
import subprocess, sys
from distributed import LocalCluster
from lenssim.data.generation.runners import local_runner
from lenssim.data.generation.failures import Outcome

class Noted(LocalCluster):
    def __init__(self, **options):
        super().__init__(**options)
        place = self.scheduler_address.rpartition("/")[2]
        subprocess.run([sys.executable, {str(STRANGER)!r}, place, *sys.argv[1:]], check=True)

if __name__ == "__main__":
    import distributed
    distributed.LocalCluster = Noted
    print([outcome.shard for outcome in local_runner(1)(lambda shard: Outcome(shard, 1), [7])])
END
user=; [ $(id -u) = 0 ] && user=65534
python ask.py $user
"""

ENTRIES = (
    Entry(
        name="F1",
        fault="Workers that dask held for too large were paused for ever, without a word.",
        script="(ulimit -m 1500000; lenssim generate -m III -n 384 --workers 2 -o b)",
        says=r"b: 384 images(?s:.*)",
        seconds=400,
    ),
    Entry(
        name="F1-many",
        fault="More workers were started than memory holds.",
        script="(ulimit -m 2500000; lenssim generate -m III -n 1024 --shard-size 64 --workers 16 -o b)",
        says=r"16 workers need more memory than there is .*: 3 are started",
        seconds=400,
    ),
    Entry(
        name="F1-settings",
        fault="The user's own settings of dask got into the workers.",
        script="export DASK_DISTRIBUTED__WORKER__MEMORY__PAUSE=0.001 DASK_DISTRIBUTED__NANNY__PRELOAD=no_such_module\n"
        "lenssim generate -m III -n 128 --workers 2 -o b",
        says=r"b: 128 images",
        seconds=400,
    ),
    Entry(
        name="F2",
        fault="The first command of the README ended in a traceback on macOS.",
        script=MAC + "lenssim generate -m III -n 64 -o a",
        says=r"a: 64 images",
        seconds=400,
    ),
    Entry(
        name="F2-jobs",
        fault="A recipe of several jobs ended in a traceback on macOS.",
        script=MAC
        + "printf 'title: two\\ngenerate:\\n  d: {model: III, n: 512, noise: none}\\n"
        + "settings: {epochs: 1, net: cnn}\\ntrain:\\n  all: {data: d, seed: [0, 1]}\\n' > r.yaml\n"
        + "lenssim run r.yaml -o out --jobs 2",
        says=r"report\.html",
        seconds=900,
    ),
    Entry(
        name="F5",
        fault="Each worker left its unpacked kernels in TMPDIR.",
        script="mkdir t; export TMPDIR=$PWD/t; lenssim generate -m III -n 256 --workers 2 -o a\n"
        + EMPTY,
        says=r"nothing is left in TMPDIR",
        seconds=400,
    ),
    Entry(
        name="F5-killed",
        fault="A killed run left the kernels of its workers in TMPDIR.",
        script="mkdir t; export TMPDIR=$PWD/t\n"
        "setsid lenssim generate -m III -n 20000 --shard-size 64 --workers 2 -o a &\n"
        "while [ $(ls a/shards 2>/dev/null | wc -l) -lt 4 ]; do sleep 0.2; done; kill -KILL -$!; sleep 1\n"
        + EMPTY,
        says=r"nothing is left in TMPDIR",
        seconds=400,
    ),
    Entry(
        name="F5-live",
        fault="A training on live data left the kernels of its loaders in TMPDIR.",
        script="mkdir t; export TMPDIR=$PWD/t\n"
        "lenssim train classify --net cnn --live III --live-n 640 --epochs 1 --workers 2 --out r\n"
        + EMPTY,
        says=r"nothing is left in TMPDIR",
        seconds=600,
    ),
    Entry(
        name="R4",
        fault="Any user of the machine could run programs through the local dask scheduler.",
        script=ASK,
        says=r"tcp refused(?s:.*)tls refused(?s:.*)\[7\]",
        never=r"'result'",
        seconds=300,
    ),
    Entry(
        name="R10-gone",
        fault="Samples were called safe although the data set's folder had been deleted.",
        script="(while [ $(ls a/shards/*.json 2>/dev/null | wc -l) -lt 4 ]; do sleep 0.05; done; mv a b; rm -rf b) &\n"
        "lenssim generate -m III -n 20000 --shard-size 64 --workers 0 -o a",
        code=4,
        says=r"a is gone: it was deleted or moved",
        never=r"Traceback|are done and safe",
        seconds=400,
    ),
)
