"""The command line of tidemark-sim: what it promises it prints, and no option is silently without effect."""
import json
import os
import re
import select
import signal
import subprocess
import tempfile
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

    def test_a_seed_prints_its_plan_and_the_plan_runs_as_the_seed_does(self):
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, "plan.json")
            self.assertEqual(sim("plan", "--seed", "3", "--out", file)[0], 0)
            self.assertEqual(json.loads(sim("plan", "--seed", "3")[1]), json.load(open(file)))
            self.assertEqual(self.trace_of("run", file), self.trace_of("--seed", "3"))
            status, _, err = sim("run", file, "--plant", "canary")
            self.assertEqual(status, 1)
            self.assertIn(f"repeat: tidemark-sim run {file} --plant canary", err)

    def test_a_failing_plan_is_shrunk(self):
        with tempfile.TemporaryDirectory() as folder:
            small = os.path.join(folder, "small.json")
            status, out, err = sim("shrink", "--seed", "3", "--plant", "canary", "--out", small, "--json")
            self.assertEqual(status, 0, err)
            told = json.loads(out)
            self.assertEqual((told["class"], told["faults"], told["requests"], told["minimal"]), ("canary", 0, 0, True))
            self.assertEqual(sim("run", small, "--plant", "canary")[0], 1)
            self.assertEqual(sim("run", small)[0], 0)

    def test_a_plan_that_is_none_is_refused_with_its_reason(self):
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, "plan.json")
            plan = json.loads(sim("plan", "--seed", "3")[1])
            plan["volume"]["nodes"] = 99
            json.dump(plan, open(file, "w"))
            for words, why in ((["run", file], "nodes: wants a whole number"), (["shrink", file], "nodes: wants a whole number"),
                               (["run", os.path.join(folder, "none")], "cannot be read")):
                with self.subTest(words):
                    status, out, err = sim(*words)
                    self.assertEqual((status, out), (2, ""))
                    self.assertIn(why, err)

    def test_a_hunt_prints_a_line_for_each_bug(self):
        status, out, err = sim("hunt", "--plant", "canary", "--restarts", "3", "--seeds", "5")
        self.assertEqual(status, 0, err)
        self.assertRegex(out, r"^bug=canary rule=none found=yes class=canary seeds=1 seconds=[0-9.]+ restarts=3 seed=1\n$")
        told = json.loads(sim("hunt", "--plant", "canary", "--json")[1].splitlines()[0])
        self.assertEqual((told["bug"], told["found"], told["seeds"]), ("canary", True, 1))

    def test_an_interrupted_campaign_prints_what_was_done(self):
        with subprocess.Popen([binary("tidemark-sim"), "--seeds", "1000000", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, stdin=subprocess.DEVNULL) as run:
            select.select([run.stdout], [], [], 2)  # Nothing comes: it is amid its seeds.
            run.send_signal(signal.SIGINT)
            out, err = run.communicate(timeout=60)
        told = json.loads(out)
        self.assertEqual((run.returncode, told["interrupted"], told["failed"]), (1, True, 0), err)

    def test_options_that_would_have_no_effect_are_refused(self):
        refused = [
            ([], "nothing to do"), (["--twice"], "nothing to do"), (["--seed", "1", "--jobs", "2"], "--jobs: goes with"),
            (["--seeds", "2", "--verbose"], "--verbose: goes with one seed"), (["hunt", "--verbose"], "--verbose"), (["hunt", "--twice"], "--twice"),
            (["--seed", "1", "--seeds", "1", "--verbose"], "--verbose: goes with one seed"), (["shrink"], "one of both"),
            (["shrink", "some.json", "--seed", "1"], "one of both"), (["plan"], "--seed"), (["run"], "PLAN"),
            (["--seed", "x"], "--seed"), (["--seeds", "0"], "--seeds"), (["--seed", "1", "--plant", "nothing"], "tidemark-sim bugs"),
            (["--loud"], "--loud"), (["hunts"], "hunts"),
        ]
        for words, why in refused:
            with self.subTest(" ".join(words)):
                status, out, err = sim(*words)
                self.assertEqual((status, out), (2, ""))
                self.assertIn(why, err)

    def test_a_batch_says_what_it_reached_of_all_that_is_to_reach(self):
        status, out, err = sim("--seeds", "2")
        self.assertEqual(status, 0, err)
        counts = re.search(r"^marks=(\d+)/(\d+) edges=(\d+)/(\d+) crash_points=(\d+)/(\d+)$", out, re.M)
        self.assertIsNotNone(counts, out)
        self.assertNotIn("never mark", out)
        status, named, err = sim("--seeds", "2", "--coverage")
        never = re.findall(r"^never mark (\w+) ", named, re.M)
        self.assertEqual(len(never), int(counts[2]) - int(counts[1]))
        status, out, err = sim("--seeds", "2", "--coverage", "--json")
        marks = json.loads(out)["marks"]
        self.assertEqual((marks["hit"], marks["total"]), (int(counts[1]), int(counts[2])))
        self.assertEqual(sorted(name for name, times in marks["times"].items() if times == 0), sorted(never))

    def test_help_says_every_option_and_command(self):
        status, out, _ = sim("--help")
        self.assertEqual(status, 0)
        for option in ("--seed", "--seeds", "--jobs", "--plant", "--verbose", "--twice", "--coverage", "--json", "plan", "run", "shrink", "hunt", "bugs"):
            self.assertRegex(out, rf"(?m)^ +(tidemark-sim )?{option}\b")


if __name__ == "__main__":
    unittest.main()
