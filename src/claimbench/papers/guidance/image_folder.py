"""Images that are decoded while training, with the usual augmentation (ImageNet at the paper tier).

Training: a random part of the picture (area 8 to 100 %, ratio 3:4 to 4:3) at the network's size, mirrored half of the
time. Validation and test: the shorter side at 256 / 224 of the size, the middle cut out.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image

if TYPE_CHECKING:
    from claimbench.data import Data
    from claimbench.run import Run

#: mean and standard deviation of ImageNet's channels, of bytes
MEAN = 255 * np.array([0.485, 0.456, 0.406], np.float32)
DEVIATION = 255 * np.array([0.229, 0.224, 0.225], np.float32)


class FolderImages:
    """:class:`~claimbench.papers.guidance.image_training.Images` of the files of a folder.

    Decoding runs in ``decode_threads`` threads (Pillow frees the interpreter); every picture has its own random stream,
    so that results do not depend on them.
    """

    shift, scale = MEAN, DEVIATION

    def __init__(self, run: Run, data: Data) -> None:
        self._data, self._folder = data, Path(data.info["folder"])
        self._side, self._batch = run.h.side, run.h.batch
        self._run = run
        self._threads = ThreadPoolExecutor(run.h.decode_threads)
        self.shape, self.n = (3, self._side, self._side), len(data.arrays["train_idx"])

    def batch(self, chosen: np.ndarray[Any, Any], step: int) -> tuple[torch.Tensor, torch.Tensor]:
        numbers = self._data.arrays["train_idx"][chosen]
        streams = self._run.rng(f"augmentation {step}").spawn(len(numbers))
        parts = self._threads.map(self._augmented, self._data.arrays["x"][numbers], streams)
        return torch.from_numpy(np.stack(list(parts))), torch.from_numpy(self._data.arrays["y"][numbers])

    def validation(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        numbers = self._data.arrays["val_idx"]
        for start in range(0, len(numbers), self._batch):
            part = numbers[start : start + self._batch]
            yield self._centred(self._data.arrays["x"][part]), torch.from_numpy(self._data.arrays["y"][part])

    def test(self) -> Iterator[torch.Tensor]:
        """Batches of test images."""
        paths = self._data.arrays["test_x"]
        for start in range(0, len(paths), self._batch):
            yield self._centred(paths[start : start + self._batch])

    def _centred(self, paths: np.ndarray[Any, Any]) -> torch.Tensor:
        return torch.from_numpy(np.stack(list(self._threads.map(self._middle, paths))))

    def _augmented(self, path: bytes, rng: np.random.Generator) -> np.ndarray[Any, Any]:
        with Image.open(self._folder / os.fsdecode(path)) as picture:
            box = random_part(picture.width, picture.height, rng)
            pixels = np.asarray(self._resized(picture, box))
        return rows(pixels[:, ::-1] if rng.random() < 0.5 else pixels)

    def _middle(self, path: bytes) -> np.ndarray[Any, Any]:
        with Image.open(self._folder / os.fsdecode(path)) as picture:
            cut = min(picture.size) * 224 / 256
            left, top = (picture.width - cut) / 2, (picture.height - cut) / 2
            box = (left, top, left + cut, top + cut)
            return rows(np.asarray(self._resized(picture, box)))

    def _resized(self, picture: Image.Image, box: tuple[float, float, float, float]) -> Image.Image:
        return picture.convert("RGB").resize((self._side, self._side), Image.Resampling.BILINEAR, box=box)


def rows(pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Standardised (channels * height * width,) of bytes (height, width, channels)."""
    return ((pixels.astype(np.float32) - MEAN) / DEVIATION).transpose(2, 0, 1).reshape(-1)


def random_part(width: int, height: int, rng: np.random.Generator) -> tuple[float, float, float, float]:
    """A box of 8 to 100 % of the area, ratio 3:4 to 4:3, anywhere; the middle square where ten draws miss."""
    for _ in range(10):
        area = width * height * rng.uniform(0.08, 1.0)
        ratio = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = math.sqrt(area * ratio), math.sqrt(area / ratio)
        if w <= width and h <= height:
            left, top = rng.uniform(0, width - w), rng.uniform(0, height - h)
            return left, top, left + w, top + h
    side = min(width, height)
    return (width - side) / 2, (height - side) / 2, (width + side) / 2, (height + side) / 2
