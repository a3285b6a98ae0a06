"""Bytes of running daemons rot: clients read what they wrote, a scrub finds and repairs the rest."""
import os
import random
import signal
import unittest

import nbd

from support import ClusterCase
from verify_test import tidemark

MIB = 1 << 20
BLOCK = 4096
WRITTEN = 24 * MIB


class Scrub(ClusterCase):
    def setUp(self):
        self.content = os.urandom(WRITTEN)
        handle = self.connected()
        for at in range(0, WRITTEN, MIB):
            handle.pwrite(self.content[at:at + MIB], at)
        handle.flush()
        handle.shutdown()
        self.cluster.wait(lambda: all(r["store"]["dirty_blocks"] == 0 for r in self.cluster.cli("volume", "show", "vol")["replicas"]), "extents")

    def connected(self):
        handle = nbd.NBD()
        handle.connect_uri(self.uri())
        return handle

    def files(self, node, suffix):
        return sorted(p for p in (node.dir / "volumes").rglob("*" + suffix))

    def rot(self, path, places):
        """Flips a bit at each place, past the page cache's way of hiding it."""
        with open(path, "r+b") as f:
            for place in places:
                f.seek(place)
                byte = f.read(1)
                f.seek(place)
                f.write(bytes([byte[0] ^ 0x10]))
            f.flush()
            os.fsync(f.fileno())

    def scrub(self):
        """Until all copies were read and compared; a client writes meanwhile."""
        self.cluster.cli("scrub", "vol", "--rate", "1GiB")
        handle = self.connected()

        def over():
            handle.pwrite(self.content[:BLOCK], 0)
            status = self.cluster.cli("scrub", "vol", "--status")
            return status["copies"] if status["round"]["state"] == "finished" else None
        copies = {c["node"]: c for c in self.cluster.wait(over, "scrub", 120)}
        handle.shutdown()
        return copies

    def test_200_rotten_bytes_of_a_replica_are_found_and_repaired(self):
        primary = self.cluster.primary("vol")
        node = next(n for n in self.cluster.nodes if n is not primary and n.number != 1)
        dice = random.Random(200)
        places = dice.sample(range(WRITTEN), 190)
        self.rot(self.files(node, ".dat")[0], places)
        self.rot(self.files(node, ".sum")[0], dice.sample(range(WRITTEN // BLOCK * 8), 9))
        self.rot(self.files(node, "superblock")[0], [40])
        for segment in self.files(node, ".seg"):
            self.rot(segment, dice.sample(range(BLOCK, MIB), 5))
        catalog = max((node.dir / "catalog").iterdir(), key=lambda p: p.stat().st_size if p.suffix in (".log", ".sst") else 0)
        self.rot(catalog, [catalog.stat().st_size // 2])
        copies = self.scrub()
        rotten = copies[node.name]
        blocks = len({p // BLOCK for p in places})
        self.assertEqual(rotten["scrub"]["damaged_blocks"], blocks)
        self.assertEqual(rotten["blocks_repaired"], blocks)
        self.assertEqual(rotten["damaged_blocks"], 0)
        self.assertEqual(rotten["scrub"]["superblock_slots_rewritten"], 1)
        self.assertEqual(rotten["scrub"]["catalogs_rewritten"], 1)
        self.assertGreater(rotten["scrub"]["log_damage"], 0)
        self.assert_copies_equal()
        node.kill(signal.SIGTERM)
        # Checksums too: their file is written again with the blocks, or by the scrub.
        code, out, _ = tidemark("verify", node.dir)
        self.assertEqual(code, 0, out)
        node.start()
        self.cluster.wait_in_sync("vol")

    def test_a_client_reads_right_bytes_from_a_primary_whose_blocks_rotted(self):
        primary = self.cluster.primary("vol")
        places = random.Random(50).sample(range(WRITTEN), 50)
        self.rot(self.files(primary, ".dat")[0], places)
        handle = self.connected()
        for at in range(0, WRITTEN, MIB):
            self.assertEqual(handle.pread(MIB, at), self.content[at:at + MIB], at)
        handle.shutdown()
        self.assert_copies_equal()

    def test_with_two_of_three_copies_rotten_no_wrong_byte_is_read(self):
        primary = self.cluster.primary("vol")
        rotten = [primary, next(n for n in self.cluster.nodes if n is not primary)]
        dice = random.Random(51)
        for node in rotten:
            self.rot(self.files(node, ".dat")[0], dice.sample(range(WRITTEN), 100))
        handle = self.connected()
        for at in range(0, WRITTEN, MIB):
            self.assertEqual(handle.pread(MIB, at), self.content[at:at + MIB], at)
        handle.shutdown()
        copies = self.scrub()
        for node in rotten:
            self.assertGreater(copies[node.name]["blocks_repaired"], 50)
            self.assertEqual(copies[node.name]["damaged_blocks"], 0)
        self.assert_copies_equal()


if __name__ == "__main__":
    unittest.main()
