// Whether what clients saw of one register has an order that keeps to time (linearizability), judged while they go on:
// Gibbons and Korach, "Testing Shared Memories" (SIAM J. Comput. 26, 1997), for values that are written once.
//
// A value's write and the reads that returned it stand together in any such order, so two times tell all of them: when
// the first of them had ended, and when the last of them began.
//
//        a: write |-----|   read |----|            a is before b where something of a had ended when something of b began.
//                    first end ^ . . . ^ last begin     An order exists iff no two values are each before the other.
//
// A write whose outcome nobody knows has taken effect, at any time from its beginning on, if its value is read; else it
// says nothing. Zeros are no single value: whoever reads them does not tell whose they are. Each operation on them stands
// by itself then, and two things are asked of a read of zeros: no value may be before and behind it, and it needs a write
// of zeros that may have been the last one before it. A history whose zeros pass both, each read by itself, may still have
// no order: that much is not seen.
//
// Values that can never be returned any more are forgotten, once what has taken their place stands for them in each judgement
// to come. So a register holds about as many of them as operations overlap, and a call costs as much as it holds.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/types.hpp"
#include "sim/stamp.hpp"

namespace tidemark::sim {

/// Calls come in the order of time: of a write when it begins, and else when the operation ends.
class Register {
 public:
  static constexpr engine::MonoTime never{~0ULL};
  struct Breach {
    std::string cls;
    std::string text;
  };
  using Verdict = std::optional<Breach>;

  /// It holds zeros, unless inherited() says something else.
  explicit Register(engine::MonoTime since = {});

  void write_begun(OpId op, bool zeros, engine::MonoTime at);
  /// Written at `by` or earlier, before anything that this register was told.
  void inherited(OpId op, engine::MonoTime by);
  /// From here on it has taken effect, or never will.
  void write_given_up(OpId op, engine::MonoTime at);
  Verdict write_answered(OpId op, engine::MonoTime at);
  /// Whether a read may return the value: false for what was never written, and what is over.
  bool holds(OpId op) const;
  /// A value that it holds, or 0: zeros.
  Verdict read(OpId op, engine::MonoTime began, engine::MonoTime ended);
  /// Judges reads of zeros again by what is known now. No operation that began before `horizon` ends from now on.
  Verdict settle(engine::MonoTime horizon);

  std::size_t held() const { return zones_.size(); }

 private:
  enum class Kind : std::uint8_t { data, zeros, zeros_read };
  struct Zone {
    OpId op = 0;  ///< 0: zeros of before, or that were read.
    Kind kind = Kind::data;
    bool settled = false;                ///< Of a read of zeros: nothing to come can overlap it.
    engine::MonoTime first_end = never;  ///< Never: nothing shows that it took effect.
    engine::MonoTime last_begin{};
    engine::MonoTime by = never;  ///< It took effect until then, if at all.
  };

  Zone* find(OpId op);
  static bool before(const Zone& a, const Zone& b) { return a.first_end < b.last_begin; }
  static engine::MonoTime latest(const Zone& z);
  static std::string called(const Zone& z);
  Verdict in_order(const Zone& z) const;
  Verdict explained(const Zone& read) const;
  void forget(engine::MonoTime horizon);

  std::vector<Zone> zones_;
};

}  // namespace tidemark::sim
