"""No defect of the foundation, of money or of the edge is left out, and none has one half only."""

import re
from pathlib import Path

# 2.x of the catalogue of defects in the plans' SQL, those that the foundation answers for.
FOUNDATION = {
    *range(1, 7),
    *range(8, 13),
    *range(15, 24),
    *range(26, 31),
    *range(32, 44),
    *(47, 54, 57, 60, 62),
}
# Those that what has to do with money answers for, and those of what stands between the database
# and an app; some have two classes.
MONEY = {13, 14, 17, 24, 25, 44}
EDGE = {7, *range(45, 50), 59, 63}

HERE = Path(__file__).parent
FOLDERS = (HERE, HERE.parents[1] / "edge")


def test_every_defect_has_both_halves() -> None:
    files = [path for folder in FOLDERS for path in sorted(folder.glob("test_defects_*.py"))]
    text = "\n".join(path.read_text() for path in files)
    classes = re.split(r"^class TestDefect2_(\d+)_", text, flags=re.MULTILINE)[1:]
    numbers = [int(number) for number in classes[::2]]
    assert set(numbers) == FOUNDATION | MONEY | EDGE
    for number, body in zip(numbers, classes[1::2], strict=True):
        assert "def test_succeeds_on_the_plan(" in body, number
        assert "def test_refused_by_ours(" in body, number
