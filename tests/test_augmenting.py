"""Random changes a batch at a time: each image its own, and what torchvision's draw one by one."""

import pytest
import torch
from scipy.stats import chisquare
from torch import nn
from torchvision.transforms import v2

from course_utils import ImageDataset, make_loader, seed_everything
from course_utils.augmenting import BatchTransform, RandomFlip, RandomShift, takes_batches

IMAGE = torch.rand(3, 5, 6)
COPIES = IMAGE.repeat(4000, 1, 1, 1)


def kinds(images: torch.Tensor) -> dict[bytes, int]:
    """Count how often each picture occurs."""
    found: dict[bytes, int] = {}
    for image in images:
        key = image.numpy().tobytes()
        found[key] = found.get(key, 0) + 1
    return found


@pytest.mark.parametrize(
    ("whole", "single"),
    [
        (RandomFlip(), v2.RandomHorizontalFlip()),
        (RandomFlip(0.2), v2.RandomHorizontalFlip(0.2)),
        (RandomShift(2), v2.RandomCrop((5, 6), padding=2, padding_mode="reflect")),
        (
            nn.Sequential(RandomShift(1), RandomFlip()),
            v2.Compose([v2.RandomCrop((5, 6), padding=1, padding_mode="reflect"), v2.RandomHorizontalFlip()]),
        ),
    ],
)
def test_the_same_pictures_as_often_as_one_by_one(whole: nn.Module, single: nn.Module) -> None:
    torch.manual_seed(0)
    batch, items = kinds(whole(COPIES)), kinds(torch.stack([single(image) for image in COPIES]))
    assert batch.keys() == items.keys()
    # Both are draws from one distribution: the counts of one among those of both.
    both = [batch[key] + items[key] for key in batch]
    assert chisquare([batch[key] for key in batch], [count / 2 for count in both]).pvalue > 0.001


def test_a_shift_takes_every_position_equally_often() -> None:
    torch.manual_seed(0)
    counts = list(kinds(RandomShift(1)(COPIES)).values())
    assert len(counts) == 9
    assert chisquare(counts).pvalue > 0.001


def test_one_image_keeps_its_shape_and_is_drawn_alike() -> None:
    torch.manual_seed(0)
    for transform in (RandomFlip(), RandomShift(2), v2.Compose([RandomShift(1), RandomFlip()])):
        assert transform(IMAGE).shape == IMAGE.shape
        assert len(kinds(torch.stack([transform(IMAGE) for _ in range(200)]))) > 1


@pytest.mark.parametrize("augment", [RandomFlip(), v2.RandomHorizontalFlip(), nn.Sequential(v2.RandomHorizontalFlip())])
def test_each_image_of_a_batch_has_its_own_draw(augment: nn.Module) -> None:
    """What torchvision's transforms would not do if they were given the batch."""
    images = (IMAGE * 255).to(torch.uint8).repeat(200, 1, 1, 1)
    dataset = ImageDataset(images, torch.zeros(200).long(), mean=(0.0,) * 3, std=(1.0,) * 3, augment=augment)
    seed_everything(0)
    (batch, _), *_ = make_loader(dataset, batch_size=200)
    counts = sorted(kinds(batch).values())
    assert len(counts) == 2
    assert counts[0] > 60
    assert len(kinds(v2.RandomHorizontalFlip()(images))) == 1
    seed_everything(0)
    assert torch.equal(next(iter(make_loader(dataset, batch_size=200)))[0], batch)


def test_the_images_themselves_stay() -> None:
    images = IMAGE.repeat(50, 1, 1, 1)
    before = images.clone()
    nn.Sequential(RandomShift(1), RandomFlip())(images)
    assert torch.equal(images, before)


def test_what_takes_whole_batches() -> None:
    assert takes_batches(nn.Sequential(RandomFlip(), nn.Sequential(RandomShift(1))))
    for single in (v2.RandomRotation(5), nn.Sequential(RandomFlip(), v2.RandomRotation(5)), lambda image: image):
        assert not takes_batches(single)


def test_one_of_your_own_and_names() -> None:
    class Darker(BatchTransform):
        def change(self, images: torch.Tensor) -> torch.Tensor:
            return images * torch.rand(len(images), 1, 1, 1, device=images.device)

    assert takes_batches(Darker())
    assert Darker()(IMAGE).shape == IMAGE.shape
    assert repr(RandomFlip(0.3)) == "RandomFlip(p=0.3)"
    assert repr(RandomShift(4)) == "RandomShift(pixels=4)"


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"p is 1\.5, but a probability"):
        RandomFlip(1.5)
    with pytest.raises(ValueError, match="pixels is 0, but an image moves by at least one"):
        RandomShift(0)
    with pytest.raises(RuntimeError, match=r"[Pp]adding size should be less"):  # PyTorch's own sentence is clear
        RandomShift(5)(IMAGE)
