// How results are shown to people and programs.
#pragma once

#include <boost/json.hpp>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>

#include "apps/sim/commands.hpp"
#include "sim/batch.hpp"
#include "sim/run.hpp"

namespace tidemark::simulator {

/// " kind=count" for each.
std::string pairs(const std::map<std::string, std::uint64_t>& counts);
boost::json::object json_of(const std::map<std::string, std::uint64_t>& counts);
std::string hex(std::uint64_t trace);
void print(const boost::json::object& object);

/// One run, as two sorts of readers want it; the exit status.
int tell(const sim::Outcome& outcome, const sim::RunOptions& run, const Words& words);
/// What was reached, for people; each name if `words` ask for that.
void tell_coverage(const sim::Coverage& coverage, const Words& words);
/// The same as members of `object`.
void add_coverage(boost::json::object& object, const sim::Coverage& coverage, const Words& words);

class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
  }

 private:
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

/// Of the processor, by this process and those that it ran and has reaped: on a machine that others share, what the
/// simulator cost and not what it waited.
double cpu_seconds();

/// On a terminal one line that is rewritten; elsewhere a line for each tenth.
class Progress {
 public:
  explicit Progress(std::uint64_t count) : count_(count) {}
  void operator()(const sim::BatchResult& result);

 private:
  std::uint64_t count_;
  Stopwatch watch_;
  double told_ = 0;  ///< Seconds, when a terminal last got a line.
};

}  // namespace tidemark::simulator
