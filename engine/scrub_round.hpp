// A volume's scrub, above those of its copies: each reads itself; once all have, they are compared piece
// by piece, for what only a comparison finds: lost and misdirected writes whose checksum fits.
//
//   reading ──every copy has read itself──► comparing piece 0, 1, 2, ... ──► finished
//
// Each has a number, which goes through questions and answers: what was said of another one, stopped
// since or long finished, moves nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "engine/scrub.hpp"
#include "engine/timer.hpp"
#include "engine/types.hpp"

namespace tidemark::engine {

enum class RoundState : std::uint8_t { reading, comparing, finished };
std::string_view to_string(RoundState state);

/// 256 MiB: their flushers are held for as long as reading that takes.
inline constexpr std::uint64_t round_piece_blocks = 65536;
inline constexpr std::uint64_t round_ask_again = 2 * second;
/// A copy was away, or another comparison was under way.
inline constexpr std::uint64_t round_compare_again = 10 * second;
/// Repairs have that long before a piece is looked at again, so often at most.
inline constexpr std::uint64_t round_repair_wait = 5 * second;
inline constexpr int round_looks_max = 3;
inline constexpr std::size_t round_undecided_max = 64;
inline constexpr std::size_t round_damaged_max = 64;

struct CopyScrub {
  std::string node;
  std::optional<ScrubState> state;  ///< Nothing: its node did not answer.
  std::uint64_t round = 0;          ///< Which scrub that is said of.
};

struct ComparePiece {
  BlockRange range;
  bool logs = false;  ///< The retained logs are read again as well.
};
/// Blocks that a copy cannot give, and why.
struct DamagedCopy {
  std::string node;
  BlockRange range;
  std::string cause;
};
struct PieceCompared {
  bool complete = false;          ///< All copies took part.
  std::vector<std::string> away;  ///< Nodes whose copy did not.
  std::uint64_t differences = 0;
  std::uint64_t wrong = 0;            ///< Blocks of copies that a record disproved.
  std::vector<BlockIndex> undecided;  ///< Blocks of which no retained record says anything.
  std::vector<DamagedCopy> damaged;   ///< Ascending; at least those.
};

struct RoundStatus {
  RoundState state = RoundState::reading;
  std::uint64_t number = 0;
  std::uint64_t rate = scrub_rate_default;
  BlockIndex next;  ///< Blocks below were compared.
  std::uint64_t differences = 0;
  std::uint64_t disproved = 0;
  std::vector<BlockIndex> undecided;     ///< At most round_undecided_max.
  std::vector<DamagedCopy> damaged;      ///< Repairs had their time; at most round_damaged_max.
  std::vector<std::string> waiting_for;  ///< Nodes.
};

class ScrubRound {
 public:
  /// One that goes on after a restart has compared up to the place's block already.
  explicit ScrubRound(ScrubPlace place);

  void set_rate(std::uint64_t rate) { status_.rate = rate; }
  /// The copies are to be asked how far they are. heard() follows.
  bool ask_copies(MonoTime now);
  /// These nodes' copies are to be told to begin.
  std::vector<std::string> heard(const std::vector<CopyScrub>& copies, MonoTime now);
  /// What is to be compared now, of a volume of so many blocks. compared() follows, or put_off().
  /// Nothing and finished(): it shrank below what was compared.
  std::optional<ComparePiece> piece(std::uint64_t blocks, MonoTime now);
  /// True when the place moved.
  bool compared(const PieceCompared& found, std::uint64_t blocks, MonoTime now);
  void put_off(MonoTime now);

  bool finished() const { return status_.state == RoundState::finished; }
  const RoundStatus& status() const { return status_; }
  std::uint64_t number() const { return status_.number; }
  ScrubPlace place() const {
    return {status_.rate, status_.next, status_.differences, status_.number};
  }

 private:
  void note(const PieceCompared& found);
  void note_damage(const std::vector<DamagedCopy>& damaged);

  RoundStatus status_;
  std::set<std::string> done_;  ///< Nodes whose copy has read itself.
  bool busy_ = false;
  MonoTime due_;
  int looks_ = 0;  ///< At the piece under way.
};

}  // namespace tidemark::engine
