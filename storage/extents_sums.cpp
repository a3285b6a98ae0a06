// The checksum files: read when a file is first needed, written when it is synced.
//
// A sector of one that cannot be read hides the checksums of 512 blocks and no content. These blocks are damaged until
// they are written again, as those are whose content rotted: another copy has them. As the disk may have refused for
// a moment only, it is asked again before anything is taken for damaged, or the page for lost.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "storage/disk_tasks.hpp"
#include "storage/extents.hpp"

namespace tidemark::storage {
namespace {

using engine::block_bytes;
using engine::BlockRange;
using engine::Done;
using engine::Status;

// A volume in files of 1 TiB has tables of 2 GiB: never in one buffer.
constexpr std::uint64_t sums_written_at_once = 1u << 20;

}  // namespace

Task<Status> Extents::load_sums(FileNumber number, ExtentFile& file) {
  const auto whole = layout_.sum_pages(number) * block_bytes;
  const auto size = disk_.size(file.sums);
  if (!size) co_return size.error();
  if (*size != whole) {
    co_return not_whole(number,
                        fmt::format("its checksum file has {} bytes, not {}", *size, whole));
  }
  auto table = co_await read_what_can_be_read(disk_, file.sums, layout_.sum_pages(number));
  if (!table) co_return table.error();
  file.table = std::move(table->sums);
  file.unread_pages = std::move(table->unread_pages);
  // Behind the file's last block nothing is written, whatever rotted there.
  std::fill(file.table.begin() + static_cast<std::ptrdiff_t>(layout_.blocks_in(number)),
            file.table.end(), engine::no_block);
  co_return Done{};
}

/// The pages of these blocks, if they could not be read before.
Task<Done> Extents::read_unread(ExtentFile& file, BlockRange range) {
  if (file.unread_pages.empty() || range.empty()) co_return Done{};
  const auto first = index_of(range.first) / sums_per_page;
  const auto last = (index_of(range.first) + range.count - 1) / sums_per_page;
  for (auto page = first; page <= last; ++page) {
    if (file.unread_pages.contains(page)) (void)co_await read_unread_page(file, page);
  }
  co_return Done{};
}

/// What was written to its blocks meanwhile stands: only what is not known is taken from it.
Task<Done> Extents::read_unread_page(ExtentFile& file, std::uint64_t page) {
  auto bytes = co_await read_file(disk_, file.sums, page * block_bytes, block_bytes);
  if (!bytes || !file.unread_pages.contains(page)) co_return Done{};
  file.unread_pages.erase(page);
  file.dirty_pages.insert(page);  // It may be on its way to the disk without them.
  std::array<engine::BlockSum, sums_per_page> sums{};
  std::memcpy(sums.data(), bytes->data(), block_bytes);
  for (std::size_t i = 0; i < sums.size(); ++i) {
    auto& known = file.table[page * sums_per_page + i];
    if (known == unread_sum) known = sums[i];
  }
  co_return Done{};
}

Task<Status> Extents::write_sums(ExtentFile& file) {
  // What is written over a page that could not be read is all that there will be of it.
  const auto unread = file.unread_pages;
  for (const auto page : unread) {
    if (file.dirty_pages.contains(page)) (void)co_await read_unread_page(file, page);
  }
  auto pages = std::move(file.dirty_pages);
  file.dirty_pages.clear();
  for (auto it = pages.begin(); it != pages.end();) {
    auto end = std::next(it);
    auto last = *it;
    while (end != pages.end() && *end == last + 1 &&
           last - *it + 1 < sums_written_at_once / block_bytes)
      last = *end++;
    const auto bytes = (last + 1 - *it) * block_bytes;
    const auto from = std::as_bytes(std::span(file.table)).subspan(*it * block_bytes, bytes);
    auto copy = engine::Buffer::copy_of(from).freeze();
    bytes_written_ += bytes;
    auto written = co_await write_file(disk_, file.sums, *it * block_bytes, std::move(copy));
    if (!written) {
      file.dirty_pages.merge(pages);  // all of them again: which ones landed is unknown
      co_return written.error();
    }
    file.unread_pages.erase(file.unread_pages.lower_bound(*it),
                            file.unread_pages.upper_bound(last));
    it = end;
  }
  co_return Done{};
}

}  // namespace tidemark::storage
