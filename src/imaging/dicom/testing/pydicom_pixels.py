"""Writes pydicom_pixels.json: what pydicom makes of the files of ../shared/data/dicom.

    python pydicom_pixels.py <folder with labels.csv> > pydicom_pixels.json

Needs pydicom 3.0, pylibjpeg with its libjpeg, openjpeg and rle plugins, and pyjpegls. Each file that decodes has the
shape and type of `pixel_array` and the sha256 of its little-endian bytes; a lossy one has values at every n-th place
besides, for decoders that differ by a few grey levels.
"""

import hashlib
import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pydicom

warnings.simplefilter("ignore")
root = Path(sys.argv[1])
lossy = {"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"}
out = {}
for path in sorted(root.glob("files/*.dcm")):
    try:
        dataset = pydicom.dcmread(path, force=True)
        pixels = dataset.pixel_array
    except Exception:  # noqa: BLE001 - whatever pydicom does not decode is left out
        continue
    little = np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("<"))
    entry = {
        "shape": list(pixels.shape),
        "dtype": pixels.dtype.name,
        "sha256": hashlib.sha256(little.tobytes()).hexdigest(),
    }
    if dataset.file_meta.TransferSyntaxUID in lossy:
        entry["every"] = max(1, pixels.size // 300)
        entry["values"] = pixels.ravel()[:: entry["every"]].tolist()
    out[path.name] = entry
print("{\n" + ",\n".join(f'  "{name}": {json.dumps(entry)}' for name, entry in out.items()) + "\n}")
