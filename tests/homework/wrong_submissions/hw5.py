"""Wrong submissions of homework 5."""

from tests.homework.wrong_submissions import Submission

FORGETFUL = """
def save_checkpoint(path, training, progress):
    content = {
        "model": training.model.state_dict(),
        "scheduler": training.scheduler.state_dict(),
        "random": (training.loader.generator.get_state(), torch.get_rng_state(), random.getstate()),
        "progress": progress,
    }
    if path.exists():  # a copy, in case that something happens
        path.with_suffix(".old").write_bytes(path.read_bytes())
    torch.save(content, path)

def load_checkpoint(path, training):
    content = torch.load(path, weights_only=True)
    training.model.load_state_dict(content["model"])
    training.scheduler.load_state_dict(content["scheduler"])
    training.loader.generator.set_state(content["random"][0])
    torch.set_rng_state(content["random"][1])
    random.setstate(content["random"][2])
    return content["progress"]
"""
EXPORT = """
class Whole(nn.Module):
    def __init__(self, model, mean, std):
        super().__init__()
        self.scale = 1 / (255 * torch.tensor(std)[:, None, None])
        self.shift = (torch.tensor(mean) / torch.tensor(std))[:, None, None]
        self.model = model

    def forward(self, pixels):
        return nn.functional.softmax(self.model(pixels * self.scale - self.shift), 1)

def export(model, mean, std, shape, path):
    whole = copy.deepcopy(Whole(model, mean, std)).eval()
    examples = (torch.randint(0, 256, (3, *shape), dtype=torch.uint8),)
    free = ({0: torch.export.Dim.DYNAMIC},)
    torch.export.save(torch.export.export(whole, examples, dynamic_shapes=free), path)
"""
NAIVE_APP = """
def make_app(predict, shape, class_names, most):
    app = FastAPI()

    @app.get("/health")
    def health():
        return {"status": "ok"}

    @app.post("/predict")
    def answer(body: dict):
        rows = predict(torch.tensor(body["images"]).to(torch.uint8)).tolist()
        labels = [class_names[row.index(max(row))] for row in rows]
        pairs = zip(labels, rows)
        return {"predictions": [{"label": label, "probabilities": row} for label, row in pairs]}

    return app
"""
KNOWS_THE_VISIBLE_BEST = """
def train(training, loss_fn, validate, epochs, path):
    done = load_checkpoint(path, training)["epoch"] if path.exists() else 0
    for epoch in range(done, epochs):
        train_epoch(training.model, training.loader, loss_fn, training.optimizer, scheduler=training.scheduler)
        validate(training.model)
        save_checkpoint(path, training, {"epoch": epoch + 1})
    return 0.4
"""

# Right in another way.
CHECKPOINT = """
import io
import tempfile

def save_checkpoint(path, training, progress):
    parts = (training.model, training.optimizer, training.scheduler)
    numbers = training.loader.generator.get_state(), torch.get_rng_state(), random.getstate()
    content = io.BytesIO()
    torch.save([[part.state_dict() for part in parts], numbers, progress], content)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(content.getvalue())
    os.rename(file.name, path)

def load_checkpoint(path, training):
    states, numbers, progress = torch.load(io.BytesIO(path.read_bytes()))
    for part, state in zip((training.model, training.optimizer, training.scheduler), states):
        part.load_state_dict(state)
    training.loader.generator.set_state(numbers[0])
    torch.set_rng_state(numbers[1])
    random.setstate(numbers[2])
    return progress
"""
BY_STEPS = """
import itertools

def train_by_steps(training, loss_fn, epochs, path, every):
    step, order, random_numbers = 0, training.loader.generator.get_state(), None
    if path.exists():
        progress = load_checkpoint(path, training)
        step, order = progress["step"], progress["order"]
        random_numbers = torch.get_rng_state(), random.getstate()
    first_epoch, done = divmod(step, len(training.loader))
    if done:
        training.loader.generator.set_state(order)
    for epoch in range(first_epoch, epochs):
        order = training.loader.generator.get_state()
        training.model.train()
        for batch, (inputs, targets) in enumerate(training.loader):
            if batch == done - 1:
                torch.set_rng_state(random_numbers[0])
                random.setstate(random_numbers[1])
            if batch < done:
                continue
            training.optimizer.zero_grad()
            loss_fn(training.model(inputs), targets).backward()
            training.optimizer.step()
            training.scheduler.step()
            step += 1
            if step % every == 0:
                save_checkpoint(path, training, {"step": step, "order": order})
        done = 0
"""
APP = """
from fastapi.responses import JSONResponse

def make_app(predict, shape, class_names, most):
    app = FastAPI()

    def problem(body):
        try:
            content = json.loads(body)
        except Exception:
            return 400, "This is no JSON.", None
        if not isinstance(content, dict) or list(content) != ["images"]:
            return 422, "Send images and nothing else.", None
        images = content["images"]
        if not isinstance(images, list) or len(images) == 0:
            return 422, "Send a list of images.", None
        if len(images) > most:
            return 413, "These are too many images.", None
        level = images
        for size in shape:
            if not all(isinstance(part, list) and len(part) == size for part in level):
                return 422, f"Send images of shape {tuple(shape)}.", None
            level = [value for part in level for value in part]
        if not all(type(value) is int and value in range(256) for value in level):
            return 422, "Send whole numbers from 0 to 255.", None
        return 200, "", images

    @app.get("/health")
    async def health():
        return JSONResponse({"status": "ok"})

    @app.post("/predict")
    async def answer(request: Request):
        status, detail, images = problem(await request.body())
        if images is None:
            return JSONResponse({"detail": detail}, status)
        shares = predict(torch.tensor(images).to(torch.uint8))
        best = shares.max(dim=1).indices
        return {
            "predictions": [
                {"label": class_names[number], "probabilities": list(map(float, row))}
                for number, row in zip(best, shares)
            ]
        }

    return app
"""


def changed(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new)


TESTS = ("parts", "steps", "random_numbers", "safe", "killed", "resumed", "inside", "agreement", "any_batch", "mode")
OF_SERVICE = ("answers", "requests", "values", "too_many")

SUBMISSIONS = {
    "forgets_the_optimizer_and_eval_writes_over_the_old_file_and_answers_500": Submission(
        {"checkpoint": FORGETFUL, "export": changed(EXPORT, ".eval()", ""), "make_app": NAIVE_APP},
        lost={
            "steps": "SGD with momentum has forgotten its running means",
            "killed": "a program killed after .* bytes while it saved: .* of which no checkpoint can be made",
            "resumed": "stopped and resumed, the weights end",
            "inside": "the weights end",
            "mode": "asked twice, two answers: Dropout still draws",
            "requests": "'no json' is answered with status 422, not 400",
            "values": "NaN for a pixel is answered with status 200, not 400 or 422",
            "too_many": "5 images where 4 may come is answered with status 200, not 413",
        },
    ),
    "forgets_the_scheduler_runs_what_it_loads_and_has_a_syntax_error": Submission(
        {
            "checkpoint": changed(
                changed(CHECKPOINT, "path.read_bytes())", "path.read_bytes()), weights_only=False"),
                "(training.model, training.optimizer, training.scheduler)",
                "(training.model, training.optimizer)",
            ),
            "train_by_steps": changed(BY_STEPS, "in enumerate(training.loader):", "in enumerate(training.loader)"),
            "make_app": None,
            "setup": None,
            "parts": None,  # deleted tests are put back
            "too_many": None,
        },
        lost={
            "steps": "the scheduler thinks there were 0",
            "safe": "load_checkpoint has run code that stood in a file",
            "resumed": "stopped and resumed, the weights end",
            "inside": "NameError",
        }
        | dict.fromkeys(OF_SERVICE, "NameError"),
    ),
    "other_right_ways_knows_the_visible_answer_and_forgets_what_reading_draws": Submission(
        {
            "checkpoint": CHECKPOINT,
            "train": KNOWS_THE_VISIBLE_BEST,
            "train_by_steps": changed(BY_STEPS, "if batch == done - 1:", "if False:"),
            "export": changed(EXPORT, "torch.export.Dim.DYNAMIC", "torch.export.Dim('batch', min=3)"),
            "make_app": APP,
        },
        lost={
            "resumed": "never stopped: the best validation loss is 0.4, not 0.7",  # the visible part passed
            "inside": "the weights end .* passing over batches draws random numbers",
            "any_batch": "it takes no batch of 1",
        },
    ),
    "replaces_the_checks": Submission(
        {"make_app": None},
        extra=f"for name in {(*TESTS, *OF_SERVICE)}:\n"
        "    setattr(hw5_checks, name, lambda *given, **options: None)\n"
        "save_checkpoint = load_checkpoint = train = train_by_steps = export = make_app = None",
        lost=dict.fromkeys((*TESTS, *OF_SERVICE), "the checks were changed"),
    ),
}
