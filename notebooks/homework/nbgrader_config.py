"""nbgrader's settings for this folder: ``nbgrader`` reads them when it is started here. See docs/teaching.md."""

import os
import sys
from pathlib import Path

from nbconvert.preprocessors import ClearMetadataPreprocessor, CSSHTMLHeaderPreprocessor
from nbconvert.preprocessors.sanitize import SanitizeHTML
from nbgrader.preprocessors import (
    AssignLatePenalties,
    CheckCellMetadata,
    ClearHiddenTests,
    ClearOutput,
    DeduplicateIds,
    GetGrades,
    LimitOutput,
    OverwriteCells,
    OverwriteKernelspec,
    SaveAutoGrades,
)

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # nbgrader calls alembic

from tools import grading  # noqa: E402

c = get_config()  # noqa: F821

c.CourseDirectory.root = str(HERE)
c.CourseDirectory.course_id = "pytorch-workflow"
# hwN.py is what the source notebook is made of, with all solutions in it: it must not be copied into a release.
c.CourseDirectory.ignore = [".ipynb_checkpoints", "*.pyc", "__pycache__", "feedback", "hw[0-9].py"]

c.Autograde.sanitize_preprocessors = [
    ClearOutput,
    DeduplicateIds,
    OverwriteKernelspec,
    grading.RestoreCells,
    OverwriteCells,
    CheckCellMetadata,
]
c.Autograde.autograde_preprocessors = [
    grading.Execute,
    grading.ForgiveWarnings,
    ClearMetadataPreprocessor,
    LimitOutput,
    SaveAutoGrades,
    AssignLatePenalties,
    CheckCellMetadata,
]
# The hidden tests are not shown, and what a submission displays cannot run in the browser of who reads the page.
c.GenerateFeedback.preprocessors = [
    GetGrades,
    ClearHiddenTests,
    grading.ShortErrors,
    SanitizeHTML,
    CSSHTMLHeaderPreprocessor,
]
c.SanitizeHTML.enabled = True

c.Execute.timeout = 60  # seconds for one cell
c.Execute.error_on_timeout = {
    "ename": "TooLong",
    "evalue": "this cell ran longer than it may. Hint: is there a loop that never ends?",
    "traceback": ["TooLong: this cell ran longer than it may. Hint: is there a loop that never ends?"],
}
c.Execute.shutdown_kernel = "immediate"  # nothing in it needs a farewell
c.ClearSolutions.code_stub = {"python": "# your code here\nraise NotImplementedError"}
