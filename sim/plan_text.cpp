// Plans as text: JSON that people can read and edit.
#include <fmt/format.h>

#include <boost/json.hpp>
#include <charconv>
#include <set>

#include "sim/knobs.hpp"
#include "sim/plan.hpp"

namespace tidemark::sim {
namespace {

namespace json = boost::json;
using engine::Errc;
using engine::Error;
using engine::FrontOp;

constexpr std::array<std::string_view, 7> op_words = {
    "read", "write", "flush", "trim", "write_zeroes", "cache", "block_status",
};

/// "write 120+8 fua": what, first cell + cells, flags.
std::string ask_text(const Ask& ask) {
  std::string text(op_words.at(static_cast<std::size_t>(ask.op)));
  if (ask.op != FrontOp::flush) text += fmt::format(" {}+{}", ask.cells.first, ask.cells.count);
  if (ask.fua) text += " fua";
  if (ask.no_hole) text += " no_hole";
  return text;
}

/// Beyond any volume of a run.
constexpr std::uint64_t cells_max = 1 << 20;

std::optional<std::uint64_t> parse_cells(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole && value <= cells_max ? std::optional(value) : std::nullopt;
}

std::optional<Ask> parse_ask(std::string_view text) {
  std::vector<std::string_view> words;
  for (std::size_t at = 0; at <= text.size();) {
    const auto space = std::min(text.find(' ', at), text.size());
    words.push_back(text.substr(at, space - at));
    at = space + 1;
  }
  Ask ask;
  const auto op = std::find(op_words.begin(), op_words.end(), words.front());
  if (op == op_words.end()) return std::nullopt;
  ask.op = static_cast<FrontOp>(op - op_words.begin());
  std::size_t next = 1;
  if (ask.op != FrontOp::flush) {
    if (words.size() < 2) return std::nullopt;
    const auto plus = words[1].find('+');
    if (plus == std::string_view::npos) return std::nullopt;
    const auto first = parse_cells(words[1].substr(0, plus));
    const auto count = parse_cells(words[1].substr(plus + 1));
    if (!first || !count || *count == 0) return std::nullopt;
    ask.cells = {*first, *count};
    next = 2;
  }
  for (; next < words.size(); ++next) {
    auto& flag = words[next] == "fua" ? ask.fua : ask.no_hole;
    if ((words[next] != "fua" && words[next] != "no_hole") || std::exchange(flag, true))
      return std::nullopt;
  }
  return ask;
}

/// The fields of one object. Each may be asked for once; what nobody asked for is a flaw, and so is what is not as it is
/// asked for. The first flaw of all stands in `flaw`.
class Fields {
 public:
  Fields(const json::value& value, std::string where, std::string& flaw)
      : object_(value.if_object()), where_(std::move(where)), flaw_(flaw) {
    if (object_ == nullptr) say("is no object");
  }

  std::uint64_t number(std::string_view key, std::uint64_t least, std::uint64_t most) {
    const auto* v = get(key);
    if (v == nullptr) return least;
    boost::system::error_code error;
    const auto n = v->is_number() ? v->to_number<std::uint64_t>(error) : 0;
    if (!v->is_number() || error || n < least || n > most) {
      say(fmt::format("{}: wants a whole number from {} to {}", key, least, most));
      return least;
    }
    return n;
  }
  bool truth(std::string_view key) {
    const auto* v = get(key);
    if (v != nullptr && !v->is_bool()) say(fmt::format("{}: wants true or false", key));
    return v != nullptr && v->is_bool() && v->get_bool();
  }
  std::string text(std::string_view key) {
    const auto* v = get(key);
    if (v != nullptr && !v->is_string()) say(fmt::format("{}: wants a string", key));
    return v != nullptr && v->is_string() ? std::string(v->get_string()) : std::string();
  }
  /// A word that `parse` knows.
  template <class T>
  T word(std::string_view key, std::optional<T> (*parse)(std::string_view)) {
    const auto said = text(key);
    const auto known = parse(said);
    if (!known) say(fmt::format("{}: \"{}\" is not known", key, said));
    return known.value_or(T{});
  }
  const json::array& list(std::string_view key) {
    static const json::array none;
    const auto* v = get(key);
    if (v != nullptr && !v->is_array()) say(fmt::format("{}: wants a list", key));
    return v != nullptr && v->is_array() ? v->get_array() : none;
  }
  json::value object(std::string_view key) {
    const auto* v = get(key);
    return v != nullptr ? *v : json::value(json::object());
  }
  void end() {
    if (object_ == nullptr) return;
    for (const auto& [key, value] : *object_) {
      if (!asked_.contains(key)) say(fmt::format("{}: is not known", std::string_view(key)));
    }
  }
  void say(const std::string& what) {
    if (flaw_.empty()) flaw_ = where_ + (where_.empty() ? "" : " ") + what;
  }

 private:
  const json::value* get(std::string_view key) {
    asked_.emplace(key);
    if (object_ == nullptr) return nullptr;
    const auto* v = object_->if_contains(key);
    if (v == nullptr) say(fmt::format("{}: is missing", key));
    return v;
  }

  const json::object* object_;
  std::string where_;
  std::string& flaw_;
  std::set<std::string, std::less<>> asked_;
};

void parse_volume(Plan& plan, const json::value& value, std::string& flaw) {
  Fields f(value, "volume:", flaw);
  plan.nodes = f.number("nodes", 2, 8);
  plan.copies = f.number("copies", 1, plan.nodes);
  plan.min_copies = f.number("min_copies", 1, plan.copies);
  plan.mode = f.word("mode", engine::parse_mode);
  plan.ack = f.word("ack", engine::parse_ack);
  plan.below_min = f.word("below_min", engine::parse_below_min);
  for (const auto& host : f.list("hosts")) {
    boost::system::error_code error;
    const auto n = host.is_number() ? host.to_number<std::uint32_t>(error) : 0;
    if (!host.is_number() || error || n >= plan.nodes)
      f.say("hosts: wants numbers of nodes, from 0");
    plan.hosts.push_back(n);
  }
  if (!plan.hosts.empty() && plan.hosts.size() != plan.copies)
    f.say("hosts: wants one for each copy");
  plan.blocks = f.number("blocks", 256, 512);
  f.end();
}

void parse_knobs(Plan& plan, const json::value& value, std::string& flaw) {
  Fields f(value, "knobs:", flaw);
  if (const auto* object = value.if_object()) {
    for (const auto& [key, unused] : *object) {
      const auto* knob = find_knob(key);
      if (knob == nullptr) continue;
      plan.knobs[std::string(key)] = f.number(key, knob->least, knob->most);
    }
  }
  f.end();
}

PlannedClient parse_client(const json::value& value, std::size_t index, std::string& flaw) {
  Fields f(value, fmt::format("client {}:", index + 1), flaw);
  PlannedClient client;
  client.id = f.number("id", 1, 1'000'000);
  client.depth = f.number("depth", 1, 1024);
  client.think_max = f.number("think_max", 0, 3600 * engine::second);
  for (const auto& item : f.list("asks")) {
    const auto text = item.is_string() ? std::string(item.get_string()) : json::serialize(item);
    const auto ask = parse_ask(text);
    if (!ask)
      f.say(fmt::format("asks: \"{}\" is not understood; wanted like \"write 120+8 fua\"", text));
    if (ask) client.asks.push_back(*ask);
  }
  f.end();
  return client;
}

PlannedFault parse_planned_fault(const json::value& value, std::size_t index, std::string& flaw) {
  Fields f(value, fmt::format("fault {}:", index + 1), flaw);
  PlannedFault planned;
  planned.id = f.number("id", 1, 1'000'000);
  planned.fault = f.word("fault", parse_fault);
  planned.draws = f.number("draws", 0, 1ULL << 48);
  planned.after = f.number("after", 0, 1'000'000);
  planned.resizes = f.truth("resizes");
  planned.reconfigures = f.truth("reconfigures");
  f.end();
  return planned;
}

std::string asks_text(const std::vector<Ask>& asks) {
  std::string text;
  std::size_t column = 0;
  for (const auto& ask : asks) {
    const auto one = fmt::format("\"{}\"", ask_text(ask));
    const bool wraps = column == 0 || column + one.size() > 100;
    text += (text.empty() ? "" : ",") + std::string(wraps ? "\n      " : " ") + one;
    column = wraps ? one.size() : column + one.size() + 2;
  }
  return text;
}

/// `items`, one a line, between brackets.
template <class Items, class ToText>
std::string lines(const Items& items, ToText to_text) {
  std::string text;
  for (const auto& item : items) text += (text.empty() ? "\n    " : ",\n    ") + to_text(item);
  return text + (text.empty() ? "" : "\n  ");
}

}  // namespace

std::string to_text(const Plan& plan) {
  std::string hosts;
  for (const auto host : plan.hosts) hosts += fmt::format("{}{}", hosts.empty() ? "" : ", ", host);
  auto text = fmt::format(
      "{{\n  \"version\": {},\n  \"seed\": {},\n  \"schedule\": {},\n  \"share\": {},\n  "
      "\"rules_at_rest\": {},\n"
      "  \"cold_restart\": {},\n",
      plan_version, plan.seed, plan.schedule, plan.share, plan.rules_at_rest, plan.cold_restart);
  text += fmt::format(
      "  \"volume\": {{\"nodes\": {}, \"copies\": {}, \"min_copies\": {}, \"mode\": \"{}\", "
      "\"ack\": \"{}\", "
      "\"below_min\": \"{}\", \"hosts\": [{}], \"blocks\": {}}},\n",
      plan.nodes, plan.copies, plan.min_copies, to_string(plan.mode), to_string(plan.ack),
      to_string(plan.below_min), hosts, plan.blocks);
  text += fmt::format("  \"knobs\": {{{}}},\n", lines(plan.knobs, [](const auto& knob) {
                        return fmt::format("\"{}\": {}", knob.first, knob.second);
                      }));
  text += fmt::format("  \"clients\": [{}],\n", lines(plan.clients, [](const PlannedClient& c) {
                        return fmt::format(
                            "{{\"id\": {}, \"depth\": {}, \"think_max\": {}, \"asks\": [{}]}}",
                            c.id, c.depth, c.think_max, asks_text(c.asks));
                      }));
  text += fmt::format(
      "  \"faults\": [{}]\n}}\n", lines(plan.faults, [](const PlannedFault& f) {
        return fmt::format(
            "{{\"id\": {}, \"fault\": \"{}\", \"draws\": {}, \"after\": {}, \"resizes\": {}, "
            "\"reconfigures\": {}}}",
            f.id, to_string(f.fault), f.draws, f.after, f.resizes, f.reconfigures);
      }));
  return text;
}

engine::Result<Plan> parse_plan(std::string_view text) {
  boost::system::error_code error;
  const auto value = json::parse(text, error);
  if (error) return Error{Errc::invalid, "the plan is no JSON: " + error.message()};
  std::string flaw;
  Fields f(value, "", flaw);
  const auto version = f.number("version", 0, UINT32_MAX);
  if (flaw.empty() && version != plan_version) {
    return Error{Errc::invalid,
                 fmt::format("the plan has version {}, this program reads version {}", version,
                             plan_version)};
  }
  Plan plan;
  plan.seed = f.number("seed", 0, UINT64_MAX);
  plan.schedule = f.number("schedule", 0, UINT64_MAX);
  plan.share = f.number("share", 0, 1'000'000);
  plan.rules_at_rest = f.truth("rules_at_rest");
  plan.cold_restart = f.truth("cold_restart");
  parse_volume(plan, f.object("volume"), flaw);
  parse_knobs(plan, f.object("knobs"), flaw);
  const auto& clients = f.list("clients");
  for (std::size_t i = 0; i < clients.size(); ++i)
    plan.clients.push_back(parse_client(clients[i], i, flaw));
  if (plan.clients.empty()) f.say("clients: wants one at least");
  const auto& faults = f.list("faults");
  for (std::size_t i = 0; i < faults.size(); ++i)
    plan.faults.push_back(parse_planned_fault(faults[i], i, flaw));
  f.end();
  if (!flaw.empty()) return Error{Errc::invalid, "the plan's " + flaw};
  return plan;
}

}  // namespace tidemark::sim
