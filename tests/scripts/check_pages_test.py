#!/usr/bin/python3
"""scripts/check-pages must fail on each kind of lie that it exists for."""
import pathlib
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CHECK = ROOT / "scripts" / "check-pages"

CODE = '''
void f() {
  log(Event(Level::info, "replica_left").with("replica", id).with("at", x.at(1)));
  log(engine::Event(bad ? Level::error : Level::info, "it_ended")
          .with("text", fmt::format("a ({}) \\")b", c)).with("cause", why));
}
constexpr Metric a[] = {{"tidemark_a_bytes", Kind::gauge, "A."}};
auto b = {Door{"b_total", Shape::counter, "B.", 1}};
'''
EVENTS = ["| `replica_left` | info | replica, at | x |", "| `it_ended` | error or info | cause, text | x |"]
METRICS = ["| `tidemark_a_bytes` | gauge | A. |", "| `tidemark_b_total` | counter | B. |"]


class CheckPages(unittest.TestCase):
    def check(self, events=EVENTS, metrics=METRICS, code=CODE):
        with tempfile.TemporaryDirectory() as place:
            root = pathlib.Path(place)
            (root / "engine").mkdir()
            (root / "docs").mkdir()
            (root / "engine" / "a.cpp").write_text(code)
            (root / "docs" / "EVENTS.md").write_text("\n".join(["| event |", *events]))
            (root / "docs" / "METRICS.md").write_text("\n".join(["| metric |", *metrics]))
            done = subprocess.run([str(CHECK), "--root", str(root)], capture_output=True, text=True)
            return done.returncode, done.stdout

    def test_true_pages_pass(self):
        self.assertEqual(self.check()[0], 0, self.check()[1])

    def test_each_lie_is_found_and_named(self):
        lies = {
            "replica_left": dict(events=EVENTS[1:]),
            "nobody_tells_this": dict(events=EVENTS + ["| `nobody_tells_this` | info | none | x |"]),
            "has the fields at, replica": dict(events=["| `replica_left` | info | replica | x |", EVENTS[1]]),
            "has the level info": dict(events=["| `replica_left` | warning | replica, at | x |", EVENTS[1]]),
            "tidemark_a_bytes": dict(metrics=METRICS[1:]),
            "tidemark_c": dict(metrics=METRICS + ["| `tidemark_c` | gauge | C. |"]),
            "is a counter": dict(metrics=[METRICS[0], "| `tidemark_b_total` | gauge | B. |"]),
            "the page does not know": dict(code=CODE + 'auto e = Event(Level::info, "new_one");'),
        }
        for needle, pages in lies.items():
            with self.subTest(needle):
                code, said = self.check(**pages)
                self.assertEqual(code, 1, said)
                self.assertIn(needle, said)

    def test_the_pages_of_this_house_are_true(self):
        done = subprocess.run([str(CHECK)], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout)


if __name__ == "__main__":
    unittest.main()
