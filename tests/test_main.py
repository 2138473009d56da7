"""The command line gives what the functions give, and says what is wrong in one sentence."""

import csv
import functools
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torchvision.utils import save_image

from course_utils import SmallCNN, evaluate, fit, load_checkpoint, load_dataset, make_loaders, predict, seed_everything
from course_utils.__main__ import main
from course_utils.bundles import load_bundle

TRAIN = ("train", "--epochs", "2", "--device", "cpu", "--out")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "first"
    assert main([*TRAIN, str(folder)]) == 0
    return folder


def test_train_is_what_the_functions_do(trained: Path) -> None:
    seed_everything(42)
    data = load_dataset("digits")
    loaders = make_loaders(data)
    model = SmallCNN(data.input_shape, data.num_classes)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    fit(model, loaders.train, loaders.val, torch.nn.CrossEntropyLoss(), optimizer, epochs=2, verbose=False)
    bundle = load_bundle(trained)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), bundle.model.parameters(), strict=True))
    expected = predict(model.eval(), loaders.test).logits
    assert torch.allclose(bundle.logits(data.test.images), expected, atol=1e-4)


def test_evaluate_says_what_evaluate_says(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = load_dataset("digits")
    for part, loader in (("test", make_loaders(data).test), ("val", make_loaders(data).val)):
        result = evaluate(load_bundle(trained).model, loader, torch.nn.CrossEntropyLoss())
        assert main(["evaluate", str(trained), "--part", part, "--device", "cpu"]) == 0
        said = capsys.readouterr().out
        assert said.startswith(
            f"{part} part of digits: accuracy {result.accuracy:.4f}, loss {result.loss:.4f}, {result.samples} images"
        )


def test_predict_names_images(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = load_dataset("digits")
    files = [str(tmp_path / f"an image, {number}.png") for number in range(3)]
    for number, file in enumerate(files):
        save_image(data.test.images[number].float() / 255, file)
    assert main(["predict", str(trained), *files, "--top", "2", "--device", "cpu"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["file"] for row in rows] == [file for file in files for _ in range(2)]
    shares = load_bundle(trained).logits(data.test.images[:3]).softmax(dim=1)
    assert [row["class"] for row in rows[::2]] == [data.class_names[i] for i in shares.argmax(dim=1)]
    assert [float(row["probability"]) for row in rows[::2]] == pytest.approx(shares.amax(dim=1).tolist(), abs=1e-3)


def test_a_bad_image_leaves_no_half_of_a_table(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_image(torch.zeros(1, 28, 28), tmp_path / "good.png")
    assert main(["predict", str(trained), str(tmp_path / "good.png"), str(tmp_path / "absent.png")]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("FileNotFoundError: There is no file ")


def test_an_mlp_that_stops_early(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "mlp")
    command = ["train", "--out", out, "--model", "MLP", "--hidden-dims", "16", "8", "--optimizer", "sgd"]
    assert main([*command, "--learning-rate", "0", "--epochs", "9", "--patience", "2", "--device", "cpu"]) == 0
    assert "epoch 3/9" in (said := capsys.readouterr().out)
    assert "epoch 4/9" not in said
    assert load_bundle(out).description.options == {"dropout_p": 0.0, "hidden_dims": [16, 8]}


def test_a_trained_model_is_not_overwritten(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (trained / "model.safetensors").read_bytes()
    assert main([*TRAIN, str(trained)]) == 1
    assert "give another --out, or --resume to train on" in capsys.readouterr().err
    assert (trained / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train"], "the following arguments are required: --out"),
        (["train", "--out", "x", "--dataset", "digit"], "invalid choice: 'digit'"),
        (["train", "--out", "x", "--epochs", "0"], "argument --epochs: 0 is no whole number from 1"),
        (["train", "--out", "x", "--epochs", "many"], "argument --epochs: many is no whole number from 1"),
        (["train", "--out", "x", "--device", "gpu9"], "there is no device 'gpu9' here"),
        (["explain"], "invalid choice: 'explain'"),
        ([], "the following arguments are required: command"),
    ],
)
def test_wrong_arguments(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_no_model_there(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, str(tmp_path), *(["a.png"] if command == "predict" else [])]) == 1
    assert capsys.readouterr().err.startswith("CheckpointError: There is no trained model in ")


def test_serving_without_a_model(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("COURSE_MODEL", raising=False)
    assert main(["serve"]) == 1
    assert capsys.readouterr().err == "ValueError: No model is named: give its folder, or set COURSE_MODEL.\n"


def test_help_shows_what_a_person_needs(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, expected in (
        (["--help"], "examples:"),
        (["train", "--help"], "passes over the training part (default: 5)"),
        (["predict", "--help"], "how many classes to name for each image"),
    ):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 0
        assert expected in " ".join(capsys.readouterr().out.split())


@pytest.mark.skipif(os.name == "nt", reason="signals of another kind")
def test_stopped_and_resumed_is_uninterrupted(tmp_path: Path) -> None:
    """With Ctrl+C, in a process of its own, in the middle of a training."""
    out = tmp_path / "stopped"
    command = [sys.executable, "-m", "course_utils", "train", "--device", "cpu", "--out", str(out), "--epochs"]
    process = subprocess.Popen(
        [*command, "30"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        # What a shell starts in the background ignores Ctrl+C, and hands that down.
        preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    try:
        while not (out / "checkpoints" / "epoch_0001.pt").exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert said == "Stopped. The same command with --resume goes on.\n"
    assert process.returncode == 130
    assert not (out / "model.json").exists()
    done = load_checkpoint(max((out / "checkpoints").glob("epoch_*.pt")))["epoch"]
    epochs = str(done + 1)
    assert main(["train", "--device", "cpu", "--out", str(out), "--epochs", epochs, "--resume"]) == 0
    assert main(["train", "--device", "cpu", "--out", str(tmp_path / "whole"), "--epochs", epochs]) == 0
    resumed, whole = load_bundle(out), load_bundle(tmp_path / "whole")
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name])
