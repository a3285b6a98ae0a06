"""A replica that comes back costs what it missed; one without a past costs a copy; damage is found and named."""
import os
import shutil
import signal
import time
import unittest

import nbd

from support import ClusterCase, CommandFailed, need, run

MIB = 1 << 20


class Recovery(ClusterCase):
    sizes = {"segment": "8MiB", "wal_retention": "256MiB", "reserve": "16MiB"}
    volumes = {"vol": ["--size", "1GiB"]}

    def a_replica(self):
        primary = self.cluster.primary("vol")
        return next(n for n in self.cluster.nodes if n is not primary and n.number != 1)

    def write(self, offset, count, piece=MIB):
        handle = nbd.NBD()
        handle.connect_uri(self.uri())
        for i in range(count):
            handle.pwrite(os.urandom(piece), offset + i * piece)
        handle.flush()
        handle.shutdown()

    def wait_streaming(self, node):
        def streaming():
            peer = self.cluster.peers("vol").get(node.name)
            return peer if peer and peer["state"] == "streaming" and peer["in_set"] else None
        return self.cluster.wait(streaming, f"{node.name} in sync", 120)

    def test_an_absence_costs_the_payload_and_five_percent(self):
        replica = self.a_replica()
        replica.kill(signal.SIGKILL)
        self.write(100 * MIB, 64)
        replica.start()
        peer = self.wait_streaming(replica)
        self.assertEqual(peer["session_base_blocks"], 0)
        self.assertGreaterEqual(peer["session_payload_bytes"], 64 * MIB)
        self.assertLessEqual(peer["session_bytes"], 64 * MIB * 1.05)
        self.assert_copies_equal()

    def test_an_absence_beyond_the_log_costs_the_blocks_that_were_touched(self):
        self.write(0, 300)
        replica = self.a_replica()
        self.cluster.wait(lambda: all(r["store"]["dirty_blocks"] == 0 for r in self.cluster.cli("volume", "show", "vol")["replicas"]), "extents")
        replica.kill(signal.SIGKILL)
        for _ in range(6):
            self.write(500 * MIB, 64)
        replica.start()
        self.write(10 * MIB, 20)
        peer = self.wait_streaming(replica)
        self.assertIn("log_touched", peer["session_outcome"])
        # What the log brings while the base is copied is not copied as well.
        self.assertGreaterEqual(peer["session_base_blocks_all"], 64 * MIB // 4096)
        self.assertLessEqual(peer["session_base_blocks"], (64 + 20) * MIB // 4096)
        self.assert_copies_equal()

    def test_a_rebuild_that_is_killed_goes_on_where_it_was(self):
        self.write(0, 1024)  # A hole is one message and may come again.
        replica = self.a_replica()
        self.cluster.wipe_and_replace(replica, "vol")
        copied = {}  # By session: what it had copied when it was last seen.

        def seen():
            peer = self.cluster.peers("vol").get(replica.name, {})
            if "session_id" in peer:
                copied[peer["session_id"]] = peer.get("session_base_blocks", 0)
            return peer
        whole = 1024 * MIB // 4096
        for share in (0.2, 0.5, 0.8):
            self.cluster.wait(lambda: seen().get("state") == "streaming" or sum(copied.values()) > share * whole, "the rebuild", 60, every=0)
            replica.kill(signal.SIGKILL)
            replica.start()
        self.cluster.wait(lambda: seen().get("state") == "streaming" and seen()["in_set"], "the copy", 120, every=0)
        self.assertGreater(len([blocks for blocks in copied.values() if blocks > 0]), 1, copied)
        # Each time what was not on record (16 MiB) and what was on its way (16 MiB) is copied again.
        self.assertLess(sum(copied.values()), whole + 3 * 40 * MIB // 4096, copied)
        self.assert_copies_equal()

    def test_a_wiped_replica_comes_back_only_as_a_new_one(self):
        replica = self.a_replica()
        replica.kill(signal.SIGTERM)
        replica.wipe()
        replica.init("--join", self.cluster.token)
        replica.start()
        nodes = {n["name"]: n for n in self.cluster.cli("node", "list")["nodes"]}
        self.assertFalse(nodes[replica.name]["connected"], nodes)
        self.cluster.cli("node", "readmit", replica.name)
        self.cluster.cli("replica", "replace", "vol", replica.name)
        self.wait_streaming(replica)
        self.assert_copies_equal()

    def test_the_host_of_the_control_plane_cannot_be_replaced(self):
        with self.assertRaises(CommandFailed) as refused:
            self.cluster.cli("replica", "replace", "vol", "node1")
        self.assertIn("control plane", str(refused.exception))

    def restarted_with_a_flipped_byte(self, kind):
        replica = self.a_replica()
        # A clean stop checkpoints, so that the block is in the extents and the record is proved durable.
        replica.kill(signal.SIGTERM)
        self.flip(replica, kind)
        replica.start()
        return replica

    def compare(self):
        return self.cluster.wait(lambda: (lambda r: r if r[1].get("unreachable") == [] else None)(self.cluster.cli_result("volume", "compare", "vol")),
                                 "the copy", 60)

    def test_one_flipped_byte_of_the_log_is_found_and_named(self):
        self.write(0, 8)
        replica = self.restarted_with_a_flipped_byte("wal")
        code, result = self.compare()
        self.assertEqual(code, 1, result)
        self.assertFalse(result["equal"])
        self.assertIn("lsn", str(result["differences"]))
        self.flip(replica, "wal", back=True)

    def test_one_flipped_byte_of_a_block_is_found_named_and_repaired(self):
        self.write(0, 8)
        self.restarted_with_a_flipped_byte("extents")
        self.compare()
        named = self.cluster.wait(lambda: [e for e in self.cluster.cli("volume", "events", "vol")["events"] if e["name"] == "block_repaired"],
                                  "the repair", 60)
        self.assertTrue(named)
        self.assert_copies_equal()

    def flip(self, replica, kind, back=False):
        """Flips one byte of the first 8 MiB that were written; `back` puts it right again (the node is stopped for it)."""
        if back:
            replica.kill(signal.SIGTERM)
        folder = next((replica.dir / "volumes").iterdir()) / kind
        if kind == "extents":
            path, place = sorted(folder.glob("*.dat"))[0], 1000
        else:
            path = max(folder.glob("*.seg"), key=lambda p: (p.read_bytes()[8192:65536].count(0) < 50000, p.stat().st_mtime))
            place = 16384 + 77
        with open(path, "r+b") as f:
            f.seek(place)
            byte = f.read(1)
            f.seek(place)
            f.write(bytes([byte[0] ^ 0x10]))
        if back:
            replica.start()
            self.wait_streaming(replica)


if __name__ == "__main__":
    unittest.main()
