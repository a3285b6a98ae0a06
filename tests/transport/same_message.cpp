// Field-by-field equality of messages, so that a member which the codec forgets cannot hide.
#include <boost/pfr.hpp>
#include <cstring>

#include "tests/transport/random_messages.hpp"
#include "transport/replication/layouts_control.hpp"

namespace tidemark::transport::test {
namespace {

using namespace engine;

bool same_bytes(std::span<const std::byte> a, std::span<const std::byte> b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}
bool equal(const Slice& a, const Slice& b) { return same_bytes(a.bytes(), b.bytes()); }
bool equal(const RecordPtr& a, const RecordPtr& b) {
  return same_bytes(a->head(), b->head()) && equal(a->payload(), b->payload());
}
bool equal(const EpochHistory& a, const EpochHistory& b) { return a.starts() == b.starts(); }
bool equal(const std::vector<RecordPtr>& a, const std::vector<RecordPtr>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const auto& x, const auto& y) { return equal(x, y); });
}
bool equal(const BlockCopy& a, const BlockCopy& b) {
  return a.block == b.block && a.state == b.state && a.checkpoint == b.checkpoint &&
         a.flush_lsn == b.flush_lsn && a.sum == b.sum && equal(a.data, b.data);
}
template <class T>
requires std::equality_comparable<T>
bool equal(const T& a, const T& b) { return a == b; }

template <class M>
bool fields_equal(const M& a, const M& b) {
  bool all = true;
  boost::pfr::for_each_field(a, [&](const auto& field, auto index) {
    all = all && equal(field, boost::pfr::get<decltype(index)::value>(b));
  });
  return all;
}

// Every member is listed in the layout; Records and BaseBlocks list all but what their tail holds.
template <class M>
constexpr bool lists_every_member = wire::Wire<M>::count == boost::pfr::tuple_size_v<M>;
template <>
constexpr bool lists_every_member<Records> = wire::Wire<Records>::count == 5;
template <>
constexpr bool lists_every_member<BaseBlocks> = wire::Wire<BaseBlocks>::count == 5;
template <std::size_t... Index>
constexpr bool all_listed(std::index_sequence<Index...>) {
  return (lists_every_member<std::variant_alternative_t<Index, Message>> && ...);
}
static_assert(all_listed(std::make_index_sequence<message_types>()));
static_assert(wire::Wire<BlockCopy>::count == boost::pfr::tuple_size_v<BlockCopy> - 1,
              "its data is the body");
static_assert(lists_every_member<VolumeSpec> && lists_every_member<Assignment> &&
              lists_every_member<Member> && lists_every_member<Reign>);
static_assert(lists_every_member<EpochStart> && lists_every_member<BaseProgress> &&
              lists_every_member<NodeId> && lists_every_member<SetMember>);

}  // namespace

bool same(const Message& a, const Message& b) {
  if (a.index() != b.index()) return false;
  return std::visit(
      [&](const auto& left) {
        return fields_equal(left, std::get<std::decay_t<decltype(left)>>(b));
      },
      a);
}

}  // namespace tidemark::transport::test
