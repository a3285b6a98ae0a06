"""kill -9 at random moments, under a stamped load over four connections that judges what it reads after each.

The second test mixes the kills with what an operator does meanwhile: a replica that lost its disk is rebuilt, the volume
grows and shrinks beyond what the load uses, its mode and min_copies change. After each round every worker's sectors are
read back and judged: everything that was flushed is there, what was answered since in order and without a hole.

    TIDEMARK_KILL_ROUNDS   rounds of each test        TIDEMARK_KILL_SEED   repeats the same choices
"""
import concurrent.futures
import os
import random
import time
import unittest

from support import ClusterCase, CommandFailed

from tidelib.load import Load

ROUNDS = int(os.environ.get("TIDEMARK_KILL_ROUNDS", "5"))
SEED = int(os.environ.get("TIDEMARK_KILL_SEED", str(int(time.time()))))
MIB = 1 << 20


class Kill(ClusterCase):
    volumes = {"vol": ["--size", "64MiB"]}

    def victims(self, rng):
        """Who dies this round: the primary, one replica, any two, or all."""
        primary = self.cluster.primary("vol")
        others = [n for n in self.cluster.nodes if n is not primary]
        return rng.choice([[primary], [rng.choice(others)], rng.sample(self.cluster.nodes, 2), list(self.cluster.nodes)])

    def kill_and_start(self, rng, chosen):
        for node in chosen:
            node.kill()
        # Some come back within milliseconds, while their rings may still drain; others after a while.
        for node in chosen:
            time.sleep(rng.choice([0, 0.005, 0.3]))
            node.start(wait=False)
        for node in chosen:
            node.wait_ready()

    def test_nothing_flushed_is_lost(self):
        rounds = (ROUNDS + 1) // 2
        print(f"{rounds} rounds, seed {SEED}")
        rng = random.Random(SEED)
        load = Load(lambda stopping: self.cluster.connect("vol", stopping), 64 << 20, seed=SEED).start()
        for number in range(rounds):
            time.sleep(rng.uniform(0.2, 1.5))
            load.check()
            chosen = self.victims(rng)
            self.kill_and_start(rng, chosen)
            self.cluster.wait_in_sync("vol")
            load.check()
            print(f"round {number + 1}: killed {', '.join(n.name for n in chosen)}; {load.totals()}", flush=True)
        load.stop()
        load.final_judgement()
        self.assertGreater(load.totals()["flush"], rounds)
        self.assert_copies_equal()


class KillAmidChanges(Kill):
    """The load keeps to the first 64 MiB of a volume that has more, or not."""

    volumes = {"vol": ["--size", "96MiB"]}
    rules = [("sync_all", 1), ("sync_all", 2), ("sync_quorum", 2), ("sync_quorum", 3), ("best_effort", 1)]
    test_nothing_flushed_is_lost = None

    def setUp(self):
        self.counts = {"kill": 0, "primary_killed": 0, "rebuild": 0, "resize": 0, "mode": 0}
        self.wanted_rules, self.wanted_size = ("sync_all", 2), 96 * MIB
        self.operator, self.asking = concurrent.futures.ThreadPoolExecutor(max_workers=1), []
        self.addCleanup(self.operator.shutdown)

    # --- what an operator does; what takes a while is asked for in the background, so that the kills meet it

    def rebuild(self, rng):
        """A replica's node loses its disk, comes back empty, and gets a new copy."""
        if self.wanted_rules[0] == "best_effort":
            return "no rebuild: the primary alone counts"
        self.settle()
        primary = self.cluster.primary("vol")
        # The first node hosts the control plane, which cannot be wiped.
        node = rng.choice([n for n in self.cluster.nodes[1:] if n is not primary])
        self.make_room()
        node.kill()
        self.cluster.wipe_and_replace(node, "vol")
        self.counts["rebuild"] += 1
        return f"{node.name} lost its disk"

    def make_room(self):
        """A copy that counts is taken away only above min_copies."""
        if self.wanted_rules[1] > 2:
            self.wanted_rules = (self.wanted_rules[0], 2)
            self.ask_rules()
            self.asked()
            self.settle()

    def resize(self, rng):
        self.wanted_size = rng.choice([mib for mib in (64, 80, 96, 128, 160) if mib * MIB != self.wanted_size]) * MIB
        self.begin("volume", "resize", "vol", str(self.wanted_size), "--shrink", "--no-wait")
        self.counts["resize"] += 1
        return f"to {self.wanted_size // MIB} MiB"

    def change_rules(self, rng):
        self.wanted_rules = rng.choice([r for r in self.rules if r != self.wanted_rules])
        self.ask_rules()
        self.counts["mode"] += 1
        return f"to {self.wanted_rules[0]}, min_copies {self.wanted_rules[1]}"

    def ask_rules(self):
        self.begin("volume", "set", "vol", "--mode", self.wanted_rules[0], "--min-copies", str(self.wanted_rules[1]), "--no-wait")

    def begin(self, *words):
        self.asking.append(self.operator.submit(self.ask, *words))

    def asked(self):
        """All that was begun was taken."""
        while self.asking:
            self.asking.pop(0).result()

    def ask(self, *words):
        """Until it is taken: another change may be under way, or the control plane be restarting."""
        def taken():
            self.cluster.cli(*words, timeout=120)
            return True
        self.cluster.wait(taken, " ".join(words), seconds=120, every=0.2)

    def change(self, rng):
        act = rng.choice([self.rebuild, self.resize, self.change_rules, self.change_rules])
        told = act(rng)
        if act != self.rebuild and rng.random() < 0.3:
            told += ", " + rng.choice([self.resize, self.change_rules])(rng)
        return told

    # --- what must come of it

    def settle(self):
        """All rules and sizes that were asked for are in force, and all copies follow."""
        def settled():
            seen = self.cluster.cli("volume", "show", "vol")
            rules = seen["mode"], seen["min_copies"]
            counted = 1 if seen["mode"] == "best_effort" else 3
            return not seen["pending"] and seen["serving"] and rules == self.wanted_rules and seen["size_bytes"] == self.wanted_size and \
                len(seen["in_sync"]) == counted and all(r["role"] == "primary" or r["state"] == "streaming" for r in seen["replicas"])
        try:
            self.cluster.wait(settled, f"{self.wanted_rules} and {self.wanted_size} bytes in force", seconds=120, every=0.1)
        except CommandFailed as error:
            raise AssertionError(f"{error}; {self.cluster.cli('volume', 'show', 'vol')}") from error

    def test_nothing_flushed_is_lost_amid_rebuilds_resizes_and_mode_changes(self):
        print(f"{ROUNDS} rounds amid changes, seed {SEED}")
        rng = random.Random(SEED + 1)
        load = Load(lambda stopping: self.cluster.connect("vol", stopping), 64 << 20, seed=SEED).start()
        for number in range(ROUNDS):
            time.sleep(rng.uniform(0.1, 0.8))
            load.check()
            before = load.totals()["lost"]
            chosen = self.victims(rng)
            told = self.change(rng)
            time.sleep(rng.choice([0, 0.005, 0.015, 0.03, 0.2]))
            primary = self.cluster.primary("vol")
            self.counts["kill"] += len(chosen)
            self.counts["primary_killed"] += primary in chosen
            self.kill_and_start(rng, chosen)
            self.asked()
            self.settle()
            load.judge()
            print(f"round {number + 1}: {told}; killed {', '.join(n.name for n in chosen)}; {load.totals()}", flush=True)
            if len(chosen) == 1:
                self.assertEqual(load.totals()["lost"], before, "one node was lost, and answered writes with it")
        load.stop()
        load.final_judgement()
        self.assertGreater(load.totals()["flush"], ROUNDS)
        print(f"done: {self.counts}", flush=True)
        if ROUNDS >= 50:  # Fewer may not have met all of it.
            self.assertEqual([what for what, count in self.counts.items() if count == 0], [])
        self.wanted_rules = ("sync_quorum", 2) if self.wanted_rules[0] != "sync_quorum" else ("sync_all", 2)
        self.ask_rules()
        self.asked()
        self.settle()
        self.assert_copies_equal()


if __name__ == "__main__":
    unittest.main()
