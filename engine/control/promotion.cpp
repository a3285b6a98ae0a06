// Fence, take promises, choose, reign: the only way to a new primary (C1, C2, C4).
//
// The number of the next epoch is reserved durably before anybody is asked to promise it, so that
// no epoch is ever given twice. Until the choice is durable nobody is told of it.
#include <algorithm>

#include "engine/check.hpp"
#include "engine/control/control_plane.hpp"
#include "engine/record/record.hpp"
#include "engine/sometimes.hpp"

namespace tidemark::engine::control {

void ControlPlane::begin_fencing(Volume& volume, Epoch above, const std::string& reason,
                                 const Moment& at, Effects& out) {
  auto& record = volume.record;
  const auto highest = std::max({record.epoch, record.fencing, above});
  record.fencing = Epoch(highest.value + 1);
  record.fencing_reason = reason;
  volume.promises.clear();
  volume.fencing_since = at.now;
  volume.wait_over = false;
  persist(volume, out);
  report(volume,
         Event(Level::info, "fencing_started").with("epoch", record.fencing).with("reason", reason),
         out);
  ask_promises(volume, out);
}

/// Repeated until given: a member that promised answers the same again, one that had no such
/// replica may have it soon.
void ControlPlane::ask_promises(const Volume& volume, Effects& out) const {
  const auto& record = volume.record;
  for (const auto& member : record.members) {
    const auto promise = volume.promises.find(member.replica);
    const bool given = promise != volume.promises.end() && promise->second.accepted;
    const bool asked = volume.forced || record.in_set(member.replica) != nullptr;
    if (!asked || given) continue;
    const auto* session = session_of(member.node);
    if (session == nullptr) continue;
    out.push_back(Send{session->link, Fence{record.spec.id, member.replica, record.fencing}});
  }
}

Effects ControlPlane::on_message(LinkKey link, const Promise& m, const Moment& at) {
  Effects out;
  const auto* session = session_of(link);
  auto* volume = find(m.volume);
  if (session == nullptr || volume == nullptr || volume->record.deleting) return out;
  auto& record = volume->record;
  const auto* self = record.on_node(session->node);
  if (self == nullptr || self->replica != m.replica) return out;
  if (record.settled()) {
    const bool reigns = m.replica == record.primary && m.epoch == record.epoch &&
                        m.incarnation == record.primary_incarnation;
    const bool over = m.ended && reigns;
    if (sometimes(over, Mark::reign_ended_by_itself))
      begin_fencing(*volume, record.epoch, m.problem, at, out);
    return out;
  }
  if (m.ended) return out;  // What it says is being done already.
  if (!m.accepted && m.epoch > record.fencing) {
    // Only a control plane restored from an old copy of its catalog finds itself outpaced (C18).
    sometimes(Mark::control_plane_outpaced);
    begin_fencing(*volume, m.epoch, record.fencing_reason, at, out);
    return out;
  }
  // A refusal that names a promise at or below this epoch answers an earlier question.
  const bool late = m.accepted ? m.epoch != record.fencing : static_cast<bool>(m.epoch);
  const bool former = m.incarnation < nodes_.at(session->node.name).incarnation;
  const auto known = volume->promises.find(m.replica);
  const bool first = known == volume->promises.end();
  sometimes(late || former, Mark::promise_late);
  if (late || former || (!first && known->second.accepted)) return out;
  volume->promises[m.replica] = m;
  if (first || m.accepted) {
    report(*volume,
           Event(Level::info, "promise_received")
               .with("node", session->node.name)
               .with("accepted", m.accepted)
               .with("last_epoch", m.last_epoch)
               .with("end", m.end)
               .with("base", to_string(m.base)),
           out);
  }
  choose_when_ready(*volume, at, out);
  return out;
}

std::optional<MonoTime> ControlPlane::choice_due() const {
  std::optional<MonoTime> due;
  for (const auto& [id, volume] : volumes_) {
    const bool waits = !volume.record.settled() && !volume.record.deleting && !volume.wait_over &&
                       volume.fencing_since;
    if (!waits) continue;
    const auto over = volume.fencing_since + promise_wait_;
    if (!due || over < *due) due = over;
  }
  return due;
}

Effects ControlPlane::on_choice_due(const Moment& at) {
  Effects out;
  for (auto& [id, volume] : volumes_) {
    if (volume.record.settled() || volume.record.deleting || volume.wait_over) continue;
    if (!volume.fencing_since || at.now - volume.fencing_since < promise_wait_) continue;
    volume.wait_over = true;
    choose_when_ready(volume, at, out);
  }
  return out;
}

void ControlPlane::choose_when_ready(Volume& volume, const Moment& at, Effects& out) {
  const auto& record = volume.record;
  if (!volume.fencing_since) volume.fencing_since = at.now;  // Loaded: the wait begins anew.
  const bool all =
      std::all_of(record.in_sync.begin(), record.in_sync.end(), [&](const SetMember& m) {
        return volume.promises.contains(m.replica) || record.member(m.replica) == nullptr;
      });
  const bool wanted = !volume.forced || volume.promises.contains(record.wanted);
  if (!(all && wanted) && at.now - volume.fencing_since < promise_wait_) return;
  const auto choice =
      volume.forced ? choose_forced(record, volume.promises) : choose(record, volume.promises);
  sometimes(!choice.winner, Mark::nobody_to_choose);
  if (!choice.winner) return;  // Whoever of the set comes back is asked, and then chosen.
  sometimes(!all, Mark::chosen_without_all);
  reign(volume, choice, at, out);
}

void ControlPlane::reign(Volume& volume, const Choice& choice, const Moment& at, Effects& out) {
  auto& record = volume.record;
  const auto& promise = volume.promises.at(*choice.winner);
  CHECK(promise.accepted);
  CHECK(promise.epoch == record.fencing);
  // A reign whose record did not come into this log has told nobody what was lost by it.
  const auto untold = promise.last_epoch < record.epoch ? record.marks : std::uint8_t{0};
  record.epoch = record.fencing;
  record.fencing = Epoch();
  record.nonce = at.random[0];
  record.version = Version(record.version.value + 1);
  record.begin_reign(choice.forced);
  record.primary = *choice.winner;
  record.primary_incarnation = promise.incarnation;
  record.marks = choice.exact ? std::uint8_t{0} : static_cast<std::uint8_t>(EpochBody::cache_lost);
  sometimes(!choice.exact && !choice.forced, Mark::reign_lost_a_cache);
  if (choice.forced) {
    record.marks = static_cast<std::uint8_t>(record.marks | EpochBody::forced);
    record.in_sync.clear();  // What they hold may be another past.
  }
  sometimes(untold != 0, Mark::loss_told_again);
  record.marks = static_cast<std::uint8_t>(record.marks | untold);
  volume.forced = false;
  record.wanted = ReplicaId();
  // Its own log is now the truth, so it is exact by definition;
  // the others are as exact as they were recorded.
  const SetMember itself{record.primary, promise.incarnation};
  if (record.spec.mode == Mode::best_effort) record.in_sync.clear();
  std::erase_if(record.in_sync, [&](const SetMember& m) { return m.replica == record.primary; });
  record.in_sync.push_back(itself);
  std::sort(record.in_sync.begin(), record.in_sync.end());
  volume.promises.clear();
  volume.refused_wish = choice.wanted_refused;
  persist(volume, out);
  report(volume,
         Event(Level::info, "primary_chosen")
             .with("node", record.member(record.primary)->node.name)
             .with("epoch", record.epoch)
             .with("cache_lost", !choice.exact)
             .with("forced", choice.forced)
             .with("because", choice.why),
         out);
  assign_all(volume, out);
}

Result<Effects> ControlPlane::promote(const std::string& name, const std::string& node,
                                      const Moment& at, bool force) {
  auto found = wished(name);
  if (!found) return found.error();
  auto& volume = **found;
  auto& record = volume.record;
  const auto tried = fmt::format("promote {} of volume {}: ", node, name);
  const auto* member = record.on_node(node);
  // Of two copies of one name the one that counts is meant.
  for (const auto& p : record.members) {
    if (p.node.name == node && record.in_set(p.replica) != nullptr) member = &p;
  }
  if (member == nullptr) return Error{Errc::not_found, tried + "it has no copy there"};
  if (record.settled() && member->replica == record.primary) return Effects{};
  if (!force && record.in_set(member->replica) == nullptr) {
    return Error{Errc::refused, tried + "the copy there is not in the in-sync set"};
  }
  if (session_of(member->node) == nullptr) {
    return Error{Errc::unavailable, tried + "the node is not connected"};
  }
  Effects out;
  record.wanted = member->replica;
  volume.forced = force;
  volume.refused_wish.clear();
  begin_fencing(volume, record.epoch,
                fmt::format("an operator wants {} as primary{}", node, force ? ", forced" : ""), at,
                out);
  return out;
}

}  // namespace tidemark::engine::control
