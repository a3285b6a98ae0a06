#include "sim/checkers/states.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "sim/checkers/known.hpp"

namespace tidemark::sim {
namespace {

std::string field(const engine::Event& event, std::string_view key) {
  for (const auto& [name, value] : event.fields) {
    if (name == key) return value;
  }
  return {};
}

struct StateStep {
  std::string_view from;
  std::string_view to;
};

// A sender: what it comes to from each state, but for stopped and disconnected, which any may end in.
constexpr StateStep sender_steps[] = {
    {"disconnected", "connecting"}, {"refused", "connecting"},    {"connecting", "probing"},
    {"probing", "preparing"},       {"probing", "refused"},       {"preparing", "catching_up"},
    {"preparing", "rebuilding"},    {"catching_up", "streaming"}, {"rebuilding", "streaming"},
};
// A receiver: from any but the last three to waiting, refusing and stopping.
constexpr StateStep receiver_steps[] = {
    {"waiting", "ready"},       {"ready", "preparing"},      {"ready", "following"},
    {"preparing", "following"}, {"preparing", "rebuilding"}, {"rebuilding", "following"},
    {"refusing", "stopping"},   {"stopping", "stopped"},
};
constexpr StateStep volume_steps[] = {
    {"opening", "serving"}, {"opening", "ended"}, {"serving", "ended"}};

constexpr std::string_view ends_sender[] = {"disconnected", "stopped"};
constexpr std::string_view ends_receiver[] = {"waiting", "refusing", "stopping"};
constexpr std::string_view final_sender[] = {"stopped"};
constexpr std::string_view final_receiver[] = {"refusing", "stopping", "stopped"};
constexpr std::string_view final_volume[] = {"ended"};

bool has(std::span<const std::string_view> words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

}  // namespace

struct States::Table {
  std::string_view event;
  std::string_view key;  ///< The field that tells machines of one process apart.
  std::string_view first;
  std::span<const StateStep> steps;
  std::span<const std::string_view> always;  ///< May follow any state that is not final.
  std::span<const std::string_view> final;

  bool allows(std::string_view from, std::string_view to) const {
    if (from == to) return false;
    if (!has(final, from) && has(always, to)) return true;
    return std::any_of(steps.begin(), steps.end(),
                       [&](const StateStep& s) { return s.from == from && s.to == to; });
  }
};

void States::happened(const Life& by, const engine::Event& event) {
  static constexpr Table tables[] = {
      {"peer_state_changed", "replica", "disconnected", sender_steps, ends_sender, final_sender},
      {"receiver_state_changed", "replica", "waiting", receiver_steps, ends_receiver,
       final_receiver},
      {"volume_became", "", "opening", volume_steps, {}, final_volume},
  };
  for (const auto& table : tables) {
    if (event.name == table.event) return moved(by, table, event);
  }
  session(by, event);
}

void States::moved(const Life& by, const Table& table, const engine::Event& event) {
  const auto from = field(event, "from");
  const auto to = field(event, "to");
  const Machine machine(by.id, table.event, field(event, table.key));
  const auto [at, fresh] = states_.try_emplace(machine, table.first);
  // Where the one before has ended, or died, another one begins.
  const bool begins = from == table.first;
  if (at->second != from && !begins) {
    fail_("state_unknown", fmt::format("{} {}: it was {}", by.name, render(event), at->second));
  }
  if (!table.allows(from, to)) {
    fail_("state_forbidden", fmt::format("{} {}: no such step", by.name, render(event)));
  }
  at->second = to;
}

void States::session(const Life& by, const engine::Event& event) {
  const auto id = field(event, "session");
  const std::pair key(by.id, field(event, "replica"));
  const auto is = [&](std::string_view name) { return event.name == name; };
  const auto wrong = [&](std::string_view why) {
    fail_("session_order", fmt::format("{} {}: {}", by.name, render(event), why));
  };
  if (is("session_started")) {
    sessions_[key] = {id, false};
  } else if (is("session_completed")) {
    auto& session = sessions_[key];
    if (session.id != id) wrong("it was not begun");
    if (session.completed) wrong("it was completed before");
    session.completed = true;
  } else if (is("session_ended")) {
    // One that ends before it has a plan was never begun.
    const auto* session = known(sessions_, key);
    if (session != nullptr && session->id == id) sessions_.erase(key);
  }
}

}  // namespace tidemark::sim
