"""`tidemark verify`, `wal dump` and `superblock show` on the directory of a stopped node: what is wrong is named, nothing is changed."""
import hashlib
import json
import os
import signal
import subprocess
import tempfile
import unittest

import nbd

from support import ClusterCase, binary

MIB = 1 << 20


def tidemark(*words):
    """(exit code, stdout, stderr) of a command that asks no node."""
    environment = {k: v for k, v in os.environ.items() if k != "TIDEMARK_NODE"}
    done = subprocess.run([binary("tidemark"), *map(str, words)], capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
                          env=environment)
    return done.returncode, done.stdout, done.stderr


def image(directory):
    """Every name below it: kind, mode, size, time of change and content."""
    seen = {}
    for path in sorted(directory.rglob("*")):
        state = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        seen[str(path.relative_to(directory))] = (state.st_mode, state.st_size, state.st_mtime_ns, content)
    return seen


def flip(path, place):
    with open(path, "r+b") as f:
        f.seek(place)
        byte = f.read(1)
        f.seek(place)
        f.write(bytes([byte[0] ^ 0x10]))


class StoppedNode(ClusterCase):
    def setUp(self):
        handle = nbd.NBD()
        handle.connect_uri(self.uri())
        for i in range(24):
            handle.pwrite(os.urandom(MIB), i * MIB)
        handle.flush()
        handle.shutdown()
        primary = self.cluster.primary("vol")
        self.node = next(n for n in self.cluster.nodes if n is not primary and n.number != 1)

    def tearDown(self):
        if not self.node.running:
            self.node.start()
        self.cluster.wait_in_sync("vol")

    def verify(self, *words):
        """(exit code, parsed --json); looking changes nothing."""
        before = image(self.node.dir)
        code, out, err = tidemark("verify", self.node.dir, "--json", *words)
        self.assertEqual(image(self.node.dir), before)
        self.assertEqual(err, "")
        return code, json.loads(out)

    def assert_sound(self):
        code, seen = self.verify()
        self.assertEqual((code, seen["findings"], seen["sound"]), (0, [], True), seen)
        return seen

    def one_finding(self):
        code, seen = self.verify()
        self.assertEqual((code, len(seen["findings"])), (1, 1), seen)
        return seen["findings"][0]

    def test_a_stopped_node_is_sound_whether_it_was_killed_or_ended(self):
        for sig in (signal.SIGKILL, signal.SIGTERM):
            with self.subTest(sig.name):
                self.node.kill(sig)
                seen = self.assert_sound()
                self.assertEqual(seen["node"], self.node.name)
                copy = seen["replicas"][0]
                self.assertEqual(copy["volume"], "vol")
                self.assertGreaterEqual(copy["end"], 24)
                self.assertGreater(copy["log_blocks"], 0)
                self.assertGreater(copy["bytes"], 24 * MIB)
                code, out, _ = tidemark("verify", self.node.dir)
                self.assertEqual(code, 0, out)
                self.assertIn("sound", out)
                self.node.start()
                self.cluster.wait_in_sync("vol")

    def test_a_flipped_byte_is_named_and_exits_1(self):
        self.node.kill(signal.SIGTERM)
        replica = next((self.node.dir / "volumes").iterdir())
        self.assertGreaterEqual(self.assert_sound()["replicas"][0]["blocks"], 24 * 256)
        data = replica / "extents" / "00000000.dat"
        flip(data, 5 * 4096 + 99)
        finding = self.one_finding()
        self.assertEqual((finding["file"], finding["block"], finding["offset"]), (str(data), 5, 5 * 4096))
        code, out, _ = tidemark("verify", replica)
        self.assertEqual(code, 1)
        self.assertIn(f"FOUND: {data}, offset {5 * 4096}, block 5: ", out)
        flip(data, 5 * 4096 + 99)

        record = next(r for r in self.dump("--from", 2) if r["type"] == "record" and r["payload_bytes"] >= 65536)
        segment = replica / "wal" / record["file"]
        place = record["offset"] // 4096 * 4096 + 8 * 4096 + 7  # behind the heads, which take less than a block here
        flip(segment, place)
        finding = self.one_finding()
        self.assertEqual(finding["file"], str(segment))
        self.assertIn("does not match its checksum", finding["what"])
        flip(segment, place)

        for slot in (0, 1):
            flip(replica / "superblock", slot * 16384 + 100)
            self.assertEqual(self.one_finding()["offset"], slot * 16384)
            code, out, _ = tidemark("superblock", "show", self.node.dir)
            self.assertEqual(code, 1)
            self.assertIn(f"slot {slot} does not count", out)
            flip(replica / "superblock", slot * 16384 + 100)
        self.assert_sound()

    def dump(self, *words):
        code, out, err = tidemark("wal", "dump", self.node.dir, "--json", *words)
        self.assertEqual((code, err), (0, ""))
        return [json.loads(line) for line in out.splitlines()]

    def test_the_log_is_dumped_record_by_record(self):
        self.node.kill(signal.SIGTERM)
        before = image(self.node.dir)
        records = self.dump()
        lsns = [r["lsn"] for r in records]
        self.assertEqual(lsns, list(range(lsns[0], lsns[0] + len(lsns))))
        self.assertLessEqual({"write", "chunk_end"}, {r["kind"] for r in records})
        self.assertEqual([r["lsn"] for r in self.dump("--from", lsns[3], "--to", lsns[5])], lsns[3:6])
        self.assertEqual(len(self.dump("--limit", 2)), 2)
        batches = [b for b in self.dump("--batches") if b["type"] == "batch"]
        self.assertEqual(sum(b["records"] for b in batches), len(records))
        code, out, _ = tidemark("wal", "dump", self.node.dir, "--volume", "vol")
        self.assertEqual((code, len(out.splitlines())), (0, len(records)))
        self.assertIn(f"digest={records[-1]['digest']}", out.splitlines()[-1])
        # A clean stop proves its end: damage in the last batch is no torn tail.
        last = batches[-1]
        flip(next((self.node.dir / "volumes").iterdir()) / "wal" / last["file"], last["offset"] + 60)
        code, out, err = tidemark("wal", "dump", self.node.dir)
        self.assertEqual((code, len(out.splitlines())), (1, last["first"] - lsns[0]))
        self.assertIn(f"at lsn {last['first']}", err)
        flip(next((self.node.dir / "volumes").iterdir()) / "wal" / last["file"], last["offset"] + 60)
        code, out, _ = tidemark("superblock", "show", self.node.dir, "--json")
        slots = json.loads(out)["replicas"][0]["slots"]
        self.assertEqual((code, [s["in_force"] for s in slots].count(True)), (0, 1))
        newest = next(s["fields"] for s in slots if s["in_force"])
        self.assertEqual((newest["volume"], newest["clean_stop"], newest["durable"]), ("vol", True, lsns[-1]))
        code, out, _ = tidemark("superblock", "show", self.node.dir, "--volume", "vol")
        self.assertEqual(code, 0)
        self.assertIn("in force", out)
        after = image(self.node.dir)
        self.assertEqual({k: v[3] for k, v in after.items()}, {k: v[3] for k, v in before.items()})

    def test_a_running_node_is_refused_by_name(self):
        for words in (("verify",), ("wal", "dump"), ("superblock", "show")):
            code, out, err = tidemark(*words, self.node.dir)
            self.assertEqual((code, out), (2, ""), err)
            self.assertIn(f"process {self.node.pid}", err)
            self.assertIn("running", err)
        self.assertTrue(self.node.running)

    def test_a_wrong_directory_or_word_is_refused_and_stays_as_it_is(self):
        with tempfile.TemporaryDirectory(prefix="tidemark-test-") as empty:
            for words in (("verify",), ("wal", "dump"), ("superblock", "show")):
                code, _, err = tidemark(*words, empty)
                self.assertEqual(code, 2)
                self.assertIn("was not made by", err)
                code, _, err = tidemark(*words, empty + "/nowhere")
                self.assertEqual(code, 2)
                self.assertIn("is not there", err)
                code, out, _ = tidemark(*words, "--help")
                self.assertEqual(code, 0)
                self.assertIn("DIR", out)
                self.assertEqual(tidemark(*words)[0], 2)
                self.assertEqual(tidemark(*words, empty, "--nonsense")[0], 2)
            self.assertEqual(os.listdir(empty), [])
        code, _, err = tidemark("wal", "dumb", ".")
        self.assertEqual(code, 2)
        self.assertIn('unknown command "dumb"; known are dump', err)
        self.node.kill(signal.SIGTERM)
        code, _, err = tidemark("wal", "dump", self.node.dir, "--volume", "other")
        self.assertEqual(code, 2)
        self.assertIn("vol", err)
        self.assertEqual(tidemark("wal", "dump", self.node.dir, "--from", "x")[0], 2)


if __name__ == "__main__":
    unittest.main()
