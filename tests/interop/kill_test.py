"""kill -9 at random moments, under a stamped load over four connections that judges what it reads after each."""
import os
import random
import time
import unittest

from support import ClusterCase

from tidelib.load import Load

ROUNDS = int(os.environ.get("TIDEMARK_KILL_ROUNDS", "5"))


class Kill(ClusterCase):
    volumes = {"vol": ["--size", "64MiB"]}

    def victims(self, rng):
        """Who dies this round: the primary, one replica, any two, or all."""
        primary = self.cluster.primary("vol")
        others = [n for n in self.cluster.nodes if n is not primary]
        return rng.choice([[primary], [rng.choice(others)], rng.sample(self.cluster.nodes, 2), list(self.cluster.nodes)])

    def test_nothing_flushed_is_lost(self):
        seed = int(os.environ.get("TIDEMARK_KILL_SEED", str(int(time.time()))))
        print(f"{ROUNDS} rounds, seed {seed}")
        rng = random.Random(seed)
        load = Load(lambda stopping: self.cluster.connect("vol", stopping), 64 << 20, seed=seed).start()
        for number in range(ROUNDS):
            time.sleep(rng.uniform(0.2, 1.5))
            load.check()
            chosen = self.victims(rng)
            for node in chosen:
                node.kill()
            # Some come back within milliseconds, while their rings may still drain; others after a while.
            for node in chosen:
                time.sleep(rng.choice([0, 0.005, 0.3]))
                node.start(wait=False)
            for node in chosen:
                node.wait_ready()
            self.cluster.wait_in_sync("vol")
            load.check()
            print(f"round {number + 1}: killed {', '.join(n.name for n in chosen)}; {load.totals()}", flush=True)
        load.stop()
        load.final_judgement()
        self.assertGreater(load.totals()["flush"], ROUNDS)
        self.assert_copies_equal()


if __name__ == "__main__":
    unittest.main()
