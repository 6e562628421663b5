"""MONAI's side of bench/resample.ts: Orientationd and Spacingd in float32, one thread, least CPU seconds on stdout."""

import json
import sys
import time

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import Orientationd, Spacingd

torch.set_num_threads(1)
for case in json.load(sys.stdin):
    data = np.random.default_rng(0).random(
        (case["channels"], *case["shape"]), dtype=np.float32
    )
    affine = np.array(case["affine"]).reshape(4, 4)[:, [2, 1, 0, 3]]
    volume = MetaTensor(
        torch.from_numpy(data.transpose(0, 3, 2, 1).copy()),
        affine=torch.as_tensor(affine),
    )
    orient = Orientationd(
        keys="v",
        axcodes=case["orientation"],
        labels=(("L", "R"), ("P", "A"), ("I", "S")),
    )
    space = Spacingd(
        keys="v", pixdim=case["spacing_mm"][::-1], mode="bilinear", dtype=np.float32
    )
    seconds = []
    for _ in range(case["repeats"] + 1):
        start = time.process_time()
        found = space(orient({"v": volume}))["v"]
        seconds.append(time.process_time() - start)
    print(json.dumps({"seconds": min(seconds[1:]), "shape": list(found.shape[:0:-1])}))
