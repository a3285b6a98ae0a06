"""A cluster of real daemons on loopback: each node a process of its own, started, killed by pid and started again."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


class CommandFailed(Exception):
    """A tidemark command ended with an error; the text is its own."""


def binary(name, preset="release"):
    return str(ROOT / "build" / preset / "bin" / name)


class Node:
    def __init__(self, cluster, number, directory, replication, nbd_port):
        self.cluster, self.number, self.name = cluster, number, f"node{number}"
        self.dir = pathlib.Path(directory)
        self.replication, self.nbd_port = f"127.0.0.1:{replication}", nbd_port
        self.config = cluster.dir / f"{self.name}.toml"
        self.log = cluster.dir / f"{self.name}.log"
        self.process = None

    @property
    def admin_socket(self):
        return str(self.dir / "admin.sock")

    def nbd_uri(self, volume):
        return f"nbd://127.0.0.1:{self.nbd_port}/{volume}"

    @property
    def pid(self):
        return self.process.pid if self.process else None

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def write_config(self, extra=""):
        """`extra` is appended; a top-level key there must come in a section."""
        self.config.write_text(
            f'dir = "{self.dir}"\n[listen]\nreplication = "{self.replication}"\nnbd = "127.0.0.1:{self.nbd_port}"\n'
            f'[control]\naddress = "{self.cluster.nodes[0].replication}"\n{extra}\n')

    def init(self, *how):
        return self.cluster.command("tidemarkd", "init", "--dir", str(self.dir), "--node", self.name, *how)

    def start(self, wait=True):
        log = open(self.log, "ab")
        self.process = subprocess.Popen([binary("tidemarkd", self.cluster.preset), "run", "--config", str(self.config)],
                                        stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        log.close()
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, seconds=20):
        """Until its admin socket answers, whatever it knows of the others."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not self.running:
                raise CommandFailed(f"{self.name} ended with {self.process.returncode}:\n{self.log_tail()}")
            try:
                self.cli("status")
                return
            except CommandFailed:
                time.sleep(0.02)
        raise CommandFailed(f"{self.name} does not answer after {seconds} s:\n{self.log_tail()}")

    def log_tail(self, lines=15):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""

    def kill(self, sig=signal.SIGKILL):
        """Sends a signal to the one process that start() made, and waits for its end (SIGKILL, SIGTERM)."""
        if not self.running:
            return
        self.process.send_signal(sig)
        if sig in (signal.SIGKILL, signal.SIGTERM):
            self.process.wait(timeout=60)

    def wipe(self):
        assert not self.running
        shutil.rmtree(self.dir)

    def cli(self, *words, timeout=120):
        """A tidemark command against this node; returns its parsed --json."""
        text = self.cluster.command("tidemark", "--node", self.admin_socket, "--json", *words, timeout=timeout)
        return json.loads(text) if text.strip() else None


def from_caller(text):
    """A path as the caller of the script meant it: relative to the folder that the script was called in."""
    return pathlib.Path(os.environ.get("TIDEMARK_FROM", ""), text)


class Cluster:
    """`sizes` and `times` become sections of every node's configuration."""

    def __init__(self, directory, base_port=19100, count=3, preset="release", sizes=None, times=None, dirs=None):
        self.dir = pathlib.Path(directory)
        self.preset = preset
        self.dir.mkdir(parents=True, exist_ok=True)
        self.nodes = []
        for n in range(1, count + 1):
            place = dirs[n - 1] if dirs and dirs[n - 1] else self.dir / f"node{n}"
            self.nodes.append(Node(self, n, place, base_port + n, base_port + 20 + n))
        self.extra = ""
        for section, values in (("sizes", sizes), ("times", times)):
            if values:
                self.extra += f"[{section}]\n" + "".join(f'{k} = "{v}"\n' for k, v in values.items())
        self.token = None

    def node(self, name):
        return next(n for n in self.nodes if n.name == name or n.number == name)

    def command(self, program, *words, timeout=120):
        done = subprocess.run([binary(program, self.preset), *words], capture_output=True, text=True, timeout=timeout,
                              stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise CommandFailed((done.stderr or done.stdout).strip() or f"{program} ended with {done.returncode}")
        return done.stdout

    def create(self):
        """Directories, configurations, and all nodes running."""
        first, *others = self.nodes
        self.token = json.loads(self.command("tidemarkd", "init", "--dir", str(first.dir), "--node", first.name, "--control", "--json"))["token"]
        for node in others:
            node.init("--join", self.token)
        for node in self.nodes:
            node.write_config(self.extra)
            node.start()
        self.wait(lambda: all(n["connected"] for n in self.nodes[0].cli("node", "list")["nodes"])
                  and len(self.nodes[0].cli("node", "list")["nodes"]) == len(self.nodes), "all nodes connected")
        return self

    @staticmethod
    def wait(condition, what, seconds=60, every=0.05):
        """Polls a condition that this machine's load may delay; says what it waited for."""
        deadline = time.monotonic() + seconds
        last = None
        while time.monotonic() < deadline:
            try:
                value = condition()
                if value:
                    return value
                last = value
            except CommandFailed as error:
                last = error
            time.sleep(every)
        raise CommandFailed(f"waited {seconds} s for {what}; last seen: {last}")

    def cli(self, *words, **more):
        return self.nodes[0].cli(*words, **more)

    def cli_result(self, *words, timeout=300):
        """(exit code, parsed --json) of a command that may say no by its exit code."""
        done = subprocess.run([binary("tidemark", self.preset), "--node", self.nodes[0].admin_socket, "--json", *words],
                              capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
        return done.returncode, json.loads(done.stdout) if done.stdout.strip() else {"error": done.stderr.strip()}

    def primary(self, volume):
        """The node that serves a volume now, asked of any that runs."""
        for node in self.nodes:
            if node.running:
                try:
                    seen = node.cli("volume", "show", volume)
                    if seen["serving"]:
                        return self.node(seen["primary"])
                except (CommandFailed, subprocess.TimeoutExpired):
                    continue
        return None

    def peers(self, volume):
        """Status of each replica by node name, the numbers of its session beside its own."""
        peers = {}
        for replica in self.cli("volume", "show", volume)["replicas"]:
            session = {f"session_{key}": value for key, value in replica.get("session", {}).items()}
            peers[replica["node"]] = {**replica, **session}
        return peers

    def in_sync(self, volume):
        return self.cli("volume", "show", volume)["in_sync"]

    def wait_in_sync(self, volume, count=3, seconds=120):
        def in_sync():
            seen = self.cli("volume", "show", volume)
            return seen["serving"] and len(seen["in_sync"]) == count and \
                all(r["role"] == "primary" or r["state"] == "streaming" for r in seen["replicas"])
        return self.wait(in_sync, f"{count} copies in sync", seconds, every=0.1)

    def wipe_and_replace(self, node, volume):
        """The node comes back without a past, and gets a new copy of the volume."""
        node.kill(signal.SIGTERM)
        node.wipe()
        node.init("--join", self.token)
        node.start()
        self.cli("node", "readmit", node.name)
        self.cli("replica", "replace", volume, node.name)

    def connect(self, volume, stopping=None, seconds=60, tls=False):
        """(handle, server identity) of an NBD connection to whoever is primary; None when stopping is set."""
        import nbd  # Here: a mistake in the options is named on a machine that has no libnbd yet.
        deadline = time.monotonic() + seconds
        last = None
        while time.monotonic() < deadline and not (stopping and stopping.is_set()):
            for node in self.nodes:
                if not node.running:
                    continue
                handle = nbd.NBD()
                try:
                    handle.connect_uri(node.nbd_uri(volume))
                    return handle, f"{node.name}/{node.pid}/{self.epoch_hint}"
                except nbd.Error as error:
                    last = error
            time.sleep(0.01)
        if stopping and stopping.is_set():
            return None
        raise CommandFailed(f"no node served {volume} for {seconds} s; last answer: {last}")

    # Raised by whoever moves a primary without ending its process, so that server identities differ.
    epoch_hint = 0

    def stop(self, sig=signal.SIGTERM):
        for node in self.nodes:
            if node.running:
                node.process.send_signal(sig)
        for node in self.nodes:
            if node.process:
                try:
                    node.process.wait(timeout=60)
                except subprocess.TimeoutExpired:
                    node.process.kill()
                    node.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def rss_bytes(pid):
    with open(f"/proc/{pid}/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def written_bytes(pid):
    with open(f"/proc/{pid}/io") as f:
        return int(dict(line.split(": ") for line in f.read().splitlines())["write_bytes"])
