"""Bad input gets a clear error and changes nothing: directories, configurations, ports, disks, strangers and garbage."""
import json
import os
import pathlib
import random
import re
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest

import nbd

from support import SMALL, Cluster, ClusterCase, CommandFailed, binary, fresh_ports, run

MIB = 1 << 20


def daemon(*words, timeout=30):
    done = subprocess.run([binary("tidemarkd"), *map(str, words)], capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout + done.stderr


def crc32c(data):
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


class Directories(unittest.TestCase):
    def setUp(self):
        self.place = tempfile.TemporaryDirectory(prefix="tidemark-test-")
        self.dir = pathlib.Path(self.place.name)
        self.port = fresh_ports()

    def tearDown(self):
        self.place.cleanup()

    def config(self, directory, extra="", name="c.toml"):
        path = self.dir / name
        path.write_text(f'dir = "{directory}"\n[listen]\nreplication = "127.0.0.1:{self.port}"\nnbd = "127.0.0.1:{self.port + 1}"\n'
                        f'[control]\naddress = "127.0.0.1:{self.port}"\n{extra}\n')
        return path

    def refused(self, needles, *words):
        code, text = daemon(*words)
        self.assertNotEqual(code, 0, text)
        self.assertNotIn("CHECK", text)
        for needle in needles:
            self.assertIn(needle, text)
        return text

    def test_a_missing_directory_is_never_created(self):
        missing = self.dir / "nowhere"
        self.refused([str(missing), "init"], "run", "--config", self.config(missing))
        self.assertFalse(missing.exists())

    def test_an_emptied_or_foreign_directory_is_not_adopted(self):
        empty = self.dir / "empty"
        empty.mkdir()
        self.refused(["was not made by"], "run", "--config", self.config(empty))
        self.assertEqual(list(empty.iterdir()), [])
        (empty / "precious").write_text("x")
        self.refused(["not empty"], "init", "--dir", empty, "--node", "node1", "--control")
        self.assertEqual((empty / "precious").read_text(), "x")

    def test_swapped_directories_are_refused_with_both_values(self):
        for name in ("a", "b"):
            code, text = daemon("init", "--dir", self.dir / name, "--node", "node1", "--control")
            self.assertEqual(code, 0, text)
        identity_a = json.loads((self.dir / "a" / "identity.json").read_text())
        identity_b = json.loads((self.dir / "b" / "identity.json").read_text())
        shutil.copyfile(self.dir / "b" / "identity.json", self.dir / "a" / "identity.json")
        self.refused([identity_a["uuid"], identity_b["uuid"]], "run", "--config", self.config(self.dir / "a"))

    def test_two_daemons_on_one_directory(self):
        daemon("init", "--dir", self.dir / "n", "--node", "node1", "--control")
        first = subprocess.Popen([binary("tidemarkd"), "run", "--config", str(self.config(self.dir / "n"))],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        try:
            self.wait_socket(self.dir / "n" / "admin.sock")
            self.port += 2
            self.refused([str(first.pid)], "run", "--config", self.config(self.dir / "n", name="second.toml"))
            self.assertIsNone(first.poll())
            first.terminate()
            self.assertEqual(first.wait(timeout=30), 0)
        finally:
            first.kill()
            first.wait()

    def test_a_stop_that_comes_during_the_start_is_obeyed(self):
        daemon("init", "--dir", self.dir / "n", "--node", "node1", "--control")
        config = self.config(self.dir / "n")
        for _ in range(3):
            node = subprocess.Popen([binary("tidemarkd"), "run", "--config", str(config)], stdout=subprocess.DEVNULL,
                                    stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
            try:
                self.wait_socket(self.dir / "n" / "admin.sock")  # Made before the catalog is opened.
                node.terminate()
                self.assertEqual(node.wait(timeout=30), 0)
            finally:
                node.kill()
                node.wait()

    def wait_socket(self, path):
        deadline = time.monotonic() + 20
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        self.assertTrue(path.exists())

    def test_a_port_in_use_is_named_and_nothing_was_raised(self):
        daemon("init", "--dir", self.dir / "n", "--node", "node1", "--control")
        with socket.create_server(("127.0.0.1", self.port)):
            self.refused([f"127.0.0.1:{self.port}", "in use"], "run", "--config", self.config(self.dir / "n"))

    def test_each_mistake_in_a_configuration_is_named_with_its_line(self):
        daemon("init", "--dir", self.dir / "n", "--node", "node1", "--control")
        cases = {
            "[sizes]\nsegmnt = \"64MiB\"": [":8:", "segmnt", "sizes.segment"],
            "[sizes]\nsegment = \"64MB\"": [":8:", "64MB", "64MiB"],
            "[sizes]\nsegment = 64": [":8:", "string"],
            "[times]\nleave_after_closed = \"100\"": [":8:", "100ms"],
            "[control]\naddress = \"127.0.0.1:9\"": [":7:"],
            "[log]\nlevel = \"loud\"": [":8:", "loud", "debug"],
            "[sizes]\nsegment = \"64MiB\"\nwal_retention = \"64MiB\"": ["wal_retention", "4 segments"],
            "nonsense": [":7:"],
        }
        for extra, needles in cases.items():
            with self.subTest(extra):
                path = self.config(self.dir / "n", extra)
                self.refused([str(path), *needles], "check", "--config", path)
                self.refused([str(path), *needles], "run", "--config", path)

    def test_listening_beyond_loopback_needs_a_word(self):
        path = self.config(self.dir / "n")
        path.write_text(path.read_text().replace("127.0.0.1", "0.0.0.0", 1))
        self.refused(["insecure = true"], "check", "--config", path)

    def test_help_and_mistyped_words(self):
        for words in (["--help"], ["init", "--help"], ["run", "--help"], ["check", "--help"]):
            code, text = daemon(*words)
            self.assertEqual(code, 0)
            self.assertIn("--", text)
        for words in (["runn"], ["run"], ["init", "--dir"], ["run", "--confg", "x"], ["init", "--dir", "x", "--node", "Bad Name", "--control"],
                      ["init", "--dir", str(self.dir / "t"), "--node", "node2", "--join", "tidemark1.x.y"]):
            code, text = daemon(*words)
            self.assertNotEqual(code, 0, words)
            self.assertTrue(text.strip())
        self.assertFalse((self.dir / "t").exists())


class Strangers(ClusterCase):
    volumes = {"vol": ["--size", "64MiB"]}

    def setUp(self):
        self.handle = nbd.NBD()
        self.handle.connect_uri(self.uri())
        self.handle.pwrite(b"A" * 4096, 0, nbd.CMD_FLAG_FUA)

    def tearDown(self):
        # The undisturbed client: the same connection still answers, and so do the nodes.
        self.assertEqual(bytes(self.handle.pread(4096, 0)), b"A" * 4096)
        self.handle.shutdown()
        for node in self.cluster.nodes:
            self.assertTrue(node.running, node.log_tail())
        self.assertEqual(len(self.cluster.in_sync("vol")), 3)

    def garbage(self):
        rng = random.Random(11)
        yield "nothing at all", b""
        yield "random bytes", rng.randbytes(5000)
        yield "zeros", bytes(100000)
        yield "ones", b"\xff" * 100000
        yield "http", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        yield "tls hello", bytes.fromhex("16030100c4010000c00303") + rng.randbytes(193)
        yield "nbd flags and a huge option", struct.pack(">I", 3) + b"IHAVEOPT" + struct.pack(">II", 7, 0xFFFFFFFF)
        yield "nbd unknown options", struct.pack(">I", 3) + (b"IHAVEOPT" + struct.pack(">II", 77, 0)) * 1000
        yield "nbd go with a lying name", struct.pack(">I", 3) + b"IHAVEOPT" + struct.pack(">III", 7, 10, 0x7FFFFFFF) + b"abcdef"
        yield "ssh", b"SSH-2.0-OpenSSH_9.2\r\n" + rng.randbytes(200)
        yield "half a frame", b"TDM1" + rng.randbytes(20)
        frame = bytearray(struct.pack("<4sBBHIIIIQ", b"TDM1", 1, 0, 0, 0xFFFFFFF0, 0xFFFFF000, 0, 0, 0))
        struct.pack_into("<I", frame, 16, crc32c(frame))
        yield "a huge frame under a right checksum", bytes(frame) + rng.randbytes(100)
        yield "old nbd", b"NBDMAGIC" + bytes.fromhex("00420281861253") + bytes(140)

    def test_garbage_on_every_port_disturbs_nobody(self):
        for name, bytes_ in self.garbage():
            for node in self.cluster.nodes:
                for port in (int(node.replication.split(":")[1]), node.nbd_port):
                    with self.subTest(f"{name} to {node.name}:{port}"), socket.create_connection(("127.0.0.1", port), timeout=5) as s:
                        try:
                            s.sendall(bytes_)
                            s.settimeout(0.05)
                            while s.recv(65536):
                                pass
                        except (TimeoutError, ConnectionError):
                            pass
            self.assertEqual(bytes(self.handle.pread(4096, 0)), b"A" * 4096)

    def test_many_half_open_connections_disturb_nobody(self):
        open_ones = [socket.create_connection(("127.0.0.1", n.nbd_port)) for n in self.cluster.nodes for _ in range(20)]
        self.handle.pwrite(b"A" * 4096, 0, nbd.CMD_FLAG_FUA)
        for s in open_ones:
            s.close()

    def test_a_node_of_another_cluster_is_refused_and_says_so(self):
        stranger = Cluster(self.dir / "stranger", base_port=fresh_ports())
        node = stranger.nodes[1]
        stranger.command("tidemarkd", "init", "--dir", str(stranger.nodes[0].dir), "--node", "node1", "--control")
        token = json.loads(stranger.command("tidemarkd", "init", "--dir", str(self.dir / "x"), "--node", "node9", "--control", "--json"))["token"]
        node.init("--join", token)
        node.cluster.nodes[0].replication = self.cluster.nodes[0].replication
        node.write_config()
        node.start(wait=False)
        try:
            self.cluster.wait(lambda: "another cluster" in node.log_tail(50), "the refusal in its log", 20)
            self.assertTrue(node.running)
            self.assertNotIn("node9", json.dumps(self.cluster.cli("node", "list")))
        finally:
            stranger.stop()

    def test_an_unknown_export_is_refused_by_name(self):
        other = nbd.NBD()
        with self.assertRaises(nbd.Error) as refused:
            other.connect_uri(self.uri("vol") + "x")
        self.assertIn("volx", str(refused.exception))

    def test_the_command_line_says_what_would_be_right(self):
        cases = [
            (["volume", "create", "bad name", "--size", "1GiB"], "name"), (["volume", "create", "v2", "--size", "1GB"], "GiB"),
            (["volume", "create", "v2", "--size", "1000"], "4096"), (["volume", "create", "v2"], "--size"),
            (["volume", "create", "vol", "--size", "128MiB"], "of that name"), (["volume", "create", "v2", "--size", "64MiB", "--copies", "9"], "copies"),
            (["volume", "create", "v2", "--size", "64MiB", "--mode", "majority"], "sync_quorum"), (["volume", "show", "nope"], "nope"),
            (["volume", "delete", "nope"], "nope"), (["promote", "vol", "node7"], "node7"), (["replica", "replace", "vol", "node7"], "node7"),
            (["frobnicate"], "unknown command \"frobnicate\""),
        ]
        before = self.cluster.cli("volume", "list")
        for words, needle in cases:
            with self.subTest(" ".join(words)):
                with self.assertRaises(CommandFailed) as failed:
                    self.cluster.cli(*words)
                self.assertIn(needle, str(failed.exception))
        after = self.cluster.cli("volume", "list")
        self.assertEqual([v["name"] for v in before["volumes"]], [v["name"] for v in after["volumes"]])


@unittest.skipUnless(os.geteuid() == 0, "a small file system can be mounted by root only")
class FullDisk(unittest.TestCase):
    """The primary's directory on a small file system that something else fills up."""

    def setUp(self):
        self.place = tempfile.TemporaryDirectory(prefix="tidemark-test-")
        self.dir = pathlib.Path(self.place.name)
        self.small = self.dir / "small"
        self.small.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256m", "tmpfs", str(self.small)], capture_output=True, text=True)
        if mounted.returncode != 0:
            self.place.cleanup()
            self.skipTest(f"no tmpfs could be mounted: {mounted.stderr.strip()}")
        self.cluster = None

    def tearDown(self):
        if self.cluster:
            self.cluster.stop()
        run("umount", self.small)
        self.place.cleanup()

    def test_writes_get_enospc_reads_go_on_and_freed_space_brings_writes_back(self):
        dirs = [self.small / "node1", None, None]
        self.cluster = Cluster(self.dir, base_port=fresh_ports(), sizes=SMALL, dirs=dirs).create()
        self.cluster.cli("volume", "create", "vol", "--size", "1GiB", "--copies", "3")
        self.cluster.wait_in_sync("vol")
        self.assertEqual(self.cluster.primary("vol").name, "node1")
        handle, _ = self.cluster.connect("vol")
        written = {}
        full = None
        for i in range(400):
            data = struct.pack("<Q", i) * 512 * 256
            try:
                handle.pwrite(data, i * MIB, nbd.CMD_FLAG_FUA)
                written[i] = data
            except nbd.Error as error:
                full = error
                break
        self.assertIsNotNone(full, "400 MiB went into 256")
        self.assertEqual(full.errnum, 28, full)  # ENOSPC
        for i in list(written)[:: max(1, len(written) // 20)]:
            self.assertEqual(bytes(handle.pread(MIB, i * MIB)), written[i])
        # Give space back: what the disk still takes is the operator's affair, so make it larger.
        run("mount", "-o", "remount,size=1g", self.small)
        deadline = time.monotonic() + 30
        while True:
            try:
                handle.pwrite(b"B" * MIB, 500 * MIB, nbd.CMD_FLAG_FUA)
                break
            except nbd.Error as error:
                self.assertEqual(error.errnum, 28)
                self.assertLess(time.monotonic(), deadline, "writes do not come back after space was freed")
                time.sleep(0.2)
        for i, data in written.items():
            self.assertEqual(bytes(handle.pread(MIB, i * MIB)), data)
        handle.shutdown()
        result = self.cluster.cli("volume", "compare", "vol")
        self.assertTrue(result["equal"] and result["complete"], result)


if __name__ == "__main__":
    unittest.main()
