"""Translation and batches: the same offset for the same image, filled with zeros, scaled, channels_last."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.data_samples import LABELS, RGB, SMALL

from lrlc.harness.data import DeviceSplit, HeldSplit, Split, offsets, shift


def mapped(images: np.ndarray) -> HeldSplit:
    """A split whose images are not moved."""
    return HeldSplit.on(torch.device("cpu"), Split(images, LABELS.astype(np.int64)), 0)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 9), st.integers(0, 2**31), st.integers(1, 40))
def test_an_image_keeps_its_offset_for_any_number_of_images(pixels: int, seed: int, count: int) -> None:
    long, short = offsets(count + 10, pixels, seed, "train"), offsets(count, pixels, seed, "train")
    np.testing.assert_array_equal(long[:count], short)
    assert abs(long).max() <= pixels


def test_offsets_reach_both_ends_and_differ_by_seed_and_split() -> None:
    drawn = offsets(500, 4, 0, "train")
    assert set(drawn[:, 0]) == set(drawn[:, 1]) == set(range(-4, 5))
    assert (drawn != offsets(500, 4, 1, "train")).any()
    assert (drawn != offsets(500, 4, 0, "test")).any()


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 40), st.integers(0, 1000))
def test_shift_moves_each_image_and_fills_with_zero(pixels: int, seed: int) -> None:
    by = offsets(10, pixels, seed, "train")
    moved = shift(torch.from_numpy(RGB[:10]), torch.from_numpy(by)).numpy()
    for image, result, (down, right) in zip(RGB[:10], moved, by.tolist(), strict=True):
        framed = np.pad(image, ((40, 40), (40, 40), (0, 0)))
        np.testing.assert_array_equal(result, framed[40 - down : 72 - down, 40 - right : 72 - right])


@pytest.mark.parametrize(("images", "channels"), [(RGB, 3), (SMALL[..., None], 1)])
def test_batches_are_scaled_channels_last_floats(images: np.ndarray, channels: int) -> None:
    split = DeviceSplit(mapped(images), (-1.0, 1.0))
    batch, labels = split.gather(torch.tensor([5, 3, 5]))
    assert batch.shape == (3, channels, 32, 32)
    assert batch.dtype == torch.float32
    assert batch.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_allclose(batch[1].permute(1, 2, 0), images[3] / 127.5 - 1, atol=1e-6)
    assert labels.tolist() == LABELS[[5, 3, 5]].tolist()


def test_an_image_is_moved_the_same_in_every_batch() -> None:
    by = offsets(len(RGB), 6, 3, "train")
    split = DeviceSplit(mapped(RGB), (0.0, 255.0), by)
    whole = shift(torch.from_numpy(RGB), torch.from_numpy(by)).permute(0, 3, 1, 2)
    for indices in (torch.tensor([7, 0, 150]), torch.arange(199, -1, -1)):
        torch.testing.assert_close(split.gather(indices)[0], whole[indices].float(), atol=1e-4, rtol=0)
