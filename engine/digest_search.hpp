// Where two logs part, found by comparing digests: the greatest place known to both at which they are
// equal. Equal digests at a place prove equal logs up to it, so the answer halves what is left, or
// better: 64 places are compared in one round.
//
//   equal --|                              |-- unequal
//   0 ======*....?....?....?....?....?....?*------------>
//
// Neither side knows its digest everywhere: where its log is pruned only boundaries of the touched
// index are left. So both answer with the nearest place below what was asked for.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "engine/messages.hpp"
#include "engine/types.hpp"

namespace tidemark::engine {

/// 64 places a round: 8 rounds are enough for any log.
inline constexpr int digest_search_rounds_max = 8;

class DigestSearch {
 public:
  /// What both sides have at one place.
  struct Difference {
    Lsn lsn;
    Digest ours;
    Digest theirs;
  };

  /// Among places at or below `common_point`.
  explicit DigestSearch(Lsn common_point);

  /// Places to ask our own log for; the answer goes to ours(). Empty: the search is over.
  std::vector<Lsn> ask_ours() const { return asking_ours_; }
  /// Places to ask the replica for; the answer goes to theirs().
  std::vector<Lsn> ask_theirs() const { return asking_theirs_; }
  void ours(const std::vector<DigestAt>& points);
  void theirs(const std::vector<DigestAt>& points);

  bool over() const { return asking_ours_.empty() && asking_theirs_.empty(); }
  /// The greatest place where both are known and equal.
  std::optional<DigestAt> equal() const { return equal_; }
  /// The lowest place where both are known and are not.
  std::optional<Difference> unequal() const { return unequal_; }

 private:
  void begin_round();
  void compare();
  std::uint64_t low() const { return equal_ ? equal_->lsn.value + 1 : 0; }

  int rounds_ = 0;
  bool moved_ = false;   ///< This round learned something.
  std::uint64_t above_;  ///< Places at or above it are not of interest any more.
  std::vector<Lsn> asking_ours_, asking_theirs_;
  std::map<Lsn, Digest> ours_, theirs_;  ///< Of this round.
  std::optional<DigestAt> equal_;
  std::optional<Difference> unequal_;
};

}  // namespace tidemark::engine
