"""What a crop of a large case reads of its file."""

import ctypes
import mmap
import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from fiducial_engine.stored_array import PlainArray
from fiducial_engine.volumes import Volume

CHANNELS, SIDES = 2, (60, 240, 200)
CROP = (32, 96, 96)


def resident(volume: Volume) -> int:
    """Bytes of the image that are in memory, as mincore says."""
    assert isinstance(volume.image, PlainArray)
    image = volume.image.view
    address = image.ctypes.data // mmap.PAGESIZE * mmap.PAGESIZE
    size = image.ctypes.data + image.nbytes - address
    pages = -(-size // mmap.PAGESIZE)
    found = (ctypes.c_ubyte * pages)()
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.mincore(ctypes.c_void_p(address), ctypes.c_size_t(size), found) == 0
    return sum(1 for page in found if page & 1) * mmap.PAGESIZE


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="the page cache can't be emptied here")
def test_a_random_crop_of_a_large_case_reads_at_most_three_times_its_bytes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 1000, (CHANNELS, *SIDES)).astype(np.float16)
    for number, low in enumerate([(0, 0, 0), (13, 71, 50), (28, 144, 104)]):
        path = tmp_path / f"{number}.safetensors"  # Each its own: pages that are mapped can't be dropped.
        save_file({"image": image}, path)
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        volume = Volume(path, np.dtype(np.float16), None, has_mask=False)
        before = resident(volume)
        if before > image.nbytes // 4:
            pytest.skip("this file system keeps the file in memory")
        out = np.empty((CHANNELS, *CROP), np.float16)
        volume.crop(low, out, None)
        z, y, x = low
        assert np.array_equal(out, image[:, z : z + CROP[0], y : y + CROP[1], x : x + CROP[2]])
        assert resident(volume) - before < 3 * out.nbytes
