"""Homework 4, graded by nbgrader: the solution, the untouched release, and wrong submissions."""

import re

import pytest

from tests.homework.course import Course
from tests.homework.wrong_submissions import Submission
from tests.homework.wrong_submissions.hw4 import SUBMISSIONS

pytestmark = pytest.mark.filterwarnings("ignore")  # nbgrader's and SQLAlchemy's own


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    return Course(tmp_path_factory.mktemp("hw4"), "hw4", timeout=60)


@pytest.mark.parametrize(
    ("student", "submission"), [("solved", Submission({})), ("untouched", None), *SUBMISSIONS.items()]
)
def test_points(course: Course, student: str, submission: Submission | None) -> None:
    course.submit(student, submission)
    assert course.grade(student) == ("", course.expected(submission))
    lost = dict.fromkeys(course.points, "NotImplementedError") if submission is None else submission.lost
    said = course.graded(student)
    for test, reason in lost.items():
        assert re.search(reason, said[test]), said[test][-500:]
