"""What bench/recovery measures; run it through that script, which installs and builds first."""
import argparse
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from tidelib import nodes  # noqa: E402
from tidelib.nodes import Cluster  # noqa: E402

BLOCK = 4096
MIB = 1 << 20
UNITS = {"MiB": MIB, "M": MIB, "GiB": MIB << 10, "G": MIB << 10}


def size_of(text):
    found = re.fullmatch(r"(\d+)(MiB|M|GiB|G)", text)
    if not found or not int(found[1]):
        raise argparse.ArgumentTypeError(f'"{text}" is no size; write 2GiB')
    return int(found[1]) * UNITS[found[2]]


def options_of(words):
    parser = argparse.ArgumentParser(prog="bench/recovery", allow_abbrev=False)
    parser.add_argument("--check-options", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--dir", type=nodes.from_caller)
    parser.add_argument("--size", type=size_of, default=2 << 30)
    parser.add_argument("--percent", type=float, default=2)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--foreground", type=int, default=0)
    parser.add_argument("--json", type=nodes.from_caller)
    parser.add_argument("--base-port", type=int, default=19500)
    options = parser.parse_args(words)
    if not 0 < options.percent <= 50:
        parser.error("--percent is between 0 and 50")
    if not 0 <= options.foreground <= 256:
        parser.error("--foreground is a depth of 1 to 256, or 0 for none")
    return options


class Writer:
    """Clients at work: 4 KiB writes at random places, asked of the server as long as it runs; FUA, so that each waits for every disk that counts."""

    def __init__(self, uri, depth, seconds):
        self.process = subprocess.Popen([nodes.binary("nbd_load"), uri, "--op", "fua", "--block", str(BLOCK), "--depth", str(depth), "--seconds",
                                         str(seconds)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def result(self):
        said, complaint = self.process.communicate()
        if self.process.returncode != 0:
            raise SystemExit(f"the writer broke: {complaint.strip()}")
        return json.loads(said)


class Bench:
    def __init__(self, directory, options):
        self.options, self.directory = options, directory
        self.rows = []
        self.cluster = Cluster(directory / "cluster", options.base_port, sizes={"wal_retention": "256MiB", "reserve": "64MiB"}).create()

    def fill(self):
        """Every block written, with content that no disk can leave out."""
        self.cluster.cli("volume", "create", "bench", "--size", str(self.options.size))
        self.cluster.wait_in_sync("bench")
        image = self.directory / "image"
        with open(image, "wb") as f:
            piece = os.urandom(64 * MIB)
            for at in range(0, self.options.size, len(piece)):
                f.write(piece[:min(len(piece), self.options.size - at)])
        self.uri = self.cluster.primary("bench").nbd_uri("bench")
        subprocess.run(["nbdcopy", "--flush", str(image), self.uri], check=True)
        self.settle()

    def settle(self):
        def level():
            seen = self.cluster.cli("volume", "show", "bench")
            return seen["committed"] >= seen["head"] and all(r["store"]["dirty_blocks"] == 0 for r in seen["replicas"])
        self.cluster.wait(level, "the extents to hold all", 600, every=0.5)

    def plain_copy(self):
        """What the disk itself takes to read and write as many bytes, past the page cache."""
        began = time.monotonic()
        subprocess.run(["dd", f"if={self.directory / 'image'}", f"of={self.directory / 'copy'}", "bs=1M", "iflag=direct", "oflag=direct",
                        "conv=fsync", "status=none"], check=True)
        self.row("plain copy of a file (O_DIRECT)", self.options.size, time.monotonic() - began)
        (self.directory / "copy").unlink()

    def a_replica(self):
        primary = self.cluster.primary("bench")
        return next(n for n in self.cluster.nodes if n is not primary and n.number != 1)

    def peer(self, node):
        return self.cluster.peers("bench").get(node.name, {})

    def wait_streaming(self, node, look=lambda peer: None):
        def streaming():
            peer = self.peer(node)
            look(peer)
            return peer if peer.get("state") == "streaming" and peer["in_set"] else None
        return self.cluster.wait(streaming, f"{node.name} in sync", 1800, every=0.02)

    def delta(self):
        node = self.a_replica()
        node.kill(signal.SIGTERM)
        blocks = self.options.size // BLOCK
        changed = random.Random(1).sample(range(blocks), int(blocks * self.options.percent / 100))
        # Twice the log that is kept goes by: the same blocks again until it did.
        rounds = max(1, -(-(512 * MIB) // (len(changed) * BLOCK)))
        import nbd
        handle = nbd.NBD()
        handle.connect_uri(self.uri)
        for _ in range(rounds):
            for block in changed:
                while handle.aio_in_flight() >= 64:
                    handle.poll(-1)
                buffer = nbd.Buffer.from_bytearray(bytearray(random.Random(block).randbytes(64) * 64))
                handle.aio_pwrite(buffer, block * BLOCK, completion=lambda _: 1)
            while handle.aio_in_flight():
                handle.poll(-1)
        handle.flush()
        handle.shutdown()
        self.settle_primary()
        began = time.monotonic()
        node.start()
        peer = self.wait_streaming(node)
        took = time.monotonic() - began
        self.row(f"away while {self.options.percent:g} % changed ({len(changed)} blocks)", peer["session_bytes"], took,
                 peer["session_base_blocks"] * BLOCK / (len(changed) * BLOCK), peer["session_outcome"].split(":")[0])

    def settle_primary(self):
        def level():
            primary = self.cluster.primary("bench")
            seen = self.cluster.cli("volume", "show", "bench")
            return all(r["store"]["dirty_blocks"] == 0 for r in seen["replicas"] if r["node"] == primary.name)
        self.cluster.wait(level, "the primary's extents to hold all", 600, every=0.5)

    def new_copy(self, kills):
        node = self.a_replica()
        self.cluster.wipe_and_replace(node, "bench")
        began = time.monotonic()
        sessions, blocks = {}, self.options.size // BLOCK

        def look(peer):
            if "session_id" in peer:
                sessions[peer["session_id"]] = (peer["session_base_blocks"], peer["session_bytes"])
        for kill in range(1, kills + 1):
            def far(share=kill / (kills + 1)):
                look(self.peer(node))
                return sum(s[0] for s in sessions.values()) >= share * blocks
            self.cluster.wait(far, "the rebuild", 1800, every=0.005)
            node.kill(signal.SIGKILL)
            node.start()
        self.wait_streaming(node, look)
        self.row(f"a new copy, killed {kills} times" if kills else "a new copy", sum(s[1] for s in sessions.values()), time.monotonic() - began,
                 sum(s[0] for s in sessions.values()) / blocks)

    def foreground(self):
        """The same writer without a rebuild, in one from its first second to its last, and after it."""
        depth, seconds = self.options.foreground, 15
        Writer(self.uri, depth, 5).result()  # Warm.
        before = Writer(self.uri, depth, seconds).result()
        node = self.a_replica()
        node.kill(signal.SIGTERM)  # It is left out first: what follows is the rebuild's doing alone.
        self.cluster.wait(lambda: not self.peer(node).get("in_set"), "the lost copy to be left out", 60)
        alone = Writer(self.uri, depth, seconds).result()
        self.cluster.wipe_and_replace(node, "bench")
        self.cluster.wait(lambda: self.peer(node).get("session_base_blocks"), "the rebuild to begin", 120, every=0.02)
        began, first, limits = time.monotonic(), self.peer(node)["session_base_blocks"], set()
        copied = first
        during = Writer(self.uri, depth, seconds)
        last = began
        while during.process.poll() is None:
            peer = self.peer(node)
            if peer.get("state") == "rebuilding":
                last, copied = time.monotonic(), peer["session_base_blocks"]
                limits.add(peer.get("session_rebuild_held_by", ""))
            time.sleep(0.25)
        beside = during.result()
        rate = (copied - first) * BLOCK / MIB / max(last - began, 0.25)
        whole = "rebuilding" == self.peer(node).get("state")
        began, base = time.monotonic(), copied
        self.wait_streaming(node)
        self.writer_row(f"writers at depth {depth}, three copies", before)
        self.writer_row(f"writers at depth {depth}, two copies", alone)
        self.writer_row(f"writers at depth {depth}, two copies, a third rebuilt", beside, alone)
        print(f"  the rebuild went at {rate:.0f} MiB/s beside them (held by {', '.join(sorted(l for l in limits if l)) or 'nothing'})"
              + ("" if whole else "; it ended before they did: use a larger --size"), flush=True)
        if whole:
            rest = self.options.size / MIB - base * BLOCK / MIB
            print(f"  and at {rest / (time.monotonic() - began):.0f} MiB/s behind them", flush=True)

    def writer_row(self, what, seen, reference=None):
        ratio = "" if reference is None else f"   p99 is {seen['p99_us'] / reference['p99_us']:.2f} of that without"
        self.rows.append({"what": what, **seen})
        print(f"{what:<56}{seen['iops']:>9.0f} IOPS   p50 {seen['p50_us']:.0f} us   p99 {seen['p99_us']:.0f} us{ratio}", flush=True)

    def row(self, what, moved, seconds, ratio=None, outcome=""):
        self.rows.append({"what": what, "bytes": moved, "seconds": seconds, "blocks_per_block_needed": ratio, "outcome": outcome})
        told = "" if ratio is None else f"{ratio:8.3f}"
        print(f"{what:<48}{moved / MIB:>10.1f}{seconds:>9.1f}{moved / MIB / seconds:>9.0f}{told:>9}  {outcome}", flush=True)

    def run(self):
        self.fill()
        print(f"{'':<48}{'MiB moved':>10}{'seconds':>9}{'MiB/s':>9}{'x needed':>9}", flush=True)
        self.plain_copy()
        self.delta()
        self.new_copy(0)
        if self.options.foreground:
            self.foreground()
        self.new_copy(self.options.kills)
        code, result = self.cluster.cli_result("volume", "compare", "bench")
        if code != 0:
            raise SystemExit(f"the copies differ: {result}")
        print("all copies are equal")


def main():
    options = options_of(sys.argv[1:])
    if options.check_options:
        return
    directory = options.dir or pathlib.Path(tempfile.mkdtemp(prefix="tidemark-bench-"))
    directory.mkdir(parents=True, exist_ok=True)
    bench = None
    try:
        bench = Bench(directory, options)
        bench.run()
        if options.json:
            options.json.write_text(json.dumps({"size": options.size, "rows": bench.rows}, indent=1) + "\n")
    finally:
        if bench:
            bench.cluster.stop()
        for path in map(directory.joinpath, ("image", "copy", "cluster")):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        if not options.dir:
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
