#include "apps/daemon/config.hpp"

#include <fmt/format.h>
#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include <boost/asio/ip/address.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <vector>

#include "engine/units.hpp"
#include "transport/http/unix_socket.hpp"
#include "transport/replication/endpoint.hpp"
#include "transport/replication/tcp_options.hpp"

namespace tidemark::daemon {

using engine::Errc;
using engine::Error;
using engine::Result;

namespace {

// Distance of two keys in single-character edits, to propose what was probably meant.
std::size_t edits(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const auto above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

// Walks one file: each known key is taken by a function that says what is wrong
// with a value, or nothing.
class Reader {
 public:
  using Take = std::function<std::string(const toml::node&)>;
  struct Key {
    std::string name;  ///< Dotted, as in messages.
    bool required = false;
    Take take;
  };

  Reader(std::string path, std::vector<Key> keys)
      : path_(std::move(path)), keys_(std::move(keys)) {}

  std::vector<std::string> read(const toml::table& file) {
    walk(file, "");
    for (const auto& key : keys_) {
      if (key.required && std::find(seen_.begin(), seen_.end(), key.name) == seen_.end()) {
        mistakes_.push_back(fmt::format("{}: the key \"{}\" is missing", path_, key.name));
      }
    }
    return mistakes_;
  }

 private:
  void walk(const toml::table& table, const std::string& prefix) {
    for (const auto& [name, node] : table) {
      const auto full = prefix + std::string(name.str());
      const auto known =
          std::find_if(keys_.begin(), keys_.end(), [&](const Key& k) { return k.name == full; });
      if (known != keys_.end()) {
        seen_.push_back(full);
        if (auto wrong = known->take(node); !wrong.empty())
          complain(node, fmt::format("{}: {}", full, wrong));
      } else if (node.is_table() && is_section(full)) {
        walk(*node.as_table(), full + ".");
      } else {
        complain(node, fmt::format("unknown key \"{}\"; {}", full, proposal(full)));
      }
    }
  }

  bool is_section(const std::string& full) const {
    return std::any_of(keys_.begin(), keys_.end(),
                       [&](const Key& k) { return k.name.starts_with(full + "."); });
  }

  std::string proposal(const std::string& full) const {
    const auto nearest = std::min_element(
        keys_.begin(), keys_.end(),
        [&](const Key& a, const Key& b) { return edits(a.name, full) < edits(b.name, full); });
    if (edits(nearest->name, full) <= 3) return fmt::format("did you mean \"{}\"?", nearest->name);
    std::string all;
    for (const auto& key : keys_) all += (all.empty() ? "" : ", ") + key.name;
    return "known are " + all;
  }

  void complain(const toml::node& node, const std::string& what) {
    mistakes_.push_back(fmt::format("{}:{}: {}", path_, node.source().begin.line, what));
  }

  std::string path_;
  std::vector<Key> keys_;
  std::vector<std::string> seen_;
  std::vector<std::string> mistakes_;
};

Reader::Take text_into(std::string& target,
                       std::function<std::string(const std::string&)> check = nullptr) {
  return [&target, check](const toml::node& node) -> std::string {
    const auto value = node.value_exact<std::string>();
    if (!value) return "must be a string in double quotes";
    if (check) {
      if (auto wrong = check(*value); !wrong.empty()) return wrong;
    }
    target = *value;
    return {};
  };
}

std::string endpoint_mistake(const std::string& text) {
  const auto checked = check_endpoint(text);
  return checked ? std::string{} : checked.error().text;
}

Reader::Take number_into(std::uint64_t& target, Result<std::uint64_t> (*parse)(std::string_view),
                         std::uint64_t least, std::uint64_t most,
                         std::string (*format)(std::uint64_t)) {
  return [=, &target](const toml::node& node) -> std::string {
    const auto text = node.value_exact<std::string>();
    if (!text) return "must be a string with a unit, such as \"64MiB\" or \"100ms\"";
    const auto value = parse(*text);
    if (!value) return value.error().text;
    if (*value < least || *value > most) {
      return fmt::format("\"{}\" is out of range; right would be {} to {}", *text, format(least),
                         format(most));
    }
    target = *value;
    return {};
  };
}

Reader::Take size_into(std::uint64_t& target, std::uint64_t least, std::uint64_t most) {
  return number_into(target, engine::parse_size, least, most, engine::format_size);
}
Reader::Take duration_into(std::uint64_t& target, std::uint64_t least, std::uint64_t most) {
  return number_into(target, engine::parse_duration, least, most, engine::format_duration);
}

constexpr std::uint64_t mib = 1ull << 20;

// A rate below 1 MiB/s is a mistyped one: 1 TiB would take two weeks.
Reader::Take rate_into(std::uint64_t& target) {
  return [&target](const toml::node& node) -> std::string {
    if (node.value_exact<std::string>() == "none") {
      target = 0;
      return {};
    }
    auto wrong = size_into(target, mib, 1024 * 1024 * mib)(node);
    return wrong.empty() ? wrong : wrong + " per second, or \"none\"";
  };
}
Reader::Take count_into(std::uint32_t& target, std::int64_t least, std::int64_t most) {
  return [=, &target](const toml::node& node) -> std::string {
    const auto value = node.value_exact<std::int64_t>();
    if (!value || *value < least || *value > most) {
      return fmt::format("must be a whole number from {} to {}", least, most);
    }
    target = static_cast<std::uint32_t>(*value);
    return {};
  };
}
constexpr std::uint64_t gib = 1ull << 30;
// A link that holds 64 MiB unsent is cut (TcpLimits): a credit of half of that never gets there.
constexpr std::uint64_t sender_credit_max = 32 * mib;
static_assert(2 * sender_credit_max <= transport::TcpLimits{}.queued_bytes_max);

std::vector<Reader::Key> keys_of(Config& c) {
  auto& s = c.settings;
  const auto level = [](const std::string& text) -> std::string {
    for (auto known : {"debug", "info", "warning", "error"}) {
      if (text == known) return {};
    }
    return fmt::format("\"{}\" is no level; right would be debug, info, warning or error", text);
  };
  const auto absolute = [](const std::string& text) -> std::string {
    return text.starts_with('/') ? "" : fmt::format("\"{}\" must be an absolute path", text);
  };
  const auto flag = [&c](const toml::node& node) -> std::string {
    const auto value = node.value_exact<bool>();
    if (!value) return "must be true or false";
    c.insecure = *value;
    return {};
  };
  return {
      {"dir", true, text_into(c.directory, absolute)},
      {"insecure", false, flag},
      {"listen.replication", true, text_into(c.replication, endpoint_mistake)},
      {"listen.nbd", true, text_into(c.nbd, endpoint_mistake)},
      {"listen.admin", false, text_into(c.admin, absolute)},
      {"control.address", true, text_into(c.control, endpoint_mistake)},
      {"log.level", false, text_into(c.log_level, level)},
      {"sizes.segment", false, size_into(s.segment_bytes, 4 * mib, gib)},
      {"sizes.wal_retention", false, size_into(s.wal_retention_bytes, 16 * mib, 16384 * gib)},
      {"sizes.reserve", false, size_into(s.reserve_bytes, mib, 1024 * gib)},
      {"sizes.extent_file", false, size_into(s.extent_file_bytes, 16 * mib, 1024 * gib)},
      {"sizes.memory_tail", false, size_into(s.memory_tail_bytes, 4 * mib, 1024 * gib)},
      {"sizes.uncommitted", false, size_into(s.uncommitted_bytes_max, 4 * mib, 1024 * gib)},
      {"sizes.sender_credit", false, size_into(s.sender_credit_bytes, 4 * mib, sender_credit_max)},
      {"sizes.flush", false, size_into(s.flush_bytes, mib, 1024 * gib)},
      {"rebuild.rate", false, rate_into(s.rebuild_rate)},
      {"rebuild.lanes", false, count_into(s.rebuild_lanes, 1, 64)},
      {"times.leave_after_closed", false,
       duration_into(s.leave_after_closed, engine::millisecond, 60 * engine::second)},
      {"times.leave_after_stalled", false,
       duration_into(s.leave_after_stalled, 100 * engine::millisecond, 600 * engine::second)},
      {"times.flush_after", false,
       duration_into(s.flush_after, 10 * engine::millisecond, 600 * engine::second)},
      {"times.retry_min", false,
       duration_into(s.retry_min, engine::millisecond, 60 * engine::second)},
      {"times.retry_max", false,
       duration_into(s.retry_max, engine::millisecond, 600 * engine::second)},
      {"times.promise_wait", false,
       duration_into(s.promise_wait, 10 * engine::millisecond, 60 * engine::second)},
      {"times.disk_degraded_after", false,
       duration_into(s.disk_degraded_after, 100 * engine::millisecond, 600 * engine::second)},
      {"times.disk_eject_after", false,
       duration_into(s.disk_eject_after, engine::second, 3600 * engine::second)},
      {"times.busy_poll", false, duration_into(c.busy_poll, 0, engine::millisecond)},
  };
}

bool is_loopback(const engine::Endpoint& endpoint) {
  const auto parsed = transport::parse_endpoint(endpoint);
  return parsed && parsed->loopback;
}

bool is_unspecified(const engine::Endpoint& endpoint) {
  const auto parsed = transport::parse_endpoint(endpoint);
  boost::system::error_code failed;
  return parsed && boost::asio::ip::make_address(parsed->host, failed).is_unspecified();
}

// What no single value shows: settings that contradict each other.
std::vector<std::string> contradictions(const Config& c) {
  std::vector<std::string> found;
  const auto& s = c.settings;
  if (s.segment_bytes % mib != 0) {
    found.push_back(fmt::format("{}: sizes.segment {} must be a whole number of MiB", c.path,
                                engine::format_size(s.segment_bytes)));
  }
  if (s.wal_retention_bytes < 4 * s.segment_bytes) {
    found.push_back(fmt::format(
        "{}: sizes.wal_retention {} holds fewer than 4 segments of {}; right would be {} or more",
        c.path, engine::format_size(s.wal_retention_bytes), engine::format_size(s.segment_bytes),
        engine::format_size(4 * s.segment_bytes)));
  }
  if (s.retry_min > s.retry_max)
    found.push_back(fmt::format("{}: times.retry_min is above times.retry_max", c.path));
  if (s.disk_degraded_after > s.disk_eject_after)
    found.push_back(
        fmt::format("{}: times.disk_degraded_after is above times.disk_eject_after", c.path));
  if (c.replication == c.nbd) {
    found.push_back(fmt::format(
        "{}: listen.replication and listen.nbd are both {}; they need a port each", c.path, c.nbd));
  }
  for (const auto& [key, endpoint] :
       {std::pair{"listen.replication", c.replication}, std::pair{"listen.nbd", c.nbd},
        std::pair{"control.address", c.control}}) {
    if (is_unspecified(endpoint)) {
      found.push_back(
          fmt::format("{}: {} = \"{}\" names no machine, and other nodes and clients are told this "
                      "very address; right would be the one under which they reach it",
                      c.path, key, endpoint));
    }
  }
  for (const auto& [key, endpoint] :
       {std::pair{"listen.replication", c.replication}, std::pair{"listen.nbd", c.nbd}}) {
    if (!c.insecure && !is_loopback(endpoint)) {
      found.push_back(
          fmt::format("{}: {} = \"{}\" is reachable from other machines and this build has no TLS; "
                      "right would be an address of 127.0.0.0/8 "
                      "or [::1], or insecure = true on a network that you trust",
                      c.path, key, endpoint));
    }
  }
  return found;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const auto& line : lines) text += (text.empty() ? "" : "\n") + line;
  return text;
}

}  // namespace

engine::Status check_endpoint(const std::string& text) {
  const auto parsed = transport::parse_endpoint(text);
  if (!parsed) return parsed.error();
  if (parsed->port != 0) return engine::Done{};
  return Error{
      Errc::invalid,
      fmt::format("endpoint \"{}\": others must know the port; right would be 1 to 65535", text)};
}

Result<Config> parse_config(const std::string& text, const std::string& path) {
  const auto parsed = toml::parse(text, path);
  if (!parsed) {
    return Error{Errc::invalid, fmt::format("{}:{}: {}", path, parsed.error().source().begin.line,
                                            parsed.error().description())};
  }
  Config config;
  config.path = path;
  auto mistakes = Reader(path, keys_of(config)).read(parsed.table());
  if (mistakes.empty()) mistakes = contradictions(config);
  if (!mistakes.empty()) return Error{Errc::invalid, joined(mistakes)};
  const bool derived = config.admin.empty();
  if (derived) config.admin = config.directory + "/admin.sock";
  if (const auto address = http::socket_address(config.admin); !address) {
    return Error{Errc::invalid, fmt::format("{}: {}{}", path, address.error().text,
                                            derived ? "; set listen.admin to a shorter one" : "")};
  }
  return config;
}

Result<Config> read_config(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file || std::filesystem::is_directory(path)) {
    return Error{
        Errc::not_found,
        fmt::format("the configuration {} cannot be read: {}", path,
                    std::filesystem::exists(path) ? "no permission, or no file" : "no such file")};
  }
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  constexpr std::size_t config_bytes_max = 1u << 20;
  if (text.size() > config_bytes_max)
    return Error{Errc::invalid, fmt::format("the configuration {} is larger than 1 MiB", path)};
  return parse_config(text, path);
}

}  // namespace tidemark::daemon
