"""What scripts/test runs, part by part; run it through that script, which installs the packages first."""
import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest
import xml.etree.ElementTree as xml

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

JOBS = str(os.cpu_count() or 2)
os.environ.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")


class Suite:
    def __init__(self, options):
        self.options = options
        self.passed = self.failed = self.skipped = 0
        self.failures = []
        self.traces = {}  # of the simulator, by first seed and how many: the build that ran them first, and what it printed

    def headline(self, text):
        print(f"\n=== {text}", flush=True)

    def count(self, name, passed, failed, skipped=0, seconds=0.0):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped
        if failed:
            self.failures.append(name)
        more = f", {skipped} skipped" if skipped else ""
        print(f"{'ok    ' if not failed else 'FAILED'} {name}: {passed} passed, {failed} failed{more} ({seconds:.1f} s)", flush=True)

    def build(self, preset, *targets):
        began = time.monotonic()
        done = subprocess.run(["bash", "-c", f'source scripts/setup; build {preset} {" ".join(targets)}'], cwd=ROOT)
        self.count(f"build {preset}", int(done.returncode == 0), int(done.returncode != 0), seconds=time.monotonic() - began)
        return done.returncode == 0

    def command(self, name, words, env=None):
        """One program that is one test; its output is shown."""
        began = time.monotonic()
        done = subprocess.run(words, cwd=ROOT, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL)
        self.count(name, int(done.returncode == 0), int(done.returncode != 0), seconds=time.monotonic() - began)
        return done.returncode == 0

    def unit_tests(self, preset):
        for program in sorted((ROOT / "build" / preset / "bin").glob("*_tests")):
            began = time.monotonic()
            with tempfile.NamedTemporaryFile(suffix=".xml") as report:
                done = subprocess.run(["timeout", "600", str(program), "--log_level=error", "--report_format=XML", "--report_level=short",
                                       f"--report_sink={report.name}"], cwd=ROOT, stdin=subprocess.DEVNULL)
                seconds = time.monotonic() - began
                try:
                    suite = xml.parse(report.name).getroot().find("TestSuite")
                    get = lambda key: int(suite.get(key, 0))  # noqa: E731
                    passed = get("test_cases_passed") + get("test_cases_passed_with_warnings")
                    failed, skipped = get("test_cases_failed") + get("test_cases_aborted"), get("test_cases_skipped") + get("test_cases_disabled")
                except (xml.ParseError, AttributeError):
                    passed, failed, skipped = 0, 1, 0  # it crashed before it could report
                if done.returncode != 0 and failed == 0:
                    failed = 1
            self.count(f"{program.name} ({preset})", passed, failed, skipped, seconds)

    def sim(self, preset, seeds, behind=0):
        """That many fresh seeds, from the first one on or so many behind it."""
        first = self.options.seed + behind
        print(f"seeds {first} to {first + seeds - 1}, each twice", flush=True)
        began = time.monotonic()
        run = subprocess.Popen([str(ROOT / "build" / preset / "bin" / "tidemark-sim"), "--seeds", str(seeds), "--seed", str(first), "--twice",
                                "--jobs", JOBS], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        trace = None
        for line in run.stdout:
            print(line, end="", flush=True)
            trace = next((word for word in line.split() if word.startswith("traces=")), trace)
        ok = run.wait() == 0
        self.count(f"tidemark-sim {seeds} seeds ({preset})", int(ok), int(not ok), seconds=time.monotonic() - began)
        other, expected = self.traces.setdefault((first, seeds), (preset, trace))
        if ok and other != preset:
            equal = trace is not None and trace == expected
            said = "" if equal else f" ({other}: {expected}; {preset}: {trace})"
            self.count(f"{preset} and {other} leave equal traces{said}", int(equal), int(not equal))

    def plans(self, preset):
        """Minimal plans of what seeds once found: none may fail again."""
        program = str(ROOT / "build" / preset / "bin" / "tidemark-sim")
        for plan in sorted((ROOT / "tests" / "plans").glob("*.json")):
            self.command(f"plan {plan.name} ({preset})", [program, "run", str(plan.relative_to(ROOT)), "--twice"])

    def interop(self):
        began = time.monotonic()
        os.environ["TIDEMARK_KILL_ROUNDS"] = "100" if self.options.long else "5"
        loader = unittest.TestLoader()
        tests = loader.discover(str(ROOT / "tests" / "interop"), pattern="*_test.py", top_level_dir=str(ROOT / "tests" / "interop"))
        result = unittest.TextTestRunner(verbosity=2, stream=sys.stdout).run(tests)
        bad = len(result.failures) + len(result.errors)
        skipped = len(result.skipped)
        for test, reason in result.skipped:
            print(f"skipped: {test}: {reason}")
        self.count("interop", result.testsRun - bad - skipped, bad, skipped, time.monotonic() - began)


PARTS = {
    "house": "who includes whom, and what the core may import",
    "units": "unit tests and named scenarios, release",
    "sim": "the simulator, release",
    "interop": "real clients against real daemons",
    "asan": "tests and simulator under AddressSanitizer and UndefinedBehaviorSanitizer",
    "clang": "the second compiler",
    "hunt": "every planted bug must be found",
}


SEEDS_LONG = 2000  # In each build, which must leave equal traces.
SEEDS_SHORT = 40  # The same; a sanitized build takes ten times as long for one,
SEEDS_RELEASE = 500  # so that the release build goes on alone to so many.


def run(options):
    suite = Suite(options)
    release = str(ROOT / "build" / "release" / "bin")
    seeds = SEEDS_LONG if options.long else SEEDS_SHORT
    parts = options.only or [p for p in PARTS if options.long or p not in ("clang", "hunt")]
    for part in parts:
        suite.headline(f"{part}: {PARTS[part]}")
        if part in ("house", "units", "sim", "interop", "hunt") and not suite.build("release", "all"):
            continue
        if part == "house":
            suite.command("the house", ["scripts/check-house", "--archives", "build/release", "--binaries", release])
            suite.command("the house check fails on planted breaches", ["/usr/bin/python3", "tests/scripts/check_house_test.py"])
            suite.command("the rule list", ["scripts/check-rules"])
            suite.command("the check of the rule list fails on each flaw", ["/usr/bin/python3", "tests/scripts/check_rules_test.py"])
            suite.command("the pages on events and metrics", ["scripts/check-pages"])
            suite.command("the check of pages fails on planted lies", ["/usr/bin/python3", "tests/scripts/check_pages_test.py"])
            suite.command("the check of mutants tells which live, and which are excused", ["/usr/bin/python3", "tests/scripts/mutants_test.py"])
        elif part == "units":
            suite.unit_tests("release")
            if options.long:
                suite.command("every mutant of a judge is noticed", ["scripts/mutants", "--jobs", JOBS])
        elif part == "sim":
            suite.plans("release")
            suite.sim("release", seeds)
            if not options.long:
                suite.sim("release", SEEDS_RELEASE - seeds, behind=seeds)
            bounds = ["--requests", "3"] if options.long else []
            suite.command("small worlds hold, walked through whole", [f"{release}/tidemark-sim", "exhaust", "--jobs", JOBS, *bounds])
        elif part == "interop":
            suite.interop()
        elif part == "asan":
            if suite.build("asan", "checks" if options.long else "checks_of_bytes"):
                suite.unit_tests("asan")
                suite.plans("asan")
                suite.sim("asan", seeds)
        elif part == "clang":
            if suite.build("clang", "all"):
                suite.unit_tests("clang")
                suite.sim("clang", seeds)
        elif part == "hunt":
            suite.command("every planted bug is found", [f"{release}/tidemark-sim", "hunt", "--seeds", "10000", "--jobs", JOBS])
    print()
    if suite.failures:
        print("failed: " + ", ".join(suite.failures))
    print(f"{suite.passed} passed, {suite.failed} failed, {suite.skipped} skipped")
    return 0 if suite.failed == 0 and suite.passed > 0 else 1


def main():
    parser = argparse.ArgumentParser(prog="scripts/test", allow_abbrev=False)
    parser.add_argument("--check-options", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--only", type=lambda t: t.split(","))
    parser.add_argument("--seed", type=int, default=int(time.time()) % 1_000_000_000)
    options = parser.parse_args()
    for part in options.only or []:
        if part not in PARTS:
            parser.error(f'unknown part "{part}"; known are {", ".join(PARTS)}')
    return 0 if options.check_options else run(options)


if __name__ == "__main__":
    sys.exit(main())
