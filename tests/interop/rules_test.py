"""A volume whose mode and min_copies change while a client uses it, and what it answers with too few copies."""
import errno
import unittest

import nbd

from support import ClusterCase, CommandFailed


class Rules(ClusterCase):
    volumes = {"vol": ["--size", "64MiB"], "fails": ["--size", "64MiB", "--below-min-copies", "fail"]}

    def connect(self, volume):
        h = nbd.NBD()
        h.connect_uri(self.uri(volume))
        return h

    def test_every_mode_follows_every_other_under_one_connection(self):
        h = self.connect("vol")
        modes = ["sync_quorum", "best_effort", "sync_quorum", "sync_all", "best_effort", "sync_all"]
        for number, mode in enumerate(modes):
            least = 1 if mode == "best_effort" else 2
            shown = self.cluster.cli("volume", "set", "vol", "--mode", mode, "--min-copies", str(least))
            self.assertEqual((shown["mode"], shown["min_copies"]), (mode, least))
            self.assertNotIn("wanted_mode", shown)
            h.pwrite(bytes([number + 1]) * 4096, number * 4096)
            h.flush()
        for number in range(len(modes)):
            self.assertEqual(h.pread(4096, number * 4096), bytes([number + 1]) * 4096)
        h.shutdown()
        self.cluster.wait_in_sync("vol")
        self.assert_copies_equal()
        events = self.cluster.cli("volume", "events", "vol")["events"]
        self.assertEqual([e["fields"]["mode"] for e in events if e["name"] == "volume_configured"], modes)

    def test_bad_input_is_named_and_changes_nothing(self):
        before = self.cluster.cli("volume", "show", "fails")
        for words, why in ((["--mode", "sync_some"], "sync_some"), (["--min-copies", "4"], "between 1 and its 3 copies"),
                           (["--min-copies", "0"], "between 1 and"), (["--mode", "best_effort", "--min-copies", "2"], "best_effort implies"),
                           (["--mode", "sync_quorum", "--min-copies", "1"], "2 of 3"), (["--below-min-copies", "panic"], "neither block nor fail"),
                           ([], "neither a mode nor")):
            with self.assertRaisesRegex(CommandFailed, why):
                self.cluster.cli("volume", "set", "fails", *words)
        after = self.cluster.cli("volume", "show", "fails")
        self.assertEqual(after["version"], before["version"])

    def test_with_too_few_copies_writes_fail_and_reads_go_on(self):
        h = self.connect("fails")
        h.pwrite(b"a" * 4096, 0)
        h.flush()
        others = [n for n in self.cluster.nodes if n is not self.cluster.primary("fails")]
        for node in others:
            node.kill()
        with self.assertRaises(nbd.Error) as caught:
            h.pwrite(b"b" * 4096, 1 << 20)
        self.assertEqual(caught.exception.errnum, errno.EIO)
        with self.assertRaises(nbd.Error):
            h.flush()
        self.assertEqual(h.pread(4096, 0), b"a" * 4096)
        for node in others:
            node.start()
        self.cluster.wait_in_sync("fails")
        h.pwrite(b"c" * 4096, 2 << 20)
        h.flush()
        self.assertEqual(h.pread(4096, 2 << 20), b"c" * 4096)
        h.shutdown()
        self.assert_copies_equal("fails")


if __name__ == "__main__":
    unittest.main()
