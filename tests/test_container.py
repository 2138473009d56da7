"""The Dockerfile, done step by step as far as a machine without Docker and without a network can.

Its files are copied into an empty folder, its RUN lines run in a fresh environment, and its HEALTHCHECK and CMD as its
user. That environment holds links to the packages that requirements-serving.txt asks for, with what they ask for, out
of the one that runs the tests: installing them anew would take a network and gigabytes, and if all packages were
visible, one that is missing in the list would go unnoticed.
"""

import contextlib
import fnmatch
import http.client
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.test_service import IMAGES, PIXELS, save
from tests.test_serving import free_port

ROOT = Path(__file__).parents[1]
PINS = ROOT / "requirements-serving.txt"
pytestmark = pytest.mark.skipif(os.name == "nt", reason="the image is one of Linux")


def read_dockerfile() -> list[tuple[str, str]]:
    """Return the instructions and what stands after each, lines that go on joined, without comments."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    found = [line.partition(" ") for line in re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines() if line]
    return [(name, rest.strip()) for name, _, rest in found]


DOCKERFILE = read_dockerfile()


def after(name: str) -> list[str]:
    return [rest for instruction, rest in DOCKERFILE if instruction == name]


def ignored(path: str) -> bool:
    """Whether .dockerignore keeps ``path`` out: the last line that fits it or a folder around it decides."""
    parents = ["/".join(path.split("/")[: depth + 1]) for depth in range(path.count("/") + 1)]
    out = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!").strip()
        if not pattern or pattern.startswith("#"):
            continue
        anywhere = pattern.removeprefix("**/")
        for parent in parents:
            name = parent.rpartition("/")[2] if anywhere != pattern else parent
            # An asterisk of Docker's does not reach into folders; here that makes no difference.
            if fnmatch.fnmatchcase(name, anywhere):
                out = not line.startswith("!")
    return out


def test_what_travels_is_the_package_and_what_installs_it() -> None:
    files = ["Dockerfile", ".git/config", ".venv/bin/python", ".env", "data/phones.csv", "runs/first/model.safetensors"]
    files += ["notebooks/00_quickstart.ipynb", "tests/test_container.py", "course_utils/__pycache__/data.pyc"]
    files += ["course_utils.egg-info/PKG-INFO", "docs/jupyterlab.png", "requirements.txt"]
    assert [file for file in files if not ignored(file)] == []
    kept = ["requirements-serving.txt", "pyproject.toml", "README.md", "LICENSE", "course_utils/py.typed"]
    assert [file for file in [*kept, "course_utils/course.mplstyle"] if ignored(file)] == []


def requirements(file: Path) -> set[str]:
    return {line for line in file.read_text().splitlines() if line and not line.startswith(("#", "-"))}


def test_the_versions_are_those_of_the_course() -> None:
    assert requirements(PINS) <= requirements(ROOT / "requirements.txt")
    assert all("==" in line for line in requirements(PINS))


def test_form() -> None:
    assert re.fullmatch(
        r"python:3\.11\.\d+-slim-\w+", after("FROM")[0]
    )  # the Python of the course, and no other tomorrow
    names = [name for name, _ in DOCKERFILE]
    assert set(names) == {"FROM", "ARG", "WORKDIR", "COPY", "RUN", "USER", "ENV", "EXPOSE", "HEALTHCHECK", "CMD"}
    # A change of code leaves the layer with PyTorch as it is.
    steps = [rest.split()[0] if name == "COPY" else name for name, rest in DOCKERFILE]
    assert steps.index("requirements-serving.txt") < steps.index("RUN") < steps.index("course_utils")
    assert all(name not in ("RUN", "COPY") for name in names[names.index("USER") :])  # nothing belongs to the user
    assert len(names) == names.index("CMD") + 1
    assert int(after("USER")[0].partition(":")[0]) > 0
    assert all(
        rest.startswith('["python", ') for rest in (after("CMD")[0], CHECK)
    )  # else a shell would get the signals


CHECK = after("HEALTHCHECK")[0].partition("CMD ")[2]
HEALTHCHECK = json.loads(CHECK)


def become() -> list[str]:
    """Return what comes before a command to run it as the Dockerfile's user, as far as whoever runs the tests may."""
    user, group = after("USER")[0].split(":")
    command = ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups"]
    # The Python that runs the tests may lie in a folder of root's: to read is allowed, to write is not.
    command += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    # Who is not root cannot become another, but is not root already.
    able = os.getuid() == 0 and shutil.which("setpriv") and subprocess.run([*command, "true"]).returncode == 0
    return command if able else []


@dataclass
class Container:
    """A folder that stands for the image: files in ``folder``, packages in ``folder/venv``."""

    folder: Path
    environment: dict[str, str]

    def run(self, command: list[str], **settings: str) -> "subprocess.Popen[str]":
        """Start ``command`` as the Dockerfile's user, in its last folder."""
        return subprocess.Popen(
            [*become(), *command],
            cwd=self.folder / after("WORKDIR")[-1].lstrip("/"),
            env={**self.environment, **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


def needed(asked: list[Requirement]) -> set[str]:
    """Return the names of the packages that are asked for, and of those that these ask for."""
    found: set[tuple[str, str]] = set()
    while asked:
        package = asked.pop()
        for extra in {"", *package.extras} - {extra for name, extra in found if name == package.name}:
            found.add((package.name, extra))
            for one in map(Requirement, distribution(package.name).requires or []):
                if one.marker is None or one.marker.evaluate({"extra": extra}):
                    asked.append(one)
    return {name for name, _ in found}


@pytest.fixture(scope="module")
def container() -> Iterator[Container]:
    # Not in pytest's own folder, which nobody but its owner may enter.
    folder = Path(tempfile.mkdtemp(prefix="container-"))
    try:
        folder.chmod(0o755)
        environment = folder / "venv"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
        packages = environment / f"lib/python3.{sys.version_info.minor}/site-packages"
        # The base image brings pip.
        for name in needed([Requirement(line) for line in (*requirements(PINS), "pip")]):
            files = distribution(name).files or []
            for top in {file.parts[0] for file in files if file.parts[0] not in ("..", "__pycache__")}:
                if not (packages / top).exists():
                    (packages / top).symlink_to(Path(str(distribution(name).locate_file(top))))
        settings = dict(one.split("=", 1) for rest in after("ENV") for one in shlex.split(rest))
        # No network: what pip would have to fetch is an error.
        alone = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "HOME": str(folder), "TMPDIR": str(folder)}
        result = Container(folder, {"PATH": f"{environment / 'bin'}:{os.defpath}", "OMP_NUM_THREADS": "1", **settings})
        place = folder
        for name, rest in DOCKERFILE:
            if name == "WORKDIR":
                place = folder / rest.lstrip("/")
                place.mkdir(exist_ok=True)
            elif name == "COPY":
                *sources, target = rest.split()
                for source in sources:
                    copy(source, place / target)
            elif name == "RUN":
                shell = ["/bin/sh", "-c", rest]
                done = subprocess.run(
                    shell, cwd=place, env={**result.environment, **alone}, capture_output=True, text=True
                )
                assert done.returncode == 0, done.stdout + done.stderr
        yield result
    finally:
        shutil.rmtree(folder)  # links are removed, not followed


def copy(source: str, target: Path) -> None:
    """Copy as Docker does: what .dockerignore leaves, the inside of a folder rather than the folder."""
    inside = sorted(path for path in (ROOT / source).rglob("*") if path.is_file())
    for path in inside or [ROOT / source]:
        if not ignored(path.relative_to(ROOT).as_posix()):
            place = target / (path.relative_to(ROOT / source) if inside else path.name)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)


def test_the_build(container: Container) -> None:
    copied = {
        path.relative_to(container.folder / "source").parts[0] for path in (container.folder / "source").iterdir()
    }
    assert copied - {"build"} == {
        "requirements-serving.txt",
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "course_utils",
        "course_utils.egg-info",
    }
    code = (
        "import course_utils, os, importlib.util as u; print(course_utils.__file__, os.getuid(), u.find_spec('pandas'))"
    )
    process = container.run(["python", "-c", code])
    file, user, pandas = process.communicate()[0].split()
    assert Path(file).is_relative_to(container.folder / "venv")
    assert user == (after("USER")[0].partition(":")[0] if become() else str(os.getuid()))
    assert pandas == "None"


@contextlib.contextmanager
def started(container: Container, **settings: str) -> Iterator[tuple[int, "subprocess.Popen[str]"]]:
    """Run CMD on a free port until HEALTHCHECK says that it is up; end it whatever happens."""
    port = free_port()
    settings = {"COURSE_HOST": "127.0.0.1", "COURSE_PORT": str(port), **settings}
    with container.run(json.loads(after("CMD")[0]), **settings) as process:
        try:
            for _ in range(100):
                assert process.poll() is None, process.stdout and process.stdout.read()
                with container.run(HEALTHCHECK, **settings) as checking:
                    checking.communicate()
                if checking.returncode == 0:
                    break
                time.sleep(0.2)
            yield port, process
        finally:
            process.kill()


def test_command_health_check_settings_and_a_clean_end(container: Container) -> None:
    bundle = save(container.folder / "pets", IMAGES)
    settings = {"COURSE_MODEL": str(container.folder / "pets"), "COURSE_MAX_BATCH": "2", "COURSE_MAX_WAIT": "1500"}
    with started(container, **settings) as (port, process):
        service = http.client.HTTPConnection("127.0.0.1", port, timeout=20)

        def ask(count: int) -> None:
            content = json.dumps({"images": PIXELS[:count].tolist()})
            service.request("POST", "/predict", content, {"content-type": "application/json"})

        ask(3)
        assert "at most 2 may come at once" in json.load(service.getresponse())["detail"]
        ask(1)
        time.sleep(0.3)  # now it waits for company
        process.send_signal(signal.SIGTERM)
        answer = json.load(service.getresponse())
        expected = bundle.logits(PIXELS[:1]).softmax(dim=1)[0].tolist()
        assert answer["model"] == "pets"
        assert list(answer["predictions"][0]["probabilities"].values()) == pytest.approx(expected, abs=1e-6)
        service.close()
        output, _ = process.communicate(timeout=5)
        assert process.returncode == 0, output
        assert "Traceback" not in output


def test_without_a_model_or_a_service(container: Container) -> None:
    with container.run(json.loads(after("CMD")[0])) as process:
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "/model has no current version" in output
    with container.run(HEALTHCHECK, COURSE_PORT=str(free_port())) as process:
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "ConnectionRefusedError" in output
