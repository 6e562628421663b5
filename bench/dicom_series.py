"""A DICOM series to a volume with pydicom and numpy, as dicom_series.ts does it: prints CPU and wall seconds.

python bench/dicom_series.py <folder> <rounds>
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import pydicom

folder, rounds = Path(sys.argv[1]), int(sys.argv[2])


def volume() -> tuple[np.ndarray, np.ndarray]:
    """Voxels [z, y, x] as int16 and the affine of their indices, RAS+."""
    slices = [pydicom.dcmread(path) for path in folder.glob("*.dcm")]
    row, column = np.array(slices[0].ImageOrientationPatient, float).reshape(2, 3)
    slices.sort(
        key=lambda s: float(
            np.dot(np.cross(row, column), np.array(s.ImagePositionPatient, float))
        )
    )
    out = np.empty((len(slices), slices[0].Rows, slices[0].Columns), np.int16)
    for z, s in enumerate(slices):
        out[z] = s.pixel_array
        out[z] *= np.int16(s.RescaleSlope)
        out[z] += np.int16(s.RescaleIntercept)
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
    return out, np.vstack([lps * [[-1], [-1], [1]], [0, 0, 0, 1]])


times = []
for _ in range(rounds):
    wall, cpu = time.perf_counter(), time.process_time()
    voxels, affine = volume()
    times.append((time.process_time() - cpu, time.perf_counter() - wall))
total = int(voxels.sum(dtype=np.int64))
print(json.dumps({"times": times, "sum": total, "affine": affine.ravel().tolist()}))
