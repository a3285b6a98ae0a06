"""The story that scripts/quickstart tells; run it through that script, which installs and builds first."""
import argparse
import filecmp
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from tidelib.load import Load, Violation  # noqa: E402
from tidelib.nodes import Cluster, CommandFailed, from_caller  # noqa: E402

VOLUME = "demo"
TERMINAL = sys.stdout.isatty()


class Failed(Exception):
    """A check of the story did not hold."""


def say(text=""):
    print(text, flush=True)


def chapter(number, title):
    say()
    say(f"{number}. {title}")


def note(text):
    say(f"   {text}")


class Bar:
    """A progress bar on a terminal; a line every few seconds elsewhere."""

    def __init__(self, what):
        self.what, self.last, self.began = what, 0.0, time.monotonic()

    def show(self, fraction, detail=""):
        now = time.monotonic()
        if TERMINAL:
            filled = int(fraction * 30)
            print(f"\r   {self.what} [{'#' * filled}{'.' * (30 - filled)}] {fraction * 100:3.0f} % {detail:<40}", end="", flush=True)
        elif now - self.last > 3:
            self.last = now
            note(f"{self.what}: {fraction * 100:.0f} % {detail}")

    def done(self, detail=""):
        if TERMINAL:
            print("\r" + " " * 110 + "\r", end="")
        note(f"{self.what}: done in {time.monotonic() - self.began:.1f} s{', ' + detail if detail else ''}")


def size_of(text):
    match = re.fullmatch(r"(\d+)\s*([KMGT]?)(i?B)?", text)
    if not match:
        raise argparse.ArgumentTypeError(f'"{text}" is no size; right would be 512MiB or 1GiB')
    size = int(match.group(1)) << {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}[match.group(2)]
    if size < 256 << 20:
        raise argparse.ArgumentTypeError(f"{text} is too small for the story; right would be 256MiB or more")
    return size // (1 << 20) * (1 << 20)


def port_of(text):
    if not text.isdigit() or not 1024 <= int(text) <= 65000:
        raise argparse.ArgumentTypeError(f'"{text}" is no base port; right would be 1024 to 65000')
    return int(text)


def options_of(words):
    parser = argparse.ArgumentParser(prog="scripts/quickstart", description="see scripts/quickstart --help", allow_abbrev=False)
    parser.add_argument("--check-options", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--dir", type=from_caller)
    parser.add_argument("--base-port", type=port_of, default=19100)
    parser.add_argument("--size", type=size_of, default=1 << 30)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--summary", type=from_caller)
    options = parser.parse_args(words)
    if options.dir and options.dir.exists() and any(options.dir.iterdir()):
        parser.error(f"{options.dir} is not empty; choose another folder, or remove it first")
    if options.summary and not options.summary.resolve().parent.is_dir():
        parser.error(f"the folder of {options.summary} is not there")
    return options


def mib(count):
    return f"{count / (1 << 20):.1f} MiB"


def run(*words, **more):
    done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, **more)
    if done.returncode != 0:
        raise Failed(f"{' '.join(map(str, words))} ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-500:]}")
    return done.stdout


def gather_files(target, most):
    """Real files: the machine's documentation, up to `most` bytes."""
    target.mkdir()
    total = count = 0
    for folder in ("/usr/share/doc", "/usr/share/common-licenses", "/usr/share/perl", "/usr/lib/python3"):
        for path in sorted(pathlib.Path(folder).rglob("*")):
            if total >= most or path.is_symlink() or not path.is_file():
                continue
            place = target / path.relative_to("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
            total += place.stat().st_size
            count += 1
    return count, total


def differing(a, b):
    """Names that differ between two trees; lost+found is the file system's own."""
    found = []
    comparison = filecmp.dircmp(a, b, ignore=["lost+found"])
    found += [str(pathlib.Path(a) / n) for n in comparison.left_only]
    _, mismatch, errors = filecmp.cmpfiles(a, b, comparison.common_files, shallow=False)
    found += [str(pathlib.Path(a) / n) for n in mismatch + errors]
    for name in comparison.common_dirs:
        found += differing(os.path.join(a, name), os.path.join(b, name))
    return found


class Mount:
    """The volume's file system, mounted through nbdfuse and a loop device; `why_not` says why it could not be."""

    def __init__(self, uri, work):
        self.uri, self.fuse, self.tree = uri, work / "fuse", work / "mnt"
        self.server = None
        self.mounted = False
        self.why_not = self.try_mount()

    def try_mount(self):
        if os.geteuid() != 0:
            return "mounting needs root"
        if not os.access("/dev/fuse", os.W_OK):
            return "this machine has no /dev/fuse"
        if not shutil.which("nbdfuse"):
            return "nbdfuse is not installed"
        self.fuse.mkdir()
        self.tree.mkdir()
        self.server = subprocess.Popen(["nbdfuse", str(self.fuse), self.uri], stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
        deadline = time.monotonic() + 10
        while not (self.fuse / "nbd").exists():
            if self.server.poll() is not None or time.monotonic() > deadline:
                self.stop_server()
                return "nbdfuse could not mount: " + (self.server.stderr.read().decode().strip() or "no reason given")
            time.sleep(0.05)
        done = subprocess.run(["mount", "-o", "loop", str(self.fuse / "nbd"), str(self.tree)], capture_output=True, text=True)
        if done.returncode != 0:
            self.stop_server()
            return "no loop device could be set up: " + done.stderr.strip()
        self.mounted = True
        return None

    def stop_server(self):
        subprocess.run(["umount", str(self.fuse)], capture_output=True)
        try:
            self.server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.server.kill()
            self.server.wait()

    def unmount(self):
        if not self.mounted:
            return
        self.mounted = False
        run("umount", str(self.tree))
        self.stop_server()


class Story:
    def __init__(self, options):
        self.options = options
        self.own_dir = options.dir is None
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="tidemark-")) if self.own_dir else options.dir
        self.dir.mkdir(parents=True, exist_ok=True)
        self.work = self.dir / "work"
        self.work.mkdir()
        self.cluster = Cluster(self.dir, base_port=options.base_port)
        self.load = None
        self.mount = None
        self.rows = []
        # The file system takes three quarters of the volume, the stamped load the last 64 MiB.
        self.fs_bytes = options.size // 4 * 3
        self.load_base = options.size - (64 << 20)

    def tell(self):
        say("Tidemark: three nodes, one volume, and what happens when they fail.")
        say(f"Data in {self.dir}; every node is a process of its own on 127.0.0.1.")
        self.start_nodes()
        self.fill_volume()
        self.kill_replica()
        self.replace_replica()
        self.kill_primary()
        self.compare()
        self.read_back()
        self.table()

    def start_nodes(self):
        chapter(1, "Three nodes and a volume")
        self.cluster.create()
        for node in self.cluster.nodes:
            note(f"{node.name} runs as process {node.pid}, replication {node.replication}, clients {node.nbd_uri('')}")
        self.cluster.cli("volume", "create", VOLUME, "--size", str(self.options.size), "--copies", "3")
        self.cluster.wait_in_sync(VOLUME)
        self.primary = self.cluster.primary(VOLUME)
        note(f"volume {VOLUME}, {mib(self.options.size)}, three copies, served by {self.primary.name} at {self.primary.nbd_uri(VOLUME)}")

    def fill_volume(self):
        chapter(2, "A real file system, copied in by a real client")
        files = self.work / "files"
        count, total = gather_files(files, min(self.fs_bytes // 2, 256 << 20))
        image = self.work / "fs.img"
        with open(image, "wb") as f:
            f.truncate(self.fs_bytes)
        run("mke2fs", "-q", "-F", "-t", "ext4", "-E", "nodiscard", "-d", str(files), str(image))
        note(f"mke2fs made an ext4 file system with {count} files of this machine's documentation, {mib(total)}")
        with open(image, "ab") as f:
            f.truncate(self.options.size)
        began = time.monotonic()
        run("nbdcopy", "--flush", str(image), self.primary.nbd_uri(VOLUME))
        took = time.monotonic() - began
        note(f"nbdcopy wrote it to the volume in {took:.1f} s and flushed: it is on three disks")
        self.rows.append(("copy the file system in", f"{mib(total / took)}/s of files", f"{took:.1f} s", ""))
        self.mount = Mount(self.primary.nbd_uri(VOLUME), self.work)
        if self.mount.mounted:
            wrong = differing(str(files), str(self.mount.tree))
            if wrong:
                raise Failed(f"{len(wrong)} files differ on the mounted volume, first {wrong[0]}")
            (self.mount.tree / "written-through-the-mount").write_text("hello\n" * 1000)
            os.sync()
            note("mounted through nbdfuse and a loop device: all files are equal; wrote one more")
        else:
            note(f"NOT mounted here ({self.mount.why_not}); the files are checked at the end without a mount")

    def start_load(self, seed):
        self.load = Load(lambda stopping: self.cluster.connect(VOLUME, stopping), 64 << 20, seed=seed, base=self.load_base).start()
        time.sleep(1.0)
        self.load.check()

    def a_replica(self, besides=()):
        self.primary = self.cluster.primary(VOLUME)
        return next(n for n in self.cluster.nodes if n is not self.primary and n.number != 1 and n not in besides)

    def rate(self, seconds):
        before = self.load.bytes_written
        time.sleep(seconds)
        self.load.check()
        return (self.load.bytes_written - before) / seconds

    def wait_recovered(self, what, node, target_rows):
        bar = Bar(what)

        def seen():
            self.load.check()
            peer = self.cluster.peers(VOLUME).get(node.name)
            if peer:
                if peer.get("session_base_blocks_all"):
                    fraction = peer["session_base_blocks"] / peer["session_base_blocks_all"]
                else:
                    fraction = min(1.0, peer["received"] / max(1, peer.get("session_target", 1)))
                bar.show(fraction, f"{peer['state']}, {mib(peer.get('session_bytes', 0))}")
            return peer if peer and peer["state"] == "streaming" and peer["in_set"] else None
        peer = self.cluster.wait(seen, f"{node.name} in sync", 300)
        bar.done(f"{mib(peer['session_bytes'])} sent for {mib(peer['session_payload_bytes'])} of payload")
        self.rows.append((what, f"{mib(peer['session_bytes'])} sent, {mib(peer['session_payload_bytes'])} payload",
                          f"{peer['session_milliseconds'] / 1000:.2f} s", target_rows))
        return peer

    def kill_replica(self):
        chapter(3, "A replica is killed while clients write")
        self.start_load(1)
        replica = self.victim = self.a_replica()
        note(f"four connections write stamped blocks: {mib(self.rate(2))}/s")
        moment = time.monotonic()
        replica.kill(signal.SIGKILL)
        note(f"kill -9 {replica.name}; the others go on without it once the control plane has taken it out of the in-sync set")
        self.cluster.wait(lambda: len(self.cluster.in_sync(VOLUME)) == 2, "the set of two", 30)
        rate = self.rate(3)
        stall = self.load.stalls_since(moment) * 1000
        note(f"with two copies: {mib(rate)}/s; the longest silence after the kill was {stall:.0f} ms")
        self.rows.append(("replica killed: longest silence", f"{stall:.0f} ms", "", "aim: at most 250 ms"))
        replica.start()
        self.wait_recovered(f"catch-up of {replica.name}", replica, "only what it missed")

    def replace_replica(self):
        chapter(4, "Another replica loses its disk and is replaced, while clients write")
        replica = self.a_replica(besides=(self.victim,))
        if replica.number == 1:
            raise Failed("the control plane's host would have to be wiped")
        replica.kill(signal.SIGTERM)
        replica.wipe()
        note(f"{replica.name} was stopped and its data directory deleted")
        replica.init("--join", self.cluster.token)
        replica.start()
        self.cluster.cli("node", "readmit", replica.name)
        self.cluster.cli("replica", "replace", VOLUME, replica.name)
        note(f"{replica.name} is back as a new node; its old identity is gone and a new replica begins empty, without a vote")
        self.wait_recovered(f"rebuild of {replica.name}", replica, "two lanes, holes as ranges")
        self.cluster.wait_in_sync(VOLUME)

    def kill_primary(self):
        chapter(5, "The primary is killed under load")
        if self.mount.mounted:
            self.mount.unmount()
            note("the file system is unmounted")
        primary = self.cluster.primary(VOLUME)
        time.sleep(1)
        began = time.monotonic()
        primary.kill(signal.SIGKILL)
        note(f"kill -9 {primary.name}")
        primary.start(wait=False)
        connected = self.cluster.connect(VOLUME)
        took = time.monotonic() - began
        connected[0].shutdown()
        now = self.cluster.wait(lambda: self.cluster.primary(VOLUME), "a primary", 30)
        note(f"{now.name} serves the volume after {took:.2f} s; the clients reconnect and check what they wrote")
        time.sleep(2)
        self.load.stop()
        self.load.final_judgement()
        totals = self.load.totals()
        note(f"{totals['write'] + totals['fua']} writes, {totals['flush']} FLUSHes, {totals['unaligned']} unaligned, {totals['trim']} TRIMs,"
             f" {totals['reconnect']} connections: no flushed write is lost, what is there is a prefix")
        self.rows.append(("primary killed and restarted", f"{now.name} serves", f"{took:.2f} s", f"{totals['lost']} unflushed writes gone, 0 flushed"))
        self.cluster.wait_in_sync(VOLUME)

    def compare(self):
        chapter(6, "Are all copies equal?")
        result = self.cluster.cli("volume", "compare", VOLUME)
        if not result["equal"] or not result["complete"]:
            raise Failed(f"the copies are not all equal: {result}")
        note(f"compared three copies at LSN {result['lsn']}: log digest and every block's checksum are equal")

    def read_back(self):
        chapter(7, "The files, read back")
        image = self.work / "back.img"
        primary = self.cluster.primary(VOLUME)
        run("nbdcopy", primary.nbd_uri(VOLUME), str(image))
        run("e2fsck", "-fn", str(image))
        note("e2fsck -fn: clean")
        out = self.work / "back"
        out.mkdir()
        run("debugfs", "-R", f"rdump / {out}", str(image))
        wrong = differing(str(self.work / "files"), str(out))
        if wrong:
            raise Failed(f"{len(wrong)} files differ, first {wrong[0]}")
        if self.mount.why_not is None and not (out / "written-through-the-mount").exists():
            raise Failed("the file written through the mount is missing")
        note("every file is byte for byte what was put in")

    def table(self):
        say()
        wide = [max(len(str(r[i])) for r in self.rows) for i in range(4)]
        for row in self.rows:
            say("   " + "  ".join(str(cell).ljust(w) for cell, w in zip(row, wide)).rstrip())

    def summary(self):
        if not self.options.summary:
            return
        primary = self.cluster.primary(VOLUME)
        lines = [f"nbd_uri={primary.nbd_uri(VOLUME)}", f"primary={primary.name}", f"volume={VOLUME}"]
        for node in self.cluster.nodes:
            lines += [f"{node.name}.pid={node.pid}", f"{node.name}.nbd_uri={node.nbd_uri(VOLUME)}", f"{node.name}.admin_socket={node.admin_socket}"]
        self.options.summary.write_text("\n".join(lines) + "\n")

    def what_next(self):
        say()
        if self.options.keep:
            socket = self.cluster.nodes[0].admin_socket
            say("The nodes go on running. Try:")
            say(f"   export TIDEMARK_NODE={socket}")
            say("   build/release/bin/tidemark status")
            say(f"   nbdinfo {self.cluster.primary(VOLUME).nbd_uri(VOLUME)}")
            say(f"   kill {' '.join(str(n.pid) for n in self.cluster.nodes)}     # stops them cleanly")
        else:
            say("Everything held. Try next: scripts/quickstart --keep (leaves the nodes running), scripts/test, bench/run, ARCHITECTURE.md.")

    def end(self, ok):
        try:
            if self.load:
                self.load.stopping.set()
            if self.mount:
                self.mount.unmount()
        except Failed as error:
            say(f"cleaning up: {error}")
        if self.options.keep:
            return
        self.cluster.stop()
        if ok and self.own_dir:
            shutil.rmtree(self.dir)
        elif ok:
            shutil.rmtree(self.work)
        else:
            say(f"What the nodes said is in {self.dir}/node*.log")


class Stopped(Exception):
    """SIGTERM or SIGHUP: the nodes, nbdfuse and mounts must not outlive the story."""


def stop_story(number, _frame):
    raise Stopped(signal.Signals(number).name)


def main():
    options = options_of(sys.argv[1:])
    if options.check_options:
        return 0
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop_story)
    story = Story(options)
    ok = False
    try:
        story.tell()
        story.summary()
        story.what_next()
        ok = True
    except (Failed, Violation, CommandFailed) as error:
        say(f"\nFAILED: {error}")
    except (KeyboardInterrupt, Stopped):
        say("\nstopped")
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # What was begun is taken down to the end.
        story.end(ok)
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
