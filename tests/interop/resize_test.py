"""A volume that gets another size while clients use it: what nbdinfo and libnbd see, and what a restarted cluster keeps."""
import json
import unittest

import nbd

from support import ClusterCase, CommandFailed, need, run

MIB = 1 << 20


class Resize(ClusterCase):
    volumes = {"vol": ["--size", "64MiB"]}

    def connect(self):
        h = nbd.NBD()
        h.set_strict_mode(0)  # Requests beyond the size of the handshake are the server's to judge.
        h.connect_uri(self.uri())
        return h

    def refused(self, errno, call, *args):
        with self.assertRaises(nbd.Error) as caught:
            call(*args)
        self.assertEqual(caught.exception.errno, errno)

    def test_a_volume_in_use_grows_and_shrinks_and_what_was_cut_is_gone(self):
        need("nbdinfo", "qemu-img")
        early = self.connect()
        early.pwrite(b"a" * 4096, 0)
        self.refused("ENOSPC", early.pwrite, b"b" * 4096, 100 * MIB)
        self.refused("EINVAL", early.pread, 4096, 100 * MIB)
        shown = self.cluster.cli("volume", "resize", "vol", "128MiB")
        self.assertEqual(shown["size_bytes"], 128 * MIB)
        self.assertNotIn("wanted_size_bytes", shown)
        self.assertEqual(json.loads(run("nbdinfo", "--json", self.uri()))["exports"][0]["export-size"], 128 * MIB)
        self.assertEqual(json.loads(run("qemu-img", "info", "--output=json", "-f", "raw", self.uri()))["virtual-size"], 128 * MIB)
        self.assertEqual(early.get_size(), 64 * MIB)
        early.pwrite(b"b" * 4096, 100 * MIB)  # It knows by other means.
        late = self.connect()
        self.assertEqual(bytes(late.pread(4096, 100 * MIB)), b"b" * 4096)
        late.flush()

        with self.assertRaisesRegex(CommandFailed, "--shrink"):
            self.cluster.cli("volume", "resize", "vol", "80MiB")
        with self.assertRaisesRegex(CommandFailed, "not a multiple"):
            self.cluster.cli("volume", "resize", "vol", "1000001")
        self.cluster.cli("volume", "resize", "vol", "80MiB", "--shrink")
        for h in (early, late):
            self.refused("ENOSPC", h.pwrite, b"c" * 4096, 100 * MIB)
            self.refused("EINVAL", h.pread, 4096, 100 * MIB)
            self.refused("EINVAL", h.trim, 4096, 100 * MIB)
            self.assertEqual(bytes(h.pread(4096, 0)), b"a" * 4096)
        self.cluster.cli("volume", "resize", "vol", "256MiB")
        self.assertEqual(bytes(early.pread(4096, 100 * MIB)), bytes(4096))
        for h in (early, late):
            h.shutdown()
        self.assert_copies_equal()
        events = self.cluster.cli("volume", "events", "vol")["events"]
        resized = [e["fields"] for e in events if e["name"] == "volume_resized"]
        self.assertEqual([int(f["to"]) for f in resized], [128 * MIB, 80 * MIB, 256 * MIB])


if __name__ == "__main__":
    unittest.main()
