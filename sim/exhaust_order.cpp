#include "sim/exhaust_order.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <memory>
#include <sstream>
#include <unordered_set>
#include <utility>
#include <vector>

#include "sim/exhaust_child.hpp"
#include "sim/exhaust_stage.hpp"
#include "sim/exhaust_walk.hpp"

namespace tidemark::sim {
namespace {

/// The requests: the first two at once, each other one when one is answered.
constexpr std::string_view requests_of_orders = "wof";
constexpr unsigned order_seconds_max = 60;
/// Until what was written is in the extents and checkpointed.
constexpr std::uint64_t walk_length = 8 * engine::millisecond;

enum class Kind : std::uint8_t { wait, crash_primary, crash_replica, cut };

struct Way {
  const char* code;
  Kind kind;
  Loss loss = Loss::lost;
  bool blocks =
      false;  ///< A cut that lasts until all is healed; else connections break, and may come back.
};
constexpr std::array<Way, 9> ways{{{"w", Kind::wait},
                                   {"pl", Kind::crash_primary, Loss::lost},
                                   {"pa", Kind::crash_primary, Loss::lands},
                                   {"pp", Kind::crash_primary, Loss::power},
                                   {"rl", Kind::crash_replica, Loss::lost},
                                   {"ra", Kind::crash_replica, Loss::lands},
                                   {"rp", Kind::crash_replica, Loss::power},
                                   {"c", Kind::cut, Loss::lost, false},
                                   {"b", Kind::cut, Loss::lost, true}}};

struct Departure {
  std::uint64_t at = 0;  ///< Steps of the walk before it.
  std::size_t way = 0;   ///< Of `ways`.
};
using Order = std::vector<Departure>;

/// The many with two departures and more are judged at half the price.
Judgement judgement_of(const Order& order) {
  return order.size() < 2 ? Judgement::twice : Judgement::once;
}

std::string id_of(const Order& order) {
  std::string text;
  for (const auto& d : order)
    text += fmt::format("{}{}{}", text.empty() ? "" : ".", d.at, ways[d.way].code);
  return "order/" + (text.empty() ? "base" : text);
}

std::optional<Order> order_of(const std::string& id) {
  if (!id.starts_with("order/") || id.size() == 6) return std::nullopt;
  Order order;
  if (id == "order/base") return order;
  std::istringstream in(id.substr(6));
  for (std::string piece; std::getline(in, piece, '.');) {
    Departure d;
    const auto [code, error] = std::from_chars(piece.data(), piece.data() + piece.size(), d.at);
    const auto way = std::find_if(ways.begin(), ways.end(), [&, from = code](const Way& w) {
      return std::string_view(from, static_cast<std::size_t>(piece.data() + piece.size() - from)) ==
             w.code;
    });
    if (error != std::errc() || way == ways.end()) return std::nullopt;
    d.way = static_cast<std::size_t>(way - ways.begin());
    order.push_back(d);
  }
  return order;
}

/// A state on a walk, and which departures are worth trying from it.
struct Place {
  std::uint64_t step = 0;
  std::uint64_t state = 0;
  std::uint64_t ways = 0;  ///< Bits by place in `ways`.
};

/// `sent` is shared: an answer may come behind the end of the walk.
void send_next(Cluster& cluster, const std::shared_ptr<std::size_t>& sent) {
  if (*sent == requests_of_orders.size()) return;
  const auto letter = requests_of_orders[(*sent)++];
  cluster.send(request_of(letter), [&cluster, sent](const auto&) { send_next(cluster, sent); });
}

/// One order, from the quiet cluster on.
class OrderRun {
 public:
  OrderRun(Cluster& cluster, const Order& order)
      : cluster_(cluster), order_(order), walk_(cluster, walk_length) {}

  /// Walks to the end, or until `seen` says that the state behind the last departure is known. `at` gets each place behind it.
  /// False: it was known.
  bool play(const std::function<bool(std::uint64_t)>& seen,
            const std::function<void(const Place&)>& at) {
    const auto sent = std::make_shared<std::size_t>(0);
    send_next(cluster_, sent);
    send_next(cluster_, sent);
    for (std::uint64_t step = 0; !cluster_.failed(); ++step) {
      while (done_ < order_.size() && order_[done_].at == step) depart(ways[order_[done_++].way]);
      const auto next = walk_.next();
      if (done_ == order_.size()) {
        const Place place{step, walk_.state(), worth(next)};
        if (seen(place.state)) return false;
        at(place);
      }
      if (!next) break;
      walk_.perform(*next);
    }
    return true;
  }
  /// A departure that the walk never came to.
  bool departed() const { return done_ == order_.size(); }

 private:
  void depart(const Way& way) {
    left_.clear();
    switch (way.kind) {
      case Kind::wait:
        if (const auto next = walk_.next()) walk_.wait(*next);
        return;
      case Kind::crash_primary:
      case Kind::crash_replica: {
        const auto node = way.kind == Kind::crash_primary ? primary_node : replica_node;
        walk_.crashed(node, static_cast<std::uint64_t>(way.loss) + 1);
        crash(cluster_, node, way.loss);
        crashed_ = true;
        return;
      }
      case Kind::cut:
        walk_.cut(way.blocks ? 2 : 1);
        cut_ = true;
        if (!way.blocks) return cluster_.cut(primary_node, replica_node);
        cluster_.block(primary_node, replica_node);
        cluster_.block(replica_node, primary_node);
        return;
    }
  }

  /// Two crashes that leave the same are one, and so are two cuts with no frame between them.
  std::uint64_t worth(const std::optional<Next>& next) {
    const bool primary = leaves_more(primary_node);
    const bool replica = leaves_more(replica_node);
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < ways.size(); ++i) {
      if (worth(ways[i], next, primary, replica)) bits |= std::uint64_t{1} << i;
    }
    return bits;
  }

  bool worth(const Way& way, const std::optional<Next>& next, bool primary, bool replica) const {
    const bool lands = way.loss == Loss::lands;
    switch (way.kind) {
      case Kind::wait:
        return next && !next->only;
      case Kind::crash_primary:
        return !crashed_ && primary && (!lands || walk_.in_flight(primary_node));
      case Kind::crash_replica:
        return !crashed_ && replica && (!lands || walk_.in_flight(replica_node));
      case Kind::cut:
        return !cut_ && (!next || next->frame);
    }
    return false;
  }

  /// Something else than at the place before, or it is the first place behind a departure.
  bool leaves_more(std::uint32_t node) {
    const auto left = walk_.left_by(node);
    const auto [entry, first] = left_.try_emplace(node, left);
    return first || std::exchange(entry->second, left) != left;
  }

  Cluster& cluster_;
  const Order& order_;
  Walk walk_;
  std::size_t done_ = 0;
  bool crashed_ = false;
  bool cut_ = false;
  std::map<std::uint32_t, std::uint64_t> left_;
};

using States = std::unordered_set<std::uint64_t>;  // Looked up only.

/// "place STEP STATE WAYS" for each, then "merged", "judged" or "fail CLASS TEXT".
std::string play_order(Cluster& quiet, const Order& order, const States& seen) {
  std::string said;
  {
    OrderRun run(quiet, order);
    const bool ended = run.play(
        [&](std::uint64_t state) { return seen.contains(state); },
        [&](const Place& p) { said += fmt::format("place {} {} {}\n", p.step, p.state, p.ways); });
    if (!ended) return said + "merged\n";
  }
  judge_case(quiet, judgement_of(order));
  const auto& failure = quiet.failure();
  if (!failure) return said + "judged\n";
  auto text = failure->text;
  std::replace(text.begin(), text.end(), '\n', ' ');
  return said + fmt::format("fail {} {}\n", failure->cls, text);
}

/// The search: what was seen, what comes next, what it came to.
class Search {
 public:
  Search(const ExhaustOptions& options, Cluster& quiet, PartResult& part)
      : options_(options), quiet_(quiet), part_(part) {}

  bool run() {
    frontier_.push_back({});
    for (level_ = 0; level_ <= options_.departures; ++level_) {
      const auto level = std::exchange(frontier_, {});
      known_ += level.size();
      for (std::size_t first = 0; first < level.size(); first += chunk) {
        if (!walk(level, first, std::min(chunk, level.size() - first))) return false;
      }
    }
    return true;
  }

  void report() {
    part_.counts = {{"orders", orders_},
                    {"states", seen_.size()},
                    {"judged", judged_},
                    {"merged", merged_},
                    {"beyond", beyond_}};
  }

 private:
  // Orders of one chunk do not know each other's states, so that what they find does not depend on who was first.
  static constexpr std::size_t chunk = 64;

  bool walk(const std::vector<Order>& level, std::size_t first, std::size_t count) {
    const bool all = run_in_order(
        count, options_.jobs, order_seconds_max,
        [&](std::size_t i) { return play_order(quiet_, level[first + i], seen_); },
        [&](std::size_t i, const ChildEnd& end) { return take(level[first + i], end); });
    seen_.merge(fresh_);
    fresh_.clear();
    return all;
  }

  bool take(const Order& order, const ChildEnd& end) {
    ++orders_;
    std::istringstream lines(end.said);
    bool walks = true;
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      std::string kind;
      words >> kind;
      Place place;
      if (kind == "place" && walks && words >> place.step >> place.state >> place.ways)
        walks = visit(order, place);
      if (kind == "merged") ++merged_;
      if (kind == "judged" || kind == "fail") ++judged_;
      if (kind != "fail") continue;
      CaseFailure failure{id_of(order), "", ""};
      words >> failure.cls;
      std::getline(words >> std::ws, failure.text);
      part_.failures.push_back(failure);
    }
    if (!end.died.empty()) part_.failures.push_back({id_of(order), "died", end.died});
    if (options_.progress) options_.progress("order", orders_, known_, part_.failures.size());
    return part_.failures.size() < (options_.stop_at_failure ? 1 : PartResult::failures_max);
  }

  /// False: somebody was here before.
  bool visit(const Order& order, const Place& place) {
    if (seen_.contains(place.state) || !fresh_.insert(place.state).second) return false;
    for (std::size_t way = 0; way < ways.size(); ++way) {
      if ((place.ways >> way & 1) == 0) continue;
      if (level_ == options_.departures) {
        ++beyond_;
        continue;
      }
      auto longer = order;
      longer.push_back({place.step, way});
      frontier_.push_back(std::move(longer));
    }
    return true;
  }

  const ExhaustOptions& options_;
  Cluster& quiet_;
  PartResult& part_;
  std::uint64_t level_ = 0;
  std::vector<Order> frontier_;
  States seen_;
  States fresh_;  ///< Of the chunk that is under way.
  std::uint64_t known_ = 0;
  std::uint64_t orders_ = 0;
  std::uint64_t judged_ = 0;
  std::uint64_t merged_ = 0;
  std::uint64_t beyond_ = 0;  ///< Orders with one departure more.
};

}  // namespace

PartResult every_order(const ExhaustOptions& options) {
  PartResult part;
  part.name = "order";
  part.bound = fmt::format(
      "2 writes and a flush, at most {} departures, of them at most one crash and one cut",
      options.departures);
  std::string why;
  const auto quiet = quiet_cluster(Company::pair, why);
  if (!quiet) {
    part.failures.push_back({"order/base", "start", why});
    part.why_not = "failing cases ended it";
    return part;
  }
  Search search(options, *quiet, part);
  part.complete = search.run();
  if (!part.complete) part.why_not = interrupted() ? "interrupted" : "failing cases ended it";
  search.report();
  return part;
}

std::optional<CaseFailure> play_order_case(const std::string& id, bool verbose) {
  const auto order = order_of(id);
  if (!order) return std::nullopt;
  CaseFailure outcome{id, "", ""};
  const auto quiet = quiet_cluster(Company::pair, outcome.text);
  if (!quiet) return CaseFailure{id, "start", outcome.text};
  quiet->world().trace.verbose = verbose;
  {
    OrderRun run(*quiet, *order);
    run.play([](std::uint64_t) { return false; }, [](const Place&) {});
    if (!run.departed()) return std::nullopt;
  }
  judge_case(*quiet, judgement_of(*order));
  if (const auto& failure = quiet->failure()) return CaseFailure{id, failure->cls, failure->text};
  return outcome;
}

std::vector<std::uint64_t> walk_order(Cluster& quiet, const std::string& id) {
  std::vector<std::uint64_t> states;
  const auto order = order_of(id);
  if (!order) return states;
  OrderRun(quiet, *order)
      .play([](std::uint64_t) { return false; },
            [&](const Place& place) { states.push_back(place.state); });
  return states;
}

}  // namespace tidemark::sim
