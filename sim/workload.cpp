#include "sim/workload.hpp"

#include <algorithm>
#include <array>

namespace tidemark::sim {
namespace {

using engine::FrontOp;

CellRange draw_cells(const WorkloadShape& shape, Random& random, std::uint64_t blocks_max,
                     bool aligned) {
  const bool hot = random.chance(1, 2);
  const auto space = hot ? std::min(shape.hot_blocks, shape.blocks) : shape.blocks;
  const auto most = std::min(blocks_max, space);
  const auto count = random.between(1, std::max<std::uint64_t>(most, 1));
  const auto first = random.below(space - count + 1);
  CellRange cells{first * cells_per_block, count * cells_per_block};
  if (aligned) return cells;
  const auto head = random.below(cells_per_block);
  const auto tail = random.below(cells_per_block);
  cells.first += head;
  cells.count -= std::min(cells.count - 1, head + tail);
  return cells;
}

FrontOp draw_op(const WorkloadShape& shape, Random& random) {
  const auto roll = random.below(100);
  if (roll < shape.read_percent) return FrontOp::read;
  const auto rest = random.below(100);
  if (shape.flush && rest < 10) return FrontOp::flush;
  if (shape.trim && rest >= 10 && rest < 16) return FrontOp::trim;
  if (shape.zeroes && rest >= 16 && rest < 23) return FrontOp::write_zeroes;
  if (rest == 23) return FrontOp::cache;
  if (rest == 24) return FrontOp::block_status;
  return FrontOp::write;
}

}  // namespace

WorkloadShape draw_shape(Random& random) {
  constexpr std::array<std::uint64_t, 3> sizes{256, 384, 512};
  WorkloadShape shape;
  shape.blocks = sizes[random.below(sizes.size())];
  shape.hot_blocks = random.between(2, 16);
  shape.blocks_max = random.between(1, 16);
  shape.big_one_in = random.chance(1, 4) ? random.between(2, 20) : 0;
  shape.unaligned = random.chance(2, 3);
  shape.fua = random.chance(1, 2);
  shape.flush = random.chance(4, 5);
  shape.trim = random.chance(1, 2);
  shape.zeroes = random.chance(1, 2);
  shape.read_percent = random.between(5, 50);
  return shape;
}

Ask flood_ask() {
  constexpr std::uint64_t blocks = 256 / 3;
  Ask ask;
  ask.op = FrontOp::write;
  ask.cells = {0, blocks * cells_per_block};
  return ask;
}

Ask draw_ask(const WorkloadShape& shape, Random& random) {
  Ask ask;
  ask.op = draw_op(shape, random);
  if (ask.op == FrontOp::flush) return ask;
  const bool big =
      ask.op == FrontOp::write && shape.big_one_in != 0 && random.chance(1, shape.big_one_in);
  const bool aligned = !shape.unaligned || ask.op == FrontOp::cache ||
                       ask.op == FrontOp::block_status || random.chance(2, 3);
  const bool wide = ask.op == FrontOp::trim && random.chance(1, 8);
  ask.cells = draw_cells(shape, random,
                         big    ? 400  // More than one record holds.
                         : wide ? shape.blocks
                                : shape.blocks_max,
                         aligned);
  ask.fua = shape.fua && ask.op != FrontOp::read && ask.op != FrontOp::cache &&
            ask.op != FrontOp::block_status && random.chance(1, 6);
  ask.no_hole = ask.op == FrontOp::write_zeroes && random.chance(1, 3);
  return ask;
}

}  // namespace tidemark::sim
