#include "engine/catch_up.hpp"

#include "engine/check.hpp"

namespace tidemark::engine {

CatchUp::CatchUp(const Plan& plan) : common_point_(plan.common_point), target_(plan.target) {
  CHECK(plan.kind == SessionKind::catch_up);
  CHECK(plan.common_point <= plan.target);
}

bool CatchUp::ready(Lsn next) {
  if (step_ != Step::starting || next != common_point_.next()) return false;
  step_ = Step::replaying;
  return true;
}

bool CatchUp::durable(Lsn lsn) {
  if (step_ != Step::replaying || lsn < target_) return false;
  step_ = Step::done;
  return true;
}

StartSession start_of(const Plan& plan, VolumeId volume, Epoch epoch, SessionId session) {
  StartSession start;
  start.volume = volume;
  start.epoch = epoch;
  start.session = session;
  start.kind = plan.kind;
  start.scope = plan.scope;
  start.common_point = plan.common_point;
  start.digest = plan.digest;
  start.time = plan.time;
  start.target = plan.target;
  start.touched_from = plan.touched_from;
  start.touched_digest = plan.touched_digest;
  start.parts_at = plan.parts_at;
  start.history = plan.history;
  start.configuration = plan.configuration;
  start.reason = plan.reason;
  return start;
}

}  // namespace tidemark::engine
