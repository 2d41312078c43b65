"""Faults of presets, cluster files and recipes: numbers, words and names that nobody checked."""

from entry import Entry

__all__ = ["ENTRIES"]

_FRONT = (
    "lenssim models III | "
    "sed 's/^name: III/name: front/; s/^z_source_convention: 2.5/z_source_convention: {}/' > front.yaml"
)
_SIGNED = """
import json, sys
from pathlib import Path
from lenssim.data.format.files import read_json, write_json
for name in ("plan.json", "manifest.json"):
    document = read_json(Path("D", name))
    document["classes"] = json.loads(sys.argv[1])
    write_json(Path("D", name), document)
"""
_HOSTILE = (
    "lenssim generate -m III -n 64 --workers 0 -o D && "
    f'python - \'["{{name}}", "b", "c"]\' <<\'EOF\'\n{_SIGNED}EOF\n'
)


def _front(value: str) -> str:
    generate = "lenssim generate -m front.yaml -n 64 --workers 0 -o a"
    return f"{_FRONT.format(value)}; {generate}; code=$?; ls a; exit $code"


def _absurd(name: str, change: str, says: str) -> Entry:
    script = (
        f"lenssim models III | sed 's/^name: III/name: absurd/; {change}' > absurd.yaml; "
    )
    script += "lenssim generate -m absurd.yaml -n 64 --workers 0 -o a"
    return Entry(
        f"R10-{name}",
        "An absurd size was told as the engine's imprecision.",
        script,
        2,
        says,
    )


ENTRIES: tuple[Entry, ...] = (
    Entry(
        "F4",
        "Lenses diverged.",
        _front("0.4"),
        2,
        "z_source_convention must lie behind z_lens, got z_lens 0.5",
    ),
    Entry(
        "F4-equal",
        "Images were black.",
        _front("0.5"),
        2,
        "z_source_convention must lie behind z_lens",
    ),
    Entry(
        "F4-drawn",
        "Some lenses diverged.",
        _front("{uniform: [0.4, 2.5]}"),
        2,
        "ranges that do not overlap",
    ),
    Entry(
        "F4-tail",
        "Some lenses diverged.",
        _front("{normal: [0.8, 0.15]}"),
        2,
        r"sample \d+: z_source_convention",
    ),
    Entry(
        "F16",
        "A class of a preset was a path.",
        "lenssim models III | sed 's/^name: III/name: up/; s/^  no_sub: {/  ..\\/escaped: {/' > up.yaml; "
        "lenssim generate -m up.yaml -n 64 --workers 0 -o up",
        2,
        "the class '../escaped' cannot be a name",
    ),
    Entry(
        "R3",
        "A class of a plan was a path.",
        _HOSTILE.replace("{name}", "/tmp/x/a") + "lenssim export D --to npy --out target",
        1,
        r"plan\.json is not what lenssim writes: classes\.0: the class '/tmp/x/a' cannot be a name",
    ),
    Entry(
        "R9",
        "A class name gave orders to the terminal.",
        _HOSTILE.replace("{name}", r"a\u001b[2J") + "lenssim info D",
        1,
        r"the class 'a\\x1b\[2J' cannot be a name",
        never=r"\x1b|Traceback",
    ),
    Entry(
        "R9-card",
        "A preset's summary was HTML on the card.",
        "lenssim models III | sed 's/^name: III/name: html/; "
        's/^summary: .*/summary: "<script>x<\\/script>"/\' > h.yaml; '
        "lenssim generate -m h.yaml -n 64 --workers 0 -o D && cat D/card.md",
        0,
        "&lt;script&gt;",
        never="<script>",
    ),
    Entry(
        "F17",
        "A key given twice: the last one won.",
        "lenssim models III | sed 's/^name: III/name: dup/; s/^z_lens: 0.5/z_lens: 0.5\\nz_lens: 0.9/' > dup.yaml; "
        "lenssim render -m dup.yaml -o x.npy",
        2,
        r"line \d+: the key 'z_lens' comes twice, first in line \d+",
    ),
    Entry(
        "F17-recipe",
        "A key of a recipe given twice: the last one won.",
        "printf 'title: a\\ntitle: b\\n' > r.yaml; lenssim run r.yaml",
        2,
        "line 2: the key 'title' comes twice, first in line 1",
    ),
    Entry(
        "F17-cluster",
        "A key of a cluster file given twice: the last one won.",
        "printf 'system: slurm\\njobs: 1\\njobs: 2\\n' > c.yaml; lenssim generate -m III -n 64 -o a --cluster c.yaml",
        2,
        "line 3: the key 'jobs' comes twice, first in line 2",
    ),
    Entry(
        "F18",
        "The word no was a truth value.",
        "lenssim models III | sed 's/^name: III/name: nor/; s/^  no_sub: {/  no: {/' > nor.yaml; "
        "lenssim render -m nor.yaml -o x.npy",
        0,
        r"x\.npy: nor no, peak",
    ),
    Entry(
        "F18-numbers",
        "Numbers were no names of classes.",
        "lenssim models III | sed 's/^name: III/name: nor/; s/^  no_sub: {/  0: {/' > nor.yaml; "
        "lenssim render -m nor.yaml -c 0 -o x.npy",
        0,
        r"x\.npy: nor 0, peak",
    ),
    Entry(
        "F23",
        "The error of a PSF kernel was buried.",
        "lenssim models III | sed 's/^name: III/name: psf/; "
        "s/^instrument: .*/instrument: {name: hst_wfc3_f160w, psf: {kernel: [[0.5, 0.5], [0, 0]]}}/' > psf.yaml; "
        "lenssim render -m psf.yaml -o x.npy",
        2,
        r"preset psf\.yaml: instrument\.psf: a PSF kernel must have an odd number",
        never="GaussianPSF|function-after|Traceback",
    ),
    _absurd(
        "size",
        "s/R_sersic: 0.25/R_sersic: 1e-300/",
        r"source_R_sersic must lie in \[0.001, 1000\] arcsec",
    ),
    _absurd(
        "magnitude",
        "s/magnitude: 20.0/magnitude: -1000/",
        r"source_magnitude must lie in \[-5, 60\] mag",
    ),
    _absurd(
        "pixel",
        "s/^instrument: .*/instrument: {name: hst_wfc3_f160w, pixel_scale: 1e12}/",
        r"instrument\.pixel_scale: must be less than or equal to 100",
    ),
    Entry(
        "R6-recipe",
        "A recipe of two lists of 3,000 took 3.7 GB.",
        "python - > r.yaml <<'EOF'\n"
        "print('title: t\\ngenerate: {d: {model: III, n: 256}}\\ntrain:\\n  a: {data: d, seed: %s, limit: %s}'"
        " % (list(range(3000)), list(range(1, 3001))))\nEOF\n"
        "(ulimit -v 8000000; lenssim run r.yaml)",
        2,
        "stand for 9,000,000 trainings",
    ),
    Entry(
        "R6-deep",
        "YAML 20,000 levels deep was a RecursionError.",
        "python -c \"print('[' * 20000)\" > deep.yaml; lenssim render -m deep.yaml -o x.npy",
        2,
        "nested more than 50 levels deep",
    ),
    Entry(
        "F25-ending",
        "A preset named UP.YAML was an unknown model.",
        "lenssim models III > UP.YAML; lenssim render -m UP.YAML -o x.npy",
        0,
        r"x\.npy: III no_sub, peak",
    ),
)
