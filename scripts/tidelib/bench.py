"""What bench/run measures; run it through that script, which installs and builds first."""
import argparse
import json
import math
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from tidelib import nodes  # noqa: E402
from tidelib.nodes import ROOT, Cluster, cpu_seconds, rss_bytes, written_bytes  # noqa: E402

SPAN = 1 << 30
# name: (operation, block, depth, pattern)
CASES = {
    "fua-1": ("fua", 4096, 1, "random"), "fua-32": ("fua", 4096, 32, "random"),
    "write-1": ("write", 4096, 1, "random"), "write-32": ("write", 4096, 32, "random"),
    "read-1": ("read", 4096, 1, "random"), "read-32": ("read", 4096, 32, "random"),
    "64k-1": ("write", 65536, 1, "random"), "64k-32": ("write", 65536, 32, "random"),
    "seq-1": ("write", 1 << 20, 1, "sequential"), "seq-32": ("write", 1 << 20, 32, "sequential"),
}


def options_of(words):
    parser = argparse.ArgumentParser(prog="bench/run", allow_abbrev=False)
    parser.add_argument("--check-options", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--dir", type=nodes.from_caller)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--steady", action="store_true")
    parser.add_argument("--twice", action="store_true")
    parser.add_argument("--json", type=nodes.from_caller)
    parser.add_argument("--base-port", type=int, default=19300)
    options = parser.parse_args(words)
    options.cases = options.cases.split(",")
    for case in options.cases:
        if case not in CASES:
            parser.error(f'unknown case "{case}"; known are {", ".join(CASES)}')
    return options


def load(uri, case, seconds):
    op, block, depth, pattern = CASES[case]
    done = subprocess.run([nodes.binary("nbd_load"), uri, "--op", op, "--block", str(block), "--depth", str(depth), "--seconds",
                           str(seconds), "--pattern", pattern, "--span", str(SPAN)], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{uri} broke in {case}: {done.stderr.strip()}")
    return json.loads(done.stdout)


class Raw:
    """The disk itself: O_DIRECT, and O_DSYNC for FUA, on pre-written files; `copies` writers side by side."""

    def __init__(self, directory, copies):
        self.files = [directory / f"raw{i}" for i in range(copies)]
        self.copies = copies
        for path in self.files:
            with open(path, "wb") as f:
                for _ in range(SPAN >> 22):
                    f.write(b"\xa5" * (1 << 22))
                os.fsync(f.fileno())

    def measure(self, case, seconds):
        op, block, depth, pattern = CASES[case]
        rw = ("rand" if pattern == "random" else "") + ("read" if op == "read" else "write")
        words = ["fio", "--output-format=json", "--ioengine=io_uring", "--direct=1", f"--rw={rw}", f"--bs={block}", f"--iodepth={depth}",
                 "--time_based", f"--runtime={seconds}", f"--size={SPAN}", "--norandommap", "--thread", "--group_reporting=0"]
        if op == "fua":
            words.append("--sync=dsync")
        for i, path in enumerate(self.files):
            words += [f"--name=copy{i}", f"--filename={path}"]
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"fio broke: {done.stderr.strip()}")
        side = "read" if op == "read" else "write"
        jobs = [j[side] for j in json.loads(done.stdout[done.stdout.index("{"):])["jobs"]]
        # Copies are written together: the slowest one is the rate of all.
        slowest = min(jobs, key=lambda j: j["iops"])
        at = slowest["clat_ns"].get("percentile", {})
        return {"iops": slowest["iops"], "p50_us": at.get("50.000000", 0) / 1000, "p99_us": at.get("99.000000", 0) / 1000}


class Qemu:
    """qemu-nbd --cache=none on one pre-written file."""

    def __init__(self, directory, port):
        self.path, self.port = directory / "qemu.img", port
        with open(self.path, "wb") as f:
            for _ in range(SPAN >> 22):
                f.write(b"\xa5" * (1 << 22))
            os.fsync(f.fileno())
        pid_file = directory / "qemu.pid"
        # --fork: returns when it listens.
        done = subprocess.run(["qemu-nbd", "--fork", f"--pid-file={pid_file}", "--persistent", "--format=raw", "--cache=none", "--aio=native",
                               "--bind=127.0.0.1", f"--port={port}", "--shared=8", str(self.path)], stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise SystemExit(f"qemu-nbd does not listen on port {port}")
        self.pid = int(pid_file.read_text())
        pid_file.unlink()

    def measure(self, case, seconds):
        return load(f"nbd://127.0.0.1:{self.port}", case, seconds)

    def stop(self):
        os.kill(self.pid, signal.SIGTERM)
        stat = pathlib.Path(f"/proc/{self.pid}/stat")
        while stat.exists() and ") Z " not in stat.read_text():
            time.sleep(0.01)


class Tidemark:
    def __init__(self, directory, base_port, copies, options, counted=False):
        """`counted`: with its allocations counted, which slows it down; what is timed is not."""
        # Steady: as configured by default, flushing inside the measurement. Burst: the log holds all of it, the extents follow behind.
        sizes, times = {"reserve": "64MiB"}, {}
        if not options.steady:
            sizes |= {"wal_retention": "6GiB", "flush": "4GiB"}
            times |= {"flush_after": f"{math.ceil(options.seconds) + 5}s"}
        self.cluster = Cluster(directory / ("counted" if counted else f"cluster{copies}"), base_port, count=copies, sizes=sizes, times=times)
        self.copies = copies
        self.counter = directory / "allocations"
        if counted:
            os.environ["COUNT_ALLOCATIONS"] = str(self.counter)
            os.environ["LD_PRELOAD"] = str(ROOT / "build/release/lib/libcount_allocations.so")
        try:
            self.cluster.create()
            os.environ.pop("LD_PRELOAD", None)  # The nodes alone are counted.
            self.fill(directory, copies)
        except BaseException:
            self.stop()  # Nobody else has it yet.
            raise
        finally:
            os.environ.pop("LD_PRELOAD", None)

    def fill(self, directory, copies):
        more = ["--min-copies", "1"] if copies == 1 else []
        self.cluster.cli("volume", "create", "bench", "--size", str(SPAN), "--copies", str(copies), *more)
        self.cluster.wait_in_sync("bench", copies)
        self.uri = self.cluster.primary("bench").nbd_uri("bench")
        # Every block written once, as for the raw files and qemu's.
        subprocess.run(["nbdcopy", "--flush", str(directory / "raw0"), self.uri], check=True)
        self.settle()

    def settle(self):
        """Until all is in the extents and no node writes any more (log segments are written ahead): a measurement begins with nothing left
        over, neither for us nor for those that share the disk."""
        def level():
            seen = self.cluster.cli("volume", "show", "bench")
            return seen["committed"] >= seen["head"] and all(r["store"]["dirty_blocks"] == 0 for r in seen["replicas"])
        def quiet():
            before = sum(written_bytes(p) for p in self.pids())
            time.sleep(1)
            return sum(written_bytes(p) for p in self.pids()) - before < 1 << 20
        self.cluster.wait(level, "the extents to hold all", 600, every=0.5)
        self.cluster.wait(quiet, "the nodes to write no more", 600)

    def pids(self):
        return [n.pid for n in self.cluster.nodes]

    def measure(self, case, seconds):
        before = [(cpu_seconds(p), written_bytes(p)) for p in self.pids()]
        result = load(self.uri, case, seconds)
        after = [(cpu_seconds(p), written_bytes(p)) for p in self.pids()]
        requests = max(1, result["requests"])
        payload = requests * result["block"]
        result["cpu_us_per_op"] = sum(b[0] - a[0] for a, b in zip(before, after)) / requests * 1e6
        result["bytes_written_per_byte"] = 0 if CASES[case][0] == "read" else sum(b[1] - a[1] for a, b in zip(before, after)) / payload
        result["rss_mib"] = max(rss_bytes(p) for p in self.pids()) / (1 << 20)
        self.settle()
        return result

    def costs(self, depth):
        """Allocations and system calls of the primary per 1,000 FUA writes."""
        pid = self.cluster.primary("bench").pid
        case = f"fua-{depth}"
        allocations = None
        counters = [self.counter.with_name(f"{self.counter.name}.{p}") for p in self.pids()]
        if all(c.exists() for c in counters):
            read = lambda: sum(struct.unpack("Q", c.read_bytes()[:8])[0] for c in counters)  # noqa: E731
            begin = read()
            result = load(self.uri, case, 2)
            allocations = (read() - begin) / result["requests"] * 1000 / self.copies
        calls = None
        if shutil.which("strace"):
            trace = subprocess.Popen(["strace", "-f", "-c", "-p", str(pid)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
            time.sleep(0.3)
            result = load(self.uri, case, 2)
            trace.send_signal(signal.SIGINT)
            text = trace.communicate()[1]
            total = re.search(r"^\s*100\.00\s+\S+\s+\S*\s*(\d+)(?:\s+\d+)?\s+total", text, re.M)
            calls = int(total.group(1)) / result["requests"] * 1000 if total else None
        return {"allocations": allocations, "syscalls": calls}

    def stop(self):
        self.cluster.stop()


def measure_all(options, directory):
    print(f"Disk under {directory}; {options.seconds:g} s each; {'steady' if options.steady else 'burst'}", flush=True)
    raw1, raw3 = Raw(directory, 1), Raw(directory, 3)
    rows, qemu, three = [], None, None
    try:
        qemu = Qemu(directory, options.base_port + 60)
        three = Tidemark(directory, options.base_port, 3, options)
        for case in options.cases:
            for turn in range(2 if options.twice else 1):
                row = {"case": case, "turn": turn + 1}
                for name, server in (("raw1", raw1), ("raw3", raw3), ("qemu", qemu), ("tidemark", three)):
                    row[name] = server.measure(case, options.seconds)
                rows.append(row)
                print_row(row, header=len(rows) == 1)
    finally:
        for server in (three, qemu):
            if server:
                server.stop()
    shutil.rmtree(directory / "cluster3")
    return {"seconds": options.seconds, "steady": options.steady, "rows": rows}


def count_costs(options, directory):
    counted = Tidemark(directory, options.base_port, 3, options, counted=True)
    try:
        costs = {f"depth {d}": counted.costs(d) for d in (1, 32)}
    finally:
        counted.stop()
    for depth, cost in costs.items():
        shown = {k: "not measured" if v is None else f"{v:.0f}" for k, v in cost.items()}
        print(f"per 1,000 FUA writes at {depth}: {shown['allocations']} allocations a node, {shown['syscalls']} system calls of the primary")
    return costs


def print_row(row, header):
    if header:
        print(f"{'case':<10}{'tidemark':>10}{'p50 us':>9}{'p99 us':>9}{'raw x1':>10}{'raw x3':>10}{'qemu-nbd':>10}{'/raw1':>7}{'/raw3':>7}{'/qemu':>7}"
              f"{'cpu us':>8}{'B/B':>6}{'rss MiB':>9}")
    t = row["tidemark"]
    ratio = lambda name: t["iops"] / max(1e-9, row[name]["iops"])  # noqa: E731
    print(f"{row['case']:<10}{t['iops']:>10.0f}{t['p50_us']:>9.0f}{t['p99_us']:>9.0f}{row['raw1']['iops']:>10.0f}{row['raw3']['iops']:>10.0f}"
          f"{row['qemu']['iops']:>10.0f}{ratio('raw1'):>7.2f}{ratio('raw3'):>7.2f}{ratio('qemu'):>7.2f}{t['cpu_us_per_op']:>8.1f}"
          f"{t['bytes_written_per_byte']:>6.1f}{t['rss_mib']:>9.0f}", flush=True)


def main():
    options = options_of(sys.argv[1:])
    if options.check_options:
        return
    directory = options.dir or pathlib.Path(tempfile.mkdtemp(prefix="tidemark-bench-"))
    directory.mkdir(parents=True, exist_ok=True)
    try:
        figures = measure_all(options, directory)
        try:
            figures["costs"] = count_costs(options, directory)
        finally:  # Whatever becomes of the counting: what was timed is kept.
            if options.json:
                options.json.write_text(json.dumps(figures, indent=1) + "\n")
    finally:
        for path in (*map(directory.joinpath, ("raw0", "raw1", "raw2", "qemu.img", "cluster3", "counted")), *directory.glob("allocations.*")):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        if not options.dir:
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
