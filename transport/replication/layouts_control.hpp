// The layout of every message of the control link: its members in the order in which they travel.
#pragma once

#include <algorithm>

#include "engine/messages.hpp"
#include "transport/replication/endpoint.hpp"
#include "transport/replication/layouts.hpp"
#include "transport/replication/wire.hpp"

namespace tidemark::transport::wire {

using EndpointText = Name<endpoint_bytes_max>;

inline const char* flaw_of_spec(const VolumeSpec& spec) {
  if (!is_name(spec.name)) return "has a volume name that is none";
  if (spec.size_bytes % block_bytes != 0) return "has a volume size that is not whole blocks";
  if (spec.copies < 1 || spec.copies > members_max) return "has an impossible number of copies";
  if (spec.min_copies < 1 || spec.min_copies > spec.copies) return "has an impossible min_copies";
  return nullptr;
}
template <>
struct Wire<VolumeSpec>
    : Validated<
          VolumeSpec, flaw_of_spec,
          Fields<VolumeSpec, F<&VolumeSpec::id>, F<&VolumeSpec::size_bytes>, F<&VolumeSpec::mode>,
                 F<&VolumeSpec::ack>, F<&VolumeSpec::copies>, F<&VolumeSpec::min_copies>,
                 F<&VolumeSpec::below_min>, F<&VolumeSpec::name, Name<name_bytes_max>>>> {};
template <>
struct Wire<Member> : Fields<Member, F<&Member::replica>, F<&Member::node>,
                             F<&Member::endpoint, EndpointText>, F<&Member::nbd, EndpointText>> {};
template <>
struct Wire<SetMember> : Fields<SetMember, F<&SetMember::replica>, F<&SetMember::incarnation>> {};

template <>
struct Wire<Reign> : Fields<Reign, F<&Reign::epoch>, F<&Reign::version>, F<&Reign::forced>> {};

using Members = List<Member, members_max>;
using SetMembers = List<SetMember, members_max>;
using Reigns = List<Reign, reigns_max>;

inline const char* flaw_of_assignment(const Assignment& a) {
  const auto rises = [](const auto& x, const auto& y) { return x.replica < y.replica; };
  const auto strictly = [&](const auto& list) {
    return std::adjacent_find(list.begin(), list.end(), [&](const auto& x, const auto& y) {
             return !rises(x, y);
           }) == list.end();
  };
  const auto not_later = [](const Reign& x, const Reign& y) { return x.epoch >= y.epoch; };
  if (std::ranges::adjacent_find(a.reigns, not_later) != a.reigns.end()) {
    return "has reigns out of order";
  }
  if (!strictly(a.members) || !strictly(a.in_sync)) return "has members out of order";
  return a.marks > (EpochBody::forced | EpochBody::cache_lost) ? "has unknown marks" : nullptr;
}
template <>
struct Wire<Assignment>
    : Validated<Assignment, flaw_of_assignment,
                Fields<Assignment, F<&Assignment::spec>, F<&Assignment::epoch>,
                       F<&Assignment::nonce>, F<&Assignment::version>, F<&Assignment::self>,
                       F<&Assignment::role>, F<&Assignment::primary>,
                       F<&Assignment::primary_incarnation>, F<&Assignment::marks>,
                       F<&Assignment::members, Members>, F<&Assignment::in_sync, SetMembers>,
                       F<&Assignment::wanted>, F<&Assignment::reigns, Reigns>>> {};

/// What others will connect to, and what operators will read.
inline const char* flaw_of_register(const Register& m) {
  const auto reachable = [](const Endpoint& text) {
    const auto parsed = parse_endpoint(text);
    return parsed && parsed->port != 0;
  };
  if (!is_name(m.node.name)) return "has a node name that is none";
  return reachable(m.replication) && reachable(m.nbd) ? nullptr : "has an endpoint that is none";
}
template <>
struct Wire<Register> : Validated<Register, flaw_of_register,
                                  Fields<Register, F<&Register::node>, F<&Register::incarnation>,
                                         F<&Register::replication, EndpointText>,
                                         F<&Register::nbd, EndpointText>, F<&Register::readmit>>> {
};
template <>
struct Wire<Registered> : Fields<Registered, F<&Registered::cluster>> {};
template <>
struct Wire<Assign> : Fields<Assign, F<&Assign::assignment>> {};
template <>
struct Wire<AssignAck>
    : Fields<AssignAck, F<&AssignAck::volume>, F<&AssignAck::epoch>, F<&AssignAck::version>> {};
template <>
struct Wire<Unassign> : Fields<Unassign, F<&Unassign::volume>, F<&Unassign::replica>> {};
template <>
struct Wire<UnassignAck> : Fields<UnassignAck, F<&UnassignAck::volume>, F<&UnassignAck::replica>> {
};
template <>
struct Wire<Heartbeat> : Fields<Heartbeat, F<&Heartbeat::sequence>> {};
template <>
struct Wire<ProposeSet> : Fields<ProposeSet, F<&ProposeSet::volume>, F<&ProposeSet::epoch>,
                                 F<&ProposeSet::version>, F<&ProposeSet::in_sync, SetMembers>,
                                 F<&ProposeSet::reason, Reason>, F<&ProposeSet::number>> {};
template <>
struct Wire<SetDecided>
    : Fields<SetDecided, F<&SetDecided::volume>, F<&SetDecided::accepted>, F<&SetDecided::epoch>,
             F<&SetDecided::version>, F<&SetDecided::in_sync, SetMembers>,
             F<&SetDecided::reason, Reason>, F<&SetDecided::number>> {};
template <>
struct Wire<Fence> : Fields<Fence, F<&Fence::volume>, F<&Fence::replica>, F<&Fence::epoch>> {};
template <>
struct Wire<Promise> : Fields<Promise, F<&Promise::volume>, F<&Promise::replica>,
                              F<&Promise::epoch>, F<&Promise::accepted>, F<&Promise::last_epoch>,
                              F<&Promise::end>, F<&Promise::committed>, F<&Promise::digest>,
                              F<&Promise::incarnation>, F<&Promise::base>, F<&Promise::clean>,
                              F<&Promise::problem, Reason>, F<&Promise::ended>> {};
template <>
struct Wire<Configured>
    : Fields<Configured, F<&Configured::volume>, F<&Configured::epoch>, F<&Configured::version>,
             F<&Configured::configuration>, F<&Configured::lsn>> {};
template <>
struct Wire<AdminAsk>
    : Fields<AdminAsk, F<&AdminAsk::id>, F<&AdminAsk::target, Name<name_bytes_max>>,
             F<&AdminAsk::method, Name<admin_method_bytes_max>>,
             F<&AdminAsk::path, Name<admin_path_bytes_max>>,
             F<&AdminAsk::body, Name<admin_body_bytes_max>>> {};
template <>
struct Wire<AdminReply> : Fields<AdminReply, F<&AdminReply::id>, F<&AdminReply::status>,
                                 F<&AdminReply::body, Name<admin_body_bytes_max>>> {};

}  // namespace tidemark::transport::wire
