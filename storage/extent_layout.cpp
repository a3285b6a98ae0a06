#include "storage/extent_layout.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "storage/disk_tasks.hpp"

namespace tidemark::storage {

using engine::block_bytes;
using engine::BlockSum;

namespace {
// A volume in files of 1 TiB has tables of 2 GiB: never in one buffer.
constexpr std::uint64_t sums_read_bytes = 1u << 20;
}  // namespace

std::optional<ExtentLayout::Name> ExtentLayout::parse(const std::string& name) const {
  Name named;
  const auto digits = std::min<std::size_t>(8, name.size());
  const auto suffix = name.substr(digits);
  const auto parsed = std::from_chars(name.data(), name.data() + digits, named.number, 16);
  const bool known = parsed.ec == std::errc() && (suffix == ".dat" || suffix == ".sum") &&
                     name == fmt::format("{:08x}{}", named.number, suffix);
  if (!known || named.number * file_blocks >= volume_blocks) return std::nullopt;
  named.data = suffix == ".dat";
  return named;
}

std::string ExtentLayout::path_of(std::uint64_t number, const char* suffix) const {
  return fmt::format("{}/{:08x}.{}", directory, number, suffix);
}

std::uint64_t ExtentLayout::blocks_in(std::uint64_t number) const {
  return std::min(file_blocks, volume_blocks - number * file_blocks);
}

std::uint64_t ExtentLayout::sum_pages(std::uint64_t number) const {
  return (blocks_in(number) + sums_per_page - 1) / sums_per_page;
}

Task<engine::Result<std::vector<BlockSum>>> read_sum_table(Disk& disk, FilePtr file,
                                                           std::uint64_t pages) {
  std::vector<BlockSum> sums(static_cast<std::size_t>(pages * sums_per_page));
  const auto table = std::as_writable_bytes(std::span(sums));
  for (std::uint64_t at = 0; at < table.size(); at += sums_read_bytes) {
    const auto count = std::min<std::uint64_t>(sums_read_bytes, table.size() - at);
    auto bytes = co_await read_file(disk, file, at, count);
    if (!bytes) co_return bytes.error();
    std::memcpy(table.data() + at, bytes->data(), count);
  }
  co_return sums;
}

Task<engine::Result<SumTable>> read_what_can_be_read(Disk& disk, FilePtr file,
                                                     std::uint64_t pages) {
  auto whole = co_await read_sum_table(disk, file, pages);
  if (whole) co_return SumTable{std::move(*whole), {}};
  if (whole.error().code != engine::Errc::io_failed) co_return whole.error();
  SumTable table;
  table.sums.assign(static_cast<std::size_t>(pages * sums_per_page), unread_sum);
  for (std::uint64_t page = 0; page < pages; ++page) {
    auto bytes = co_await read_file(disk, file, page * block_bytes, block_bytes);
    if (bytes) {
      std::memcpy(&table.sums[page * sums_per_page], bytes->data(), block_bytes);
      continue;
    }
    if (bytes.error().code != engine::Errc::io_failed) co_return bytes.error();
    table.unread_pages.insert(page);
    if (table.unread_pages.size() > unread_pages_max) co_return bytes.error();
  }
  co_return table;
}

std::optional<SumMismatch> first_mismatch(engine::VolumeKey key, engine::BlockIndex first,
                                          std::span<const std::byte> content,
                                          std::span<const BlockSum> sums) {
  for (std::size_t i = 0; i < sums.size(); ++i) {
    const auto block = first + i;
    const auto found = engine::block_sum(key, block, content.subspan(i * block_bytes, block_bytes));
    if (found != sums[i]) return SumMismatch{block, found, sums[i]};
  }
  return std::nullopt;
}

}  // namespace tidemark::storage
