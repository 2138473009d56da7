"""Homework 5, graded by nbgrader: the solution, the untouched release, and wrong submissions."""

import pytest

from tests.homework.course import Course, students
from tests.homework.wrong_submissions import Submission
from tests.homework.wrong_submissions.hw5 import SUBMISSIONS

pytestmark = pytest.mark.filterwarnings("ignore")  # nbgrader's and SQLAlchemy's own


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    return Course(tmp_path_factory.mktemp("hw5"), "hw5")


@students(SUBMISSIONS)
def test_points(course: Course, student: str, submission: Submission | None) -> None:
    course.check(student, submission)
