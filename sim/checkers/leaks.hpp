// What a cluster at rest holds: by node its actors, timers, open files, and by purpose the connections. A cycle of
// load that comes to rest again leaves it as it was, and the connections are those that the nodes and copies need.
//
// A timer may be due now and then: of several looks the least counts, which a leak raises as well.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>

namespace tidemark::sim {

using Census = std::map<std::string, std::uint64_t>;

class Leaks {
 public:
  using OnFailure = std::function<void(std::string cls, std::string text)>;

  /// `slack`: what may be more behind the cycle than before, and by how much.
  Leaks(Census slack, OnFailure fail) : slack_(std::move(slack)), fail_(std::move(fail)) {}

  /// One look before the cycle; one behind it.
  void before(const Census& look) { least(before_, look); }
  void after(const Census& look) { least(after_, look); }
  /// Behind the last look. `formula`: what must be there exactly.
  void judge(const Census& formula) const;

 private:
  struct Least {
    Census counts;
    bool looked = false;
  };
  static void least(Least& so_far, const Census& look);

  Census slack_;
  OnFailure fail_;
  Least before_;
  Least after_;
};

}  // namespace tidemark::sim
