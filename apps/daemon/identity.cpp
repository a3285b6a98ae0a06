#include "apps/daemon/identity.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <boost/json.hpp>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>

#include "engine/record/checksum.hpp"

namespace tidemark::daemon {

namespace fs = std::filesystem;
namespace json = boost::json;
using engine::Done;
using engine::Errc;
using engine::Error;
using engine::Result;
using engine::Status;

namespace {

constexpr int format = 1;
constexpr auto token_prefix = "tidemark1";
constexpr auto file_name = "/identity.json";

std::uint32_t check_of(const std::string& text) {
  return engine::crc32c(std::as_bytes(std::span(text.data(), text.size())));
}

Error failed(const std::string& what, const std::string& path) {
  const auto code = errno == ENOSPC ? Errc::no_space : Errc::io_failed;
  return Error{code, fmt::format("{} {}: {}", what, path, std::strerror(errno))};
}

Status sync_path(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return failed("opening", path);
  const bool ok = ::fsync(fd) == 0;
  ::close(fd);
  if (!ok) return failed("syncing", path);
  return Done{};
}

// Written beside its place and renamed into it, so that a crash leaves either nothing or all of it.
Status write_durably(const std::string& path, const std::string& content) {
  const auto temporary = path + ".new";
  {
    std::ofstream file(temporary, std::ios::binary | std::ios::trunc);
    file << content;
    if (!file.flush()) return failed("writing", temporary);
  }
  if (auto synced = sync_path(temporary); !synced) return synced;
  if (::rename(temporary.c_str(), path.c_str()) != 0) return failed("renaming to", path);
  return sync_path(fs::path(path).parent_path().string());
}

}  // namespace

std::string make_token(const engine::ClusterId& cluster) {
  const auto id = to_string(cluster);
  return fmt::format("{}.{}.{:08x}", token_prefix, id, check_of(id));
}

Result<engine::ClusterId> parse_token(const std::string& token) {
  const Error wrong{
      Errc::invalid,
      fmt::format("\"{}\" is no join token; `tidemarkd init --control` printed one like "
                  "\"tidemark1.<uuid>.<8 hex digits>\"",
                  token)};
  const auto first = token.find('.');
  const auto last = token.rfind('.');
  if (first == std::string::npos || last <= first || token.substr(0, first) != token_prefix)
    return wrong;
  const auto id = engine::parse_uuid(token.substr(first + 1, last - first - 1));
  if (!id || token.substr(last + 1) != fmt::format("{:08x}", check_of(to_string(*id))))
    return wrong;
  return *id;
}

Status check_node_name(const std::string& name) {
  const auto letter = [](char c) { return c >= 'a' && c <= 'z'; };
  bool good = !name.empty() && name.size() <= 32 && letter(name.front());
  for (char c : name) good = good && (letter(c) || (c >= '0' && c <= '9') || c == '-');
  if (good) return Done{};
  return Error{Errc::invalid, fmt::format("\"{}\" is no node name; right would be 1 to 32 of a-z, "
                                          "0-9 and '-', beginning with a letter",
                                          name)};
}

std::string identity_text(const Identity& identity) {
  return json::serialize(json::object{{"format", format},
                                      {"cluster", to_string(identity.cluster)},
                                      {"node", identity.node.name},
                                      {"uuid", to_string(identity.node.uuid)},
                                      {"hosts_control", identity.hosts_control}});
}

Status create_directory(const std::string& directory, const Identity& identity) {
  std::error_code error;
  if (fs::exists(directory, error)) {
    if (!fs::is_directory(directory, error))
      return Error{Errc::already_exists, fmt::format("{} exists and is no directory", directory)};
    if (!fs::is_empty(directory, error)) {
      return Error{
          Errc::already_exists,
          fmt::format(
              "{} is not empty; nothing was changed. To join anew, choose another directory",
              directory)};
    }
  } else if (!fs::create_directory(directory, error)) {
    return Error{Errc::io_failed, fmt::format("creating {}: {}", directory, error.message())};
  }
  fs::permissions(directory, fs::perms::owner_all, error);
  const auto volumes = directory + "/volumes";
  if (!fs::create_directory(volumes, error))
    return Error{Errc::io_failed, fmt::format("creating {}: {}", volumes, error.message())};
  if (auto written = write_durably(directory + file_name, identity_text(identity) + "\n"); !written)
    return written;
  return sync_path(fs::absolute(directory).parent_path().string());
}

Result<Identity> read_identity(const std::string& directory) {
  std::error_code error;
  if (!fs::is_directory(directory, error)) {
    return Error{Errc::not_found, fmt::format("the data directory {} is not there (is its disk "
                                              "mounted?); `tidemarkd init` makes a new one",
                                              directory)};
  }
  const auto path = directory + file_name;
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return Error{Errc::not_found, fmt::format("{} is missing: {} was not made by `tidemarkd init`, "
                                              "or was emptied. Nothing was changed",
                                              path, directory)};
  }
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  json::error_code bad;
  const auto value = json::parse(text, bad);
  const Error damaged{Errc::corrupt,
                      fmt::format("{} is damaged: it holds \"{}\"", path, text.substr(0, 80))};
  if (bad || !value.is_object()) return damaged;
  const auto& o = value.as_object();
  const auto* version = o.if_contains("format");
  const auto* cluster = o.if_contains("cluster");
  const auto* node = o.if_contains("node");
  const auto* uuid = o.if_contains("uuid");
  const auto* hosts = o.if_contains("hosts_control");
  if (!version || !version->is_int64() || !cluster || !cluster->is_string() || !node ||
      !node->is_string() || !uuid || !uuid->is_string() || !hosts || !hosts->is_bool()) {
    return damaged;
  }
  if (version->as_int64() != format) {
    return Error{Errc::invalid, fmt::format("{} is of format {}, this program knows format {}",
                                            path, version->as_int64(), format)};
  }
  const auto cluster_id = engine::parse_uuid(std::string_view(cluster->as_string()));
  const auto node_uuid = engine::parse_uuid(std::string_view(uuid->as_string()));
  if (!cluster_id || !node_uuid) return damaged;
  return Identity{*cluster_id, {std::string(node->as_string()), *node_uuid}, hosts->as_bool()};
}

}  // namespace tidemark::daemon
