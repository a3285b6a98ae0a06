// A history of one cell as its tests tell it, step by step in the order of time.
#pragma once

#include <string>

#include "sim/checkers/history.hpp"

namespace tidemark::sim::history_rig {

inline engine::MonoTime at(std::uint64_t t) { return engine::MonoTime(t); }

struct Story {
  /// What differs between volumes.
  struct Volume {
    bool always_flushed = false;
    bool may_lose_cache = false;
    std::uint64_t cells = 8;
  };
  explicit Story(Volume volume)
      : history(volume.cells, 8, volume.always_flushed, volume.may_lose_cache,
                [this](const std::string& c, const std::string& t) {
                  if (!cls.empty()) return;
                  cls = c;
                  text = t;
                }) {}
  Story() : Story(Volume{}) {}

  std::string cls;  ///< Of the first breach.
  std::string text;
  History history;
  Reign reign = history.opened(1);
  std::uint64_t time = 1;

  OpId begin(std::uint64_t connection = 1, bool zeros = false) {
    return history.write_begun(connection, reign, at(time++), {0, 1}, zeros);
  }
  void answer(OpId op, bool fua = false) { history.write_answered(op, at(time++), fua); }
  OpId write(std::uint64_t connection = 1, bool fua = false) {
    const auto op = begin(connection);
    answer(op, fua);
    return op;
  }
  void flush() {
    const auto began = at(time++);
    ++time;
    history.flushed(reign, began);
  }
  void read(OpId op) { read_since(at(time++), op); }
  /// A slow one.
  void read_since(engine::MonoTime began, OpId op) {
    history.cell_read(reign, began, at(time++), 0, op);
  }
  void failover(bool cache_lost) {
    history.reign_over(reign);
    if (cache_lost) history.cache_lost();
    reign = history.opened(++life);
  }
  void forced_failover() {
    history.forced();
    failover(true);
  }
  void resize(std::uint64_t cells) {
    history.resize_begun(at(time++), cells);
    history.resize_ended(at(time++));
  }
  std::uint32_t life = 1;
};

}  // namespace tidemark::sim::history_rig
