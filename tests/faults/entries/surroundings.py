"""Faults of the surroundings: caches, temporary folders, streams, names of files, networks, limits."""

from entry import Entry

_GENERATE = "lenssim generate -m III -n 64 --workers 0 -o a"
_AS_ROOT = "[ $(id -u) = 0 ] || { echo 'only root can mount'; exit %d; }\n"
_MADE = r"64 images of 1 x 64 x 64"

ENTRIES = (
    Entry(
        name="F3",
        fault="Where the kernel cache cannot be written no image could be made, and samples were blamed.",
        script=f"LENSSIM_CACHE=/proc/x {_GENERATE}",
        says=r"kernels cannot be kept in /proc/x: .* set LENSSIM_CACHE",
        never=r"Traceback|shards failed|repeat the command",
        seconds=600,
    ),
    Entry(
        name="F3-render",
        fault="`render` ended in a traceback there.",
        script="LENSSIM_CACHE=/proc/x lenssim render -m III -o x.npy",
        says=r"kernels cannot be kept in /proc/x: .* set LENSSIM_CACHE",
        seconds=600,
    ),
    Entry(
        name="F3-readonly",
        fault="A read-only cache that held every kernel was of no use: its lock could not be written.",
        script=f"{_AS_ROOT % 0}export LENSSIM_CACHE=$PWD/cache; mkdir cache b; {_GENERATE} >/dev/null 2>&1\n"
        "unshare -m bash -c 'mount --bind cache cache && mount -o remount,bind,ro cache "
        "&& lenssim generate -m III -n 64 --workers 0 -o b'",
        says=rf"b: {_MADE}|only root",
        never=r"Traceback|compiling|cannot be kept",
        seconds=600,
    ),
    Entry(
        name="F3-full",
        fault="A cache without room stopped every shard.",
        script=f"{_AS_ROOT % 0}mkdir cache; unshare -m bash -c 'mount -t tmpfs -o size=1m none cache "
        f"&& LENSSIM_CACHE=$PWD/cache {_GENERATE}'",
        says=r"kernels cannot be kept in .*cache: only 1 MiB are free|only root",
        never=r"Traceback|shards failed",
        seconds=600,
    ),
    Entry(
        name="F3-nowhere",
        fault="Where neither the cache nor TMPDIR can be written, samples were blamed.",
        script=f"{_AS_ROOT % 2}unshare -m bash -c '"
        "for d in /tmp /var/tmp; do mount -t tmpfs -o size=64k none $d; done; cd /; "
        f" LENSSIM_CACHE=/proc/x lenssim generate -m III -n 64 --workers 0 -o /dev/shm/lenssim-never'",
        code=2,
        says=r"no folder takes temporary files .*set TMPDIR|only root",
        never=r"Traceback|shards failed|repeat the command",
    ),
    Entry(
        name="F3-tmpdir",
        fault="A TMPDIR that does not exist broke every kernel.",
        script=f"TMPDIR=$PWD/missing {_GENERATE}",
        says=r"temporary files go to /.*; .*missing cannot be used",
        never=r"Traceback|shards failed",
    ),
    Entry(
        name="R5",
        fault="Kernels were loaded from folders of other users.",
        script=f"{_AS_ROOT % 0}mkdir -p w/kernels; chmod 777 w; LENSSIM_CACHE=$PWD/w {_GENERATE} >/dev/null 2>&1; "
        "chown -R 65534 w/kernels; cp -r ~/.cache/lenssim/kernels/*.pt2 w/kernels 2>/dev/null; chmod 777 w/kernels\n"
        "LENSSIM_CACHE=$PWD/w lenssim render -m III -o x.npy",
        says=r"kernels cannot be kept in .*/w: .*(another user|everybody can write)|only root",
        seconds=900,
    ),
    Entry(
        name="R8-stderr",
        fault="With stderr closed nothing was made and nothing said.",
        script=f"{_GENERATE} 2>&- && lenssim info a 2>&-",
        says=r"images +64 of 64",
    ),
    Entry(
        name="R8-streams",
        fault="With every stream closed nothing was made.",
        script=f"{_GENERATE} 0<&- 1>&- 2>&-; lenssim info a",
        says=r"images +64 of 64",
    ),
    Entry(
        name="R8-full",
        fault="A full disk behind stderr stopped the work.",
        script=f"{_GENERATE} 2>/dev/full",
        says=_MADE,
    ),
    Entry(
        name="F25-full",
        fault="`lenssim info D > /dev/full` ended in a traceback.",
        script=f"{_GENERATE} >/dev/null 2>&1; lenssim info a > /dev/full",
        code=1,
        says=r"cannot write to stdout: No space left on device",
    ),
    Entry(
        name="F25-long",
        fault="A name of 300 letters ended in a traceback.",
        script="lenssim generate -m III -n 64 --workers 0 -o $(printf 'x%.0s' $(seq 300))",
        code=2,
        says=r"cannot use x+.*: File name too long",
    ),
    Entry(
        name="F25-loopback",
        fault="Without a loopback interface workers ended in a traceback.",
        script=f"{_AS_ROOT % 2}unshare -n lenssim generate -m III -n 128 --workers 2 -o a",
        code=2,
        says=r"127\.0\.0\.1 .*use --workers 0|only root",
    ),
    Entry(
        name="F25-spaces",
        fault="Paths with spaces were not quoted in the commands that are printed.",
        script="lenssim generate -m III -n 64 --workers 0 -o 'di/uni co de/x'",
        says=r"next: lenssim show 'di/uni co de/x'",
    ),
    Entry(
        name="F12",
        fault="`predict` cut file names where nobody looks at a terminal.",
        script='python -c "from make import ring; import numpy as np; '
        "n = 'image_of_a_survey_with_a_long_name' + 'x' * 60; [np.save(n + end, ring()) for end in 'ab']\"\n"
        "lenssim predict $RUN image_of*npy | cat",
        says=r"image_of_a_survey_with_a_long_namex{60}b\.npy",
        needs_run=True,
    ),
    Entry(
        name="F12-ascii",
        fault="An ASCII stdout ended in a UnicodeEncodeError.",
        script="python -c \"from make import ring; import numpy as np; np.save('\\u4e2d.npy', ring())\"\n"
        "PYTHONIOENCODING=ascii lenssim predict $RUN *.npy",
        says=r"\\u4e2d\.npy",
        needs_run=True,
    ),
    Entry(
        name="doctor",
        fault="Nothing told beforehand what of a machine would stop a run.",
        script="(ulimit -n 70; lenssim doctor --workers 2)",
        code=1,
        says=r"open files +fail",
    ),
)
