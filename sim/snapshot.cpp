#include "sim/snapshot.hpp"

#include <algorithm>

namespace tidemark::sim {
namespace {

/// Zeros are a hole's, also behind the end.
engine::Slice page_of(const engine::Slice& content, std::uint64_t offset) {
  const auto hole = engine::zeros(page_bytes);
  if (offset >= content.size()) return hole;
  auto page = content.part(offset, page_bytes);
  return std::ranges::equal(page.bytes(), hole.bytes()) ? hole : page;
}

}  // namespace

Snapshot::Snapshot(std::vector<InodePtr> files) {
  for (auto& file : files) {
    auto content = file->read(0, file->written_end()).freeze();
    held_.emplace_back(std::move(file), std::move(content));
  }
}

std::vector<Snapshot::Changed> Snapshot::changed() const {
  std::vector<Changed> found;
  for (const auto& [file, before] : held_) {
    const auto now = file->read(0, file->written_end()).freeze();
    for (std::uint64_t at = 0; at < std::max(now.size(), before.size()); at += page_bytes) {
      const auto a = page_of(now, at);
      const auto b = page_of(before, at);
      if (!std::ranges::equal(a.bytes(), b.bytes())) found.push_back({file, at, b});
    }
  }
  return found;
}

void Snapshot::restore() const {
  for (const auto& [file, offset, before] : changed())
    file->apply(file->prepare(offset, {before}), true);
}

}  // namespace tidemark::sim
