// A second judge of what clients see, which knows nothing of History: whether the operations on each cell have an order that
// keeps to time (linearizability.hpp). It is told when clients asked, what they were answered and when; of the rest it
// takes the numbers of reigns, and the marks that a reign began with a loss.
//
// A stretch is what lies between two such losses. It is judged by itself: its first value is any one that was ever written to the cell
// before, or zeros; one only, for what was asked of older reigns has taken effect by the time that a newer one is opened,
// or never will. Within a stretch a write without an answer, or with an error, may take effect until its reign is followed by another.
//
// Seen: stale reads, values that are lost and come back, reads that disagree on an order, on either side of a failover
// without loss; writes of a dead connection that land late; cut cells that do not read as zeros.
// Not seen: what a loss may take and what not (History knows of flushes); that requests of one connection keep their
// order; that several cells belong to one write; zeros that could be explained one by one and not together; reads that are answered
// when the next stretch has begun already.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "sim/checkers/history.hpp"
#include "sim/checkers/linearizability.hpp"

namespace tidemark::sim {

class Registers {
 public:
  using OnFailure = std::function<void(std::string cls, std::string text)>;

  /// `cells` now, and never more than `cells_max`. `may_lose`: any new reign may begin with a loss.
  Registers(std::uint64_t cells, std::uint64_t cells_max, bool may_lose, OnFailure fail);

  /// A connection was opened in this reign; reigns come in the order of their numbers.
  void opened(Reign reign, engine::MonoTime at);
  /// The reign that is opened next lacks what clients were answered.
  void lost() { lost_ = true; }
  /// A client's oldest request that has no answer began then.
  void waits(std::uint64_t client, std::optional<engine::MonoTime> since);

  void write_begun(OpId op, Reign reign, engine::MonoTime at, CellRange cells, bool zeros);
  void write_answered(OpId op, engine::MonoTime at);
  /// One cell of a read that was answered without error. `value` as read_stamp() tells.
  void cell_read(Reign reign, engine::MonoTime began, engine::MonoTime ended, std::uint64_t cell,
                 std::optional<OpId> value);

  /// Another size was asked for; what it cuts off is written with zeros until it is in force.
  void resize_begun(engine::MonoTime at, std::uint64_t cells);
  void resize_ended(engine::MonoTime at);

  /// The most values that one cell has held at once.
  std::size_t held_max() const { return held_max_; }

 private:
  struct Op {
    std::uint32_t stretch = 0;
    CellRange cells;
  };
  struct Cell {
    std::uint32_t stretch = 0;
    Register value;
  };

  Cell& cell(std::uint64_t index);
  void cut_begun(engine::MonoTime at);
  void judge(std::uint64_t index, const Register::Verdict& verdict);
  /// Whether a read may have returned it; makes it known to the cell if it is of an older stretch.
  bool known(Cell& cell, std::uint64_t index, OpId value);

  std::vector<Cell> cells_;
  std::unordered_map<OpId, Op> ops_;  ///< Looked up only. All of them: a disk may bring back any.
  std::vector<OpId> unanswered_;      ///< Of the last reign.
  std::vector<std::uint32_t> stretch_of_{0};  ///< By reign.
  std::uint32_t stretch_ = 0;
  engine::MonoTime since_{};                           ///< Begin of the stretch.
  std::map<std::uint64_t, engine::MonoTime> waiting_;  ///< Since when, by client.
  engine::MonoTime oldest_ =
      Register::never;  ///< Of these: what ends from now on began no earlier.
  std::uint64_t size_;
  std::uint64_t next_size_;
  OpId cut_ = 0;  ///< Under way.
  std::uint64_t cuts_ = 0;
  bool may_lose_;
  bool lost_ = false;
  std::size_t held_max_ = 0;
  OnFailure fail_;
};

}  // namespace tidemark::sim
