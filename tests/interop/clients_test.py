"""Clients that we did not write, against three real daemons."""
import json
import os
import random
import shutil
import socket
import struct
import subprocess
import time
import unittest

import nbd

from support import ClusterCase, need, run

MIB = 1 << 20


class Clients(ClusterCase):
    volumes = {"vol": ["--size", "256MiB"], "other": ["--size", "64MiB", "--ack", "durable"]}

    def test_nbdinfo_sees_what_is_offered(self):
        need("nbdinfo")
        info = json.loads(run("nbdinfo", "--json", self.uri()))["exports"][0]
        self.assertEqual(info["export-size"], 256 * MIB)
        for ability in ("can_flush", "can_fua", "can_multi_conn", "can_trim", "can_zero", "can_cache", "can_df", "can_fast_zero"):
            self.assertTrue(info[ability], ability)
        self.assertFalse(info["is_read_only"])
        self.assertEqual((info["block_size_minimum"], info["block_size_preferred"], info["block_size_maximum"]), (1, 4096, 32 * MIB))
        self.assertIn("base:allocation", info["contexts"])

    def test_nbdinfo_lists_every_volume_of_the_primary(self):
        need("nbdinfo")
        listed = json.loads(run("nbdinfo", "--list", "--json", self.uri().rsplit("/", 1)[0]))
        names = {e["export-name"] for e in listed["exports"]}
        mine = {v for v in self.volumes if self.cluster.primary(v) is self.cluster.primary("vol")}
        self.assertTrue(mine <= names, names)

    def test_another_node_refuses_and_names_the_primary(self):
        primary = self.cluster.primary("vol")
        other = next(n for n in self.cluster.nodes if n is not primary)
        # libnbd does not show the text of a refusal, so it is read off the wire: NBD_OPT_GO and its error reply.
        with socket.create_connection(("127.0.0.1", other.nbd_port), timeout=5) as s:
            stream = s.makefile("rwb")
            stream.read(18)
            name = b"vol"
            body = struct.pack(">I", len(name)) + name + struct.pack(">H", 0)
            stream.write(struct.pack(">I", 3) + b"IHAVEOPT" + struct.pack(">II", 7, len(body)) + body)
            stream.flush()
            kind, length = struct.unpack(">II", stream.read(20)[12:])
            text = stream.read(length).decode()
        self.assertTrue(kind & 0x80000000, kind)
        self.assertIn(primary.name, text)

    def test_nbdcopy_in_and_out_is_equal(self):
        need("nbdcopy", "cmp")
        source, back = self.dir / "in.img", self.dir / "out.img"
        rng = random.Random(7)
        with open(source, "wb") as f:
            f.truncate(256 * MIB)
            for _ in range(300):
                f.seek(rng.randrange(256 * MIB - 70000))
                f.write(rng.randbytes(rng.randrange(1, 70000)))
        run("nbdcopy", "--flush", source, self.uri())
        run("nbdcopy", self.uri(), back)
        run("cmp", source, back)
        self.assert_copies_equal()

    def test_qemu_img_converts_compares_and_maps(self):
        need("qemu-img")
        source = self.dir / "q.img"
        with open(source, "wb") as f:
            f.truncate(64 * MIB)
            for place in (0, 5 * MIB, 17 * MIB + 12345, 64 * MIB - 4096):
                f.seek(place)
                f.write(os.urandom(4096))
        uri = self.uri("other")
        run("qemu-img", "convert", "-n", "-f", "raw", "-O", "raw", source, uri)
        run("qemu-img", "compare", "-f", "raw", "-F", "raw", source, uri)
        mapped = json.loads(run("qemu-img", "map", "--output=json", "-f", "raw", uri))
        data = sum(e["length"] for e in mapped if e["data"])
        self.assertLess(data, 8 * MIB)
        self.assertEqual(sum(e["length"] for e in mapped), 64 * MIB)

    def test_qemu_io_unaligned_and_overlapping(self):
        need("qemu-io")
        commands = ["write -P 0x11 0 64k", "write -P 0x22 1000 3000", "write -P 0x33 3500 5000", "aio_write -P 0x44 8192 4096",
                    "aio_write -P 0x55 10000 4096", "aio_flush", "read -P 0x11 0 1000", "read -P 0x22 1000 2500", "read -P 0x33 3500 4692",
                    "read -P 0x44 8192 1808", "read -P 0x55 10000 4096", "read -P 0x11 14096 51440", "discard 16384 8192", "read -P 0 16384 8192",
                    "write -z 30000 10000", "read -P 0 30000 10000", "read -P 0x11 29000 1000", "read -P 0x11 40000 100", "flush"]
        words = ["qemu-io", "-f", "raw"]
        for command in commands:
            words += ["-c", command]
        text = run(*words, self.uri())
        self.assertNotIn("Pattern verification failed", text)
        self.assert_copies_equal()

    def test_fio_verifies_at_depth_32_over_4_connections(self):
        need("fio")
        if "nbd" not in run("fio", "--enghelp"):
            self.skipTest("this fio has no nbd engine")
        text = run("fio", "--name=v", "--ioengine=nbd", f"--uri={self.uri()}", "--rw=randwrite", "--bs=512-32k", "--blockalign=512", "--iodepth=32",
                   "--numjobs=4", "--size=24m", "--offset_increment=32m", "--verify=crc32c", "--verify_fatal=1", "--do_verify=1", "--fsync=64",
                   "--verify_state_save=0", "--group_reporting", "--minimal")
        self.assertNotIn("verify:", text)
        self.assert_copies_equal()

    def test_four_connections_write_and_read_each_others_blocks(self):
        handles = [nbd.NBD() for _ in range(4)]
        for h in handles:
            h.connect_uri(self.uri())
        for i in range(400):
            data = bytes([i % 251]) * 4096
            handles[i % 4].pwrite(data, (i % 50) * 4096)
            self.assertEqual(bytes(handles[(i + 1) % 4].pread(4096, (i % 50) * 4096)), data)
        for h in handles:
            h.flush()
            h.shutdown()

    def test_mounted_ext4_survives_and_checks_clean(self):
        need("nbdfuse", "mke2fs", "e2fsck", "nbdcopy")
        if os.geteuid() != 0 or not os.access("/dev/fuse", os.W_OK):
            self.skipTest("fuse and loop devices need root and /dev/fuse")
        image, fuse, tree = self.dir / "ext4.img", self.dir / "fuse", self.dir / "tree"
        with open(image, "wb") as f:
            f.truncate(64 * MIB)
        run("mke2fs", "-q", "-F", "-t", "ext4", image)
        run("nbdcopy", "--flush", image, self.uri("other"))
        fuse.mkdir(), tree.mkdir()
        server = subprocess.Popen(["nbdfuse", str(fuse), self.uri("other")], stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            deadline = time.monotonic() + 10
            while not (fuse / "nbd").exists():
                if server.poll() is not None or time.monotonic() > deadline:
                    self.skipTest("nbdfuse could not mount here")
                time.sleep(0.05)
            mounted = subprocess.run(["mount", "-o", "loop", str(fuse / "nbd"), str(tree)], capture_output=True, text=True)
            if mounted.returncode != 0:
                self.skipTest(f"no loop device could be set up here: {mounted.stderr.strip()}")
            try:
                shutil.copytree("/usr/share/common-licenses", tree / "licenses", symlinks=True)
                for i in range(200):
                    (tree / f"file{i}").write_bytes(os.urandom(1 + i * 37))
                os.sync()
                self.assertEqual(len(list(tree.glob("file*"))), 200)
            finally:
                run("umount", tree)
        finally:
            subprocess.run(["umount", str(fuse)], capture_output=True)
            server.wait(timeout=30)
        run("e2fsck", "-fn", self.make_copy("other"))
        self.assert_copies_equal("other")

    def make_copy(self, volume):
        target = self.dir / f"{volume}.copy"
        run("nbdcopy", self.uri(volume), target)
        return target


if __name__ == "__main__":
    unittest.main()
