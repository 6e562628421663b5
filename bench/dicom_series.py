"""A DICOM series to a volume with pydicom and numpy, as dicom_series.ts does it: prints CPU and wall seconds.

    python bench/dicom_series.py <folder> <rounds>

Twice: as pydicom's guide does it (apply_rescale, then stack), and with everything that numpy allows done in place.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
from pydicom.pixels import apply_rescale

folder, rounds = Path(sys.argv[1]), int(sys.argv[2])


def read() -> tuple[list[pydicom.Dataset], np.ndarray]:
    """The slices in order along their normal, and the affine of (z, y, x) indices, RAS+."""
    slices = [pydicom.dcmread(path) for path in folder.glob("*.dcm")]
    row, column = np.array(slices[0].ImageOrientationPatient, float).reshape(2, 3)
    slices.sort(
        key=lambda s: float(
            np.dot(np.cross(row, column), np.array(s.ImagePositionPatient, float))
        )
    )
    first, last = (np.array(slices[z].ImagePositionPatient, float) for z in (0, -1))
    spacing = np.array(slices[0].PixelSpacing, float)
    lps = np.stack(
        [
            (last - first) / (len(slices) - 1),
            column * spacing[0],
            row * spacing[1],
            first,
        ],
        axis=1,
    )
    return slices, np.vstack([lps * [[-1], [-1], [1]], [0, 0, 0, 1]])


def guide() -> tuple[np.ndarray, np.ndarray]:
    slices, affine = read()
    return np.stack([apply_rescale(s.pixel_array, s) for s in slices]), affine


def in_place() -> tuple[np.ndarray, np.ndarray]:
    slices, affine = read()
    out = np.empty((len(slices), slices[0].Rows, slices[0].Columns), np.int16)
    for z, s in enumerate(slices):
        out[z] = s.pixel_array
        if s.RescaleSlope != 1:
            out[z] *= np.int16(s.RescaleSlope)
        out[z] += np.int16(s.RescaleIntercept)
    return out, affine


def timed(make: Callable[[], tuple[np.ndarray, np.ndarray]]) -> dict:
    times = []
    for _ in range(rounds):
        wall, cpu = time.perf_counter(), time.process_time()
        voxels, affine = make()
        times.append((time.process_time() - cpu, time.perf_counter() - wall))
    return {
        "times": times,
        "sum": int(voxels.sum(dtype=np.int64)),
        "affine": affine.ravel().tolist(),
    }


print(json.dumps({"guide": timed(guide), "in_place": timed(in_place)}))
