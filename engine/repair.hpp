// Repair: a block that a copy has lost is taken from another copy.
//
//   damaged copy ──ask_block(block, at)──► other copy     `at`: what the damaged extents may hold
//                ◄─block_is(content, K)──                 flushed up to K >= at first
//
// Which content is right: what the own checksum says, from whoever has it; else the newest version
// that another copy has, if that copy is at or past all that the own extents may hold. Whatever is
// newer here is in the own log and is flushed over it; whatever the other copy had newer must be in
// the own log already, durable and committed, or the block would be from the future (C7, C10).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/buffer.hpp"
#include "engine/record/checksum.hpp"
#include "engine/types.hpp"

namespace tidemark::engine {

/// Blocks that one copy asks for, and another reads for it, at once: 16 KiB on the records link. A round
/// trip, a sync and some reads each; a disk that lost much is replaced, not repaired.
inline constexpr std::size_t repairs_at_once_max = 4;

/// A block of this copy's extents whose content is not what was written there.
struct DamagedBlock {
  BlockIndex block;
  Lsn at;  ///< The highest LSN that the extents may have held when it was found.
  /// Grows when it is worth asking again those who could not help.
  std::uint64_t attempt = 0;

  friend bool operator==(const DamagedBlock&, const DamagedBlock&) = default;
};

/// A block that a copy cannot give, and why.
struct BlockDamage {
  BlockIndex block;
  std::string cause;
};

enum class CopyState : std::uint8_t {
  data = 1,
  hole = 2,     ///< Never written, or trimmed.
  damaged = 3,  ///< This copy has lost it too.
  not_yet = 4,  ///< Its extents cannot be brought to what was asked for now.
};
std::string_view to_string(CopyState state);

/// A block as the extents of one copy have it.
struct BlockCopy {
  BlockIndex block;
  CopyState state = CopyState::not_yet;
  Lsn checkpoint;    ///< All up to here is in those extents.
  Lsn flush_lsn;     ///< The highest LSN whose content the block may hold.
  BlockSum sum = 0;  ///< Of data.
  Slice data;        ///< One block, or nothing.

  bool usable() const { return state == CopyState::data || state == CopyState::hole; }
};

/// Whether the content of another copy may stand in for the own.
enum class CopyVerdict : std::uint8_t {
  same,    ///< It is what the own checksum says was written.
  newest,  ///< At or past all that the own extents may hold, and not past the own log.
  older,   ///< That copy may lack a version that is flushed here: it would bring back the past.
  ahead,   ///< It may hold what the own log does not have yet: to be waited for.
};
/// `own` is the checksum that the own extents have, `limit` the own flush limit.
CopyVerdict judge_copy(const BlockCopy& copy, BlockSum own, Lsn at, Lsn limit);

/// The newest record up to some LSN that a retained log has for a block.
struct LastWritten {
  BlockIndex block;
  Lsn lsn;
  BlockSum sum = no_block;  ///< Of what it left there; no_block: a hole.

  friend bool operator==(const LastWritten&, const LastWritten&) = default;
};

/// What one copy says of a block at the compared LSN.
struct CopySays {
  std::string node;
  BlockSum sum = no_block;
  bool damaged =
      false;  ///< Unreadable, or not what its own checksum says: that needs no other proof.
  std::string cause{};  ///< Of the damage.
};

/// Copies whose content differs although each fits its checksum: a write of some of them was lost, or
/// was meant for another place. Which of them is wrong is never a matter of how many agree.
struct Disproof {
  LastWritten proof;
  std::vector<std::string> wrong;  ///< Nodes whose copy is not what that record left.
};
/// `proofs`: what each log that reaches back to a record of the block has; all logs are equal. Nothing
/// where no log does: then nobody can say, and nobody guesses.
std::optional<Disproof> disprove(const std::vector<CopySays>& said,
                                 const std::vector<LastWritten>& proofs);

/// Whom a primary asks for one damaged block, one after the other.
class RepairRound {
 public:
  RepairRound(DamagedBlock damaged, std::vector<ReplicaId> candidates)
      : damaged_(damaged), candidates_(std::move(candidates)) {}

  const DamagedBlock& damaged() const { return damaged_; }
  /// The next to be asked; nothing: nobody can help now.
  std::optional<ReplicaId> next() {
    if (asked_ == candidates_.size()) return std::nullopt;
    return candidates_[asked_++];
  }

 private:
  DamagedBlock damaged_;
  std::vector<ReplicaId> candidates_;
  std::size_t asked_ = 0;
};

}  // namespace tidemark::engine
