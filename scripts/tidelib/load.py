"""A load that remembers: stamped writes over several NBD connections, and the judgement after each reconnect.

Each connection is one thread that has one request under way, so its requests are a sequence; every 512-byte
sector that it writes carries (worker, sector, request). The sectors of a worker are its own, but in the shared
region the sectors of one block belong to different workers, so that their unaligned writes meet in the server.

After a connection died the worker reads all its sectors back and asks whether they are the state after the first
p requests, for some p (a prefix), and whether p covers what a FLUSH or FUA promised. What was seen to be lost is
struck from the history: should it ever come back, its stamp is unknown and the run fails.

    flushed <= p <= sent         values of sectors written by requests > p: absent;  <= p: present
"""
import random
import struct
import threading
import time

import nbd

SECTOR = 512
BLOCK = 4096
STAMP = struct.Struct("<8sQQQQ")
MAGIC = b"TIDESTMP"


class Violation(Exception):
    """The volume broke a promise."""


def stamp(worker, sector, request):
    head = STAMP.pack(MAGIC, worker, sector, request, (worker * 1_000_003 + sector) ^ request)
    filler = bytes([(request * 31 + sector) & 0xFF]) * (SECTOR - len(head))
    return head + filler


def unstamp(worker, sector, data):
    """The request that wrote this sector; 0 for zeros."""
    if not any(data):
        return 0
    magic, w, s, request, check = STAMP.unpack_from(data)
    if magic != MAGIC or check != (w * 1_000_003 + s) ^ request:
        raise Violation(f"sector {sector} holds bytes that nobody wrote: {data[:40].hex()}")
    if w != worker or s != sector:
        raise Violation(f"sector {sector} of worker {worker} holds sector {s} of worker {w}: misdirected")
    if data != stamp(w, s, request):
        raise Violation(f"sector {sector} of worker {worker} is torn: stamp of request {request}, other filler")
    return request


class Worker(threading.Thread):
    """One connection's requests, its history, and its judge."""

    def __init__(self, load, number):
        super().__init__(name=f"load-{number}", daemon=True)
        self.load, self.number = load, number
        self.random = random.Random(load.seed * 1000 + number)
        self.sectors = load.sectors_of(number)
        self.values = {s: [0] for s in self.sectors}  # per sector: surviving requests in order, 0 = zeros
        self.kinds = {}          # request -> "write" or "trim", for what it left in the sectors
        self.written = 0         # bytes of answered writes
        self.request = 0         # last number given out; never reused
        self.answered = 0        # highest request that was answered and survived
        self.answered_by = {}    # server -> highest request answered by it
        self.flushed = 0         # highest request that a FLUSH or FUA promised
        self.unsure = None       # (request, sectors) under way when the connection died
        self.counts = {"write": 0, "fua": 0, "flush": 0, "unaligned": 0, "trim": 0, "reconnect": 0, "lost": 0}
        self.longest_stall = 0.0
        self.server = None
        self.failure = None
        self.judging = threading.Event()  # set by who wants a judgement, cleared when it was made

    # --- the loop

    def run(self):
        handle = None
        try:
            while not self.load.stopping.is_set():
                if handle is None:
                    handle = self.reconnect()
                    if handle is None:
                        break
                try:
                    if self.judging.is_set():
                        self.judge(handle)
                        self.judging.clear()
                    self.one_request(handle)
                except nbd.Error as error:
                    if error.errnum == 28:  # ENOSPC is an honest answer, not a lost connection
                        self.load.no_space.set()
                        time.sleep(0.05)
                        continue
                    handle = None
            if handle is not None:
                handle.shutdown()
        except Exception as error:  # kept for the main thread, which raises it
            self.failure = error
            self.load.stopping.set()

    def reconnect(self):
        connected = self.load.connect(self.load.stopping)
        if connected is None:
            return None
        handle, self.server = connected
        self.counts["reconnect"] += 1
        try:
            self.judge(handle)
        except nbd.Error:
            return self.reconnect()
        return handle

    def one_request(self, handle):
        dice = self.random.random()
        began = time.monotonic()
        if dice < 0.08:
            self.flush(handle)
        elif dice < 0.14:
            self.trim(handle)
        else:
            self.write(handle)
        took = time.monotonic() - began
        self.longest_stall = max(self.longest_stall, took)
        self.load.note(took)
        if self.load.pause:
            time.sleep(self.load.pause)

    # --- requests

    def write(self, handle):
        run = self.random.choice(self.load.runs_of(self.number))
        first, count = run
        if count > 8 and self.random.random() < 0.5:  # within its own region: any sectors, often unaligned
            length = self.random.choice([1, 2, 3, 7, 8, 8, 8, 8, 16, 24, 64])
            length = min(length, count)
            begin = first + self.random.randrange(count - length + 1)
            if self.random.random() < 0.6:
                begin = first + (begin - first) // 8 * 8
        else:
            begin, length = first, min(count, 8)
        fua = self.random.random() < 0.15
        sectors = range(begin, begin + length)
        request = self.begin(sectors, "write")
        data = b"".join(stamp(self.number, s, request) for s in sectors)
        handle.pwrite(data, self.load.base + begin * SECTOR, nbd.CMD_FLAG_FUA if fua else 0)
        self.finish(request)
        self.written += len(data)
        if fua:
            # FUA speaks for this write; the log's prefix property makes it speak for this worker's past as well.
            self.flushed = max(self.flushed, request)
        self.counts["fua" if fua else "write"] += 1
        if begin % 8 or length % 8:
            self.counts["unaligned"] += 1

    def trim(self, handle):
        first, count = self.load.own_region(self.number)
        begin = first + self.random.randrange(count // 8) * 8
        length = min(8 * self.random.choice([1, 1, 2, 4]), first + count - begin)
        request = self.begin(range(begin, begin + length), "trim")
        handle.trim(length * SECTOR, self.load.base + begin * SECTOR)
        self.finish(request)
        self.counts["trim"] += 1

    def flush(self, handle):
        # Everything that this server answered before now, on any connection, is what the FLUSH promises.
        covered = [(w, w.answered_by.get(self.server, 0)) for w in self.load.workers]
        handle.flush()
        for worker, request in covered:
            worker.flushed = max(worker.flushed, request)
        self.counts["flush"] += 1

    def begin(self, sectors, kind):
        self.request += 1
        self.kinds[self.request] = kind
        for s in sectors:
            self.values[s].append(self.request)
        self.unsure = (self.request, sectors)
        return self.request

    def finish(self, request):
        self.answered = request
        self.answered_by[self.server] = request
        self.unsure = None

    # --- the judgement

    def judge(self, handle):
        """Reads everything of this worker back and strikes what was lost; raises Violation."""
        seen = {}
        for first, count in self.load.runs_of(self.number):
            data = handle.pread(count * SECTOR, self.load.base + first * SECTOR)
            for i in range(count):
                seen[first + i] = unstamp(self.number, first + i, bytes(data[i * SECTOR:(i + 1) * SECTOR]))
        self.judge_values(seen)

    def judge_values(self, seen):
        # A trim leaves zeros, which carry no stamp: a zero sector stands for any of its trims (or for never written).
        unsure, unsure_sectors = self.unsure if self.unsure else (0, ())
        unsure_sectors = set(unsure_sectors)
        low, high = 0, self.request
        why_low = why_high = None
        for s, value in seen.items():
            history = self.values[s]
            if value == 0:
                places = [i for i, r in enumerate(history) if r == 0 or self.kinds[r] == "trim"]
            else:
                places = [i for i, r in enumerate(history) if r == value]
            if not places:
                raise Violation(f"worker {self.number}, sector {s}: request {value} was lost once and came back (or never was)")
            # The request under way is several records when large: each block may have it or not.
            if s in unsure_sectors and history[-1] == unsure:
                before = history[:-1]
                if places[-1] == len(history) - 1:
                    low_here, high_here = (unsure - 1 if len(places) == 1 else history[places[0]]), self.request
                else:
                    low_here = before[places[0]]
                    high_here = before[places[-1] + 1] - 1 if places[-1] + 1 < len(before) else self.request
            else:
                low_here = history[places[0]]
                high_here = history[places[-1] + 1] - 1 if places[-1] + 1 < len(history) else self.request
            if low_here > low:
                low, why_low = low_here, s
            if high_here < high:
                high, why_high = high_here, s
        if low > high:
            raise Violation(f"worker {self.number}: no prefix: sector {why_low} has request {low}, sector {why_high} lacks {high + 1}")
        if high < self.flushed:
            raise Violation(f"worker {self.number}: request {self.flushed} was flushed, but sector {why_high} lacks request {high + 1}")
        self.strike(seen, high)

    def strike(self, seen, high):
        lost = [r for r in range(high + 1, self.request + 1) if not self.unsure or r != self.unsure[0]]
        self.counts["lost"] += len([r for r in lost if r <= self.answered])
        for s, value in seen.items():
            history = self.values[s]
            kept = [r for r in history if r <= high]
            if value != 0 and value > high:
                kept.append(value)
            elif self.unsure and s in set(self.unsure[1]) and value != self.unsure[0]:
                # Under way and not there: as this kept connection's only read says so, it must stay away.
                if not (value == 0 and self.kinds[self.unsure[0]] == "trim"):
                    kept = [r for r in kept if r != self.unsure[0]]
            self.values[s] = kept[-64:] if len(kept) > 256 else kept
        self.answered = min(self.answered, high)
        self.answered_by = {server: min(r, high) for server, r in self.answered_by.items()}
        self.unsure = None


class Load:
    """`connect(stopping)` returns (handle, server identity) of a connection to the primary, or None when stopping.

    The load keeps to the `size` bytes of the volume from `base` on; what it never wrote there must read as zeros."""

    def __init__(self, connect, size, workers=4, seed=1, pause=0.0, region_bytes=1 << 20, base=0):
        self.connect, self.seed, self.pause, self.base = connect, seed, pause, base
        self.stopping = threading.Event()
        self.no_space = threading.Event()
        self.count = workers
        # Region 0 is shared: sector i of a block belongs to worker i % workers. Then one region per worker.
        self.shared_blocks = 32
        self.region_sectors = min(region_bytes, (size - self.shared_blocks * BLOCK) // workers) // BLOCK * 8
        self.samples = []
        self.lock = threading.Lock()
        self.workers = [Worker(self, n) for n in range(workers)]
        self.began = None

    def own_region(self, number):
        return self.shared_blocks * 8 + number * self.region_sectors, self.region_sectors

    def runs_of(self, number):
        width = 8 // self.count
        shared = [(b * 8 + number * width, width) for b in range(self.shared_blocks)]
        return shared + [self.own_region(number)]

    def sectors_of(self, number):
        return [s for first, count in self.runs_of(number) for s in range(first, first + count)]

    def note(self, took):
        with self.lock:
            self.samples.append((time.monotonic(), took))

    def start(self):
        self.began = time.monotonic()
        for worker in self.workers:
            worker.start()
        return self

    def check(self):
        """Raises what any worker found."""
        for worker in self.workers:
            if worker.failure:
                raise worker.failure

    def judge(self, seconds=120):
        """Each worker reads back and judges all that it wrote, between two of its requests."""
        for worker in self.workers:
            worker.judging.set()
        deadline = time.monotonic() + seconds
        while any(worker.judging.is_set() for worker in self.workers):
            self.check()
            if time.monotonic() > deadline:
                raise Violation(f"no judgement within {seconds} s")
            time.sleep(0.01)

    def stop(self):
        self.stopping.set()
        for worker in self.workers:
            worker.join(timeout=120)
            if worker.is_alive() and not worker.failure:
                raise Violation(f"worker {worker.number} still waits for an answer after 120 s")
        self.check()
        return self

    def stalls_since(self, moment):
        """The longest time between two answers of the whole load since then, seconds."""
        with self.lock:
            times = sorted(t for t, _ in self.samples if t >= moment - 0.5)
        gaps = [b - a for a, b in zip(times, times[1:]) if b >= moment]
        return max(gaps, default=0.0)

    def final_judgement(self):
        """After stop(): connects once more and judges every worker's sectors."""
        connected = self.connect(threading.Event())
        handle, _ = connected
        for worker in self.workers:
            worker.judge(handle)
        handle.shutdown()

    def totals(self):
        return {key: sum(w.counts[key] for w in self.workers) for key in self.workers[0].counts}

    @property
    def bytes_written(self):
        return sum(w.written for w in self.workers)
