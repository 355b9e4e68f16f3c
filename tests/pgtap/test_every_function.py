"""Every function has a pgTAP file of its own, and every policy file's module one for its roles."""

from pathlib import Path

from rendio import sqlfiles

HERE = Path(__file__).parent
ROOT = sqlfiles.root()


def test_every_function_is_tested_and_every_test_has_its_function() -> None:
    functions = {path.relative_to(ROOT / "functions") for path in ROOT.glob("functions/**/*.sql")}
    tests = {path.relative_to(HERE) for path in HERE.glob("*/**/*.sql")}
    # Functions that tables need live in sql/, so that their tests have no file to stand beside.
    foundation = {
        Path("foundation/auth.sql"),
        Path("foundation/internal/clock.sql"),
        Path("foundation/internal/uuid_v7.sql"),
        Path("catalog/internal/touch_catalog.sql"),
    }
    expected = functions | foundation
    others = {path for path in tests - expected if path.name != "policies.sql"}
    assert expected - tests == set(), "functions without a pgTAP file"
    assert {path for path in others if path.parts[0] != "conformance"} == set()


def test_every_module_with_policies_shows_what_each_role_sees() -> None:
    modules = {
        path.stem for path in ROOT.glob("policies/*.sql") if "create policy" in path.read_text()
    }
    shown = {path.parent.name for path in HERE.glob("*/policies.sql")}
    assert shown == modules
