"""The command line of tidemark-sim: what it promises it prints, and no option is silently without effect."""
import json
import re
import subprocess
import unittest

from support import binary


def sim(*words):
    done = subprocess.run([binary("tidemark-sim"), *words], capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, done.stderr


class CommandLine(unittest.TestCase):
    def trace_of(self, *words):
        status, out, err = sim(*words)
        self.assertEqual(status, 0, err)
        found = re.search(r"\btrace=([0-9a-f]{16})$", out, re.M)
        self.assertIsNotNone(found, out)
        return found[1]

    def test_one_seed_tells_its_trace_also_when_it_runs_twice(self):
        once = self.trace_of("--seed", "3")
        self.assertEqual(self.trace_of("--seed", "3", "--twice"), once)
        status, out, err = sim("--seed", "3", "--twice", "--json")
        self.assertEqual((status, json.loads(out)["trace"]), (0, once), err)

    def test_a_verbose_run_that_runs_twice_prints_its_events_once(self):
        _, once, _ = sim("--seed", "3", "--verbose")
        _, twice, _ = sim("--seed", "3", "--verbose", "--twice")
        self.assertGreater(len(once.splitlines()), 1000)
        self.assertEqual(twice, once)

    def test_a_seed_that_fails_says_so_twice_or_not(self):
        for words in ([], ["--twice"], ["--seeds", "1"]):
            with self.subTest(words):
                status, _, err = sim("--seed", "3", "--plant", "canary", *words)
                self.assertEqual(status, 1)
                self.assertIn("repeat: tidemark-sim --seed 3 --plant canary", err)

    def test_options_that_would_have_no_effect_are_refused(self):
        refused = [
            ([], "nothing to do"), (["--twice"], "nothing to do"), (["--seed", "1", "--jobs", "2"], "--jobs goes with"),
            (["--seeds", "2", "--verbose"], "--verbose goes with one seed"), (["--hunt", "--verbose"], "--verbose goes with one seed"),
            (["--seed", "1", "--seeds", "1", "--verbose"], "--verbose goes with one seed"), (["--hunt", "--twice"], "--twice goes with"),
            (["--list-bugs", "--json"], "--list-bugs goes alone"), (["--seed", "1", "--list-bugs"], "--list-bugs goes alone"),
            (["--seed", "x"], "whole number"), (["--seeds", "0"], "from 1"), (["--plant", "nothing"], "--list-bugs"), (["--loud"], "unknown argument --loud"),
        ]
        for words, why in refused:
            with self.subTest(" ".join(words)):
                status, out, err = sim(*words)
                self.assertEqual((status, out), (2, ""))
                self.assertIn(why, err)

    def test_help_says_every_option(self):
        status, out, _ = sim("--help")
        self.assertEqual(status, 0)
        for option in ("--seed", "--seeds", "--hunt", "--list-bugs", "--jobs", "--plant", "--verbose", "--twice", "--json"):
            self.assertRegex(out, rf"(?m)^  (tidemark-sim )?{option}\b")


if __name__ == "__main__":
    unittest.main()
