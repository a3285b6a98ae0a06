#!/usr/bin/python3
"""scripts/mutants must find every condition, tell which of them no test holds, and keep its list of equal ones honest."""
import contextlib
import importlib.machinery
import importlib.util
import io
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def fresh_module():
    loader = importlib.machinery.SourceFileLoader("mutants", str(ROOT / "scripts" / "mutants"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("mutants", loader))
    sys.dont_write_bytecode = True
    loader.exec_module(module)
    return module


# A statement, and the conditions in it.
STATEMENTS = {
    "if (ready(a, b)) return;": ["ready(a, b)"],
    "if (a < b && !c) return;": ["!c", "a < b", "a < b && !c"],
    "while (!queue.empty()) queue.pop();": ["!queue.empty()"],
    "for (std::size_t i = 0; i < n; ++i) f(i);": ["i < n"],
    "for (const auto& x : all) f(x);": [],
    "return a == b ? f(c != d) : g;": ["a == b", "c != d"],
    "const bool x = a || (b && c);": ["(b && c)", "a", "b", "c"],
    "if (const auto* p = find(x)) use(p);": ["const auto* p = find(x)"],
    "if (const auto p = find(x); p != end) use(p);": ["p != end"],
    "std::vector<int> v = static_cast<int>(x) + f(Lsn{}, y);": [],
    "if (a == Lsn{} || b) return;": ["a == Lsn{}", "a == Lsn{} || b", "b"],
    "std::erase_if(v, [&](const auto& e) { return e.x >= 1; });": ["e.x >= 1"],
    "f(a ? b : c > d);": ["a", "c > d"],
    "switch (x) { case E::a: return b < c; case E::d: case 'e': f(); break; default: return g && h; }": ["b < c", "g", "h"],
    "auto&& moved = std::move(x);": [],
    'log("a < b && c"); // a < b': [],
    "CHECK(a < b && c);": [],
    "const auto big = x > 1'000 && y;": ["x > 1'000", "y"],
}

CHECKER = """\
#include "tiny.hpp"
int judge(int a, int b) {
  if (a > 10 || b > 10) return 1;
  if (const int* p = a != 0 ? &b : nullptr) return *p == 0 ? 2 : 3;
  return 0;
}
"""
TESTS = """\
#include "tiny.hpp"
int main() {
  const bool right = judge(11, 0) == 1 && judge(1, 0) == 2 && judge(1, 1) == 3 && judge(0, 1) == 0 && judge(0, 0) == 0;
  return right ? 0 : 1;
}
"""
LEFT = "sim/checkers/tiny.cpp | b > 10 | false | nobody gives it more than 10"


class Parser(unittest.TestCase):
    def test_every_condition_of_a_statement_is_found_and_nothing_else(self):
        module = fresh_module()
        for statement, wanted in STATEMENTS.items():
            found = module.Parser("void f() {\n  " + statement + "\n}\n").conditions()
            self.assertEqual(sorted(c.text for c in found), sorted(wanted), statement)

    def test_the_line_of_a_condition_is_told(self):
        found = fresh_module().Parser("void f() {\n\n  if (a) b();\n}\n").conditions()
        self.assertEqual([c.line for c in found], [3])


class Run(unittest.TestCase):
    def setUp(self):
        self.place = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.place.name)
        self.module = fresh_module()
        self.module.ROOT = self.root
        self.module.EQUAL = self.root / "tests/sim/equal_mutants.txt"
        self.module.CHECKERS = ("tiny",)
        self.module.TIMEOUT_LEAST = 1.0
        for folder in ("sim/checkers", "tests/sim", "build/release/bin", "build/release/mutants"):
            (self.root / folder).mkdir(parents=True)
        (self.root / "sim/checkers/tiny.cpp").write_text(CHECKER)
        (self.root / "tiny.hpp").write_text("int judge(int a, int b);\n")
        (self.root / "tiny_test.cpp").write_text(TESTS)

    def tearDown(self):
        self.place.cleanup()

    def build(self):
        made = self.root / "build/release/mutants/tiny.cpp"
        made.write_text(self.module.generated("tiny"))
        subprocess.run(["g++", "-std=c++20", f"-I{self.root}", made, self.root / "tiny_test.cpp", "-o",
                        self.root / "build/release/bin/mutants_tiny"], check=True)

    def run_main(self, *words):
        """Exit status, and what was printed."""
        out = io.StringIO()
        old, sys.argv = sys.argv, ["mutants", "--only", "tiny", "--no-build", *words]
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
                status = self.module.main()
        except SystemExit as ended:
            status = ended.code
        finally:
            sys.argv = old
        return status, out.getvalue()

    def test_a_mutant_that_survives_is_told_unless_it_is_listed_with_its_reason(self):
        self.build()
        status, text = self.run_main()
        self.assertEqual(status, 1)
        self.assertIn("sim/checkers/tiny.cpp:3: survives when forced false: b > 10", text)
        self.assertEqual(text.count("survives"), 1, text)
        self.assertIn("11 passed, 1 failed", text)
        self.module.EQUAL.write_text("# why\n" + LEFT + "\n")
        status, text = self.run_main("--jobs", "2")
        self.assertEqual(status, 0, text)
        self.assertIn("12 passed, 0 failed (1 mutants are listed as equal)", text)

    def test_an_entry_that_excuses_nothing_fails(self):
        self.build()
        self.module.EQUAL.write_text(LEFT + "\n" + LEFT.replace("b > 10", "a > 10") + "\n")
        status, text = self.run_main()
        self.assertEqual(status, 1)
        self.assertIn("no such mutant survives: sim/checkers/tiny.cpp | a > 10 | false", text)

    def test_an_entry_without_a_reason_is_refused(self):
        self.build()
        self.module.EQUAL.write_text(LEFT.rsplit(" | ", 1)[0] + "\n")
        self.assertEqual(self.run_main()[0], 2)

    def test_a_program_that_is_missing_or_older_than_its_source_is_refused(self):
        self.assertEqual(self.run_main()[0], 2)
        self.build()
        (self.root / "sim/checkers/tiny.cpp").write_text(CHECKER.replace("a > 10", "a > 9"))
        self.assertEqual(self.run_main()[0], 2)

    def test_tests_that_fail_by_themselves_are_refused(self):
        (self.root / "tiny_test.cpp").write_text(TESTS.replace("== 3", "== 4"))
        self.build()
        self.assertEqual(self.run_main()[0], 2)

    def test_a_loop_that_does_not_end_is_noticed(self):
        (self.root / "sim/checkers/tiny.cpp").write_text(
            "#include \"tiny.hpp\"\nint judge(int a, int) {\n  while (a > 0) --a;\n  return a;\n}\n")
        (self.root / "tiny_test.cpp").write_text("#include \"tiny.hpp\"\nint main() { return judge(3, 0); }\n")
        self.build()
        status, text = self.run_main("--json")
        self.assertEqual((status, text.count('"survived": []')), (0, 1), text)


if __name__ == "__main__":
    unittest.main()
