#!/usr/bin/python3
"""scripts/check-house must fail on each kind of breach that it exists for."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CHECK = ROOT / "scripts" / "check-house"

INCLUDE_BREACHES = {
    "engine/a.cpp": '#include "storage/disk.hpp"\n',
    "engine/b.cpp": "#include <chrono>\n",
    "engine/c.cpp": "#include <caf/all.hpp>\n",
    "storage/d.cpp": '#include "transport/link.hpp"\n',
    "transport/e.cpp": '#include "storage/disk.hpp"\n',
    "actors/f.cpp": '#include "transport/replication.hpp"\n',
    "actors/g.cpp": '#include "sim/world.hpp"\n',
    "apps/h.cpp": '#include "sim/world.hpp"\n',
    "engine/i.cpp": '#include "engine/nowhere.hpp"\n',
    "engine/j.hpp": "int x;\n",
    "engine/k.cpp": "\n" * 501,
}
SYMBOL_BREACHES = {
    "clock": "#include <time.h>\nlong f() { timespec t; clock_gettime(0, &t); return t.tv_sec; }\n",
    "thread": "#include <pthread.h>\nint f(pthread_t* t, void* (*g)(void*)) { return pthread_create(t, nullptr, g, nullptr); }\n",
    "socket": "#include <sys/socket.h>\nint f() { return socket(1, 1, 0); }\n",
    "random": "#include <stdlib.h>\nlong f() { return random(); }\n",
}


class CheckHouse(unittest.TestCase):
    def setUp(self):
        self.place = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.place.name)
        for name in ("storage/disk.hpp", "transport/link.hpp", "transport/replication.hpp", "sim/world.hpp"):
            self.write(name, "#pragma once\n")

    def tearDown(self):
        self.place.cleanup()

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def check(self, *more):
        return subprocess.run([str(CHECK), "--root", str(self.root), *more], capture_output=True, text=True)

    def test_a_kept_house_passes(self):
        self.write("engine/good.cpp", '#include <vector>\n')
        done = self.check()
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_each_include_breach_is_found_and_named(self):
        for name, text in INCLUDE_BREACHES.items():
            with self.subTest(name):
                path = self.write(name, text)
                done = self.check()
                self.assertEqual(done.returncode, 1, done.stdout)
                self.assertIn(name, done.stdout)
                path.unlink()

    def test_each_symbol_breach_is_found_and_named(self):
        for name, text in SYMBOL_BREACHES.items():
            with self.subTest(name):
                source = self.write(f"build/{name}.cpp", text)
                made = source.with_suffix(".o")
                archive = self.root / "build" / "libengine.a"
                archive.unlink(missing_ok=True)
                subprocess.run(["g++", "-c", str(source), "-o", str(made)], check=True)
                subprocess.run(["ar", "rc", str(archive), str(made)], check=True)
                done = self.check("--archives", str(self.root / "build"))
                self.assertEqual(done.returncode, 1, done.stdout)

    def test_a_mark_stands_at_exactly_one_place_and_in_no_header(self):
        self.write("engine/sometimes.hpp", '#pragma once\n#define TIDEMARK_MARKS(X) \\\n  X(here, "it came here") \\\n  X(there, "it came there")\n')
        self.write("engine/one.cpp", "void f() { sometimes(Mark::here); }\n")
        self.write("storage/other.cpp", "void g() { engine::sometimes(x, engine::Mark::there); }\n")
        done = self.check()
        self.assertEqual(done.returncode, 0, done.stdout)
        again = self.write("actors/again.cpp", "void h() { engine::sometimes(engine::Mark::here); }\n")
        self.assertIn("mark here stands at 2 places", self.check().stdout)
        again.unlink()
        header = self.write("engine/in.hpp", "#pragma once\ninline void f() { sometimes(Mark::here); }\n")
        self.assertIn("engine/in.hpp: marks stand in .cpp files", self.check().stdout)
        header.unlink()
        (self.root / "storage/other.cpp").unlink()
        done = self.check()
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("mark there stands nowhere", done.stdout)

    def test_a_daemon_with_a_planted_bug_or_the_simulator_in_it_is_found(self):
        self.write("engine/planted.hpp", "#pragma once\nenum class Bug {\n  none,\n  first_wrong,  ///< Why.\n  second_wrong,\n  count_,\n};\n")
        binaries = str(self.root / "bin")
        for daemon in ("tidemarkd", "tidemark"):
            self.assertEqual(self.check("--binaries", binaries).returncode, 1)  # One is missing.
            self.write(f"bin/{daemon}", "\0none and much else\0")
        done = self.check("--binaries", binaries)
        self.assertEqual(done.returncode, 0, done.stdout)
        for foreign in ("first_wrong", "second_wrong", "parse_bug", "_ZN8tidemark3sim5World"):
            with self.subTest(foreign):
                self.write("bin/tidemark", f"\0{foreign}\0")
                done = self.check("--binaries", binaries)
                self.assertEqual(done.returncode, 1)
                self.assertIn(f"tidemark: {foreign.removesuffix('5World')} is in it", done.stdout)

    def test_a_build_folder_without_the_core_is_no_proof(self):
        (self.root / "empty").mkdir()
        self.assertEqual(self.check("--archives", str(self.root / "empty")).returncode, 1)


if __name__ == "__main__":
    sys.exit(0 if unittest.main(exit=False).result.wasSuccessful() else 1)
