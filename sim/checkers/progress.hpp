// Whether somebody waits although nothing is wrong: all processes run, all hear each other, no disk fails, and no copy
// is lost. What was wrong before takes its time to be found out and to go; then a request may not be older than that.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "engine/types.hpp"

namespace tidemark::sim {

class Progress {
 public:
  using OnFailure = std::function<void(std::string cls, std::string text)>;

  /// How long a client may wait since all is well. A dead connection is noticed within 5 s, knocking at a copy's door
  /// is tried again within 1 s, a copy that stalls leaves the set within 2 s; and each of these may come twice, one
  /// behind the other, as a promotion begins anew where a node goes amid it.
  static constexpr std::uint64_t patience = 20 * engine::second;
  /// How often it is looked.
  static constexpr std::uint64_t look_every = 250 * engine::millisecond;

  explicit Progress(OnFailure fail) : fail_(std::move(fail)) {}

  bool due(engine::MonoTime now) const { return now - looked_ >= look_every; }
  /// `waiting_since`: the oldest thing that a client waits for: an answer, or a connection.
  void look(engine::MonoTime now, bool well, std::optional<engine::MonoTime> waiting_since);
  /// Something is wrong now, be it over before anybody looks.
  void trouble(engine::MonoTime now) { trouble_ = now; }
  /// Since when nothing was wrong, in nanoseconds.
  std::uint64_t calm(engine::MonoTime now) const { return now - trouble_; }
  /// The longest anybody waited while all was well; nanoseconds.
  std::uint64_t longest() const { return longest_; }

 private:
  OnFailure fail_;
  engine::MonoTime looked_{};
  engine::MonoTime trouble_{};  ///< When something was wrong last.
  std::uint64_t longest_ = 0;
};

}  // namespace tidemark::sim
