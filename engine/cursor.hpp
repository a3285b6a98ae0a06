// The one cursor towards one replica: what was sent, what came back, what may go now.
//
//     ...durable ......... received ........ next .......... head
//        └──── kept with their digests ───────┘└─ not sent ──┘
//                             └── in flight ──┘  (bounded by the credit)
//
// Streaming is catch-up with zero lag: the same cursor, fed from the batches that are just being
// numbered. Where a batch does not fit, or does not begin at the cursor, it is forgotten and read
// from the log later.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "engine/record/record.hpp"
#include "engine/types.hpp"

namespace tidemark::engine {

/// Records whose durability was not acknowledged.
/// Beyond it nothing is sent: 262144 x 40 bytes = 10 MiB per replica.
inline constexpr std::size_t unacknowledged_records_max = 262'144;
/// Bytes likewise: what a replica received and has not on disk yet stands in its memory, and one outside
/// the set slows nobody else down.
inline constexpr std::uint64_t unacknowledged_bytes_max = 64ull << 20;

/// What an Ack proved.
enum class AckVerdict : std::uint8_t {
  counted,
  old,           ///< Behind what was acknowledged before: harmless.
  impossible,    ///< More than was sent, or received below durable.
  other_digest,  ///< The replica holds another record there (C15): an incident.
};

class Cursor {
 public:
  explicit Cursor(std::uint64_t credit_bytes);

  /// A session begins: the replica's log ends at `common_point`, with `digest` there.
  void begin(Lsn common_point, Digest digest);

  /// The records of `batch` that may go now, in frames of at most records_frame_bytes_max and
  /// records_per_frame_max. Moves the cursor over what it returns.
  std::vector<std::vector<RecordPtr>> take(const std::vector<RecordPtr>& batch);
  AckVerdict acked(Lsn received, Lsn durable, const Digest& digest);

  Lsn next() const { return next_; }
  Lsn received() const { return received_; }
  /// What an Ack of this session proved durable, by digest; nothing until the first that reached
  /// the common point.
  Lsn durable() const { return proved_ ? durable_ : Lsn{}; }
  std::uint64_t in_flight_bytes() const { return in_flight_bytes_; }
  /// Bytes that may be sent now; 0 where the credit is used up or too many records wait
  /// to become durable.
  std::uint64_t room_bytes() const;
  /// Enough room to be worth a read of the log: a quarter of the credit, or nothing in flight.
  bool worth_reading() const;

 private:
  struct Sent {
    Lsn lsn;
    std::uint64_t bytes = 0;
    Digest digest;
  };

  std::uint64_t credit_bytes_;
  Lsn next_;  ///< Invariant: durable_ <= received_ < next_ once begun.
  Lsn received_;
  Lsn durable_;                        ///< The common point until more was proved.
  Digest digest_;                      ///< At durable_.
  bool proved_ = false;                ///< An Ack of this session reached the common point.
  std::uint64_t in_flight_bytes_ = 0;  ///< Of (received_, next_).
  std::uint64_t undurable_bytes_ = 0;  ///< Of (durable_, next_).
  std::deque<Sent> sent_;              ///< Of (durable_, next_), dense.
};

}  // namespace tidemark::engine
