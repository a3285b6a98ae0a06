#include "tests/transport/random_messages.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "transport/replication/frame.hpp"

namespace tidemark::transport::test {
namespace {

using namespace engine;

/// How the values of a message are chosen; one maker per message type below does the rest.
class Source {
 public:
  enum class Style { random, largest, sample };
  Source(Style style, SplitMix& rng) : style_(style), rng_(rng) {}

  /// A number in [low, high]; samples count up so that no two fields look alike.
  std::uint64_t number(std::uint64_t low, std::uint64_t high) {
    switch (style_) {
      case Style::random:
        return rng_.coin() ? rng_.between(low, high) : rng_.between(low, std::min(high, low + 3));
      case Style::largest:
        return high;
      case Style::sample:
        return low + (++counter_ % (high - low + (high - low == ~std::uint64_t{0} ? 0 : 1)));
    }
    return low;
  }
  std::uint64_t any() {
    return style_ == Style::sample ? 0x1100 + ++counter_ : number(0, ~std::uint64_t{0});
  }
  template <class T>
  T of(std::uint64_t low = 0) {
    return T(std::max(low, any()));
  }
  template <class E>
  E choice(E first, E last) {
    return static_cast<E>(
        number(static_cast<std::uint64_t>(first), static_cast<std::uint64_t>(last)));
  }
  bool flag() { return number(0, 1) == 1; }
  std::size_t count(std::size_t low, std::size_t high) {
    return style_ == Style::sample ? std::min(high, low + 2) : number(low, high);
  }
  std::string text(std::size_t max) {
    if (style_ == Style::sample) return "text " + std::to_string(++counter_);
    std::string text(count(0, std::min<std::size_t>(max, style_ == Style::largest ? max : 700)),
                     ' ');
    for (auto& c : text) c = static_cast<char>(rng_.next());
    return text;
  }
  std::string endpoint() { return text(endpoint_bytes_max).substr(0, endpoint_bytes_max); }
  /// An endpoint that can be dialled.
  std::string address() {
    const auto host = number(1, 254);
    return "10.0.0." + std::to_string(host) + ":" + std::to_string(number(1, 65535));
  }
  std::string name() {
    if (style_ == Style::sample) return "node" + std::to_string(++counter_);
    return std::string(count(1, name_bytes_max), 'n');
  }
  Uuid uuid() {
    const auto high = std::max<std::uint64_t>(1, any());
    return make_uuid(high, any());
  }
  NodeId node() { return {name(), uuid()}; }
  Digest digest() { return {any(), any()}; }
  BlockRange range() {
    const auto first = number(0, 1u << 30);
    return {BlockIndex(first), number(1, 1u << 20)};
  }
  EpochHistory history() {
    EpochHistory history;
    std::uint64_t at = 1;
    for (auto left = count(0, epoch_history_max); left > 0; --left) {
      at += number(1, 5);
      const auto marks = number(0, 3) | (number(0, 1) * EpochStart::mode_changed);
      history.begin({Epoch(at), any(), Lsn(at + 7), static_cast<std::uint8_t>(marks),
                     choice(Mode::sync_all, Mode::best_effort)});
    }
    return history;
  }
  std::vector<SetMember> set() {
    std::vector<SetMember> set;
    for (auto left = count(0, members_max); left > 0; --left) {
      set.push_back({ReplicaId(set.size() + 1), of<Incarnation>()});
    }
    return set;
  }
  template <class M>
  M head() {
    M m;
    m.volume = test_volume();
    m.epoch = of<Epoch>();
    m.session = of<SessionId>();
    return m;
  }
  RecordBuilder::Origin origin() {
    return {{any(), of<Incarnation>()}, any(), of<WallTime>(), of<WallTime>()};
  }

 private:
  Style style_;
  SplitMix& rng_;
  std::uint64_t counter_ = 0;
};

Slice blocks(std::uint64_t count, std::uint64_t fill) {
  Buffer buffer(count * block_bytes);
  for (std::size_t i = 0; i < buffer.size(); ++i)
    buffer.data()[i] = static_cast<std::byte>(fill + i / 8);
  return std::move(buffer).freeze();
}

void fill(Source& s, Hello& m) {
  m = {1,
       static_cast<std::uint16_t>(s.number(1, 9)),
       s.choice(Purpose::records, Purpose::control),
       s.uuid(),
       s.node(),
       s.of<Incarnation>(1),
       s.uuid(),
       s.of<ReplicaId>(1),
       s.of<ReplicaId>(1),
       s.of<Epoch>(1),
       s.of<SessionId>(1)};
}
void fill(Source& s, HelloOk& m) { m = {1, s.node(), s.of<Incarnation>()}; }
void fill(Source& s, Refused& m) {
  m = {s.choice(RefusalCode::protocol, RefusalCode::not_yet), s.text(text_bytes_max),
       s.of<Epoch>()};
}
void fill(Source& s, Probe& m) { m = s.head<Probe>(); }
void fill(Source& s, Facts& m) {
  m = s.head<Facts>();
  m.history = s.history();
  for (auto* lsn : {&m.received, &m.durable, &m.checkpoint, &m.retained, &m.committed})
    *lsn = s.of<Lsn>();
  m.promised = s.of<Epoch>();
  m.forgotten = s.of<Epoch>();
  m.incarnation = s.of<Incarnation>();
  m.base = s.choice(BaseState::complete, BaseState::damaged);
  if (s.count(0, 1) == 1) m.rebuild = BaseProgress{s.of<Epoch>(), s.of<Lsn>(), s.any()};
  m.clean = s.flag();
  m.damage = s.text(text_bytes_max);
}
void fill(Source& s, AskDigest& m) {
  m = s.head<AskDigest>();
  m.lsn = s.of<Lsn>();
}
void fill(Source& s, DigestIs& m) {
  m = s.head<DigestIs>();
  m.lsn = s.of<Lsn>();
  if (s.count(0, 1) == 1) m.digest = s.digest();
}
Configuration configuration(Source& s) {
  return {s.number(0, 1u << 30) * block_bytes, s.choice(Mode::sync_all, Mode::best_effort),
          static_cast<std::uint32_t>(s.number(1, members_max))};
}
void fill(Source& s, StartSession& m) {
  m = s.head<StartSession>();
  m.kind = s.choice(SessionKind::catch_up, SessionKind::rebuild);
  m.scope = s.choice(BaseScope::all, BaseScope::rest);
  m.common_point = s.of<Lsn>();
  m.digest = s.digest();
  m.time = s.of<WallTime>();
  m.target = s.of<Lsn>();
  m.touched_from = s.of<Lsn>();
  m.touched_digest = s.digest();
  if (s.count(0, 1) == 1) m.parts_at = s.of<Lsn>();
  m.history = s.history();
  m.reason = s.text(text_bytes_max);
  m.configuration = configuration(s);
}
void fill(Source& s, Touched& m) {
  m = s.head<Touched>();
  m.last = s.flag();
  for (auto left = s.count(0, touched_ranges_max); left > 0; --left) m.ranges.push_back(s.range());
}
void fill(Source& s, TouchedNoted& m) { m = s.head<TouchedNoted>(); }
void fill(Source& s, SessionReady& m) {
  m = s.head<SessionReady>();
  m.next = s.of<Lsn>();
  m.missing_blocks = s.any();
}
void fill(Source& s, Records& m) {
  m = s.head<Records>();
  m.committed = s.of<Lsn>();
  m.receipt_wanted = s.flag();
  // Braces: evaluated in order, whatever the compiler.
  RecordBuilder builder{test_volume_key(), Lsn(s.number(0, 1u << 20)), s.digest()};
  const Epoch epoch(s.number(1, 1u << 20));
  for (auto left = s.count(1, 6); left > 0; --left) {
    const auto count = s.number(1, 4);
    const BlockRange range{BlockIndex(s.number(0, 1u << 20)), count};
    switch (left % 3) {
      case 0:
        m.records.push_back(builder.zero(epoch, RecordKind::trim, 0, range, s.origin()));
        break;
      case 1:
        m.records.push_back(builder.write(epoch, range, blocks(count, left), s.origin()));
        break;
      default:
        m.records.push_back(builder.chunk_end(epoch, s.origin()));
        break;
    }
  }
}
void fill(Source& s, Progress& m) {
  m = s.head<Progress>();
  m.committed = s.of<Lsn>();
}
void fill(Source& s, Ack& m) {
  m = s.head<Ack>();
  m.received = s.of<Lsn>();
  m.durable = s.of<Lsn>();
  m.digest = s.digest();
  m.wal_free_bytes = s.any();
}
void fill(Source& s, Barrier& m) {
  m = s.head<Barrier>();
  m.lsn = s.of<Lsn>();
}
void fill(Source& s, BarrierReached& m) {
  m = s.head<BarrierReached>();
  m.lsn = s.of<Lsn>();
}
void fill(Source& s, AskBlock& m) {
  m = s.head<AskBlock>();
  m.block = BlockIndex(s.number(0, 1u << 20));
  m.at = s.of<Lsn>();
}
void fill(Source& s, BlockIs& m) {
  m = s.head<BlockIs>();
  auto& copy = m.copy;
  copy.state = s.choice(CopyState::data, CopyState::not_yet);
  copy.block = BlockIndex(s.number(0, 1u << 20));
  copy.checkpoint = s.of<Lsn>();
  copy.flush_lsn = s.of<Lsn>();
  if (copy.state != CopyState::data) return;
  copy.data = blocks(1, copy.block.value);
  copy.sum = block_sum(test_volume_key(), copy.block, copy.data.bytes());
}
void fill(Source& s, AskBase& m) {
  m = s.head<AskBase>();
  for (auto left = s.count(0, base_ask_ranges_max); left > 0; --left) m.ranges.push_back(s.range());
}
void fill(Source& s, BaseBlocks& m) {
  m = s.head<BaseBlocks>();
  m.range = {BlockIndex(s.number(0, 1u << 20)), s.count(1, base_blocks_max)};
  m.flush_lsn = s.of<Lsn>();
  m.data = blocks(m.range.count, m.range.first.value);
  for (std::uint64_t i = 0; i < m.range.count; ++i) {
    const auto content = m.data.bytes().subspan(i * block_bytes, block_bytes);
    m.sums.push_back(block_sum(test_volume_key(), m.range.first + i, content));
  }
}
void fill(Source& s, BaseZeroes& m) {
  m = s.head<BaseZeroes>();
  m.range = s.range();
  m.flush_lsn = s.of<Lsn>();
}
void fill(Source& s, BaseWhole& m) {
  m = s.head<BaseWhole>();
  m.flush_lsn = s.of<Lsn>();
}
void fill(Source& s, Register& m) {
  m = {s.node(), s.of<Incarnation>(), s.address(), s.address(), s.flag()};
}
void fill(Source& s, Registered& m) { m = {s.uuid()}; }
void fill(Source& s, Assign& m) {
  auto& a = m.assignment;
  a.spec.id = test_volume();
  a.spec.name = s.name();
  a.spec.size_bytes = s.number(0, 1u << 30) * block_bytes;
  a.spec.mode = s.choice(Mode::sync_all, Mode::best_effort);
  a.spec.ack = s.choice(AckPolicy::received, AckPolicy::durable);
  a.spec.copies = static_cast<std::uint32_t>(s.number(1, members_max));
  a.spec.min_copies = static_cast<std::uint32_t>(s.number(1, a.spec.copies));
  a.epoch = s.of<Epoch>();
  a.nonce = s.any();
  a.version = s.of<Version>();
  a.self = s.of<ReplicaId>();
  a.role = s.choice(Role::replica, Role::primary);
  a.primary = s.of<ReplicaId>();
  a.primary_incarnation = s.of<Incarnation>();
  a.marks = static_cast<std::uint8_t>(s.number(0, 3));
  for (auto left = s.count(0, members_max); left > 0; --left) {
    a.members.push_back({ReplicaId(a.members.size() + 1), s.node(), s.endpoint(), s.endpoint()});
  }
  a.in_sync = s.set();
  if (s.flag()) a.wanted = configuration(s);
  a.spec.below_min = s.choice(BelowMin::block, BelowMin::fail);
  for (auto left = s.count(0, reigns_max); left > 0; --left) {
    const auto last = a.reigns.empty() ? 0 : a.reigns.back().epoch.value;
    const Epoch epoch(last + s.number(1, 5));
    a.reigns.push_back({epoch, s.of<Version>(), s.flag()});
  }
}
void fill(Source& s, AssignAck& m) { m = {test_volume(), s.of<Epoch>(), s.of<Version>()}; }
void fill(Source& s, Unassign& m) { m = {test_volume(), s.of<ReplicaId>()}; }
void fill(Source& s, UnassignAck& m) { m = {test_volume(), s.of<ReplicaId>()}; }
void fill(Source& s, Heartbeat& m) { m = {s.any()}; }
void fill(Source& s, ProposeSet& m) {
  m = {test_volume(), s.of<Epoch>(), s.of<Version>(), s.set(), s.text(text_bytes_max), s.any()};
}
void fill(Source& s, SetDecided& m) {
  m = {test_volume(),          s.flag(), s.of<Epoch>(), s.of<Version>(), s.set(),
       s.text(text_bytes_max), s.any()};
}
void fill(Source& s, Fence& m) { m = {test_volume(), s.of<ReplicaId>(), s.of<Epoch>()}; }
void fill(Source& s, Promise& m) {
  m = {test_volume(),
       s.of<ReplicaId>(),
       s.of<Epoch>(),
       s.flag(),
       s.of<Epoch>(),
       s.of<Lsn>(),
       s.of<Lsn>(),
       s.digest(),
       s.of<Incarnation>(),
       s.choice(BaseState::complete, BaseState::damaged),
       s.flag(),
       s.text(text_bytes_max),
       s.flag()};
}
void fill(Source& s, Configured& m) {
  m = {test_volume(), s.of<Epoch>(), s.of<Version>(), configuration(s), s.of<Lsn>()};
}
void fill(Source& s, AdminAsk& m) {
  m = {s.any(), s.name(), s.name().substr(0, admin_method_bytes_max), s.text(admin_path_bytes_max),
       s.text(admin_body_bytes_max)};
}
void fill(Source& s, AdminReply& m) {
  m = {s.any(), static_cast<std::uint16_t>(s.number(100, 599)), s.text(admin_body_bytes_max)};
}

void fill(Source& s, AskDigests& m) {
  m = s.head<AskDigests>();
  std::uint64_t at = 0;
  for (auto left = s.count(1, digests_max); left > 0; --left)
    m.lsns.push_back(Lsn(at += s.number(1, 9)));
}
void fill(Source& s, Digests& m) {
  m = s.head<Digests>();
  m.touched_from = s.of<Lsn>();
  std::uint64_t at = 0;
  for (auto left = s.count(0, digests_max); left > 0; --left)
    m.points.push_back({Lsn(at += s.number(1, 9)), s.digest()});
}

void fill(Source& s, AskBaseSums& m) {
  m = s.head<AskBaseSums>();
  m.at = s.of<Lsn>();
  m.group_blocks = s.number(base_group_blocks_min, 1u << 20);
  std::uint32_t group = 0;
  for (auto left = s.count(1, base_sums_max); left > 0; --left)
    m.groups.push_back(group += static_cast<std::uint32_t>(s.number(1, 3)));
}
void fill(Source& s, BaseSums& m) {
  m = s.head<BaseSums>();
  m.lsn = s.of<Lsn>();
  for (auto left = s.count(0, base_sums_max); left > 0; --left) m.sums.push_back(s.any());
  m.problem = s.text(text_bytes_max);
}

/// Texts for people come back cut; everything else comes back as it was.
template <class T>
void cut(T& message) {
  if constexpr (requires { message.text; })
    message.text.resize(std::min(message.text.size(), text_bytes_max));
  if constexpr (requires { message.reason; })
    message.reason.resize(std::min(message.reason.size(), text_bytes_max));
  if constexpr (requires { message.damage; })
    message.damage.resize(std::min(message.damage.size(), text_bytes_max));
  if constexpr (requires { message.problem; })
    message.problem.resize(std::min(message.problem.size(), text_bytes_max));
}

template <std::size_t... Index>
Message make(Source& source, std::size_t index, std::index_sequence<Index...>) {
  Message message;
  const auto one = [&]<std::size_t I>(std::integral_constant<std::size_t, I>) {
    if (index != I) return;
    auto& m = message.emplace<I>();
    fill(source, m);
    cut(m);
  };
  (one(std::integral_constant<std::size_t, Index>{}), ...);
  return message;
}

Message make(Source::Style style, SplitMix& rng, std::size_t index) {
  Source source(style, rng);
  return make(source, index, std::make_index_sequence<message_types>());
}

}  // namespace

std::uint64_t SplitMix::next() {
  auto z = (state_ += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

std::uint64_t SplitMix::between(std::uint64_t low, std::uint64_t high) {
  const auto span = high - low + 1;
  return span == 0 ? next() : low + next() % span;
}

VolumeId test_volume() { return make_uuid(0x0102030405060708, 0x090a0b0c0d0e0f10); }
VolumeKey test_volume_key() { return VolumeKey(test_volume()); }

Message random_message(SplitMix& rng, std::size_t index) {
  return make(Source::Style::random, rng, index);
}
Message largest_message(std::size_t index) {
  SplitMix rng(1);
  return make(Source::Style::largest, rng, index);
}
Message sample_message(std::size_t index) {
  SplitMix rng(1);
  return make(Source::Style::sample, rng, index);
}

Records writes(std::uint64_t first, std::size_t count) {
  Records records;
  records.volume = test_volume();
  records.epoch = Epoch(3);
  records.session = SessionId(4);
  RecordBuilder builder(test_volume_key(), Lsn(first - 1), Digest{1, 2});
  for (std::size_t i = 0; i < count; ++i) {
    records.records.push_back(
        builder.write(Epoch(3), {BlockIndex(first + i), 1}, blocks(1, first + i), {}));
  }
  return records;
}

}  // namespace tidemark::transport::test
