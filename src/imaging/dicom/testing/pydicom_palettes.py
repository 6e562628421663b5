"""Writes pydicom_palettes.json: colours that pydicom gives PALETTE COLOR files of ../shared/data/dicom, 8 bits each.

    python pydicom_palettes.py <folder with labels.csv> > pydicom_palettes.json
"""

import json
import sys
from pathlib import Path

import pydicom
from pydicom.pixels import apply_color_lut

out = {}
for name in ("OBXXXX1A.dcm", "examples_palette.dcm"):
    dataset = pydicom.dcmread(Path(sys.argv[1]) / "files" / name)
    rgb = apply_color_lut(dataset.pixel_array, dataset).reshape(-1, 3)
    bits = dataset.RedPaletteColorLookupTableDescriptor[2]
    every = len(rgb) // 100
    out[name] = {"every": every, "rgb": (rgb[::every] >> max(0, bits - 8)).tolist()}
print("{\n" + ",\n".join(f'  "{name}": {json.dumps(entry)}' for name, entry in out.items()) + "\n}")
