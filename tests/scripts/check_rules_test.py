#!/usr/bin/python3
"""scripts/check-rules must fail on each way in which the rule list can stop being true."""
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CHECK = ROOT / "scripts" / "check-rules"
PAGE = "docs/RULES.md"


class CheckRules(unittest.TestCase):
    def setUp(self):
        self.tree = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.tree.name) / "tree"
        ignored = shutil.ignore_patterns("build", ".git", "__pycache__")
        shutil.copytree(ROOT, self.root, ignore=ignored)
        self.text = (self.root / PAGE).read_text()

    def tearDown(self):
        self.tree.cleanup()

    def check(self):
        run = subprocess.run([sys.executable, CHECK, "--root", self.root], capture_output=True, text=True)
        return run.returncode, run.stdout

    def breaks(self, text, said):
        (self.root / PAGE).write_text(text)
        status, out = self.check()
        self.assertEqual(status, 1, out)
        self.assertIn(said, out)

    def changed(self, before, after):
        self.assertIn(before, self.text)
        return self.text.replace(before, after, 1)

    def test_the_list_as_it_is_is_true(self):
        self.assertEqual(self.check(), (0, "the rule list is true\n"))

    def test_a_path_that_is_gone(self):
        (self.root / "engine/cursor.cpp").unlink()
        self.breaks(self.text, "names engine/cursor.cpp, which does not exist")

    def test_a_queue_whose_test_is_gone(self):
        page = self.root / "docs/QUEUES.md"
        page.write_text(page.read_text().replace("`block_status_is_bounded`", "`block_status_is_long`"))
        status, out = self.check()
        self.assertEqual(status, 1, out)
        self.assertIn("names the test block_status_is_long, which does not exist", out)

    def test_a_queue_without_a_cap(self):
        page = self.root / "docs/QUEUES.md"
        page.write_text(page.read_text().replace("| `connections_max`, 100 |", "| |", 1))
        status, out = self.check()
        self.assertEqual(status, 1, out)
        self.assertIn("not five cells that say something", out)

    def test_a_test_that_is_gone(self):
        self.breaks(self.changed("`budgets_are_exceeded_strictly`", "`budgets_are_kept`"),
                    "names the test budgets_are_kept, which does not exist")

    def test_a_planted_bug_that_is_gone(self):
        self.breaks(self.changed("planted `base_skips_holes`", "planted `base_skips`"),
                    "names the planted bug base_skips, which does not exist")

    def test_a_planted_bug_of_no_rule(self):
        self.breaks(self.changed(", planted `base_skips_holes`", ""), "base_skips_holes is named by no rule")

    # As a history is taken away, is only spoken of, or is written over two lines.
    def test_a_planted_bug_that_no_history_must_break_with(self):
        story = next(path for path in (self.root / "tests/cluster").glob("*.cpp") if "must_break(Bug::base_skips_holes" in path.read_text())
        text = story.read_text()
        said = "no history in tests/cluster must break with base_skips_holes planted"
        for instead in ("must_hold(Bug::base_skips_holes", "// must_break(Bug::base_skips_holes", "must_break(Bug::base_skips_holes_too"):
            story.write_text(text.replace("must_break(Bug::base_skips_holes", instead))
            self.breaks(self.text, said)
        story.write_text(text.replace("must_break(Bug::base_skips_holes", "must_break(\n      engine::Bug::base_skips_holes"))
        self.assertNotIn(said, self.check()[1])

    def test_a_bug_without_a_history_that_has_one_or_is_gone(self):
        story = self.root / "tests/cluster/more_test.cpp"
        story.write_text("must_break(Bug::base_drops_block, {});\n")
        self.breaks(self.text, "base_drops_block has a history in tests/cluster and stands among those that have none")
        story.unlink()
        bugs = self.root / "engine/planted.hpp"
        bugs.write_text(bugs.read_text().replace("  truncated_tail_returns,", "  truncated_tail_stays,"))
        self.breaks(self.text, "truncated_tail_returns is among the bugs without a history and does not exist")

    def test_a_rule_that_is_missing_twice_or_unknown(self):
        row = next(line for line in self.text.splitlines(True) if line.startswith("| R7 |"))
        self.breaks(self.text.replace(row, ""), "R7 is missing")
        self.breaks(self.text.replace(row, row + row), "R7 stands there again")
        self.breaks(self.text.replace(row, row + row.replace("| R7 |", "| R77 |")), "R77 is no rule of the list")

    def test_an_empty_cell(self):
        row = next(line for line in self.text.splitlines() if line.startswith("| R7 |"))
        cells = row.split("|")
        for at, said in ((2, "'what holds'"), (3, "'code'"), (4, "'checked or refused'"), (5, "'shown by'")):
            empty = "|".join(cells[:at] + [" "] + cells[at + 1:])
            self.breaks(self.text.replace(row, empty), f"R7 says nothing under {said}")
        self.breaks(self.text.replace(row, row + " more |"), "R7 has 7 cells")

    def test_what_is_not_built_says_where_it_is_planned(self):
        row = next(line for line in self.text.splitlines() if line.startswith("| C26 |"))
        self.breaks(self.text.replace(row, row.replace("planned", "later")), "C26 is not built and does not say")


if __name__ == "__main__":
    unittest.main()
