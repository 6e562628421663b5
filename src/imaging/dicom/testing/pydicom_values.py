"""Writes pydicom_values.json: what pydicom's modality and VOI transforms make of the files of ../shared/data/dicom.

    python pydicom_values.py <folder with labels.csv> > pydicom_values.json

Needs what pydicom_pixels.py needs. Of each grey file with such a transform: values at every n-th pixel of the first
frame, stored, after the modality transform, and in the range of display from 0 to 1 where there is a VOI.
"""

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pydicom
from pydicom.pixels import apply_modality_lut, apply_voi_lut

warnings.simplefilter("ignore")


def display_range(dataset):
    """Lowest and highest value that apply_voi_lut gives."""
    if "VOILUTSequence" in dataset:
        return 0, 2 ** dataset.VOILUTSequence[0].LUTDescriptor[2] - 1
    if "ModalityLUTSequence" in dataset:
        return 0, 2 ** dataset.ModalityLUTSequence[0].LUTDescriptor[2] - 1
    bits = dataset.BitsStored
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if dataset.PixelRepresentation else (0, 2**bits - 1)
    if "RescaleSlope" in dataset:
        slope, intercept = float(dataset.RescaleSlope), float(dataset.RescaleIntercept)
        low, high = low * slope + intercept, high * slope + intercept
    return low, high


out = {}
for path in sorted(Path(sys.argv[1]).glob("files/*.dcm")):
    try:
        dataset = pydicom.dcmread(path, force=True)
        stored = dataset.pixel_array
    except Exception:  # noqa: BLE001 - whatever pydicom does not decode is left out
        continue
    if not any(k in dataset for k in ("RescaleSlope", "ModalityLUTSequence", "WindowCenter", "VOILUTSequence")):
        continue
    first = stored.reshape(-1, dataset.Rows, dataset.Columns)[0]
    every = max(1, first.size // 100)
    measured = apply_modality_lut(first, dataset)
    entry = {
        "every": every,
        "stored": first.ravel()[::every].tolist(),
        "modality": np.asarray(measured).ravel()[::every].tolist(),
    }
    if "WindowCenter" in dataset or "VOILUTSequence" in dataset:
        low, high = display_range(dataset)
        shown = (apply_voi_lut(measured, dataset).astype("float64") - low) / (high - low)
        entry["voi"] = [round(float(v), 12) for v in shown.ravel()[::every]]
    out[path.name] = entry
print("{\n" + ",\n".join(f'  "{name}": {json.dumps(entry)}' for name, entry in out.items()) + "\n}")
