#include "apps/cli/recovery.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <boost/json.hpp>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <thread>

#include "apps/cli/render.hpp"
#include "engine/units.hpp"

namespace tidemark::cli {

namespace json = boost::json;

namespace {

/// Longest wait of one question for news; the control plane waits no longer than that either.
constexpr std::uint64_t follow_wait_milliseconds = 20'000;
/// Before a node that could not be asked is asked again.
constexpr std::chrono::seconds follow_pause{1};

const json::value* at(const json::value& in, std::string_view key) {
  return in.is_object() ? in.as_object().if_contains(key) : nullptr;
}
std::string text(const json::value& in, std::string_view key) {
  const auto* value = at(in, key);
  if (value == nullptr || value->is_null()) return "";
  return printable(value->is_string() ? std::string(value->as_string()) : json::serialize(*value));
}
std::uint64_t number(const json::value& in, std::string_view key) {
  const auto* value = at(in, key);
  if (value == nullptr) return 0;
  if (value->is_uint64()) return value->as_uint64();
  const bool whole = value->is_int64() && value->as_int64() >= 0;
  return whole ? static_cast<std::uint64_t>(value->as_int64()) : 0;
}

void add(std::string& lines, std::string_view title, const std::string& words) {
  if (!words.empty()) lines += fmt::format("  {:<9}{}\n", title, words);
}

std::string move_of(const json::value& move) {
  auto words = engine::format_size(number(move, "bytes"));
  words += fmt::format(": log {} in {} records", engine::format_size(number(move, "log_bytes")),
                       number(move, "log_records"));
  if (number(move, "base_blocks") != 0) {
    words += fmt::format(", base {} in {} blocks", engine::format_size(number(move, "base_bytes")),
                         number(move, "base_blocks"));
  }
  if (number(move, "index_bytes") != 0)
    words += fmt::format(", index {}", engine::format_size(number(move, "index_bytes")));
  if (const auto remark = text(move, "remark"); !remark.empty()) words += " (" + remark + ")";
  return words;
}

std::string numbers_of(const json::value& facts, std::initializer_list<const char*> keys) {
  std::string words;
  for (const auto* key : keys) {
    if (at(facts, key) == nullptr) continue;
    words += fmt::format("{}{} {}", words.empty() ? "" : ", ", key, text(facts, key));
  }
  return words;
}

/// What was printed is out before the program goes; an interrupt is how a follower ends.
void end_on_interrupt() {
  std::signal(SIGINT, [](int) { ::_exit(0); });
  std::signal(SIGTERM, [](int) { ::_exit(0); });
}

engine::Result<json::object> first_question(const EventWords& words, const json::value& all) {
  json::object since;
  const auto* sources = at(all, "sources");
  for (const auto& word : words.since) {
    const auto colon = word.rfind(':');
    const auto digits = colon == std::string::npos ? word : word.substr(colon + 1);
    if (digits.empty() || digits.size() > 18 ||
        digits.find_first_not_of("0123456789") != std::string::npos) {
      return engine::Error{engine::Errc::invalid,
                           fmt::format("--since \"{}\": right would be N or NODE:N", word)};
    }
    // Of the log that there is now, so that one begun anew meanwhile is noticed.
    const auto sequence = std::stoull(digits);
    const auto name = colon == std::string::npos ? std::string() : word.substr(0, colon);
    if (!name.empty()) since[name] = json::object{{"incarnation", 0}, {"sequence", sequence}};
    if (sources == nullptr || !sources->is_object()) continue;
    for (const auto& source : sources->as_object()) {
      if (!name.empty() && name != std::string_view(source.key())) continue;
      since[source.key()] = json::object{{"incarnation", number(source.value(), "incarnation")},
                                         {"sequence", sequence}};
    }
  }
  return json::object{{"since", since}};
}

void print(const std::vector<std::string>& lines) {
  for (const auto& line : lines) fmt::print("{}\n", line);
  std::fflush(stdout);
}

int complain(const engine::Error& error, bool as_json) {
  if (as_json) {
    fmt::print("{}\n", json::serialize(json::object{{"error", error.text},
                                                    {"code", engine::to_string(error.code)}}));
  }
  fmt::print(stderr, "tidemark: {}\n", printable(error.text));
  return failed;
}

int follow(const Client& client, const std::string& path, json::object question, bool as_json) {
  end_on_interrupt();
  std::string problem;  // Said once, not each second.
  for (;;) {
    const auto reply = client.ask("POST", path, question);
    if (!reply) {
      if (reply.error().code != engine::Errc::unavailable) return complain(reply.error(), as_json);
      if (problem != reply.error().text)
        fmt::print(stderr, "tidemark: {}; asking on\n", printable(reply.error().text));
      problem = reply.error().text;
      std::this_thread::sleep_for(follow_pause);
      continue;
    }
    problem.clear();
    print(event_lines(reply->body, as_json));
    question = next_question(question, reply->body);
    question["wait_milliseconds"] = follow_wait_milliseconds;
  }
}

}  // namespace

std::string render_plan(const json::value& reply) {
  std::string lines = fmt::format("{} on {} (replica {}), from {}: {}\n", text(reply, "volume"),
                                  text(reply, "node"), text(reply, "replica"),
                                  text(reply, "primary"), text(reply, "says"));
  auto state = text(reply, "state");
  if (const auto why = text(reply, "reason"); !why.empty()) state += ": " + why;
  add(lines, "state", state);
  if (const auto* outcome = at(reply, "outcome")) {
    auto kind = text(*outcome, "kind");
    if (const auto better = text(*outcome, "better"); better != "none" && !better.empty())
      kind += " (better would be " + better + ", which this version can't do)";
    add(lines, "outcome", kind);
    add(lines, "why", text(*outcome, "proof"));
  }
  if (const auto assumed = text(reply, "assumed"); !assumed.empty())
    add(lines, "assuming", assumed);
  add(lines, "no plan", text(reply, "problem"));
  if (const auto* plan = at(reply, "plan")) {
    auto words = text(*plan, "kind");
    if (const auto scope = text(*plan, "scope"); !scope.empty()) words += " of " + scope;
    add(lines, "plan", fmt::format("{}, target {}", words, text(*plan, "target")));
    add(lines, "source", text(*plan, "source"));
    add(lines, "pins", "log from " + text(*plan, "pin_from"));
  }
  if (const auto* session = at(reply, "session"); session != nullptr && at(reply, "plan")) {
    add(lines, "done",
        fmt::format("{} in {} ms: {} records, {} of {} base blocks",
                    engine::format_size(number(*session, "bytes")),
                    number(*session, "milliseconds"), number(*session, "records"),
                    number(*session, "base_blocks"), number(*session, "base_blocks_all")));
  }
  if (const auto* move = at(reply, "move"))
    add(lines, at(reply, "session") != nullptr ? "left" : "moves", move_of(*move));
  if (const auto why = text(reply, "not_counted"); !why.empty())
    add(lines, "moves", "not counted: " + why);
  const auto* facts = at(reply, "facts");
  if (facts == nullptr) return lines;
  if (const auto* primary = at(*facts, "primary"))
    add(lines, "primary", numbers_of(*primary, {"head", "retained", "checkpoint", "committed"}));
  if (const auto* replica = at(*facts, "replica")) {
    const auto age = static_cast<double>(number(*facts, "replica_age_milliseconds")) / 1000.0;
    add(lines, "replica",
        fmt::format(
            "{} ({} {:.1f} s ago)",
            numbers_of(*replica, {"received", "durable", "checkpoint", "committed", "promised",
                                  "base", "missing_blocks"}),
            text(*facts, "replica_from_acks") == "true" ? "by its acknowledgements, last" : "told",
            age));
  }
  return lines;
}

std::vector<std::string> event_lines(const json::value& reply, bool as_json) {
  std::vector<std::string> lines;
  if (const auto* gaps = at(reply, "gaps"); gaps != nullptr && gaps->is_array()) {
    for (const auto& gap : gaps->as_array()) {
      if (as_json) {
        lines.push_back(json::serialize(json::object{{"gap", gap}}));
        continue;
      }
      if (text(gap, "restarted") == "true")
        lines.push_back(fmt::format("-- {} was started again: its events before that are gone",
                                    text(gap, "node")));
      if (at(gap, "first") != nullptr)
        lines.push_back(fmt::format("-- events {} to {} of {} were dropped", text(gap, "first"),
                                    text(gap, "last"), text(gap, "node")));
    }
  }
  const auto* all = at(reply, "events");
  if (all == nullptr || !all->is_array()) return lines;
  for (const auto& event : all->as_array()) {
    lines.push_back(as_json ? json::serialize(event)
                            : fmt::format("{}  {} #{}  {}", text(event, "at"), text(event, "node"),
                                          text(event, "sequence"), text(event, "text")));
  }
  return lines;
}

json::object next_question(const json::object& before, const json::value& reply) {
  auto question = before;
  const auto* sources = at(reply, "sources");
  if (sources == nullptr || !sources->is_object()) return question;
  json::object since;
  if (const auto* had = before.if_contains("since"); had != nullptr && had->is_object())
    since = had->as_object();
  for (const auto& source : sources->as_object()) since[source.key()] = source.value();
  question["since"] = std::move(since);
  return question;
}

int events(const Client& client, const EventWords& words, bool as_json) {
  const auto path = "/v1/volumes/" + words.volume + "/events";
  auto question = json::object{};
  if (!words.since.empty()) {
    const auto all = client.ask("GET", path);
    if (!all) return complain(all.error(), as_json);
    auto first = first_question(words, all->body);
    if (!first) {
      (void)complain(first.error(), as_json);
      return usage;
    }
    question = std::move(*first);
  }
  if (words.follow) return follow(client, path, std::move(question), as_json);
  const auto reply = client.ask("POST", path, question);
  if (!reply) return complain(reply.error(), as_json);
  if (as_json) {
    fmt::print("{}\n", json::serialize(reply->body));
    return ok;
  }
  const auto lines = event_lines(reply->body, false);
  print(lines);
  if (lines.empty()) fmt::print("no events\n");
  return ok;
}

int watch(const Client& client, double interval, bool as_json) {
  end_on_interrupt();
  const bool terminal = !as_json && ::isatty(STDOUT_FILENO) == 1;
  for (;;) {
    const auto reply = client.ask("GET", "/v1/status");
    if (!reply && as_json) return complain(reply.error(), true);
    // The picture is made before the screen is cleared: nothing flickers.
    std::string picture;
    if (as_json) {
      picture = json::serialize(reply->body) + "\n";
    } else {
      picture = reply ? render_status(reply->body) + render_sessions(reply->body)
                      : fmt::format("tidemark: {}\n", printable(reply.error().text));
    }
    fmt::print("{}{}{}", terminal ? "\x1b[H\x1b[2J" : "", picture, terminal || as_json ? "" : "\n");
    std::fflush(stdout);
    std::this_thread::sleep_for(std::chrono::duration<double>(interval));
  }
}

}  // namespace tidemark::cli
