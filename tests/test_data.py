"""Data sets: what is in them, splits without overlap, downloads that are whole or not there."""

import errno
import functools
import http.server
import multiprocessing
import pickle
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torchvision.datasets import CIFAR10, MNIST
from torchvision.transforms import v2

from course_utils import ImageDataset, data, load_dataset
from course_utils.data import channel_statistics
from tests.image_files import write_cifar10_archive, write_mnist_archives, write_mnist_like


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Serve a folder over HTTP on this machine; give its address and the folder."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/", folder
        running.shutdown()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


# digits


def test_digits_are_scikit_learns_own(tmp_path: Path) -> None:
    digits = load_dataset("digits", root=tmp_path)
    assert (len(digits.train) + len(digits.val), len(digits.test)) == (1437, 360)
    assert digits.input_shape == (1, 28, 28)
    assert digits.class_names == tuple("0123456789")
    assert digits.num_classes == 10
    labels = torch.cat([part.labels for part in (digits.train, digits.val, digits.test)])
    assert torch.equal(labels.bincount(), torch.from_numpy(np.bincount(load_digits().target)))


def test_torchvision_reads_the_digits(tmp_path: Path) -> None:
    load_dataset("digits", root=tmp_path)
    for train, count in ((True, 1437), (False, 360)):
        files = MNIST(root=tmp_path / "digits_files", train=train)
        assert tuple(files.data.shape) == (count, 28, 28)
        assert files.data.max() == 255
        assert (files.data[:, :4] == 0).all()  # the margin of MNIST


def test_parts_share_no_image_and_keep_the_classes(tmp_path: Path) -> None:
    digits = load_dataset("digits", root=tmp_path)
    parts = [{image.numpy().tobytes() for image in part.images} for part in (digits.train, digits.val, digits.test)]
    assert not parts[0] & parts[1]
    assert not (parts[0] | parts[1]) & parts[2]
    shares = [part.labels.bincount() / len(part) for part in (digits.train, digits.val, digits.test)]
    assert (shares[0] - shares[1]).abs().max() < 0.01
    assert (shares[0] - shares[2]).abs().max() < 0.01


def test_the_seed_decides_the_split(tmp_path: Path) -> None:
    labels = [load_dataset("digits", root=tmp_path, seed=seed).val.labels for seed in (1, 1, 2)]
    assert torch.equal(labels[0], labels[1])
    assert not torch.equal(labels[0], labels[2])


def test_statistics_come_from_the_training_part_alone(tmp_path: Path) -> None:
    digits = load_dataset("digits", root=tmp_path)
    scaled = digits.train.images.double() / 255
    assert digits.mean == (pytest.approx(scaled.mean().item(), abs=1e-12),)
    assert digits.std == (pytest.approx(scaled.std(correction=0).item(), abs=1e-9),)
    images = torch.stack([digits.train[i][0] for i in range(len(digits.train))])
    assert images.mean().item() == pytest.approx(0, abs=1e-5)
    assert images.std().item() == pytest.approx(1, abs=1e-3)


def test_statistics_of_each_channel() -> None:
    images = torch.randint(0, 256, (50, 3, 4, 4), dtype=torch.uint8)
    images[:, 1] //= 3
    mean, std = channel_statistics(images)
    scaled = images.double() / 255
    assert mean == pytest.approx(scaled.mean(dim=(0, 2, 3)).tolist())
    assert std == pytest.approx(scaled.std(dim=(0, 2, 3), correction=0).tolist())


def test_only_training_images_are_augmented(tmp_path: Path) -> None:
    digits = load_dataset("digits", root=tmp_path, augment=v2.RandomRotation(20))
    assert not torch.equal(digits.train[0][0], digits.train[0][0])
    assert torch.equal(digits.val[0][0], digits.val[0][0])
    assert torch.equal(digits.test[0][0], digits.test[0][0])


def test_augmentation_sees_the_image_in_zero_to_one(tmp_path: Path) -> None:
    seen = []
    digits = load_dataset("digits", root=tmp_path, augment=lambda image: seen.append(image) or image)
    digits.train[0]
    assert seen[0].dtype == torch.float32
    assert (seen[0].min(), seen[0].max()) == (0, 1)


# ImageDataset


def test_an_item_is_scaled_and_standardised() -> None:
    images = torch.tensor([0, 255], dtype=torch.uint8).view(1, 2, 1, 1)
    dataset = ImageDataset(images, torch.tensor([7]), mean=(0.5, 0.5), std=(0.5, 0.25))
    image, label = dataset[0]
    assert image.flatten().tolist() == [-1, 2]
    assert image.dtype == torch.float32
    assert (label, type(label)) == (7, int)
    assert torch.equal(dataset.images, images)
    of_numpy = ImageDataset(
        images, torch.tensor([7]), mean=tuple(np.float64([0.5, 0.5])), std=tuple(np.float64([0.5, 0.25])), augment=abs
    )
    assert of_numpy[0][0].dtype == of_numpy[[0]][0].dtype == torch.float32


def test_a_list_gives_the_batch_of_these_items() -> None:
    images = torch.randint(0, 256, (20, 3, 4, 5), dtype=torch.uint8)
    dataset = ImageDataset(images, torch.arange(20, dtype=torch.int32), mean=(0.2, 0.3, 0.4), std=(0.5, 0.6, 0.7))
    batch, labels = dataset[[7, 0, 7]]
    assert torch.equal(batch, torch.stack([dataset[7][0], dataset[0][0], dataset[7][0]]))
    assert (labels.tolist(), labels.dtype) == ([7, 0, 7], torch.int64)
    assert dataset[[]][0].shape == (0, 3, 4, 5)
    with pytest.raises(IndexError):
        dataset[[20]]
    assert len(list(dataset)) == 20  # type: ignore[call-overload]


def test_images_are_kept_on_the_device_that_is_asked_for(tmp_path: Path) -> None:
    load_dataset("digits", root=tmp_path)
    data = load_dataset("digits", root=tmp_path, device="meta")  # stands for a GPU: it has shapes, but no numbers
    for part in (data.train, data.val, data.test):
        images, labels = part[[1, 2]]
        assert {part.images.device.type, images.device.type, labels.device.type} == {"meta"}
        assert (images.shape, images.dtype) == ((2, 1, 28, 28), torch.float32)


def test_images_and_labels_that_do_not_fit() -> None:
    good = torch.zeros(3, 1, 4, 4, dtype=torch.uint8)
    with pytest.raises(TypeError, match=r"images is a ndarray: make it a tensor, with torch\.from_numpy"):
        ImageDataset(good.numpy(), torch.zeros(3), mean=(0.0,), std=(1.0,))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="labels is a list: make it a tensor"):
        ImageDataset(good, [0, 1, 2], mean=(0.0,), std=(1.0,))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"uint8 of shape.*unsqueeze"):
        ImageDataset(good[:, 0], torch.zeros(3), mean=(0.0,), std=(1.0,))
    with pytest.raises(ValueError, match=r"torch\.float32"):
        ImageDataset(good.float(), torch.zeros(3), mean=(0.0,), std=(1.0,))
    labels = torch.zeros(3, dtype=torch.int64)
    for wrong in (labels[:2], labels.float(), labels.unsqueeze(1)):
        with pytest.raises(ValueError, match="3 images, but the labels are"):
            ImageDataset(good, wrong, mean=(0.0,), std=(1.0,))
    for mean, std in (((0.0,) * 3, (1.0,) * 3), ((0.0,), (0.0,))):
        with pytest.raises(ValueError, match="one number for each of the 1 channels"):
            ImageDataset(good, labels, mean=mean, std=std)


def test_datasets_survive_pickling(tmp_path: Path) -> None:
    digits = load_dataset("digits", root=tmp_path, augment=v2.RandomRotation(20))
    again = pickle.loads(pickle.dumps(digits))
    assert torch.equal(again.val[3][0], digits.val[3][0])


# Other data sets and bad input


def test_downloads_mnist_checked(tmp_path: Path, server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    address, folder = server
    monkeypatch.setattr(MNIST, "resources", write_mnist_archives(folder))
    monkeypatch.setattr(MNIST, "mirrors", [address])
    mnist = load_dataset("mnist", root=tmp_path / "data")
    assert (len(mnist.train), len(mnist.val), len(mnist.test)) == (320, 80, 100)
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["mnist_files"]

    monkeypatch.setattr(MNIST, "mirrors", ["http://127.0.0.1:9/"])  # from now on it must be there
    assert torch.equal(load_dataset("mnist", root=tmp_path / "data").val.images, mnist.val.images)


def test_downloads_cifar10(tmp_path: Path, server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    address, folder = server
    checksum, lists = write_cifar10_archive(folder)
    monkeypatch.setattr(CIFAR10, "url", address + CIFAR10.filename)
    monkeypatch.setattr(CIFAR10, "tgz_md5", checksum)
    for name in ("train_list", "test_list"):
        monkeypatch.setattr(CIFAR10, name, lists[name])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": lists["meta"][0][1]})
    cifar = load_dataset("cifar10", root=tmp_path / "data")
    assert cifar.input_shape == (3, 32, 32)
    assert (len(cifar.mean), cifar.class_names[9]) == (3, "truck")
    bright = cifar.train.images[cifar.train.labels == 3].float().mean(dim=(0, 1, 3))
    assert bright.argsort()[-4:].sort().values.tolist() == [6, 7, 8, 9]  # rows are rows, not columns or channels


def test_fashion_mnist_by_name(tmp_path: Path) -> None:
    write_mnist_like(tmp_path / "fashion_mnist_files" / "FashionMNIST" / "raw")
    fashion = load_dataset("fashion_mnist", root=tmp_path)
    assert (fashion.class_names[9], fashion.num_classes, len(fashion.test)) == ("Ankle boot", 10, 100)


@pytest.mark.parametrize("damage", ["missing", "wrong"])
def test_nothing_half_downloaded_stays(
    tmp_path: Path, server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    address, folder = server
    monkeypatch.setattr(MNIST, "resources", write_mnist_archives(folder))
    monkeypatch.setattr(MNIST, "mirrors", [address])
    last = folder / "train-labels-idx1-ubyte.gz"  # the others arrive first
    content = last.read_bytes()
    if damage == "missing":
        last.unlink()
    else:
        last.write_bytes(content[:-100] + bytes(100))
    with pytest.raises(ConnectionError, match=r"Could not download 'mnist'.*load_dataset\('digits'\)"):
        load_dataset("mnist", root=tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []
    last.write_bytes(content)
    assert len(load_dataset("mnist", root=tmp_path / "data").test) == 100


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10"])
def test_without_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    from torchvision import datasets

    nowhere = "http://127.0.0.1:9/"
    monkeypatch.setattr(datasets.MNIST, "mirrors", [nowhere])
    monkeypatch.setattr(datasets.FashionMNIST, "mirrors", [nowhere])
    monkeypatch.setattr(CIFAR10, "url", nowhere)
    with pytest.raises(ConnectionError, match=rf"Could not download '{name}' into {tmp_path}.*connect to the internet"):
        load_dataset(name, root=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_run_leaves_nothing_that_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(directory: Path) -> None:
        (directory / "MNIST" / "raw").mkdir(parents=True)
        (directory / "MNIST" / "raw" / "train-images-idx3-ubyte").write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(data, "write_digits", interrupted)
        with pytest.raises(KeyboardInterrupt):
            load_dataset("digits", root=tmp_path)
    assert len(load_dataset("digits", root=tmp_path).test) == 360


def load_in_child(root: Path) -> int:
    return len(load_dataset("digits", root=root).test)


def test_two_processes_at_the_same_time(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.map(load_in_child, [tmp_path, tmp_path]) == [360, 360]
    assert [path.name for path in tmp_path.iterdir()] == ["digits_files"]


def test_damaged_files_are_named(tmp_path: Path) -> None:
    load_dataset("digits", root=tmp_path)
    file = tmp_path / "digits_files" / "MNIST" / "raw" / "train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(RuntimeError, match=rf"'digits' in {tmp_path / 'digits_files'} is damaged.*delete that folder"):
        load_dataset("digits", root=tmp_path)


def test_files_that_contradict_each_other_are_named(tmp_path: Path) -> None:
    load_dataset("digits", root=tmp_path)
    file = tmp_path / "digits_files" / "MNIST" / "raw" / "train-labels-idx1-ubyte"
    whole = file.read_bytes()
    file.write_bytes(struct.pack(">BBBBI", 0, 0, 8, 1, 1000) + whole[8:1008])
    with pytest.raises(RuntimeError, match=r"damaged \(1437 images, 1000 labels\)"):
        load_dataset("digits", root=tmp_path)
    file.write_bytes(whole[:-1] + bytes([200]))
    with pytest.raises(RuntimeError, match="labels that are none of its 10 classes"):
        load_dataset("digits", root=tmp_path)


def test_a_full_disk_is_no_missing_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: MNIST) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(MNIST, "download", full)
    with pytest.raises(OSError, match="No space left"):
        load_dataset("mnist", root=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no data set 'fashionmnist'; choose one of.*Did you mean 'fashion_mnist'"):
        load_dataset("fashionmnist", root=tmp_path)
    with pytest.raises(ValueError, match=r"no data set 'xyz'; choose one of 'digits'.*'cifar10'\.$"):
        load_dataset("xyz", root=tmp_path)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.5])
def test_val_fraction_out_of_range(tmp_path: Path, fraction: float) -> None:
    with pytest.raises(ValueError, match="val_fraction"):
        load_dataset("digits", root=tmp_path, val_fraction=fraction)


def test_where_the_data_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "mine"))
    assert load_dataset("digits").folder == tmp_path / "mine" / "digits_files"
    monkeypatch.delenv("COURSE_DATA")
    assert load_dataset("digits").folder == Path(__file__).parent.parent / "data" / "digits_files"
