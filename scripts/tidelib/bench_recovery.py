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
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from tidelib import nodes  # noqa: E402
from tidelib.nodes import Cluster  # noqa: E402

BLOCK = 4096
MIB = 1 << 20
UNITS = {"MiB": MIB, "M": MIB, "GiB": MIB << 10, "G": MIB << 10}
CASES = ("plain", "delta", "new", "foreground", "killed", "killed-at-rest")


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
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--json", type=nodes.from_caller)
    parser.add_argument("--base-port", type=int, default=19500)
    options = parser.parse_args(words)
    options.cases = options.cases.split(",")
    for case in options.cases:
        if case not in CASES:
            parser.error(f'unknown case "{case}"; known are {", ".join(CASES)}')
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


class Clients:
    """Some clients at work that outlive their server: each writes 4 KiB FUA, one at a time, and after an error goes on with whoever serves then."""

    THREADS = 4
    PAUSE = 0.002  # Seconds between two writes of one of them.

    def __init__(self, cluster, blocks):
        self.cluster, self.blocks = cluster, blocks
        self.stopping = threading.Event()
        self.waits = []  # (begin, end) of each answered write, reconnects and tries that failed included
        self.failure = None
        self.threads = [threading.Thread(target=self.work, args=(n,), daemon=True) for n in range(self.THREADS)]
        for thread in self.threads:
            thread.start()

    def work(self, number):
        try:
            self.write_on(random.Random(number))
        except Exception as error:  # kept for stop(), which raises it
            self.failure = error

    def write_on(self, dice):
        import nbd
        handle, data = None, dice.randbytes(BLOCK)
        while not self.stopping.is_set():
            began, block = time.monotonic(), dice.randrange(self.blocks)
            while True:
                try:
                    handle = handle or self.connect()
                    if handle is None:
                        return
                    handle.pwrite(data, block * BLOCK, nbd.CMD_FLAG_FUA)
                    break
                except nbd.Error:
                    handle = None
            self.waits.append((began, time.monotonic()))
            time.sleep(self.PAUSE)

    def connect(self):
        connected = self.cluster.connect("bench", self.stopping)
        return connected and connected[0]

    def longest(self, begin, end):
        """The longest that one of them waited for an answer at any time between the two."""
        return max((e - b for b, e in list(self.waits) if e >= begin and b < end), default=0.0)

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(timeout=60)
        if self.failure:
            raise self.failure


class Bench:
    UNWATCHED = 1.0  # Seconds in which nobody asks a killed node how it is: each question is a process, on the cores that it needs to come back.

    def __init__(self, directory, options):
        self.options, self.directory = options, directory
        self.rows = []
        # The first node decides who is primary and holds no copy: killing a source is then a failover, not an outage of whoever decides.
        self.cluster = Cluster(directory / "cluster", options.base_port, count=4, sizes={"wal_retention": "256MiB", "reserve": "64MiB"}).create()

    def pieces(self):
        """Content that no disk can leave out, in pieces."""
        piece = os.urandom(64 * MIB)
        for at in range(0, self.options.size, len(piece)):
            yield piece[:min(len(piece), self.options.size - at)]

    def fill(self):
        """Every block written."""
        self.cluster.cli("volume", "create", "bench", "--size", str(self.options.size), "--nodes", "node2", "node3", "node4")
        self.cluster.wait_in_sync("bench")
        self.uri = self.cluster.primary("bench").nbd_uri("bench")
        import nbd
        handle = nbd.NBD()
        handle.connect_uri(self.uri)
        at = 0
        for piece in self.pieces():
            for begin in range(0, len(piece), MIB):
                while handle.aio_in_flight() >= 8:
                    handle.poll(-1)
                buffer = nbd.Buffer.from_bytearray(bytearray(piece[begin:begin + MIB]))
                handle.aio_pwrite(buffer, at, completion=lambda _: 1)
                at += min(MIB, len(piece) - begin)
        while handle.aio_in_flight():
            handle.poll(-1)
        handle.flush()
        handle.shutdown()
        self.settle()

    def settle(self):
        def level():
            seen = self.cluster.cli("volume", "show", "bench")
            return seen["committed"] >= seen["head"] and all(r["store"]["dirty_blocks"] == 0 for r in seen["replicas"])
        self.cluster.wait(level, "the extents to hold all", 600, every=0.5)

    def plain_copy(self):
        """What the disk itself takes to read and write as many bytes, past the page cache."""
        with open(self.directory / "image", "wb") as f:
            for piece in self.pieces():
                f.write(piece)
            f.flush()
            os.fsync(f.fileno())
        began = time.monotonic()
        subprocess.run(["dd", f"if={self.directory / 'image'}", f"of={self.directory / 'copy'}", "bs=1M", "iflag=direct", "oflag=direct",
                        "conv=fsync", "status=none"], check=True)
        self.row("plain copy of a file (O_DIRECT)", self.options.size, time.monotonic() - began)
        for name in ("image", "copy"):  # Before the volume takes its place.
            (self.directory / name).unlink()

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

    def new_copy(self):
        node = self.a_replica()
        self.cluster.wipe_and_replace(node, "bench")
        began = time.monotonic()
        peer = self.wait_streaming(node)
        took = time.monotonic() - began
        self.row("a new copy", peer["session_bytes"], took, peer["session_base_blocks"] * BLOCK / self.options.size)
        plain = next((r for r in self.rows if r["what"].startswith("plain copy")), None)
        if plain:
            speed = self.options.size / took / (plain["bytes"] / plain["seconds"])
            self.rows[-1]["speed_of_plain_copy"] = speed
            print(f"  {speed:.2f} times as fast as the plain copy", flush=True)

    def killed(self, at_rest):
        """A new copy whose node and whose source are killed again and again, at random points, beside clients at work or without."""
        node, blocks, kills = self.a_replica(), self.options.size // BLOCK, self.options.kills
        clients = calm = None
        if not at_rest:
            clients = Clients(self.cluster, blocks)
            time.sleep(3)
            calm = clients.longest(clients.waits[0][0] + 1, time.monotonic())  # Its first second is its connecting.
        self.cluster.wipe_and_replace(node, "bench")
        began, sessions = time.monotonic(), {}

        def look():
            seen = self.cluster.cli("volume", "show", "bench")
            peer = next(r for r in seen["replicas"] if r["node"] == node.name)
            session = peer.get("session")
            if session:
                sessions[seen["epoch"], session["id"]] = (session["base_blocks"], session["bytes"], session["base_blocks_all"])
            return seen, peer

        def copied():
            """Blocks sent in all sessions. What the last one of a source sent just before it died is not seen: what its replica then lacks less counts."""
            seen = [s for s in sessions.values() if s[2]]
            return sum(max(s[0], s[2] - then[2]) for s, then in zip(seen, seen[1:])) + (seen[-1][0] if seen else 0)

        dice = random.Random(2)
        whom = [node] * kills + [None] * kills  # None: whoever is the source then
        dice.shuffle(whom)
        stalls = {"target": [], "source": []}
        for share, victim in zip(sorted(dice.uniform(0.01, 0.97) for _ in whom), whom):
            def far():
                seen, peer = look()
                if peer.get("in_set") and peer.get("state") == "streaming":
                    raise SystemExit(f"the copy was whole before all were killed: a larger --size than {self.options.size} bytes, or fewer --kills")
                ready = seen["serving"] and len(seen["in_sync"]) == 2 and peer.get("state") == "rebuilding"
                return ready and copied() >= share * blocks
            self.cluster.wait(far, f"{share:.2f} of the rebuild", 1800, every=0.005)
            killed, moment = victim or self.cluster.primary("bench"), time.monotonic()
            try:
                look()
            finally:
                killed.kill(signal.SIGKILL)
            killed.start(wait=not clients)
            if clients:
                time.sleep(self.UNWATCHED)
                killed.wait_ready()
            self.cluster.wait(lambda: look()[0]["serving"], "the volume to be served", 120, every=0.02)
            if clients:
                served = time.monotonic()
                time.sleep(0.3)  # What waited is answered: it counts for this kill.
                stalls["target" if victim else "source"].append(clients.longest(moment, served))

        self.wait_streaming(node, lambda peer: look())
        took = time.monotonic() - began
        told = f"a new copy, node and source killed {kills} times each"
        self.row(told + (", at rest" if at_rest else ""), sum(s[1] for s in sessions.values()), took, copied() / blocks)
        if not clients:
            return
        clients.stop()
        self.rows[-1].update(calm_longest_wait=calm, target_killed_longest_waits=stalls["target"], source_killed_longest_waits=stalls["source"])
        told = {who: ", ".join(f"{1000 * s:.0f}" for s in waits) for who, waits in stalls.items()}
        print(f"  the longest wait of a client: {1000 * calm:.0f} ms before; in ms when the copy's node was killed: {told['target']}; "
              f"when the source was: {told['source']}", flush=True)

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
        print(f"{what:<56}{moved / MIB:>10.1f}{seconds:>9.1f}{moved / MIB / seconds:>9.0f}{told:>9}  {outcome}", flush=True)

    def run(self):
        print(f"{'':<56}{'MiB moved':>10}{'seconds':>9}{'MiB/s':>9}{'x needed':>9}", flush=True)
        if "plain" in self.options.cases:
            self.plain_copy()
        self.fill()
        if "delta" in self.options.cases:
            self.delta()
        if "new" in self.options.cases:
            self.new_copy()
        if self.options.foreground and "foreground" in self.options.cases:
            self.foreground()
        if "killed" in self.options.cases:
            self.killed(at_rest=False)
        if "killed-at-rest" in self.options.cases:
            self.killed(at_rest=True)
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
