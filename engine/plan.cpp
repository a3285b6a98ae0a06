#include "engine/plan.hpp"

#include <utility>

#include <fmt/format.h>

#include "engine/check.hpp"

namespace tidemark::engine {
namespace {

EpochHistory up_to(EpochHistory history, Lsn end) {
  history.truncate(end);
  return history;
}

Plan drawn(const Outcome& outcome, const PlanSource& source, const Budget& budget) {
  Plan plan;
  plan.target = source.head;
  plan.reason = outcome.proof;
  plan.budget = budget;
  return plan;
}

Result<Plan> plan_catch_up(const Outcome& outcome, const PlanSource& source, const Budget& budget) {
  CHECK(source.compared == outcome.common_point);
  CHECK(source.digest_at_compared.has_value());
  auto plan = drawn(outcome, source, budget);
  plan.kind = SessionKind::catch_up;
  plan.common_point = outcome.common_point;
  plan.digest = *source.digest_at_compared;
  plan.truncates = outcome.kind == OutcomeKind::truncate;
  plan.pin_from = plan.common_point.next();
  plan.history = up_to(source.history, plan.common_point);
  // The replica knows it: it shares the log up to there.
  plan.configuration = source.configurations.at(plan.common_point).value_or(Configuration{});
  CHECK(plan.target >= plan.common_point);
  return plan;
}

// The records that the replica has are kept: only blocks are missing.
Result<Plan> plan_rest(const Outcome& outcome, const PlanSource& source, const Budget& budget) {
  auto plan = plan_catch_up(outcome, source, budget);
  plan->kind = SessionKind::rebuild;
  plan->scope = BaseScope::rest;
  return plan;
}

// The base LSN is our checkpoint: everything up to it is in the extents that are copied (C8).
Result<Plan> plan_rebuild(const Outcome& outcome, const PlanSource& source, const Budget& budget) {
  if (!source.digest_at_checkpoint) {
    return Error{Errc::unavailable,
                 fmt::format("planning a rebuild: the log has no digest at the checkpoint {}",
                             source.checkpoint)};
  }
  const auto configuration = source.configurations.at(source.checkpoint);
  if (!configuration && !source.configurations.empty()) {
    return Error{Errc::unavailable,
                 fmt::format("planning a rebuild: the size at the checkpoint {} is not known",
                             source.checkpoint)};
  }
  auto plan = drawn(outcome, source, budget);
  plan.configuration = configuration.value_or(Configuration{});
  plan.kind = SessionKind::rebuild;
  const bool delta = outcome.kind == OutcomeKind::rebuild_delta;
  plan.scope = delta ? BaseScope::touched : BaseScope::all;
  if (delta) {
    CHECK(source.digest_at_compared.has_value());
    plan.touched_from = source.compared;
    plan.touched_digest = *source.digest_at_compared;
  }
  plan.parts_at = outcome.parts_at;
  plan.common_point = source.checkpoint;
  plan.digest = *source.digest_at_checkpoint;
  plan.time = source.checkpoint_time;
  plan.pin_from = plan.common_point.next();
  plan.history = up_to(source.history, plan.common_point);
  CHECK(plan.target >= plan.common_point);
  return plan;
}

}  // namespace

Result<Plan> make_plan(const Outcome& outcome, const PlanSource& source, const Budget& budget) {
  switch (outcome.kind) {
    case OutcomeKind::zero_gap:
    case OutcomeKind::catch_up:
    case OutcomeKind::truncate:
      return plan_catch_up(outcome, source, budget);
    case OutcomeKind::rebuild_rest:
      return plan_rest(outcome, source, budget);
    case OutcomeKind::rebuild_delta:
    case OutcomeKind::rebuild_full:
      return plan_rebuild(outcome, source, budget);
    case OutcomeKind::refuse:
      return Error{Errc::refused, outcome.proof};
    case OutcomeKind::step_down:
      return Error{Errc::stale, outcome.proof};
    case OutcomeKind::not_yet:
      return Error{Errc::not_yet,
                   fmt::format("{}; would need {}", outcome.proof, to_string(outcome.better))};
  }
  return Error{Errc::invalid, "planning: unknown outcome"};
}

}  // namespace tidemark::engine
