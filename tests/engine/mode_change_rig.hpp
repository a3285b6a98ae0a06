// A volume of three copies that is told of other modes and min_copies.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <string>

#include "tests/engine/volume_support.hpp"

namespace tidemark::engine::mode_change {

inline constexpr std::uint64_t kib4 = block_bytes;
inline const std::string told = "tell that 262144 bytes are in force since ";

inline Assignment in_mode(Mode mode, std::uint32_t min_copies = 2, std::size_t in_set = 3) {
  auto a = volume_assignment();
  a.spec.mode = mode;
  a.spec.min_copies = min_copies;
  a.in_sync.resize(in_set);
  return a;
}

/// A volume of three copies that serves, and is told of other rules.
struct Changing : VolumeStory {
  explicit Changing(Assignment a, OpenedLog log = opened_log())
      : VolumeStory(std::move(a), std::move(log)) {
    serve();
  }
  std::string wants(Mode mode, std::uint32_t min_copies) {
    auto next = volume.assignment();
    next.version = Version(next.version.value + 1);
    next.wanted = next.spec.configuration();
    next.wanted->mode = mode;
    next.wanted->min_copies = min_copies;
    // As the control plane has it: a lower number is in force at once.
    next.spec.min_copies = std::min(next.spec.min_copies, min_copies);
    return tell(next);
  }
  /// The control plane has recorded what was wanted.
  std::string recorded() {
    auto next = volume.assignment();
    next.version = Version(next.version.value + 1);
    next.spec.configure(*next.wanted);
    next.wanted.reset();
    if (next.spec.mode == Mode::best_effort) next.in_sync.resize(1);
    return tell(next);
  }
  /// Senders are told of every assignment; that is left out.
  std::string tell(const Assignment& next) {
    VolumeEffects kept;
    for (auto& effect : volume.on(AssignmentArrived{next, at})) {
      if (!std::holds_alternative<ChangeSender>(effect)) kept.push_back(std::move(effect));
    }
    return quiet(kept);
  }
  /// Everything so far is on these copies' disks; 1 is the primary's own.
  std::string has(std::initializer_list<std::uint64_t> copies) {
    const auto end = volume.head().value;
    std::string text;
    for (const auto id : copies) text += id == 1 ? disk(end) : peer(id, end, end);
    return text;
  }
  std::string fua(std::uint64_t cookie) { return ask(write_request(cookie, 0, kib4, 'w', true)); }
};

inline std::string committed(std::uint64_t lsn) { return fmt::format("committed {}\n", lsn); }
inline bool done(const std::string& text, std::uint64_t cookie) {
  return text.find(fmt::format("cookie {}", cookie)) != std::string::npos;
}

}  // namespace tidemark::engine::mode_change
