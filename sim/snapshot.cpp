#include "sim/snapshot.hpp"

#include <algorithm>

namespace tidemark::sim {
namespace {

/// Zeros behind the end.
engine::Slice page_of(const engine::Slice& content, std::uint64_t offset) {
  return offset < content.size() ? content.part(offset, page_bytes) : engine::zeros(page_bytes);
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
      if (!std::ranges::equal(a.bytes(), b.bytes())) found.push_back({*file, at});
    }
  }
  return found;
}

void Snapshot::restore() const {
  for (const auto& [file, before] : held_) {
    const auto end = std::max<std::uint64_t>(before.size(), file->written_end());
    for (std::uint64_t at = 0; at < end; at += page_bytes)
      file->apply(file->prepare(at, {page_of(before, at)}), true);
  }
}

}  // namespace tidemark::sim
