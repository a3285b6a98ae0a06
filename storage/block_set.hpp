// A set of a volume's blocks: at most a bit per block, and less where whole pieces are in it or out.
//
//   piece:  none | all | 32768 bits
//
// Adding a range costs by pieces, not by blocks: a trim of a whole volume is one range.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "engine/types.hpp"

namespace tidemark::storage {

class BlockSet {
 public:
  explicit BlockSet(std::uint64_t blocks)
      : blocks_(blocks), pieces_((blocks + piece_blocks - 1) / piece_blocks) {}

  /// What lies beyond the volume is left out.
  void add(engine::BlockRange range) {
    const auto end = std::min(range.end().value, blocks_);
    for (auto at = range.first.value; at < end;) {
      const auto number = at / piece_blocks;
      const auto upto = std::min(end, (number + 1) * piece_blocks);
      add(pieces_[number], at - number * piece_blocks, upto - number * piece_blocks);
      at = upto;
    }
  }
  bool has(engine::BlockIndex block) const {
    const auto& piece = pieces_[block.value / piece_blocks];
    const auto bit = block.value % piece_blocks;
    return piece.all || (!piece.words.empty() && (piece.words[bit / 64] >> (bit % 64) & 1) != 0);
  }

 private:
  static constexpr std::uint64_t piece_blocks = 32768;
  struct Piece {
    bool all = false;
    std::vector<std::uint64_t> words;  ///< Empty: none, or all.
  };

  static void add(Piece& piece, std::uint64_t first, std::uint64_t end) {
    if (piece.all) return;
    if (end - first == piece_blocks) {
      piece = {true, {}};
      return;
    }
    piece.words.resize(piece_blocks / 64);
    for (auto bit = first; bit < end; ++bit) piece.words[bit / 64] |= std::uint64_t{1} << bit % 64;
  }

  std::uint64_t blocks_;
  std::vector<Piece> pieces_;
};

}  // namespace tidemark::storage
