// Blocks of the extents that were found to hold something else than what was written there, until
// they are written again. In memory only: a restart finds them anew.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "engine/repair.hpp"
#include "engine/types.hpp"

namespace tidemark::storage {

/// 256 MiB of damage; more is found again when some of it is repaired.
inline constexpr std::size_t damaged_blocks_noted_max = 65536;
/// And 32 MiB of what readers wait for: about what one client may have under way.
inline constexpr std::size_t damaged_blocks_waited_max = 8192;

class DamagedBlocks {
 public:
  struct Note {
    std::uint64_t id =
        0;           ///< Never reused: a block that was written and is damaged again has another.
    engine::Lsn at;  ///< The highest LSN that the extents might hold when it was found.
  };

  /// Somebody waits for the blocks of a range, until this goes: they come first, and those who wait
  /// longest before others.
  class Wait {
   public:
    Wait(Wait&& o) noexcept : blocks_(std::exchange(o.blocks_, nullptr)), ticket_(o.ticket_) {}
    Wait& operator=(Wait&&) = delete;
    ~Wait() {
      if (blocks_ != nullptr) blocks_->waited_.erase(ticket_);
    }

   private:
    friend class DamagedBlocks;
    Wait(DamagedBlocks* blocks, std::uint64_t ticket) : blocks_(blocks), ticket_(ticket) {}
    DamagedBlocks* blocks_;
    std::uint64_t ticket_;
  };
  [[nodiscard]] Wait wait_for(engine::BlockRange range) {
    waited_[++last_ticket_] = range;
    return Wait(this, last_ticket_);
  }

  /// False where it is known already, or too many are.
  bool note(engine::BlockIndex block, engine::Lsn at) {
    const auto room =
        damaged_blocks_noted_max + (waited_for(block) ? damaged_blocks_waited_max : 0);
    if (notes_.size() >= room || notes_.contains(block)) return false;
    notes_[block] = Note{++last_, at};
    wanted_.insert(block);
    ++found_;
    return true;
  }
  /// What is there now is what was written.
  void written(engine::BlockRange range) {
    notes_.erase(notes_.lower_bound(range.first), notes_.lower_bound(range.end()));
    wanted_.erase(wanted_.lower_bound(range.first), wanted_.lower_bound(range.end()));
  }
  void clear() {
    notes_.clear();
    wanted_.clear();
  }
  const Note* find(engine::BlockIndex block) const {
    const auto found = notes_.find(block);
    return found == notes_.end() ? nullptr : &found->second;
  }
  /// Nobody could help, for now.
  void give_up(engine::BlockIndex block) { wanted_.erase(block); }
  bool given_up(engine::BlockIndex block) const {
    return notes_.contains(block) && !wanted_.contains(block);
  }
  /// All are to be asked for again.
  void try_again() {
    ++attempt_;
    for (const auto& [block, known] : notes_) wanted_.insert(block);
  }
  void try_again(engine::BlockIndex block) {
    if (given_up(block)) ++attempt_;
    if (notes_.contains(block)) wanted_.insert(block);
  }
  /// Those that help is sought for, as many as are asked for at once.
  std::vector<engine::DamagedBlock> wanted() const {
    std::vector<engine::DamagedBlock> found;
    for (const auto& [ticket, range] : waited_) {
      if (found.size() == engine::repairs_at_once_max) return found;
      take(wanted_.lower_bound(range.first), wanted_.lower_bound(range.end()), found);
    }
    take(wanted_.begin(), wanted_.end(), found);
    return found;
  }
  std::uint64_t size() const { return notes_.size(); }
  std::uint64_t unrepairable() const { return notes_.size() - wanted_.size(); }
  /// Since the store was opened.
  std::uint64_t found() const { return found_; }

 private:
  bool waited_for(engine::BlockIndex block) const {
    return std::any_of(waited_.begin(), waited_.end(),
                       [block](const auto& wait) { return wait.second.contains(block); });
  }
  using Place = std::set<engine::BlockIndex>::const_iterator;
  void take(Place from, Place end, std::vector<engine::DamagedBlock>& found) const {
    for (; from != end && found.size() < engine::repairs_at_once_max; ++from) {
      const bool has = std::any_of(found.begin(), found.end(),
                                   [&](const auto& one) { return one.block == *from; });
      if (!has) found.push_back({*from, notes_.at(*from).at, attempt_});
    }
  }

  std::map<engine::BlockIndex, Note> notes_;
  std::set<engine::BlockIndex> wanted_;  ///< Those that are not given up.
  std::map<std::uint64_t, engine::BlockRange>
      waited_;  ///< By ticket; one for each reader that waits.
  std::uint64_t last_ticket_ = 0;
  std::uint64_t last_ = 0;
  std::uint64_t attempt_ = 0;
  std::uint64_t found_ = 0;
};

}  // namespace tidemark::storage
