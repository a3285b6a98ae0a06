// A preview of recovery as JSON; its shape stands in docs/ADMIN.md.
#include "actors/admin_json.hpp"

namespace tidemark::actors {
namespace {

json::object of(const engine::Facts& f) {
  json::object facts{{"received", f.received.value},
                     {"durable", f.durable.value},
                     {"checkpoint", f.checkpoint.value},
                     {"retained", f.retained.value},
                     {"committed", f.committed.value},
                     {"promised", f.promised.value},
                     {"incarnation", f.incarnation.value},
                     {"base", engine::to_string(f.base)},
                     {"clean", f.clean},
                     {"damage", f.damage}};
  if (f.rebuild) facts["missing_blocks"] = f.rebuild->missing_blocks;
  return facts;
}

json::object of(const engine::Plan& p) {
  json::object plan{
      {"kind", engine::to_string(p.kind)},
      {"from", p.common_point.value},
      {"target", p.target.value},
      {"truncates", p.truncates},
      {"pin_from", p.pin_from.value},
      {"budget", json::object{{"duration_milliseconds", p.budget.duration / engine::millisecond},
                              {"records", p.budget.records},
                              {"stall_milliseconds", p.budget.stall / engine::millisecond}}}};
  if (p.kind == engine::SessionKind::rebuild) plan["scope"] = engine::to_string(p.scope);
  return plan;
}

json::object of(const engine::MoveEstimate& m) {
  return {{"bytes", m.all_bytes()},     {"log_records", m.log_records},
          {"log_bytes", m.log_bytes},   {"base_blocks", m.base_blocks},
          {"base_bytes", m.base_bytes}, {"index_bytes", m.index_bytes},
          {"remark", m.remark}};
}

}  // namespace

json::object to_json(const engine::RecoveryPreview& p) {
  json::array pins;
  for (const auto& pin : p.pins) pins.emplace_back(pin);
  json::object o{{"replica", p.replica.value},
                 {"node", p.node.name},
                 {"state", engine::to_string(p.state)},
                 {"reason", p.reason},
                 {"epoch", p.epoch.value},
                 {"basis", engine::to_string(p.basis)},
                 {"says", p.says},
                 {"problem", p.problem},
                 {"assumed", p.assumed},
                 {"pins", std::move(pins)}};
  json::object primary{{"head", p.ours.head.value}, {"committed", p.ours.committed.value}};
  if (p.ours.retained) {
    primary["retained"] = p.ours.retained.value;
    primary["checkpoint"] = p.ours.checkpoint.value;
  }
  json::object facts{{"primary", std::move(primary)}};
  if (p.theirs) {
    facts["replica"] = of(*p.theirs);
    facts["replica_age_milliseconds"] = p.theirs_age_milliseconds;
    facts["replica_from_acks"] = p.theirs_from_acks;
  }
  o["facts"] = std::move(facts);
  if (p.outcome) {
    o["outcome"] = json::object{{"row", engine::to_string(p.outcome->row)},
                                {"kind", engine::to_string(p.outcome->kind)},
                                {"better", engine::to_string(p.outcome->better)},
                                {"proof", p.outcome->proof}};
  }
  if (p.plan) {
    auto plan = of(*p.plan);
    plan["source"] = p.source;
    plan["common_point"] = p.common_point.value;
    plan["compared"] = p.compared.value;
    o["plan"] = std::move(plan);
    if (p.uncounted.empty()) {
      o["move"] = of(p.move);
    } else {
      o["not_counted"] = p.uncounted;
    }
  }
  if (p.phase) {
    o["session"] = json::object{{"id", p.session.value},
                                {"phase", engine::to_string(*p.phase)},
                                {"bytes", p.done.bytes},
                                {"records", p.done.records},
                                {"base_blocks", p.done.base_blocks},
                                {"base_blocks_all", p.done.base_blocks_all},
                                {"milliseconds", p.done_milliseconds}};
  }
  return o;
}

}  // namespace tidemark::actors
