// `scrub`: every member's node is told to read its copy, or asked how far it is; once all have, their
// copies are compared piece by piece (engine/scrub_round.hpp).
#include <algorithm>
#include <map>
#include <memory>

#include "actors/admin_json.hpp"
#include "actors/control_admin.hpp"

namespace tidemark::actors {

using engine::AdminReply;
using engine::Errc;
using engine::RoundStatus;
using engine::VolumeId;
using engine::control::VolumeRecord;

namespace {

constexpr std::string_view round_prefix = "scrub/";
constexpr std::string_view round_suffix = "/volume";

std::string round_key(const VolumeId& volume) {
  return fmt::format("{}{}{}", round_prefix, engine::to_string(volume), round_suffix);
}

std::optional<engine::ScrubState> state_in(const json::object& copy) {
  const auto* scrub = copy.if_contains("scrub");
  if (scrub == nullptr || !scrub->is_object()) return std::nullopt;
  const auto* said = scrub->as_object().if_contains("state");
  if (said == nullptr || !said->is_string()) return std::nullopt;
  for (auto state = engine::ScrubState::idle;;
       state = static_cast<engine::ScrubState>(static_cast<std::uint8_t>(state) + 1)) {
    if (said->as_string() == engine::to_string(state)) return state;
    if (state == engine::ScrubState::stopped) return std::nullopt;
  }
}

engine::CopyScrub scrub_of(const std::string& node, const AdminReply& reply) {
  engine::CopyScrub copy{node, std::nullopt, 0};
  if (reply.status != 200) return copy;
  const auto body = body_of(reply);
  copy.state = state_in(body);
  if (copy.state)
    copy.round = whole_number(body.at("scrub").as_object().if_contains("round")).value_or(0);
  return copy;
}

std::size_t entries_in(const json::object& body, std::string_view key) {
  const auto* list = body.if_contains(key);
  return list != nullptr && list->is_array() ? list->as_array().size() : 0;
}

std::vector<std::string> texts_in(const json::object& body, std::string_view key) {
  std::vector<std::string> texts;
  const auto* list = body.if_contains(key);
  if (list == nullptr || !list->is_array()) return texts;
  for (const auto& entry : list->as_array()) {
    if (entry.is_string()) texts.emplace_back(entry.as_string());
  }
  return texts;
}

std::vector<engine::DamagedCopy> damaged_in(const json::object& body) {
  std::vector<engine::DamagedCopy> damaged;
  const auto* list = body.if_contains("damaged");
  if (list == nullptr || !list->is_array()) return damaged;
  for (const auto& entry : list->as_array()) {
    if (!entry.is_object()) continue;
    const auto& one = entry.as_object();
    const auto block = whole_number(one.if_contains("block"));
    const auto node = text_field(one, "node");
    const auto cause = text_field(one, "cause", "");
    if (block && node && cause) damaged.push_back({*node, {engine::BlockIndex(*block), 1}, *cause});
  }
  return damaged;
}

json::object to_json(const RoundStatus& s) {
  json::array undecided, waiting, damaged;
  for (const auto block : s.undecided) undecided.emplace_back(block.value);
  for (const auto& node : s.waiting_for) waiting.emplace_back(node);
  for (const auto& copy : s.damaged) {
    damaged.emplace_back(json::object{{"node", copy.node},
                                      {"block", copy.range.first.value},
                                      {"blocks", copy.range.count},
                                      {"cause", copy.cause}});
  }
  return {{"state", engine::to_string(s.state)},
          {"number", s.number},
          {"rate", s.rate},
          {"next_block", s.next.value},
          {"differences", s.differences},
          {"disproved_blocks", s.disproved},
          {"undecided_blocks", std::move(undecided)},
          {"damaged", std::move(damaged)},
          {"waiting_for", std::move(waiting)}};
}

}  // namespace

// --- the round of a volume -----------------------------------------------------------------------

void ControlShell::load_scrubs() {
  for (const auto& [key, value] : env_->kv.scan(std::string(round_prefix))) {
    if (!key.ends_with(round_suffix)) continue;
    const auto name = std::string_view(key).substr(
        round_prefix.size(), key.size() - round_prefix.size() - round_suffix.size());
    const auto volume = engine::parse_uuid(std::string(name));
    const auto place = engine::decode_scrub(value);
    if (volume && place) scrubs_.emplace(*volume, engine::ScrubRound(*place));
  }
}

/// Not waited for: what is lost is compared once more.
void ControlShell::save_scrub(const VolumeId& volume, const engine::ScrubRound& round) {
  storage::KvBatch batch;
  if (round.finished()) {
    batch.remove(round_key(volume));
  } else {
    batch.put(round_key(volume), engine::encode_scrub(round.place()));
  }
  env_->kv.commit(std::move(batch), [](const engine::Status&) {});
}

void ControlShell::start_scrub(const VolumeRecord& record, std::uint64_t rate) {
  const auto found = scrubs_.find(record.spec.id);
  if (found != scrubs_.end() && !found->second.finished()) {
    found->second.set_rate(rate);
  } else {
    // Drawn, not counted: copies may remember more rounds than this catalog does. Not 0, and exact
    // where a reader of JSON has doubles only.
    const auto number = std::max<std::uint64_t>(1, env_->rng.next() % (std::uint64_t{1} << 53));
    scrubs_.insert_or_assign(record.spec.id,
                             engine::ScrubRound({rate, engine::BlockIndex(), 0, number}));
  }
  save_scrub(record.spec.id, scrubs_.at(record.spec.id));
}

void ControlShell::stop_scrub(const VolumeId& volume) {
  if (scrubs_.erase(volume) == 0) return;
  storage::KvBatch batch;
  batch.remove(round_key(volume));
  env_->kv.commit(std::move(batch), [](const engine::Status&) {});
}

const RoundStatus* ControlShell::scrub_status(const VolumeId& volume) const {
  const auto found = scrubs_.find(volume);
  return found == scrubs_.end() ? nullptr : &found->second.status();
}

void ControlShell::move_scrubs() {
  const auto now = env_->clock.now();
  std::vector<VolumeId> gone;
  for (auto& [volume, round] : scrubs_) {
    const auto* record = plane_.volume(volume);
    if (record == nullptr) {
      gone.push_back(volume);
    } else if (round.ask_copies(now)) {
      ask_scrubs(*record);
    } else if (round.finished()) {
      continue;
    } else if (const auto piece = round.piece(record->spec.blocks(), now)) {
      compare_piece(*record, *piece, round.number());
    } else if (round.finished()) {
      round_moved(*record, round);
    }
  }
  for (const auto& volume : gone) stop_scrub(volume);
}

void ControlShell::ask_scrubs(const VolumeRecord& record) {
  const auto volume = record.spec.id;
  auto copies = std::make_shared<std::vector<engine::CopyScrub>>();
  auto open = std::make_shared<std::size_t>(record.members.size() + 1);
  const auto number = scrubs_.at(volume).number();
  const auto ask = [this, volume, number](const std::string& node, const std::string& step,
                                          std::uint64_t rate, AdminAnswer answer) {
    const auto text = json::serialize(
        json::object{{"volume", engine::to_string(volume)}, {"rate", rate}, {"round", number}});
    ask_node(node, engine::AdminAsk{0, node, "POST", "/v1/local/scrub/" + step, text},
             admin_ask_max, std::move(answer));
  };
  const auto less = [this, volume, number, copies, open, ask] {
    if (--*open > 0) return;
    const auto round = scrubs_.find(volume);
    if (round == scrubs_.end() || round->second.number() != number) return;
    const auto rate = round->second.status().rate;
    for (const auto& node : round->second.heard(*copies, env_->clock.now()))
      ask(node, "start", rate, [](const AdminReply&) {});
  };
  for (const auto& member : record.members) {
    ask(member.node.name, "status", engine::scrub_rate_default,
        [copies, less, node = member.node.name](const AdminReply& reply) {
          copies->push_back(scrub_of(node, reply));
          less();
        });
  }
  less();
}

void ControlShell::compare_piece(const VolumeRecord& record, engine::ComparePiece piece,
                                 std::uint64_t round) {
  CompareWish wish;
  wish.repair = true;
  wish.logs = piece.logs;
  wish.range = piece.range;
  compare(record, wish, [this, volume = record.spec.id, round](const AdminReply& reply) {
    piece_compared(volume, round, reply);
  });
}

void ControlShell::piece_compared(const VolumeId& volume, std::uint64_t number,
                                  const AdminReply& reply) {
  const auto found = scrubs_.find(volume);
  const auto* record = plane_.volume(volume);
  if (found == scrubs_.end() || record == nullptr) return;
  auto& round = found->second;
  if (round.number() != number) return;  // It was stopped meanwhile, and another one begun.
  const auto now = env_->clock.now();
  if (reply.status != 200) return round.put_off(now);
  const auto body = body_of(reply);
  engine::PieceCompared piece;
  const auto* complete = body.if_contains("complete");
  piece.complete = complete != nullptr && complete->is_bool() && complete->as_bool();
  piece.away = texts_in(body, "unreachable");
  piece.damaged = damaged_in(body);
  piece.differences = entries_in(body, "differences");
  piece.wrong = entries_in(body, "wrong_copies");
  for (const auto block : numbers_in(body, "undecided_blocks")) piece.undecided.emplace_back(block);
  for (const auto block : piece.undecided) {
    note_event(volume, engine::Event(engine::Level::error, "copies_differ_undecided")
                           .with("volume", record->spec.name)
                           .with("block", block));
  }
  if (round.compared(piece, record->spec.blocks(), now)) round_moved(*record, round);
}

/// Saved; and told, at its end.
void ControlShell::round_moved(const VolumeRecord& record, const engine::ScrubRound& round) {
  save_scrub(record.spec.id, round);
  if (round.finished()) scrub_over(record, round.status());
}

void ControlShell::scrub_over(const VolumeRecord& record, const RoundStatus& status) {
  for (const auto& copy : status.damaged) {
    note_event(record.spec.id, engine::Event(engine::Level::error, "copy_left_damaged")
                                   .with("volume", record.spec.name)
                                   .with("node", copy.node)
                                   .with("block", copy.range.first)
                                   .with("blocks", copy.range.count)
                                   .with("problem", copy.cause));
  }
  const bool clean = status.differences == 0 && status.undecided.empty();
  note_event(record.spec.id,
             engine::Event(clean ? engine::Level::info : engine::Level::warning, "copies_compared")
                 .with("volume", record.spec.name)
                 .with("blocks", status.next)
                 .with("differences", status.differences)
                 .with("disproved_blocks", status.disproved)
                 .with("undecided_blocks", status.undecided.size())
                 .with("damaged_ranges", status.damaged.size()));
}

// --- an operator's request -----------------------------------------------------------------------

void ControlAdmin::scrub() {
  const auto body = parse_body(ask.body, {"action", "rate"});
  if (!body) return answer(answer_error(body.error()));
  const auto action = text_field(*body, "action", "status");
  const auto rate = number_field(*body, "rate", engine::scrub_rate_default);
  if (!action) return answer(answer_error(action.error()));
  if (!rate) return answer(answer_error(rate.error()));
  if (*action != "start" && *action != "stop" && *action != "status") {
    return answer(answer_error(
        {Errc::invalid, fmt::format("action \"{}\" is none of start, stop, status", *action)}));
  }
  if (*rate < engine::scrub_rate_min) {
    return answer(answer_error({Errc::invalid, fmt::format("rate {}: at least {} bytes/s", *rate,
                                                           engine::scrub_rate_min)}));
  }
  const auto* record = shell.plane_.volume(parts[2]);
  if (record == nullptr) {
    return answer(answer_error({Errc::not_found, fmt::format("there is no volume {}", parts[2])}));
  }
  if (*action == "start") shell.start_scrub(*record, *rate);
  if (*action == "stop") shell.stop_scrub(record->spec.id);
  struct Round {
    std::map<std::string, json::object> copies;
    std::size_t open = 1;
  };
  auto round = std::make_shared<Round>();
  const auto less = [round, self = *this, id = record->spec.id] {
    if (--round->open > 0) return;
    json::array copies;
    for (auto& [node, copy] : round->copies) copies.push_back(std::move(copy));
    json::object told{{"volume", self.parts[2]}, {"copies", std::move(copies)}};
    if (const auto* status = self.shell.scrub_status(id)) told["round"] = to_json(*status);
    self.answer(answer_json(200, told));
  };
  const auto* status = shell.scrub_status(record->spec.id);
  const auto text = json::serialize(json::object{{"volume", engine::to_string(record->spec.id)},
                                                 {"rate", *rate},
                                                 {"round", status ? status->number : 0}});
  for (const auto& member : record->members) {
    ++round->open;
    const auto& node = member.node.name;
    shell.ask_node(node, engine::AdminAsk{0, node, "POST", "/v1/local/scrub/" + *action, text},
                   admin_ask_max, [round, less, node](const AdminReply& reply) {
                     auto copy = body_of(reply);
                     copy["node"] = node;
                     round->copies[node] = std::move(copy);
                     less();
                   });
  }
  less();
}

}  // namespace tidemark::actors
