#include "engine/node_roles.hpp"

#include <algorithm>

#include "engine/check.hpp"
#include "engine/planted.hpp"
#include "engine/sometimes.hpp"

namespace tidemark::engine::roles {

ReplicaRole::ReplicaRole(NodeId node, Incarnation incarnation, VolumeId volume)
    : node_(std::move(node)), incarnation_(incarnation), volume_(volume) {}

Effects ReplicaRole::start() {
  Effects out;
  if (planted(Bug::primary_resumes_epoch)) assigned_ = true;
  pump(out);
  return out;
}

// --- the control plane speaks --------------------------------------------------------------------

void ReplicaRole::refuse(const Assignment& arriving, std::string_view why, Effects& out) const {
  out.push_back(Report{Event(Level::debug, "assignment_refused")
                           .with("volume", arriving.spec.name)
                           .with("epoch", arriving.epoch)
                           .with("version", arriving.version)
                           .with("reason", why)});
}

Effects ReplicaRole::on_assign(const Assignment& arriving) {
  Effects out;
  const auto* self = arriving.member(arriving.self);
  if (self == nullptr || self->node != node_ || arriving.spec.id != volume_) {
    return refuse(arriving, "it is not for this node", out), out;
  }
  if (arriving.self <= removed_) return refuse(arriving, "its replica was taken away", out), out;
  if (sometimes(arriving.epoch < promised_, Mark::assignment_below_promise)) {
    return refuse(arriving, "a higher epoch was promised", out), out;
  }
  if (leaving_) return refuse(arriving, "the old replica is being deleted", out), out;
  if (local_ && local_->replica != arriving.self) {
    if (arriving.self < local_->replica)
      return refuse(arriving, "a newer replica is here", out), out;
    sometimes(Mark::replaced_copy_gives_way);
    leaving_ = true;  // The control plane repeats the assignment until the place is free.
    pump(out);
    return out;
  }
  const auto in_force = local_ ? std::optional(local_->assignment) : std::nullopt;
  const auto compared = order(in_force, arriving);
  if (sometimes(compared == AssignmentOrder::stale, Mark::stale_assignment)) {
    const bool ours =
        serving() && arriving.role == Role::primary && arriving.epoch == in_force->epoch;
    if (ours && planted(Bug::stale_assignment_removes_sender)) out.push_back(Reassign{arriving});
    return refuse(arriving, "it is stale", out), out;
  }
  assigned_ = true;
  if (compared == AssignmentOrder::newer) {
    if (!local_) {
      local_ =
          LocalVolume{.replica = arriving.self,
                      .directory = fmt::format("volumes/{}-{}", to_string(volume_), arriving.self),
                      .created = false,
                      .incomplete = arriving.in_set(arriving.self) == nullptr &&
                                    arriving.spec.mode != Mode::best_effort,
                      .damage = {},
                      .assignment = {},
                      .told = {},
                      .forgotten = {}};
    }
    hear(arriving, out);
    local_->assignment = arriving;
    persist(out);
  }
  acknowledge(out);
  pump(out);
  return out;
}

/// What the assignment's reigns forgot of what was told here, and what it tells itself.
void ReplicaRole::hear(const Assignment& arriving, Effects& out) {
  auto& local = *local_;
  const bool decided = std::ranges::any_of(arriving.reigns, [&](const Reign& reign) {
    return reign.forced && reign.epoch > local.forgotten;
  });
  if (decided) local.forgotten = Epoch();
  const auto reign = forgets(local.told, arriving.reigns);
  if (reign && *reign > local.forgotten) {
    local.forgotten = *reign;
    out.push_back(Report{Event(Level::error, "set_forgotten")
                             .with("volume", arriving.spec.name)
                             .with("epoch", *reign)
                             .with("told_epoch", local.told.epoch)
                             .with("told_version", local.told.version)});
  }
  local.told = std::max(local.told, ToldSet{arriving.epoch, arriving.version});
}

Effects ReplicaRole::on_set_decided(const SetDecided& m) {
  Effects out;
  if (!serving()) return out;
  const ToldSet told{m.epoch, m.version};
  if (m.epoch == running_->epoch && told > local_->told) {
    local_->told = told;
    persist(out);
  }
  out.push_back(TellPrimary{m});
  return out;
}

Effects ReplicaRole::on_fence(const Fence& m) {
  Effects out;
  Promise refusal{.volume = volume_,
                  .replica = m.replica,
                  .epoch = promised(),
                  .accepted = false,
                  .last_epoch = {},
                  .end = {},
                  .committed = {},
                  .digest = {},
                  .incarnation = incarnation_,
                  .base = BaseState::complete,
                  .clean = false,
                  .problem = {},
                  .ended = false};
  if (!local_ || local_->replica != m.replica || leaving_) {
    refusal.problem = "there is no such replica here";
    refusal.epoch = Epoch();
    out.push_back(Reply{refusal});
    return out;
  }
  // A repeat of what has led to the assignment in force.
  if (m.epoch == local_->assignment.epoch) return out;
  if (sometimes(m.epoch < promised(), Mark::promise_refused)) {
    refusal.problem = fmt::format("epoch {} was promised before", promised());
    out.push_back(Reply{refusal});
    return out;
  }
  if (m.epoch > promised_) {
    promised_ = m.epoch;
    out.push_back(Persist{{{key(promise_prefix), encode_promise(promised_)}}});
    out.push_back(Report{Event(Level::info, "epoch_promised")
                             .with("volume", local_->assignment.spec.name)
                             .with("epoch", promised_)});
  }
  fence_ = m.epoch;
  pump(out);
  return out;
}

Effects ReplicaRole::on_unassign(const Unassign& m) {
  Effects out;
  if (!local_ || local_->replica != m.replica) {
    if (m.replica > removed_) {
      removed_ = m.replica;
      out.push_back(Persist{{{key(removed_prefix), encode_promise(Epoch(removed_.value))}}});
    }
    out.push_back(Reply{UnassignAck{volume_, m.replica}});
    return out;
  }
  leaving_ = true;
  pump(out);
  return out;
}

// --- the store and the role answer ---------------------------------------------------------------

Effects ReplicaRole::on_opened(const Result<Held>& held) {
  CHECK(step_ == Step::opening);
  Effects out;
  step_ = Step::none;
  if (!held) {
    lost(held.error(), out);
  } else if (store_ != StoreState::lost) {
    store_ = StoreState::open;
    held_ = *held;
    if (!local_->created) {
      local_->created = true;
      persist(out);
      acknowledge(out);
    }
    if (held->base == BaseState::damaged) withdraw_vote(held->damage, out);
  }
  pump(out);
  return out;
}

Effects ReplicaRole::on_role_stopped() {
  CHECK(step_ == Step::stopping);
  Effects out;
  step_ = Step::none;
  running_.reset();
  held_.reset();
  pump(out);
  return out;
}

Effects ReplicaRole::on_fenced(const Result<Held>& held) {
  CHECK(step_ == Step::fencing);
  Effects out;
  step_ = Step::none;
  if (!held) {
    lost(held.error(), out);
  } else if (fenced_ == promised_ && store_ == StoreState::open) {
    held_ = *held;
    answer_fence(out);
  }
  pump(out);
  return out;
}

Effects ReplicaRole::on_destroyed(const Status& status) {
  CHECK(step_ == Step::destroying);
  Effects out;
  step_ = Step::none;
  const auto gone = *local_;
  if (!status) {
    out.push_back(Report{Event(Level::error, "replica_not_deleted")
                             .with("volume", gone.assignment.spec.name)
                             .with("directory", gone.directory)
                             .with("reason", status.error().text)});
  }
  // What could not be deleted is forgotten nevertheless:
  // its identity is over, an audit finds the files.
  removed_ = std::max(removed_, gone.replica);
  out.push_back(Persist{{{key(local_prefix), std::nullopt},
                         {key(promise_prefix), std::nullopt},
                         {key(removed_prefix), encode_promise(Epoch(removed_.value))}}});
  out.push_back(Report{Event(Level::info, "replica_deleted")
                           .with("volume", gone.assignment.spec.name)
                           .with("replica", gone.replica)});
  out.push_back(Reply{UnassignAck{volume_, gone.replica}});
  local_.reset();
  promised_ = Epoch();
  leaving_ = false;
  assigned_ = false;
  store_ = StoreState::closed;
  store_problem_.clear();
  held_.reset();
  fence_.reset();
  ended_ = Epoch();
  reign_ended_ = false;
  return out;
}

Effects ReplicaRole::on_role_ended(Epoch epoch, const std::string& reason) {
  Effects out;
  if (!running_ || running_->epoch != epoch) return out;  // Of a role that was stopped meanwhile.
  ended_ = epoch;
  ended_reason_ = reason;
  reign_ended_ = running_->role == Role::primary;
  if (reign_ended_) say_ended(out);
  pump(out);
  return out;
}

Effects ReplicaRole::on_store_lost(const Error& error) {
  Effects out;
  if (!local_) return out;
  lost(error, out);
  pump(out);
  return out;
}

/// A store that failed is read by nobody any more; a restart may find it sound (C23).
/// Damage is for good (C13).
void ReplicaRole::lost(const Error& error, Effects& out) {
  if (store_ != StoreState::lost) {
    out.push_back(Report{Event(Level::error, "store_lost")
                             .with("volume", local_->assignment.spec.name)
                             .with("reason", error.text)});
  }
  sometimes(Mark::store_lost);
  store_ = StoreState::lost;
  store_problem_ = error.text;
  held_.reset();
  if (error.code == Errc::corrupt) withdraw_vote(error.text, out);
  const auto& a = local_->assignment;
  const bool reigns = assigned_ && a.role == Role::primary && a.primary_incarnation == incarnation_;
  if (!reigns || a.epoch <= ended_) return;
  ended_ = a.epoch;
  ended_reason_ = error.text;
  reign_ended_ = true;
  say_ended(out);
}

void ReplicaRole::withdraw_vote(const std::string& damage, Effects& out) {
  if (!local_->damage.empty()) return;
  sometimes(Mark::vote_withdrawn);
  local_->damage = damage.empty() ? "damaged" : damage;
  persist(out);
  out.push_back(Report{Event(Level::error, "vote_withdrawn")
                           .with("volume", local_->assignment.spec.name)
                           .with("damage", local_->damage)});
}

void ReplicaRole::say_ended(Effects& out) const {
  Promise ended;
  ended.volume = volume_;
  ended.replica = local_->replica;
  ended.epoch = ended_;
  ended.incarnation = incarnation_;
  ended.problem = ended_reason_;
  ended.ended = true;
  out.push_back(Reply{ended});
}

Effects ReplicaRole::on_tick() {
  Effects out;
  const bool unheard =
      reign_ended_ && local_ && local_->assignment.epoch == ended_ && promised_ <= ended_;
  if (sometimes(unheard, Mark::end_of_reign_repeated)) say_ended(out);
  return out;
}

// --- what to do next -----------------------------------------------------------------------------

void ReplicaRole::pump(Effects& out) {
  if (step_ != Step::none || !local_) return;
  if (leaving_) {
    if (running_) return stop("the replica was taken away", out);
    step_ = Step::destroying;
    out.push_back(DestroyStore{*local_});
    return;
  }
  if (store_ == StoreState::closed) return open(out);
  if (running_ && store_ == StoreState::lost) return stop(store_problem_, out);
  if (fence_) {
    if (sometimes(serving(), Mark::promise_stops_primary))
      return stop(fmt::format("epoch {} was promised", promised_), out);
    if (following()) {
      step_ = Step::fencing;
      fenced_ = promised_;
      out.push_back(FenceReceiver{fenced_});
      return;
    }
    if (store_ == StoreState::open && !held_) return open(out);
    answer_fence(out);
  }
  if (running_ && !(wants_role() && runs_as_assigned())) {
    return stop(ended_ >= running_->epoch ? ended_reason_ : "a newer assignment came", out);
  }
  if (!wants_role()) return;
  if (!running_) {
    if (!held_) return open(out);
    held_.reset();
    running_ = local_->assignment;
    reign_ended_ = false;
    out.push_back(StartRole{*running_, promised(), local_->forgotten});
    return;
  }
  if (running_->version != local_->assignment.version) {
    running_ = local_->assignment;
    out.push_back(Reassign{*running_});
  }
}

/// Only of the promise that is still the highest: a newer fence asks for its own.
void ReplicaRole::answer_fence(Effects& out) {
  if (!fence_ || *fence_ != promised_) return;
  Promise promise;
  promise.volume = volume_;
  promise.replica = local_->replica;
  promise.epoch = promised_;
  promise.accepted = true;
  promise.incarnation = incarnation_;
  if (held_) {
    promise.last_epoch = held_->last_epoch;
    promise.end = held_->end;
    promise.committed = held_->committed;
    promise.digest = held_->digest;
    promise.base = held_->base;
    promise.clean = held_->clean;
  }
  const auto why = problem();
  if (!held_ || !local_->damage.empty()) {
    promise.base = BaseState::damaged;
    promise.problem = why;
  }
  held_.reset();
  fence_.reset();
  out.push_back(Reply{promise});
}

bool ReplicaRole::wants_role() const {
  if (!assigned_ || store_ != StoreState::open) return false;
  const auto& a = local_->assignment;
  if (ended_ && a.epoch <= ended_) return false;
  if (a.role == Role::replica) return true;
  // A reign belongs to one incarnation (C1); below a promise nobody reigns (C2).
  const bool mine = a.primary_incarnation == incarnation_ || planted(Bug::primary_resumes_epoch);
  return mine && a.epoch >= promised_ && local_->damage.empty();
}

bool ReplicaRole::runs_as_assigned() const {
  return running_->role == local_->assignment.role && running_->epoch == local_->assignment.epoch;
}

void ReplicaRole::open(Effects& out) {
  step_ = Step::opening;
  out.push_back(OpenStore{local_->assignment.spec, local_->replica, local_->directory,
                          store_ == StoreState::closed && !local_->created, local_->incomplete});
}

void ReplicaRole::stop(std::string reason, Effects& out) {
  step_ = Step::stopping;
  out.push_back(StopRole{std::move(reason)});
}

/// Only what is durable and whose replica exists is acknowledged; a Persist always stands before.
void ReplicaRole::acknowledge(Effects& out) const {
  if (!local_->created) return;
  out.push_back(Reply{AssignAck{volume_, local_->assignment.epoch, local_->assignment.version}});
}

void ReplicaRole::persist(Effects& out) const {
  out.push_back(Persist{{{key(local_prefix), encode(*local_)}}});
}

std::string ReplicaRole::key(std::string_view prefix) const {
  return std::string(prefix) + to_string(volume_);
}

// --- views ---------------------------------------------------------------------------------------

Epoch ReplicaRole::promised() const {
  return local_ ? std::max(promised_, local_->assignment.epoch) : promised_;
}

std::string ReplicaRole::problem() const {
  if (!local_) return "there is no replica here";
  if (!local_->damage.empty()) return "damaged: " + local_->damage;
  if (store_ == StoreState::lost) return "the store failed: " + store_problem_;
  if (store_ == StoreState::closed) return "the store is being opened";
  if (!assigned_) return "no assignment came since the node started";
  if (reign_ended_ && local_->assignment.epoch <= ended_)
    return "the reign ended: " + ended_reason_;
  const auto& a = local_->assignment;
  if (a.role == Role::primary && a.primary_incarnation != incarnation_) {
    return "the reign belongs to an incarnation that ended";
  }
  return {};
}

std::optional<Refused> ReplicaRole::objection(const Hello& hello) const {
  const auto refused = [&](RefusalCode code, std::string text) {
    return Refused{code, std::move(text), promised()};
  };
  if (!local_ || leaving_)
    return refused(RefusalCode::wrong_volume, "there is no such volume here");
  if (hello.to != local_->replica && !planted(Bug::other_replica_is_served)) {
    return refused(RefusalCode::wrong_replica,
                   fmt::format("replica {} is here, not {}", local_->replica, hello.to));
  }
  if (hello.epoch < promised()) {
    return refused(RefusalCode::stale_epoch,
                   fmt::format("epoch {} is over, {} was promised", hello.epoch, promised()));
  }
  if (store_ == StoreState::lost) return refused(RefusalCode::store_failed, problem());
  if (!following()) {
    return refused(RefusalCode::not_a_replica,
                   serving() ? "this node is primary" : "no role yet: " + problem());
  }
  return std::nullopt;
}

std::string ReplicaRole::elsewhere() const {
  if (!local_) return {};
  const auto& a = local_->assignment;
  const auto* primary = a.member(a.primary);
  if (primary == nullptr || a.primary == local_->replica) {
    const auto why = problem();
    return fmt::format("volume {} has no primary now{}{}", a.spec.name, why.empty() ? "" : ": ",
                       why);
  }
  return fmt::format("volume {} is served by {} at nbd://{}/{}", a.spec.name, primary->node.name,
                     primary->nbd, a.spec.name);
}

}  // namespace tidemark::engine::roles
