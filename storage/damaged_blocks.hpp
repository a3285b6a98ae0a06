// Blocks of the extents that were found to hold something else than what was written there, until
// they are written again. In memory only: a restart finds them anew.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>

#include "engine/repair.hpp"
#include "engine/types.hpp"

namespace tidemark::storage {

/// 256 MiB of damage; more is found again when some of it is repaired.
inline constexpr std::size_t damaged_blocks_noted_max = 65536;

class DamagedBlocks {
 public:
  struct Note {
    std::uint64_t id =
        0;           ///< Never reused: a block that was written and is damaged again has another.
    engine::Lsn at;  ///< The highest LSN that the extents might hold when it was found.
  };

  /// False where it is known already, or too many are.
  bool note(engine::BlockIndex block, engine::Lsn at) {
    if (notes_.size() >= damaged_blocks_noted_max || notes_.contains(block)) return false;
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
  /// One that help is sought for.
  std::optional<engine::DamagedBlock> wanted() const {
    if (wanted_.empty()) return std::nullopt;
    const auto block = *wanted_.begin();
    return engine::DamagedBlock{block, notes_.at(block).at, attempt_};
  }
  std::uint64_t size() const { return notes_.size(); }
  std::uint64_t unrepairable() const { return notes_.size() - wanted_.size(); }
  /// Since the store was opened.
  std::uint64_t found() const { return found_; }

 private:
  std::map<engine::BlockIndex, Note> notes_;
  std::set<engine::BlockIndex> wanted_;  ///< Those that are not given up.
  std::uint64_t last_ = 0;
  std::uint64_t attempt_ = 0;
  std::uint64_t found_ = 0;
};

}  // namespace tidemark::storage
