// What tidemark-sim can be asked for; one function each. All give the exit status.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "engine/planted.hpp"
#include "sim/fault.hpp"

namespace tidemark::simulator {

enum Exit : int {
  ok = 0,
  failed = 1,  ///< A seed or plan failed, or a planted bug was not found.
  usage = 2,   ///< The command line is wrong, or a plan cannot be read.
};

struct Words {
  std::optional<std::uint64_t> seed;
  std::optional<std::uint64_t> seeds;
  std::uint32_t jobs = 1;
  engine::Bug bug = engine::Bug::none;
  std::string file;    ///< A plan's.
  std::string out;     ///< Where a plan goes; empty: standard output.
  double seconds = 0;  ///< Of hunt: for each bug; of shrink: for all.
  std::uint64_t restarts = 1;
  bool verbose = false;
  bool twice = false;
  bool coverage = false;
  bool json = false;
};

int one_seed(const Words& words);
int many_seeds(const Words& words);
int print_plan(const Words& words);
int run_file(const Words& words);
int shrink_plan(const Words& words);
int hunt_bugs(const Words& words);
int list_bugs(const Words& words);

}  // namespace tidemark::simulator
