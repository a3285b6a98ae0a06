#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

#include "apps/cli/client.hpp"
#include "apps/cli/directory.hpp"
#include "apps/cli/render.hpp"
#include "apps/cli/verify.hpp"
#include "storage/fork_files.hpp"

namespace tidemark::cli {

namespace json = boost::json;
using engine::block_bytes;
using engine::Errc;
using engine::Error;
using engine::RecordPtr;
using engine::Result;
using storage::ForkHead;

namespace {

struct Place {
  NodeDirectory node;
  std::string directory;  ///< Of the forks.
  std::uint64_t size_bytes = 0;
};

Result<Place> place_of(storage::ReadOnlyDisk& disk, const ForkWords& words) {
  auto node = open_directory(words.directory);
  if (!node) return node.error();
  auto found = find_replicas(disk, *node, words.volume);
  if (!found) return found.error();
  if (found->size() != 1) {
    return Error{Errc::invalid, fmt::format("{} has {} copies; choose one with --volume",
                                            node->path, found->size())};
  }
  const auto& replica = found->front();
  const auto* block = replica.in_force();
  if (block == nullptr)
    return Error{Errc::corrupt, replica.path + ": its superblock does not count"};
  return Place{std::move(*node), replica.path + "/forks", block->spec.size_bytes};
}

/// Only plain names: nothing of another directory.
Result<std::string> path_of(const Place& place, const std::string& id) {
  const bool plain = !id.empty() && id.find_first_not_of("0123456789-") == std::string::npos;
  const auto path = place.directory + "/" + id;
  if (!plain || !std::filesystem::is_regular_file(path))
    return Error{Errc::not_found, fmt::format("{} has no fork {}", place.directory, printable(id))};
  return path;
}

json::object to_json(const ForkHead& head, std::uint64_t bytes) {
  return {{"id", head.id()},
          {"epoch", head.epoch.value},
          {"parts_at", head.parts_at.value},
          {"first", head.first.value},
          {"last", head.last.value},
          {"end", head.end.value},
          {"complete", head.complete()},
          {"digest", engine::to_string(head.digest)},
          {"bytes", bytes}};
}

Error system_error(const std::string& what, const std::string& path) {
  return {Errc::io_failed, fmt::format("{} {}: {}", what, path, std::strerror(errno))};
}

/// A hole where the fork trimmed or zeroed.
engine::Status write_record(int file, const RecordPtr& record, const std::string& path) {
  const auto& range = record->header().range;
  const auto at = static_cast<off_t>(range.first.value * block_bytes);
  const auto payload = record->payload().bytes();
  if (range.empty()) return engine::Done{};
  if (payload.empty()) {
    const auto length = static_cast<off_t>(range.count * block_bytes);
    const int holed = ::fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, length);
    return holed == 0 ? engine::Status(engine::Done{}) : system_error("punching", path);
  }
  for (std::size_t done = 0; done < payload.size();) {
    const auto n =
        ::pwrite(file, payload.data() + done, payload.size() - done, at + static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return system_error("writing", path);
    done += static_cast<std::size_t>(n);
  }
  return engine::Done{};
}

}  // namespace

int list_forks(const ForkWords& words, bool as_json) {
  storage::ReadOnlyDisk disk;
  const auto place = place_of(disk, words);
  if (!place) return cannot(as_json, place.error());
  std::vector<std::string> names;
  if (std::filesystem::is_directory(place->directory)) {
    for (const auto& entry : std::filesystem::directory_iterator(place->directory)) {
      const auto name = entry.path().filename().string();
      if (!name.ends_with(".new")) names.push_back(name);
    }
  }
  std::sort(names.begin(), names.end());
  json::array forks;
  bool sound = true;
  for (const auto& name : names) {
    const auto path = place->directory + "/" + name;
    const auto head = disk.run(storage::read_fork(disk, path, [](const RecordPtr&) {}));
    sound = sound && head;
    if (head) {
      forks.push_back(to_json(*head, std::filesystem::file_size(path)));
    } else {
      forks.push_back(json::object{{"id", name}, {"error", head.error().text}});
    }
  }
  if (as_json) fmt::print("{}\n", json::serialize(json::object{{"forks", forks}}));
  for (const auto& fork : forks) {
    if (as_json) break;
    const auto& f = fork.as_object();
    if (const auto* error = f.if_contains("error")) {
      fmt::print("{}: {}\n", printable(std::string_view(f.at("id").as_string())),
                 printable(std::string_view(error->as_string())));
      continue;
    }
    fmt::print("{} epoch={} parts_at={} records={}..{} end={} bytes={}{}\n",
               std::string_view(f.at("id").as_string()), json::serialize(f.at("epoch")),
               json::serialize(f.at("parts_at")), json::serialize(f.at("first")),
               json::serialize(f.at("last")), json::serialize(f.at("end")),
               json::serialize(f.at("bytes")), f.at("complete").as_bool() ? "" : " incomplete");
  }
  if (forks.empty() && !as_json) fmt::print("nothing was sealed\n");
  return sound ? ok : failed;
}

int show_fork(const ForkWords& words, bool as_json) {
  storage::ReadOnlyDisk disk;
  const auto place = place_of(disk, words);
  if (!place) return cannot(as_json, place.error());
  const auto path = path_of(*place, words.id);
  if (!path) return cannot(as_json, path.error());
  const auto print = [as_json](const RecordPtr& record) {
    const auto& h = record->header();
    if (as_json) {
      fmt::print("{}\n", json::serialize(json::object{{"lsn", h.lsn.value},
                                                      {"epoch", h.epoch.value},
                                                      {"kind", engine::to_string(h.kind)},
                                                      {"first_block", h.range.first.value},
                                                      {"blocks", h.range.count},
                                                      {"digest", engine::to_string(h.digest)}}));
    } else {
      fmt::print("lsn={} epoch={} {} blocks={} digest={}\n", h.lsn, h.epoch,
                 engine::to_string(h.kind), h.range, engine::to_string(h.digest));
    }
  };
  const auto head = disk.run(storage::read_fork(disk, *path, print));
  if (head) return ok;
  (void)cannot(as_json, head.error());
  return failed;
}

int export_fork(const ForkWords& words, bool as_json) {
  storage::ReadOnlyDisk disk;
  const auto place = place_of(disk, words);
  if (!place) return cannot(as_json, place.error());
  const auto path = path_of(*place, words.id);
  if (!path) return cannot(as_json, path.error());
  const auto file = ::open(words.file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) return cannot(as_json, system_error("creating", words.file));
  engine::Status status = engine::Done{};
  std::uint64_t records = 0;
  if (::ftruncate(file, static_cast<off_t>(place->size_bytes)) != 0)
    status = system_error("sizing", words.file);
  const auto write = [&](const RecordPtr& record) {
    if (status) status = write_record(file, record, words.file);
    ++records;
  };
  const auto head = disk.run(storage::read_fork(disk, *path, write));
  if (status && !head) status = head.error();
  if (status && ::fsync(file) != 0) status = system_error("syncing", words.file);
  ::close(file);
  if (!status) {
    (void)cannot(as_json, status.error());
    return failed;
  }
  if (as_json) {
    fmt::print("{}\n", json::serialize(json::object{{"file", words.file}, {"records", records}}));
  } else {
    fmt::print("{} records of fork {} written to {}\n", records, words.id, printable(words.file));
  }
  return ok;
}

int drop_fork(const ForkWords& words, bool as_json) {
  storage::ReadOnlyDisk disk;
  const auto place = place_of(disk, words);
  if (!place) return cannot(as_json, place.error());
  const auto path = path_of(*place, words.id);
  if (!path) return cannot(as_json, path.error());
  if (::unlink(path->c_str()) != 0) return cannot(as_json, system_error("removing", *path));
  const auto directory = ::open(place->directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = directory >= 0 && ::fsync(directory) == 0;
  if (directory >= 0) ::close(directory);
  if (!synced) return cannot(as_json, system_error("syncing", place->directory));
  if (as_json) fmt::print("{}\n", json::serialize(json::object{{"dropped", words.id}}));
  if (!as_json) fmt::print("fork {} is gone\n", words.id);
  return ok;
}

}  // namespace tidemark::cli
