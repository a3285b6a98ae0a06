// One direction of a connection as a stream of bytes: what its sender wrote, in pieces on their way,
// into what the receiver has put together. Queue, assembly and codec are those of daemons. No time
// and no chance here: the wire says how long a piece is, when it lands, and what is lost.
//
//   write() -> [ waits ] -- next(), fly() --> [ on its way ] -- land() --> feed() -> take()
//                  ^------------ recall() ----------/
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "engine/types.hpp"
#include "transport/replication/intake.hpp"
#include "transport/replication/send_queue.hpp"

namespace tidemark::sim {

class Pipe {
 public:
  /// A part of the stream, or its end, which comes behind everything.
  struct Piece {
    std::vector<std::byte> bytes;
    bool end = false;
    engine::MonoTime due{};
  };

  explicit Pipe(transport::Direction from) : intake_(from) {}

  // --- the sender
  /// Encodes behind what was written; returns the bytes of the frame.
  std::size_t write(const engine::Message& message);
  /// Nothing is written any more.
  void write_end() { end_written_ = true; }
  /// One bit of the frame that was written last will be wrong when it arrives.
  void damage(std::uint64_t bit);
  /// Written and not at the other machine yet.
  std::size_t unsent_bytes() const { return written_ - arrived_; }

  /// Something has not left yet, be it only the end.
  bool waits() const { return waiting_bytes() > 0 || (end_written_ && !end_left_) || end_waits(); }
  std::size_t waiting_bytes() const { return recalled_bytes_ + queue_.bytes(); }
  /// To the end of the first frame that has not wholly left, or of the first piece that was recalled.
  /// 0: only the end waits.
  std::size_t front_bytes() const;
  /// Takes at most so many bytes from what waits, at least one; the end when nothing else waits.
  Piece next(std::size_t bytes);
  /// Of what waits only the first `bytes` will ever leave.
  void chop(std::size_t bytes);

  // --- on its way
  /// Lands at `piece.due`, behind all others.
  void fly(Piece piece) { flying_.push_back(std::move(piece)); }
  const std::deque<Piece>& flying() const { return flying_; }
  std::size_t flying_bytes() const;
  /// The pieces from this one on were lost, and wait to be sent again.
  void recall(std::size_t first);
  /// Of what is on its way only the first `bytes` arrive.
  void lose_behind(std::size_t bytes);
  /// The next piece that is due.
  std::optional<Piece> land(engine::MonoTime now);
  /// Memory of a piece that landed serves a later one.
  void reuse(std::vector<std::byte> bytes);

  // --- the receiver
  /// Gives bytes to the assembly, as many as it has room for; returns how many.
  std::size_t feed(std::span<const std::byte> bytes);
  transport::Intake::Next take(const transport::Terms& terms) { return intake_.next(terms); }
  /// What is known of the frame that take() gives next. CHECKs that it was written.
  struct Sent {
    transport::FrameType type;
    bool damaged = false;
  };
  const Sent& front() const;
  void pop_front() { sent_.pop_front(); }

 private:
  bool end_waits() const { return !recalled_.empty() && recalled_.back().end; }
  Piece recalled_part(std::size_t bytes);
  void copy_out(std::size_t bytes, std::vector<std::byte>& to);
  void apply_damage(std::vector<std::byte>& bytes);

  std::size_t written_ = 0;
  std::size_t left_ = 0;  ///< Bytes that left for the first time.
  std::size_t arrived_ = 0;
  transport::SendQueue queue_;
  std::deque<std::size_t> frames_;   ///< Of the queue: what of each has not left.
  std::deque<std::uint64_t> flips_;  ///< Bits of the stream that have not left, ascending.
  bool end_written_ = false;
  bool end_left_ = false;
  std::deque<Piece> recalled_;
  std::size_t recalled_bytes_ = 0;
  std::deque<Piece> flying_;
  std::vector<std::byte> spare_;
  transport::Intake intake_;
  std::deque<Sent> sent_;  ///< Frames that the receiver has not taken.
};

}  // namespace tidemark::sim
