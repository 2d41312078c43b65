"""Folders and files of other people: what imports, predictions and the readers of sources and kernels say."""

from entry import Entry

ENTRIES = (
    Entry(
        "F7-capitals",
        "files that end in .NPY vanished from an import, a whole class with them",
        """
python -c "from make import *; folder('F7', ['no_sub', 'cdm', 'axion'])"
for file in F7/axion/*.npy; do mv $file ${file%.npy}.NPY; done
lenssim import deeplense F7 -o a
""",
        says=r"12 images .*\(no_sub 4, cdm 4, axion 4\)",
    ),
    Entry(
        "F7-archives",
        "files in .npz vanished from an import",
        """
python -c "
from make import *
folder('F7', ['no_sub', 'cdm', 'axion'])
for path in Path('F7/axion').iterdir():
    np.savez(path.with_suffix('.npz'), np.load(path))
    path.unlink()
"
lenssim import deeplense F7 -o a
""",
        says=r"12 images .*\(no_sub 4, cdm 4, axion 4\)",
    ),
    Entry(
        "F7-subfolder",
        "files in a sub-folder of a class vanished from an import",
        """
python -c "from make import *; folder('F7', ['no_sub', 'cdm']); folder('F7/cdm', ['part2'])"
lenssim import deeplense F7 -o a; code=$?
lenssim import deeplense F7 -o b --skip-bad && exit $code
""",
        code=1,
        says=r"sub-folder 'part2' with 4 files",
    ),
    Entry(
        "F7-empty",
        "an empty class folder vanished from an import",
        """
python -c "from make import *; folder('F7', ['no_sub', 'cdm']); folder('F7', ['axion'], k=0)"
lenssim import deeplense F7 -o a
""",
        code=1,
        says=r"F7/axion holds no images",
    ),
    Entry(
        "F7-foreign",
        "files of another format vanished from an import",
        """
python -c "from make import *; folder('F7', ['no_sub', 'cdm'])"
touch F7/cdm/a.png F7/cdm/b.png
lenssim import deeplense F7 -o a
""",
        code=1,
        says=r"F7/cdm holds 2 files that are no images by their ending: a.png, b.png",
    ),
    Entry(
        "F8",
        "hidden folders became classes, and hidden files bad images",
        """
python -c "
from make import *
folder('F8', ['no_sub', 'cdm', '.ipynb_checkpoints', '__MACOSX'])
Path('F8/cdm/._00000.npy').write_bytes(bytes(100))
Path('F8/cdm/Thumbs.db').write_bytes(bytes(100))
"
lenssim import deeplense F8 -o a
""",
        says=r"8 images .*\(no_sub 4, cdm 4\)",
    ),
    Entry(
        "F9-predict",
        "an image with axes of length one was refused by predict",
        """
python -c "
from make import *
np.save('one.npy', ring()[None, None])
np.save('last.npy', ring()[..., None])
np.save('both.npy', ring()[None, ..., None])
"
lenssim predict $RUN one.npy last.npy both.npy
""",
        says=r"both.npy",
        needs_run=True,
    ),
    Entry(
        "F9-bands",
        "three bands were taken for three images, and nothing said so",
        """
python -c "
from make import *
np.save('bands.npy', np.stack([ring(seed=i) for i in range(3)]))
np.save('last.npy', np.stack([ring(seed=i) for i in range(3)], axis=-1))
"
lenssim predict $RUN bands.npy 2>&1 | grep 'read as 3 images of one band' || exit 5
lenssim predict $RUN last.npy
""",
        code=1,
        says=r"3 bands seem to come last",
        needs_run=True,
    ),
    Entry(
        "F9-import",
        "an image with axes of length one was refused by an import",
        """
python -c "from make import *; folder('F9', ['a', 'b'], 4, lambda i: ring(seed=i)[None, :, :, None])"
lenssim import deeplense F9 -o a
""",
        says=r"8 images of 1 x 64 x 64",
    ),
    Entry(
        "F20-import",
        "values beyond float32 were imported as infinite, or as black images",
        """
python -c "
from make import *
folder('big', ['a', 'b'], 4, lambda i: ring(seed=i) * 1e39)
folder('faint', ['a', 'b'], 4, lambda i: ring(seed=i) * 1e-47)
folder('whole', ['a', 'b'], 4, lambda i: (2**40 + 100 * ring(seed=i)).astype(np.int64))
"
lenssim import deeplense big -o a 2>&1 | grep 'more than float32 can hold' || exit 5
lenssim import deeplense faint -o b 2>&1 | grep 'which float32 cannot tell apart' || exit 5
lenssim import deeplense whole -o c
""",
        code=1,
        says=r"whole/a/00000.npy: its values lie between .* which float32 cannot tell apart",
    ),
    Entry(
        "F20-predict",
        "predict said NaN of a file that has none",
        """
python -c "from make import *; np.save('big.npy', ring() * 1e39)"
lenssim predict $RUN big.npy
""",
        code=1,
        says=r"big.npy.*more than float32 can hold",
        needs_run=True,
    ),
    Entry(
        "F22",
        "a refused import stood in the way of the mended one",
        """
python -c "from make import *; folder('F22', ['a', 'b']); np.save('F22/a/00009.npy', ring(65))"
lenssim import deeplense F22 -o a && exit 5
test -e a && exit 6
rm F22/a/00009.npy
lenssim import deeplense F22 -o a
""",
        says=r"8 images",
    ),
    Entry(
        "M1",
        "train and val folders above the class folders were taken for classes",
        """
python -c "from make import *; folder('set/train', ['a', 'b']); folder('set/val', ['a', 'b'], k=2)"
lenssim import deeplense set -o a 2>&1 | grep -e '--split' || exit 5
lenssim import deeplense set --split train -o a && lenssim import deeplense set --split validation -o b
""",
        says=r"b: 4 images",
    ),
    Entry(
        "M3",
        ".npz files were read nowhere",
        """
python -c "from make import *; np.savez('a.npz', image=ring(), label=1)"
lenssim predict $RUN a.npz
""",
        says=r"a.npz",
        needs_run=True,
    ),
    Entry(
        "M4",
        "pairs of images in HR and LR folders could not be imported",
        """
python -c "
from make import *
for name, side in {'LR': 64, 'HR': 128}.items():
    Path('set', name).mkdir(parents=True)
    for i in range(4):
        np.save(f'set/{name}/sample{i}.npy', ring(side, i)[None])
"
lenssim import pairs set -o a && lenssim verify a && lenssim info a
""",
        says=r"every hash right",
    ),
    Entry(
        "M5",
        "object arrays of rows, rows and label, or flat and label were refused",
        """
python -c "
from make import *
def objects(*entries):
    array = np.empty(len(entries), dtype=object)
    array[:] = entries
    return array
folder('rows', ['a', 'b'], 4, lambda i: objects(*ring(seed=i)))
folder('label', ['a', 'b'], 4, lambda i: objects(*ring(seed=i), 1))
folder('flat', ['a', 'b'], 4, lambda i: np.append(ring(seed=i).ravel(), 1))
"
lenssim import deeplense rows -o a && lenssim import deeplense label -o b && lenssim import deeplense flat -o c
""",
        says=r"c: 8 images of 1 x 64 x 64",
    ),
    Entry(
        "M6",
        "classes by other names became other classes in another order",
        """
python -c "from make import *; folder('set', ['no', 'sphere', 'vort'])"
lenssim import deeplense set -o a 2>&1 | grep -e '--map-classes no=no_sub,sphere=cdm,vort=axion' || exit 5
lenssim import deeplense set -o b --map-classes no=no_sub,sphere=cdm,vort=axion && lenssim evaluate $RUN --data b
""",
        says=r"\(no_sub 4, cdm 4, axion 4\)",
        needs_run=True,
    ),
    Entry(
        "M7",
        "the first FITS image was taken even where another is called SCI, and nothing said which",
        """
python -c "
from make import *
from astropy.io import fits
named = lambda *names: [fits.ImageHDU(ring(seed=i), name=name) for i, name in enumerate(names)]
fits.HDUList([fits.PrimaryHDU(), *named('ERR', 'SCI')]).writeto('sci.fits')
fits.HDUList([fits.PrimaryHDU(), *named('VIS', 'RMS')]).writeto('two.fits')
"
lenssim predict $RUN sci.fits 2>&1 | grep 'took SCI, not ERR' || exit 5
lenssim predict $RUN two.fits --extension VIS || exit 6
lenssim predict $RUN two.fits
""",
        code=1,
        says=r"holds 2 images: 1 \(VIS\), 2 \(RMS\); choose one by --extension",
        needs_run=True,
    ),
    Entry(
        "R6-nested",
        "a .npy of 459 bytes filled the memory",
        """
python -c "
import numpy as np
entries = [1.0] * 12
for _ in range(11):
    entries = [entries] * 12
array = np.empty(2, dtype=object)
array[:] = entries, 1.0
np.save('nested.npy', array, allow_pickle=True)
"
ulimit -v 60000000
lenssim predict $RUN nested.npy
""",
        code=1,
        says=r"nested.npy: its lists hold more than",
        needs_run=True,
    ),
    Entry(
        "R6-zeros",
        "a .fits.gz of zeros took 5 GB before its size was refused",
        """
python -c "
import gzip
import numpy as np
from astropy.io import fits
header = fits.PrimaryHDU(np.zeros((2, 2), np.float32)).header
header['NAXIS1'] = header['NAXIS2'] = 20000
with gzip.open('zeros.fits.gz', 'wb') as packed:
    packed.write(header.tostring().encode())
    for _ in range(1526):
        packed.write(bytes(2**20))
"
lenssim predict $RUN zeros.fits.gz
""",
        code=1,
        says=r"zeros.fits.gz: unpacked it has more than",
        needs_run=True,
    ),
    Entry(
        "R7",
        "bad files of galaxies and kernels ended in tracebacks",
        """
python -c "
import numpy as np
from make import ring
from astropy.io import fits
np.save('void.npy', np.zeros(3, 'V7'))
np.savez('archive.npz', ring())
fits.writeto('type.fits', ring())
data = open('type.fits', 'rb').read()
open('type.fits', 'wb').write(data.replace(b' -64 ', b'  17 ', 1))
data = open('void.npy', 'rb').read()
open('huge.npy', 'wb').write(data.replace(b'|V7', b'<f8').replace(b'(3,)', b'(999999999999,)', 1))
"
mv archive.npz archive.npy
for file in void.npy archive.npy type.fits huge.npy; do
    lenssim generate -m sie --galaxies $file -n 4 --workers 0 -o a
    test $? = 2 || exit 5
done
exit 2
""",
        code=2,
        says=r"galaxies",
    ),
    Entry(
        "F25-masses",
        "a table of masses saved by a spreadsheet was refused without saying what was found",
        r"""
python -c "from make import *; folder('set', ['axion'], k=2)"
printf '\xef\xbb\xbffile;log10_m_axion\r\naxion/00000.npy;-22,5\r\n' > set/masses.csv
lenssim import deeplense set -o a || exit 5
printf 'name;mass\r\naxion/00000.npy;-22,5\r\n' > set/masses.csv
lenssim import deeplense set -o b
""",
        code=1,
        says=r"masses.csv: its first line names no columns file and log10_m_axion.*it is 'name;mass'",
    ),
    Entry(
        "F25-header",
        "FITS files had neither pixel scale nor WCS",
        """
lenssim render -m III --engine lenstronomy -o x.fits
lenssim generate -m III -n 3 --engine lenstronomy --workers 0 -o a && lenssim export a --to fits -o b
python -c "
from astropy.io import fits
from astropy.wcs import WCS
for name in ('x.fits', 'b/000000.fits'):
    header = fits.getheader(name)
    print(name, header['BUNIT'], header['PIXSCALE'], WCS(header, naxis=2).wcs_pix2world([[31.5, 31.5]], 0).tolist())
"
""",
        seconds=300,
        says=r"b/000000.fits electron/s 0.08 \[\[0.0, 0.0\]\]",
    ),
)
