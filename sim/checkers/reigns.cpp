#include "sim/checkers/reigns.hpp"

#include <fmt/format.h>

#include <variant>

#include "sim/checkers/known.hpp"
#include "sim/checkers/said.hpp"

namespace tidemark::sim {

using engine::Epoch;
using engine::Lsn;

void Reigns::observe(const Step& step) {
  if (const auto* records = said<actors::RecordsNumbered>(step)) {
    numbered(step.sender, *records);
  } else if (const auto* append = said<actors::AppendRecords>(step)) {
    for (const auto& record : *append->batch) {
      if (record->header().kind == engine::RecordKind::epoch) begins(record->header());
    }
  }
}

void Reigns::numbered(caf::actor_id volume, const actors::RecordsNumbered& numbered) {
  if (numbered.batch) {
    for (const auto& record : *numbered.batch) {
      const auto& header = record->header();
      const auto writer = writers_.try_emplace(header.epoch, volume).first;
      if (writer->second == volume) continue;
      return fail_("two_writers", fmt::format("epoch {} lsn {} was numbered by #{}, and #{} writes "
                                              "in that epoch",
                                              header.epoch, header.lsn, volume, writer->second));
    }
  }
  for (auto reign = reigns_.upper_bound(serving_); reign != reigns_.end(); ++reign) {
    const auto* writer = known(writers_, reign->first);
    if (writer == nullptr || *writer != volume) continue;
    if (numbered.committed >= reign->second.first) return serves(reign->first);
  }
}

// Catch-ups show it again, which changes nothing.
void Reigns::begins(const engine::RecordHeader& record) {
  reigns_.try_emplace(record.epoch, Reign{record.lsn, logs_.epoch_before(record.digest)});
}

void Reigns::serves(Epoch reign) {
  serving_ = reign;
  for (auto at = answered_.lower_bound(reigns_.at(reign).first); at != answered_.end();) {
    const auto [epoch, op] = at->second;
    if (epoch >= reign) {
      ++at;
      continue;
    }
    if (!may_lose_cache_ && !excused_between(epoch, reign)) {
      return fail_(
          "answer_lost",
          fmt::format("op {} (epoch {} lsn {}) was answered; epoch {} serves without it and does "
                      "not say so",
                      op, epoch, at->first, reign));
    }
    at = answered_.erase(at);
  }
}

bool Reigns::excused_between(Epoch from, Epoch to) const {
  const auto at = excused_.upper_bound(from);
  return at != excused_.end() && *at <= to;
}

bool Reigns::holds(Epoch reign, const Answers::Place& place) const {
  while (reign > place.epoch) {
    const auto* later = known(reigns_, reign);
    if (later == nullptr || !later->before) return true;  // Nobody can tell.
    if (place.lsn >= later->first) return false;
    reign = *later->before;
  }
  return reign == place.epoch;
}

void Reigns::answered(OpId op, const Answers::Place& place) {
  answered_.emplace(place.lsn, std::pair(place.epoch, op));
  if (may_lose_cache_ || place.epoch >= serving_ || holds(serving_, place)) return;
  if (excused_between(place.epoch, serving_)) return;
  fail_("answered_when_fenced",
        fmt::format("op {} (epoch {} lsn {}) is answered though epoch {} serves, which lacks it",
                    op, place.epoch, place.lsn, serving_));
}

void Reigns::promised(const Life& by, Epoch epoch, engine::Incarnation incarnation) {
  auto& said = said_[by.node];
  if (epoch < said.promised) {
    fail_("promise_broken", fmt::format("{} says that it promised epoch {}, and had promised {}",
                                        by.name, epoch, said.promised));
  }
  if (incarnation < said.incarnation) {
    fail_("incarnation_went_back", fmt::format("{} speaks as incarnation {}, after {}", by.name,
                                               incarnation, said.incarnation));
  }
  said = {std::max(said.promised, epoch), incarnation};
}

void Reigns::sent(const Life& by, const engine::Message& message) {
  if (const auto* promise = std::get_if<engine::Promise>(&message)) {
    if (promise->accepted) promised(by, promise->epoch, promise->incarnation);
  } else if (const auto* facts = std::get_if<engine::Facts>(&message)) {
    promised(by, facts->promised, facts->incarnation);
  } else if (const auto* ack = std::get_if<engine::Ack>(&message)) {
    const auto& said = said_[by.node];
    if (ack->epoch >= said.promised) return;
    fail_("ack_after_promise", fmt::format("{} acknowledges {} of epoch {}, and had promised {}",
                                           by.name, ack->durable, ack->epoch, said.promised));
  } else if (const auto* obeyed = std::get_if<engine::AssignAck>(&message)) {
    obeys(by, *obeyed);
  } else if (const auto* start = std::get_if<engine::StartSession>(&message)) {
    if (sessions_.emplace(start->epoch, start->session).second) return;
    fail_("session_again", fmt::format("{} begins session {} of epoch {} for the second time",
                                       by.name, start->session, start->epoch));
  }
}

void Reigns::obeys(const Life& by, const engine::AssignAck& ack) {
  auto& in_force = in_force_[by.id];
  const std::pair obeyed(ack.epoch, ack.version);
  if (obeyed < in_force) {
    fail_("assignment_went_back",
          fmt::format("{} obeys epoch {} version {}, after epoch {} version {}", by.name, ack.epoch,
                      ack.version, in_force.first, in_force.second));
  }
  in_force = obeyed;
}

void Reigns::forget(std::uint32_t node) { said_.erase(node); }

}  // namespace tidemark::sim
