"""What the interop tests share: a cluster in a temporary folder, ports of its own, and commands that must work."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
from tidelib.nodes import Cluster, CommandFailed, Node, binary  # noqa: E402,F401

_next_port = int(os.environ.get("TIDEMARK_TEST_PORT", "21000"))
SMALL = {"segment": "4MiB", "wal_retention": "64MiB", "reserve": "4MiB"}


def fresh_ports():
    """First of forty ports that no other cluster of this run uses."""
    global _next_port
    _next_port += 40
    return _next_port


def run(*words, timeout=300, ok=(0,)):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
    if done.returncode not in ok:
        raise AssertionError(f"{' '.join(map(str, words))} ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return done.stdout + done.stderr


def need(*tools):
    for tool in tools:
        if not shutil.which(tool):
            raise unittest.SkipTest(f"{tool} is not installed")


class ClusterCase(unittest.TestCase):
    """One running cluster for all tests of a class. `sizes`, `times`, `volumes` (name -> create options) may be set."""

    sizes, times, volumes = SMALL, None, {"vol": ["--size", "256MiB"]}

    @classmethod
    def setUpClass(cls):
        cls.place = tempfile.TemporaryDirectory(prefix="tidemark-test-")
        cls.dir = pathlib.Path(cls.place.name)
        cls.cluster = Cluster(cls.dir, base_port=fresh_ports(), sizes=cls.sizes, times=cls.times)
        try:
            cls.cluster.create()
            for name, options in cls.volumes.items():
                cls.cluster.cli("volume", "create", name, *options)
                cls.cluster.wait_in_sync(name)
        except BaseException:
            cls.tearDownClass()
            raise

    @classmethod
    def tearDownClass(cls):
        cls.cluster.stop()
        for node in cls.cluster.nodes:
            if node.process and node.process.returncode not in (0, -9, None):
                print(f"{node.name} ended with {node.process.returncode}:\n{node.log_tail()}")
        cls.place.cleanup()

    def uri(self, volume="vol"):
        return self.cluster.primary(volume).nbd_uri(volume)

    def assert_copies_equal(self, volume="vol"):
        result = self.cluster.cli("volume", "compare", volume)
        self.assertTrue(result["equal"] and result["complete"], result)
        return result
