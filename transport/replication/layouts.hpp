// The layout of every message of the handshake, the records link and the bulk link: its members in
// the order in which they travel. The control link's stand in layouts_control.hpp. docs/PROTOCOL.md
// says the same in words.
//
// Records and BaseBlocks have a tail that depends on what they carry (record heads, checksums), and
// these and BlockIs a body: only their fixed part is listed here, codec_bulk.cpp does the rest.
#pragma once

#include <algorithm>
#include <functional>
#include <limits>

#include "engine/messages.hpp"
#include "transport/replication/frame.hpp"
#include "transport/replication/wire.hpp"

namespace tidemark::transport::wire {

using namespace engine;

template <>
struct Wire<Mode> : Choice<Mode, Mode::sync_all, Mode::best_effort> {};
template <>
struct Wire<AckPolicy> : Choice<AckPolicy, AckPolicy::received, AckPolicy::durable> {};
template <>
struct Wire<Role> : Choice<Role, Role::replica, Role::primary> {};
template <>
struct Wire<BelowMin> : Choice<BelowMin, BelowMin::block, BelowMin::fail> {};
template <>
struct Wire<Purpose> : Choice<Purpose, Purpose::records, Purpose::control> {};
template <>
struct Wire<RefusalCode> : Choice<RefusalCode, RefusalCode::protocol, RefusalCode::not_yet> {};
template <>
struct Wire<BaseState> : Choice<BaseState, BaseState::complete, BaseState::damaged> {};
template <>
struct Wire<SessionKind> : Choice<SessionKind, SessionKind::catch_up, SessionKind::rebuild> {};

template <>
struct Wire<BaseScope> : Choice<BaseScope, BaseScope::all, BaseScope::rest> {};
template <>
struct Wire<BaseProgress> : Fields<BaseProgress, F<&BaseProgress::epoch>,
                                   F<&BaseProgress::flush_lsn>, F<&BaseProgress::missing_blocks>> {
};

template <>
struct Wire<Digest> : Fields<Digest, F<&Digest::high>, F<&Digest::low>> {};

template <>
struct Wire<NodeId> : Fields<NodeId, F<&NodeId::uuid>, F<&NodeId::name, Name<name_bytes_max>>> {};

inline const char* flaw_of_range(const BlockRange& range) {
  if (range.empty()) return "names no block";
  const auto room = std::numeric_limits<std::uint64_t>::max() - range.first.value;
  return range.count > room ? "has a block range that wraps around" : nullptr;
}
template <>
struct Wire<BlockRange>
    : Validated<BlockRange, flaw_of_range,
                Fields<BlockRange, F<&BlockRange::first>, F<&BlockRange::count>>> {};

inline const char* flaw_of_reign(const EpochStart& start) {
  if (!start.epoch || !start.first) return "has a reign without epoch or first lsn";
  constexpr unsigned known = EpochBody::forced | EpochBody::cache_lost | EpochStart::mode_changed;
  return (start.marks & ~known) != 0 ? "has unknown marks" : nullptr;
}
template <>
struct Wire<EpochStart>
    : Validated<EpochStart, flaw_of_reign,
                Fields<EpochStart, F<&EpochStart::epoch>, F<&EpochStart::nonce>,
                       F<&EpochStart::first>, F<&EpochStart::marks>, F<&EpochStart::mode>>> {};

inline const char* flaw_of_configuration(const Configuration& c) {
  const bool possible = c.size_bytes % block_bytes == 0 && c.size_bytes <= volume_bytes_max;
  return possible ? nullptr : "has an impossible volume size";
}
template <>
struct Wire<Configuration>
    : Validated<Configuration, flaw_of_configuration,
                Fields<Configuration, F<&Configuration::size_bytes>, F<&Configuration::mode>,
                       F<&Configuration::min_copies>>> {};

/// Its reigns as a list; out of order they are refused, as EpochHistory would not hold them.
template <>
struct Wire<EpochHistory> {
  using Starts = List<EpochStart, epoch_history_max>;
  static constexpr std::size_t min = Starts::min;
  static constexpr std::size_t max = Starts::max;
  static void put(Writer& to, const EpochHistory& history) { Starts::put(to, history.starts()); }
  static void get(Reader& from, EpochHistory& history) {
    std::vector<EpochStart> starts;
    Starts::get(from, starts);
    if (from.failed()) return;
    for (const auto& start : starts) {
      if (!history.begin(start)) return from.fail("has an epoch history out of order");
    }
  }
};

using Reason = Text<text_bytes_max>;

// --- any connection ------------------------------------------------------------------------------

template <>
struct Wire<Hello>
    : Fields<Hello, F<&Hello::protocol_min>, F<&Hello::protocol_max>, F<&Hello::purpose>,
             F<&Hello::cluster>, F<&Hello::node>, F<&Hello::incarnation>, F<&Hello::volume>,
             F<&Hello::from>, F<&Hello::to>, F<&Hello::epoch>, F<&Hello::session>> {};
template <>
struct Wire<HelloOk>
    : Fields<HelloOk, F<&HelloOk::protocol>, F<&HelloOk::node>, F<&HelloOk::incarnation>> {};
template <>
struct Wire<Refused>
    : Fields<Refused, F<&Refused::code>, F<&Refused::promised>, F<&Refused::text, Reason>> {};

// --- records link --------------------------------------------------------------------------------

template <>
struct Wire<Probe> : Fields<Probe, F<&Probe::volume>, F<&Probe::epoch>, F<&Probe::session>> {};
template <>
struct Wire<Facts>
    : Fields<Facts, F<&Facts::volume>, F<&Facts::epoch>, F<&Facts::session>, F<&Facts::received>,
             F<&Facts::durable>, F<&Facts::checkpoint>, F<&Facts::retained>, F<&Facts::committed>,
             F<&Facts::promised>, F<&Facts::forgotten>, F<&Facts::incarnation>, F<&Facts::base>,
             F<&Facts::rebuild>, F<&Facts::clean>, F<&Facts::history>, F<&Facts::damage, Reason>> {
};
template <>
struct Wire<AskDigest> : Fields<AskDigest, F<&AskDigest::volume>, F<&AskDigest::epoch>,
                                F<&AskDigest::session>, F<&AskDigest::lsn>> {};
template <>
struct Wire<DigestIs> : Fields<DigestIs, F<&DigestIs::volume>, F<&DigestIs::epoch>,
                               F<&DigestIs::session>, F<&DigestIs::lsn>, F<&DigestIs::digest>> {};
template <>
struct Wire<DigestAt> : Fields<DigestAt, F<&DigestAt::lsn>, F<&DigestAt::digest>> {};

inline const char* flaw_of_places(const AskDigests& ask) {
  if (ask.lsns.empty()) return "names no place";
  const bool rising = std::adjacent_find(ask.lsns.begin(), ask.lsns.end(),
                                         std::greater_equal<>()) == ask.lsns.end();
  return rising ? nullptr : "has places out of order";
}
template <>
struct Wire<AskDigests>
    : Validated<AskDigests, flaw_of_places,
                Fields<AskDigests, F<&AskDigests::volume>, F<&AskDigests::epoch>,
                       F<&AskDigests::session>, F<&AskDigests::lsns, List<Lsn, digests_max>>>> {};

inline const char* flaw_of_points(const Digests& digests) {
  const auto fall = [](const DigestAt& a, const DigestAt& b) { return a.lsn >= b.lsn; };
  const auto& points = digests.points;
  return std::adjacent_find(points.begin(), points.end(), fall) == points.end()
             ? nullptr
             : "has digests out of order";
}
template <>
struct Wire<Digests>
    : Validated<
          Digests, flaw_of_points,
          Fields<Digests, F<&Digests::volume>, F<&Digests::epoch>, F<&Digests::session>,
                 F<&Digests::touched_from>, F<&Digests::points, List<DigestAt, digests_max>>>> {};

template <>
struct Wire<StartSession>
    : Fields<StartSession, F<&StartSession::volume>, F<&StartSession::epoch>,
             F<&StartSession::session>, F<&StartSession::kind>, F<&StartSession::scope>,
             F<&StartSession::common_point>, F<&StartSession::digest>, F<&StartSession::time>,
             F<&StartSession::target>, F<&StartSession::touched_from>,
             F<&StartSession::touched_digest>, F<&StartSession::parts_at>,
             F<&StartSession::history>, F<&StartSession::reason, Reason>,
             F<&StartSession::configuration>> {};
template <>
struct Wire<Touched>
    : Fields<Touched, F<&Touched::volume>, F<&Touched::epoch>, F<&Touched::session>,
             F<&Touched::last>, F<&Touched::ranges, List<BlockRange, touched_ranges_max>>> {};
template <>
struct Wire<TouchedNoted> : Fields<TouchedNoted, F<&TouchedNoted::volume>, F<&TouchedNoted::epoch>,
                                   F<&TouchedNoted::session>> {};
template <>
struct Wire<SessionReady>
    : Fields<SessionReady, F<&SessionReady::volume>, F<&SessionReady::epoch>,
             F<&SessionReady::session>, F<&SessionReady::next>, F<&SessionReady::missing_blocks>> {
};
/// The fixed part; count and heads of the records follow.
template <>
struct Wire<Records>
    : Fields<Records, F<&Records::volume>, F<&Records::epoch>, F<&Records::session>,
             F<&Records::committed>, F<&Records::receipt_wanted>> {};
template <>
struct Wire<Progress> : Fields<Progress, F<&Progress::volume>, F<&Progress::epoch>,
                               F<&Progress::session>, F<&Progress::committed>> {};
template <>
struct Wire<Ack> : Fields<Ack, F<&Ack::volume>, F<&Ack::epoch>, F<&Ack::session>, F<&Ack::received>,
                          F<&Ack::durable>, F<&Ack::digest>, F<&Ack::wal_free_bytes>> {};
template <>
struct Wire<Barrier> : Fields<Barrier, F<&Barrier::volume>, F<&Barrier::epoch>,
                              F<&Barrier::session>, F<&Barrier::lsn>> {};
template <>
struct Wire<BarrierReached>
    : Fields<BarrierReached, F<&BarrierReached::volume>, F<&BarrierReached::epoch>,
             F<&BarrierReached::session>, F<&BarrierReached::lsn>> {};

template <>
struct Wire<CopyState> : Choice<CopyState, CopyState::data, CopyState::not_yet> {};
template <>
struct Wire<AskBlock> : Fields<AskBlock, F<&AskBlock::volume>, F<&AskBlock::epoch>,
                               F<&AskBlock::session>, F<&AskBlock::block>, F<&AskBlock::at>> {};
/// All but the data, which is the body.
template <>
struct Wire<BlockCopy>
    : Fields<BlockCopy, F<&BlockCopy::block>, F<&BlockCopy::state>, F<&BlockCopy::checkpoint>,
             F<&BlockCopy::flush_lsn>, F<&BlockCopy::sum>> {};
template <>
struct Wire<BlockIs> : Fields<BlockIs, F<&BlockIs::volume>, F<&BlockIs::epoch>,
                              F<&BlockIs::session>, F<&BlockIs::copy>> {};

// --- bulk link -----------------------------------------------------------------------------------

template <>
struct Wire<AskBase>
    : Fields<AskBase, F<&AskBase::volume>, F<&AskBase::epoch>, F<&AskBase::session>,
             F<&AskBase::ranges, List<BlockRange, base_ask_ranges_max>>> {};
/// The fixed part; one checksum per block follows.
template <>
struct Wire<BaseBlocks>
    : Fields<BaseBlocks, F<&BaseBlocks::volume>, F<&BaseBlocks::epoch>, F<&BaseBlocks::session>,
             F<&BaseBlocks::range>, F<&BaseBlocks::flush_lsn>> {};
template <>
struct Wire<BaseZeroes>
    : Fields<BaseZeroes, F<&BaseZeroes::volume>, F<&BaseZeroes::epoch>, F<&BaseZeroes::session>,
             F<&BaseZeroes::range>, F<&BaseZeroes::flush_lsn>> {};
template <>
struct Wire<BaseWhole> : Fields<BaseWhole, F<&BaseWhole::volume>, F<&BaseWhole::epoch>,
                                F<&BaseWhole::session>, F<&BaseWhole::flush_lsn>> {};

inline const char* flaw_of_groups(const AskBaseSums& ask) {
  const auto size = ask.group_blocks;
  const bool sized = size >= base_group_blocks_min && size <= volume_blocks_max;
  if (!sized || ask.groups.empty()) return "names no group of blocks";
  const bool rising = std::adjacent_find(ask.groups.begin(), ask.groups.end(),
                                         std::greater_equal<>()) == ask.groups.end();
  if (!rising) return "has groups out of order";
  return ask.groups.back() < volume_blocks_max / size ? nullptr : "has groups beyond any volume";
}
template <>
struct Wire<AskBaseSums>
    : Validated<AskBaseSums, flaw_of_groups,
                Fields<AskBaseSums, F<&AskBaseSums::volume>, F<&AskBaseSums::epoch>,
                       F<&AskBaseSums::session>, F<&AskBaseSums::at>, F<&AskBaseSums::group_blocks>,
                       F<&AskBaseSums::groups, List<std::uint32_t, base_sums_max>>>> {};
template <>
struct Wire<BaseSums>
    : Fields<BaseSums, F<&BaseSums::volume>, F<&BaseSums::epoch>, F<&BaseSums::session>,
             F<&BaseSums::lsn>, F<&BaseSums::sums, List<std::uint64_t, base_sums_max>>,
             F<&BaseSums::problem, Reason>> {};

}  // namespace tidemark::transport::wire
