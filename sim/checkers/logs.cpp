#include "sim/checkers/logs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "sim/checkers/said.hpp"

namespace tidemark::sim {

using actors::AppendRecords;
using actors::StoreOpened;
using actors::StoreProgressed;
using engine::Digest;
using engine::Lsn;

void Logs::observe(const Step& step) {
  if (const auto* append = said<AppendRecords>(step)) {
    appended(step.receiver, *append);
  } else if (const auto* progress = said<StoreProgressed>(step)) {
    progressed(step.receiver, *progress);
  } else if (const auto* set = said<actors::SetListener>(step)) {
    store_of_[set->listener.id()] = step.receiver;
  } else if (const auto* advanced = said<actors::CommittedAdvanced>(step)) {
    told(step.receiver, advanced->committed);
  } else if (const auto* records = said<actors::RecordsNumbered>(step)) {
    numbered(step.sender, *records);
  } else if (const auto* truncate = said<actors::TruncateLog>(step)) {
    cut(step.receiver, truncate->to);
  } else if (const auto* reset = said<actors::BeginBase>(step)) {
    begins(step.receiver, *reset);
  } else if (const auto* answer = said<StoreOpened>(step)) {
    if (!answer->facts) return;
    const bool older = step.life && rolled_back_.erase(step.life->node) != 0;
    if (older) durable_.erase(answer->facts->replica);
    if (step.life) shows_damage(step.life->node, *answer->facts);
    opened(step.sender, *answer->facts);
  }
}

void Logs::begins(caf::actor_id store, const actors::BeginBase& reset) {
  if (reset.scope == engine::BaseScope::rest) return;
  auto& tail = tails_[store];
  tail = {reset.log.base, reset.log.digest, true, tail.replica, reset.log.time};
  durable_.erase(tail.replica);
}

void Logs::cut(caf::actor_id store, Lsn to) {
  auto& tail = tails_[store];
  auto& durable = durable_[tail.replica];
  if (to < durable) durable = to;
  if (to >= tail.lsn) return;
  const auto digest = on_path(to, tail.lsn, tail.digest);
  tail = {to, digest.value_or(Digest{}), digest.has_value(), tail.replica, {}};
}

// A store is opened once per life, and asked again by each role that it serves.
void Logs::opened(caf::actor_id store, const actors::StoreFacts& facts) {
  const bool first = !tails_.contains(store);
  tails_[store] = {facts.end, facts.digest, true, facts.replica, facts.mono_time};
  if (!first || facts.base != engine::BaseState::complete) return;
  const auto durable = durable_[facts.replica];
  if (facts.end + unproved_max_ < durable) {
    fail_("durable_lost", fmt::format("replica {} said that {} is durable and came back with {}",
                                      facts.replica, durable, facts.end));
  }
  durable_[facts.replica] = facts.end;
}

void Logs::shows_damage(std::uint32_t node, const actors::StoreFacts& facts) {
  const auto proved = proved_.extract(node);
  if (proved.empty() || facts.base != engine::BaseState::complete) return;
  if (facts.end < proved.mapped()) {
    fail_("damage_unnoticed",
          fmt::format(
              "replica {} is whole and ends at {}: what is damaged was proved durable up to {}",
              facts.replica, facts.end, proved.mapped()));
  }
}

void Logs::forced(engine::Epoch reign) {
  forced_ = reign;
  begun_anew_ = false;
}

/// Who reigns behind it was chosen from those that have its log.
bool Logs::after_forced(const Digest& head) const {
  if (!forced_) return true;
  const auto found = tree_.find(head);
  return found != tree_.end() && found->second.epoch >= forced_;
}

std::optional<Digest> Logs::on_path(Lsn lsn, Lsn head, Digest at_head) const {
  auto digest = at_head;
  for (auto at = head; at > lsn; at = at.previous()) {
    const auto found = tree_.find(digest);
    if (found == tree_.end()) return std::nullopt;
    digest = found->second.parent;
  }
  return digest;
}

std::optional<engine::Epoch> Logs::epoch_before(const Digest& record) const {
  const auto found = tree_.find(record);
  if (found == tree_.end()) return std::nullopt;
  const auto before = tree_.find(found->second.parent);
  if (before == tree_.end()) return std::nullopt;
  return before->second.epoch;
}

void Logs::appended(caf::actor_id store, const AppendRecords& append) {
  auto& tail = tails_[store];
  for (const auto& record : *append.batch) {
    const auto& header = record->header();
    if (tail.known && header.lsn != tail.lsn.next()) {
      return fail_(
          "gap", fmt::format("store #{} ends at {} and was given {}", store, tail.lsn, header.lsn));
    }
    if (tail.known) tree_.try_emplace(header.digest, Node{header.lsn, header.epoch, tail.digest});
    if (!forged_.contains(header.digest)) {
      const auto named = named_.try_emplace({header.epoch, header.lsn}, header.digest).first;
      if (named->second != header.digest) {
        return fail_("two_logs",
                     fmt::format("epoch {} lsn {} has two contents: {} and {}", header.epoch,
                                 header.lsn, to_string(named->second), to_string(header.digest)));
      }
    }
    if (header.mono_time < tail.time) {
      return fail_("time_went_back",
                   fmt::format("store #{} was given lsn {} of time {} behind one of time {}", store,
                               header.lsn, header.mono_time.value, tail.time.value));
    }
    tail = {header.lsn, header.digest, true, tail.replica, header.mono_time};
  }
  told(store, append.committed);
}

void Logs::told(caf::actor_id store, Lsn committed) {
  const auto& tail = tails_[store];
  if (!tail.known || committed > tail.lsn) return;
  advance(committed, tail.lsn, tail.digest, "a store was told");
}

// Whether enough copies have what an older reign left says nothing of what the next one keeps: its own record does.
void Logs::numbered(caf::actor_id volume, const actors::RecordsNumbered& numbered) {
  auto& reign = reigns_[volume];
  if (numbered.batch) {
    for (const auto& record : *numbered.batch) {
      // Each sender is told of it.
      const bool begins = record->header().kind == engine::RecordKind::epoch;
      if (begins && record->lsn() != reign.record) reign = {record->lsn(), numbered.committed};
    }
  }
  const bool moved = numbered.committed > reign.committed;
  reign.committed = std::max(reign.committed, numbered.committed);
  if (moved && numbered.committed < reign.record) {
    fail_("older_reign_committed",
          fmt::format("a primary calls {} committed before the record of its own reign, {}",
                      numbered.committed, reign.record));
  }
}

// What was said before a cut may be heard behind it: it counts only where it is still this log.
void Logs::became_durable(caf::actor_id store, const StoreProgressed& progress) {
  const auto& tail = tails_[store];
  auto& durable = durable_[tail.replica];
  if (progress.durable <= durable) return;
  const auto mine = on_path(progress.durable, tail.lsn, tail.digest);
  if (mine == progress.digest) durable = progress.durable;
}

void Logs::progressed(caf::actor_id listener, const StoreProgressed& progress) {
  became_durable(store_of_[listener], progress);
  if (!ordered_) return;
  if (progress.checkpoint > progress.durable) {
    return fail_("checkpoint_ahead", fmt::format("checkpoint {} is beyond durable {}",
                                                 progress.checkpoint, progress.durable));
  }
  if (!after_forced(progress.digest) || !begun_anew_) return;
  const auto mine = on_path(progress.checkpoint, progress.durable, progress.digest);
  if (progress.checkpoint > committed_) {
    return fail_("extents_uncommitted", fmt::format("checkpoint {} is beyond committed {}",
                                                    progress.checkpoint, committed_));
  }
  const auto theirs = on_path(progress.checkpoint, committed_, at_committed_);
  if (mine && theirs && *mine != *theirs) {
    fail_("extents_diverged",
          fmt::format("checkpoint {} holds what was never committed", progress.checkpoint));
  }
}

void Logs::advance(Lsn lsn, Lsn head, const Digest& at_head, const char* whose) {
  if (!ordered_ || lsn == Lsn{} || !after_forced(at_head)) return;
  const auto digest = on_path(lsn, head, at_head);
  if (!digest) return;
  if (!begun_anew_) {
    begun_anew_ = true;
    committed_ = lsn;
    at_committed_ = *digest;
    return;
  }
  if (lsn >= committed_) {
    const auto before = on_path(committed_, lsn, *digest);
    if (committed_ != Lsn{} && before && *before != at_committed_) {
      return fail_("committed_fork",
                   fmt::format("{} that {} is committed, on a log that left the committed one "
                               "before {}",
                               whose, lsn, committed_));
    }
    committed_ = lsn;
    at_committed_ = *digest;
    return;
  }
  const auto known = on_path(lsn, committed_, at_committed_);
  if (known && *known != *digest) {
    fail_("committed_fork",
          fmt::format("{} that {} is committed, which {} contradicts", whose, lsn, committed_));
  }
}

}  // namespace tidemark::sim
