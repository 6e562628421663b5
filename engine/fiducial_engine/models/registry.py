"""Model families by the name that run.json uses."""

from __future__ import annotations

from typing import Final

from fiducial_engine.models import dynunet, file_model, mlp, resnet3d, segresnet, timm_model, unet3d
from fiducial_engine.models.spec import Family

MODELS: Final[dict[str, Family]] = {
    "timm": Family(timm_model.build, reads="images", gives="labels"),
    "mlp": Family(mlp.build, reads="any", gives="labels"),
    "unet3d": Family(unet3d.build, reads="volumes", gives="mask"),
    "segresnet": Family(segresnet.build, reads="volumes", gives="mask"),
    "dynunet": Family(dynunet.build, reads="volumes", gives="mask"),
    "resnet3d": Family(resnet3d.build, reads="volumes", gives="labels"),
    "file": Family(file_model.build, reads="any", gives="any"),
}
