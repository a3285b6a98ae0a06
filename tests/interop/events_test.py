"""Recovery seen from outside: what would be done, what happens, what is going on, what is measured."""
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import threading
import unittest

import nbd

from support import ROOT, ClusterCase, CommandFailed, binary

MIB = 1 << 20


class Follower:
    """A command whose lines are read as they come."""

    def __init__(self, cluster, *words):
        self.lines = []
        self.process = subprocess.Popen([binary("tidemark", cluster.preset), "--node", cluster.nodes[0].admin_socket, *words],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line)

    def interrupt(self):
        """Its exit code."""
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(timeout=20)
        self.reader.join(timeout=20)
        self.process.stdout.close()
        self.process.stderr.close()
        return code


def metrics_of(node):
    door = http.client.HTTPConnection("node")
    door.sock = socket.socket(socket.AF_UNIX)
    door.sock.connect(node.admin_socket)
    door.request("GET", "/metrics")
    text = door.getresponse().read().decode()
    door.close()
    return text


class Seen(ClusterCase):
    def a_replica(self):
        primary = self.cluster.primary("vol")
        return next(n for n in self.cluster.nodes if n is not primary and n.number != 1)

    def write(self, count):
        handle = nbd.NBD()
        handle.connect_uri(self.uri())
        for i in range(count):
            handle.pwrite(os.urandom(MIB), i * MIB)
        handle.flush()
        handle.shutdown()

    def plan(self, replica):
        return self.cluster.cli("plan", "vol", replica)

    def test_a_plan_tells_what_the_return_then_does(self):
        replica = self.a_replica()
        in_line = self.plan(replica.name)
        self.assertEqual(in_line["basis"], "in_line", in_line)
        self.assertIn("nothing to do", in_line["says"])
        self.assertEqual(self.plan(str(in_line["replica"]))["node"], replica.name)
        replica.kill(signal.SIGKILL)
        self.write(24)
        away = self.cluster.wait(lambda: (p := self.plan(replica.name))["basis"] == "known_facts" and p, "the plan")
        self.assertEqual(away["outcome"]["kind"], "catch_up", away)
        self.assertIn("may have changed", away["says"])
        self.assertGreaterEqual(away["move"]["bytes"], 24 * MIB)
        self.assertLess(away["move"]["bytes"], 24 * MIB * 1.1)
        again = self.plan(replica.name)  # Asking changed nothing.
        self.assertEqual(again["plan"], away["plan"])
        self.assertEqual(again["pins"], [])
        replica.start()
        self.cluster.wait_in_sync("vol")
        session = self.cluster.peers("vol")[replica.name]["session"]
        self.assertEqual(session["kind"], away["plan"]["kind"])
        self.assertIn(away["outcome"]["row"], session["outcome"])
        self.assertLess(abs(session["bytes"] - away["move"]["bytes"]), 24 * MIB * 0.1, (session, away["move"]))
        text = self.cluster.command("tidemark", "--node", self.cluster.nodes[0].admin_socket, "plan", "vol", replica.name)
        self.assertIn("nothing to do", text)

    def test_a_plan_of_what_is_not_there_is_refused_with_a_sentence(self):
        for volume, replica, needle in (("nope", "node2", "no volume"), ("vol", "node9", "no replica node9"),
                                        ("vol", self.cluster.primary("vol").name, "is the primary")):
            with self.subTest(needle), self.assertRaises(CommandFailed) as refused:
                self.cluster.cli("plan", volume, replica)
            self.assertIn(needle, str(refused.exception))

    def test_a_follower_sees_a_replica_go_and_come_back(self):
        replica = self.a_replica()
        before = self.cluster.cli("events", "vol")
        primary = self.cluster.primary("vol").name
        follower = Follower(self.cluster, "--json", "events", "vol", "--follow")
        self.cluster.wait(lambda: follower.lines, "what happened so far")

        def names():
            seen = [e for e in map(json.loads, list(follower.lines)) if e.get("node") == primary]
            return [e["name"] for e in seen if e["sequence"] > before["sources"][primary]["sequence"]]
        def restarted():
            gaps = [e["gap"] for e in map(json.loads, list(follower.lines)) if "gap" in e]
            return any(gap.get("restarted") and gap["node"] == replica.name for gap in gaps)
        try:
            replica.kill(signal.SIGKILL)
            self.write(2)
            self.cluster.wait(lambda: "session_ended" in names(), "the end of a session to be told")
            replica.start()
            self.cluster.wait(lambda: "session_completed" in names(), "its return to be told")
            self.cluster.wait(restarted, "the restart of its log to be told")
        finally:
            code = follower.interrupt()
        self.assertEqual(code, 0)
        seen = [json.loads(line) for line in follower.lines]
        own = [e["sequence"] for e in seen if e.get("node") == primary]
        self.assertEqual(own, list(range(own[0], own[0] + len(own))), "each once, in order, none left out")
        self.assertIn(before["sources"][primary]["sequence"], own)
        self.cluster.wait_in_sync("vol")

    def test_a_watch_tells_sessions_and_ends_at_an_interrupt(self):
        replica = self.a_replica()
        text = Follower(self.cluster, "status", "--watch", "--interval", "0.1")
        objects = Follower(self.cluster, "--json", "status", "--watch", "--interval", "0.1")

        def sessions():
            for line in list(objects.lines):
                for volume in json.loads(line)["volumes"]:
                    for r in volume["replicas"]:
                        if r["node"] == replica.name and "session" in r:
                            yield r["session"]
        try:
            self.cluster.wipe_and_replace(replica, "vol")
            self.cluster.wait_in_sync("vol")
            self.cluster.wait(lambda: any(s["phase"] == "done" and s["kind"] == "rebuild" for s in sessions()), "the rebuild's end in the watch")
        finally:
            self.assertEqual([text.interrupt(), objects.interrupt()], [0, 0])
        self.assertTrue(all(0 <= s["progress_permille"] <= 1000 for s in sessions()))
        shown = "".join(text.lines)
        self.assertIn("VOLUME", shown)
        self.assertNotIn("\x1b", shown)  # No terminal: blocks, one after the other.

    def test_what_is_exported_is_what_the_page_says(self):
        page = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", (ROOT / "docs" / "METRICS.md").read_text(), re.M))
        text = metrics_of(self.cluster.primary("vol"))
        self.assertEqual(dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.M)), page)
        self.assertEqual(set(re.findall(r"^# HELP (\w+) .+$", text, re.M)), set(page))
        self.assertEqual(set(re.findall(r"^(\w+)\{.*\} \d+$", text, re.M)), set(page), "each has a sample, and nothing else has")


if __name__ == "__main__":
    unittest.main()
