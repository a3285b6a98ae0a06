#include "sim/cluster.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <utility>

#include "engine/check.hpp"

namespace tidemark::sim {
namespace {

namespace json = boost::json;
using engine::millisecond;
using engine::second;

/// Asks a node's actor for an operator; the world's own actor.
struct AskNode {
  actors::Node node;
  LifePtr life;  ///< The node's, now.
  engine::AdminAsk ask;
  std::shared_ptr<std::function<void(engine::AdminReply)>> done;
};

class Asker final : public caf::event_based_actor {
 public:
  using caf::event_based_actor::event_based_actor;
  const char* name() const override { return "operator"; }
  caf::behavior make_behavior() override;
};

}  // namespace
}  // namespace tidemark::sim

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tidemark::sim::AskNode)

namespace tidemark::sim {
namespace {

engine::AdminReply node_died() { return {0, 503, "{\"error\":\"the node died\"}"}; }

caf::behavior Asker::make_behavior() {
  return {[this](const AskNode& m) {
    request(m.node, caf::infinite, actors::AdminRequest{m.ask})
        .then(
            // What a process that is over still said was not heard.
            [done = m.done, life = m.life](const actors::AdminAnswered& answer) {
              (*done)(life->alive ? answer.reply : node_died());
            },
            [done = m.done](const caf::error&) { (*done)(node_died()); });
  }};
}

/// Small enough that segments roll, caches overflow and flushes run within a few hundred requests.
actors::Settings small_settings() {
  actors::Settings s;
  s.segment_bytes = 4ull << 20;
  s.wal_retention_bytes = 4 * s.segment_bytes;
  s.reserve_bytes = 1ull << 20;
  s.extent_file_bytes = 1ull << 20;
  s.memory_tail_bytes = 256ull << 10;
  s.uncommitted_bytes_max = 4ull << 20;
  s.sender_credit_bytes = 256ull << 10;
  s.flush_bytes = 256ull << 10;
  s.flush_after = 200 * millisecond;
  return s;
}

std::uint64_t number(const json::object& o, std::string_view key) {
  const auto* v = o.if_contains(key);
  return v != nullptr && v->is_number() ? v->to_number<std::uint64_t>() : 0;
}
std::string text(const json::object& o, std::string_view key) {
  const auto* v = o.if_contains(key);
  return v != nullptr && v->is_string() ? std::string(v->as_string()) : std::string();
}
bool truth(const json::object& o, std::string_view key) {
  const auto* v = o.if_contains(key);
  return v != nullptr && v->is_bool() && v->as_bool();
}

CopyView copy_view(const json::object& o) {
  CopyView c;
  c.node = text(o, "node");
  c.state = text(o, "state");
  c.problem = text(o, "problem");
  c.reason = text(o, "reason");
  c.in_set = truth(o, "in_set");
  c.exact = truth(o, "exact");
  c.end = number(o, "received");
  c.durable = number(o, "durable");
  return c;
}

}  // namespace

Cluster::Cluster(ClusterOptions options)
    : options_(std::move(options)),
      world_(options_.seed),
      isolated_(options_.nodes, false),
      heard_(options_.nodes) {
  world_.trace.verbose = options_.verbose;
  world_.settings = small_settings();
  if (options_.tune) options_.tune(world_.settings);
  world_.net.weather = options_.weather;
  const auto high = world_.random.next();
  const auto low = world_.random.next();
  world_.cluster = engine::make_uuid(high, low);
  world_.net.on_codec_error = [this](const std::string& what) { fail("codec", what); };
  world_.net.on_flip_believed = [this](const std::string& what) { fail("flip_believed", what); };
  world_.net.on_delivery = [this](const Life& to, const engine::Message& m) { delivered(to, m); };

  SimScheduler::install(config_, world_.random, world_.events, world_.trace);
  system_ = std::make_unique<caf::actor_system>(config_);
  system_->await_actors_before_shutdown(false);
  scheduler_ = &SimScheduler::of(*system_);
  const auto failing = [this](std::string cls, std::string what) {
    fail(std::move(cls), std::move(what));
  };
  const bool lossy = options_.mode == engine::Mode::best_effort;
  options_.blocks_max = std::max(options_.blocks_max, options_.blocks);
  history_ = std::make_unique<History>(options_.blocks * cells_per_block,
                                       options_.blocks_max * cells_per_block,
                                       options_.ack == engine::AckPolicy::durable, lossy, failing);
  registers_ = std::make_unique<Registers>(options_.blocks * cells_per_block,
                                           options_.blocks_max * cells_per_block, lossy, failing);
  logs_ = std::make_unique<Logs>(!lossy, failing);
  answers_ = std::make_unique<Answers>(volume_tag, failing);
  bystanders_ = std::make_unique<Bystanders>(volume);
  hook_judges();
  scheduler_->on_print = [this](const std::string& line) { fail("exception", line); };
  client_world_ = std::make_unique<ClientWorld>(ClientWorld{
      world_.events, world_.trace, *history_, *registers_, *answers_, *judges_, volume_tag, volume,
      [this](std::uint32_t n, std::weak_ptr<engine::FrontClient> c) { return open(n, c); }, failing,
      options_.nodes});
  for (std::uint32_t i = 0; i < options_.nodes; ++i) {
    nodes_.push_back(std::make_unique<SimNode>(world_, i));
    const EndsAt ends_at = [this, i](DurableStep step, std::string_view where, StepMoment moment) {
      return crash_points_.ends_at(i, step, where, moment);
    };
    nodes_[i]->disk().ends_at = nodes_[i]->kv().ends_at = ends_at;
  }
  asker_ = system_->spawn<Asker>();
  teller_ = add_client();
}

Cluster::~Cluster() {
  clients_.clear();
  teller_.reset();
  end_twin();
  for (auto& node : nodes_) {
    if (node->alive()) node->kill(*system_, Kill::process);
  }
  world_.events.clear();
  asker_ = nullptr;
  system_.reset();
}

void Cluster::fail(std::string cls, std::string what) {
  if (failure_) return;
  world_.trace.note(now(), fmt::format("FAILED {}: {}", cls, what));
  failure_ = Failure{std::move(cls), std::move(what)};
}

// The only thing of the engine that the judges of reads believe:
// that a reign began with the loss of a cache.
void Cluster::boot(std::uint32_t n) {
  if (nodes_[n]->alive()) return;
  judges_->truth.boots(nodes_[n]->name());
  nodes_[n]->boot(*system_);
}

void Cluster::kill(std::uint32_t n, Kill how) {
  if (!nodes_[n]->alive()) return;
  for (const auto& client : clients_) {
    if (client->connected() && client->node() == n) client->server_died();
  }
  nodes_[n]->kill(*system_, how);
  judges_->truth.died(nodes_[n]->name(), now());
  judges_->progress.trouble(now());
}

void Cluster::wipe(std::uint32_t n) {
  kill(n);
  nodes_[n]->wipe();
  judges_->reigns.forget(n);
  copy_lost_ = true;
}

void Cluster::isolate(std::uint32_t n) {
  isolated_[n] = true;
  for (std::uint32_t other = 0; other < size(); ++other) {
    if (other == n) continue;
    block(n, other);
    block(other, n);
  }
  for (const auto& client : clients_) {
    if (client->connected() && client->node() == n) client->connection_lost("out of reach");
  }
}

void Cluster::heal() {
  isolated_.assign(isolated_.size(), false);
  world_.net.open_all();
  for (auto& node : nodes_) node->go_on(*system_);
}

engine::Result<Door> Cluster::open(std::uint32_t n, std::weak_ptr<engine::FrontClient> client) {
  auto& node = *nodes_[n];
  if (!node.alive() || isolated_[n]) {
    return engine::Error{engine::Errc::unavailable, fmt::format("{} is out of reach", node.name())};
  }
  auto port = node.exports().open(volume, std::move(client));
  if (!port) return port.error();
  return Door{n, node.life()->id, std::move(port).value()};
}

bool Cluster::step(engine::MonoTime limit) {
  if (judges_->progress.due(now())) look();
  if (failed()) return false;
  const bool stepped = scheduler_->step(limit);
  end_struck();
  return stepped;
}

// Its life was over from the moment on at which it came there; what is left of it goes now.
void Cluster::end_struck() {
  const auto struck = crash_points_.take_struck();
  if (!struck) return;
  world_.trace.note(now(), fmt::format("crash point {}", crash_point_name(struck->point)));
  kill(struck->node, struck->power ? Kill::power : Kill::process);
}

void Cluster::run_for(std::uint64_t nanoseconds) {
  const auto end = now() + nanoseconds;
  while (step(end)) {
  }
  if (!failed()) world_.events.advance_to(end);
}

bool Cluster::run_until(const std::function<bool()>& done, std::uint64_t nanoseconds_max) {
  const auto end = now() + nanoseconds_max;
  while (!failed()) {
    if (done()) return true;
    if (!step(end)) break;
  }
  return !failed() && done();
}

std::shared_ptr<Client> Cluster::add_client(Random random) {
  auto client = std::make_shared<Client>(*client_world_, counts_, clients_.size() + 1, random);
  clients_.push_back(client);
  client->start();
  return client;
}

bool Cluster::send(const Ask& what, Client::OnAnswer done) {
  if (!run_until([&] { return teller_->connected(); })) return false;
  return teller_->ask(what, std::move(done));
}

bool Cluster::ask(const Ask& what) {
  // Shared: the answer may come when nobody waits for it any more.
  auto ok = std::make_shared<std::optional<bool>>();
  if (!send(what, [ok](const std::optional<engine::Error>& e) { *ok = !e.has_value(); })) {
    return false;
  }
  const auto connection = teller_->connections();
  run_until([&] { return ok->has_value() || teller_->connections() != connection; });
  return ok->value_or(false) && !failed();
}

bool Cluster::write(std::uint64_t block, std::uint64_t blocks, bool fua) {
  return write_cells({block * cells_per_block, blocks * cells_per_block}, fua);
}
bool Cluster::write_cells(CellRange cells, bool fua) {
  return ask({engine::FrontOp::write, cells, fua, false});
}
bool Cluster::flush() { return ask({engine::FrontOp::flush, {}, false, false}); }
bool Cluster::read(std::uint64_t block, std::uint64_t blocks) {
  return ask(
      {engine::FrontOp::read, {block * cells_per_block, blocks * cells_per_block}, false, false});
}
bool Cluster::trim(std::uint64_t block, std::uint64_t blocks) {
  return ask(
      {engine::FrontOp::trim, {block * cells_per_block, blocks * cells_per_block}, false, false});
}

bool Cluster::read_all() {
  constexpr std::uint64_t at_once = 256;
  const auto blocks = history_->size() / cells_per_block;
  for (std::uint64_t block = 0; block < blocks; block += at_once) {
    if (!read(block, std::min(at_once, blocks - block))) return false;
  }
  return true;
}

void Cluster::admin_later(const std::string& method, const std::string& path,
                          const std::string& body, std::function<void(engine::AdminReply)> done,
                          std::uint32_t at) {
  if (!nodes_[at]->alive()) return done({0, 503, "{\"error\":\"the node is down\"}"});
  if (path.ends_with("/replicas")) copy_lost_ = true;
  engine::AdminAsk request;
  request.method = method;
  request.path = path;
  request.body = body;
  auto shared = std::make_shared<std::function<void(engine::AdminReply)>>(std::move(done));
  caf::anon_send(asker_, AskNode{nodes_[at]->actor(), nodes_[at]->life(), std::move(request),
                                 std::move(shared)});
}

engine::AdminReply Cluster::admin(const std::string& method, const std::string& path,
                                  const std::string& body, std::uint32_t at) {
  // Shared: a node that dies takes the answer with it.
  auto reply = std::make_shared<std::optional<engine::AdminReply>>();
  admin_later(
      method, path, body, [reply](engine::AdminReply r) { *reply = std::move(r); }, at);
  run_until([&] { return reply->has_value(); });
  return reply->value_or(engine::AdminReply{0, 504, "{\"error\":\"no answer\"}"});
}

std::optional<VolumeView> Cluster::view() {
  const auto reply = admin("GET", fmt::format("/v1/volumes/{}", volume));
  if (reply.status != 200) return std::nullopt;
  json::error_code bad;
  const auto value = json::parse(reply.body, bad);
  if (bad || !value.is_object()) return std::nullopt;
  const auto& o = value.as_object();
  VolumeView v;
  v.primary = text(o, "primary");
  v.phase = text(o, "phase");
  v.waiting_for = text(o, "waiting_for");
  v.serving = truth(o, "serving");
  v.epoch = number(o, "epoch");
  v.version = number(o, "version");
  v.head = number(o, "head");
  v.committed = number(o, "committed");
  v.size_bytes = number(o, "size_bytes");
  v.mode = text(o, "mode");
  v.min_copies = number(o, "min_copies");
  const auto* pending = o.if_contains("pending");
  v.pending = pending == nullptr || !pending->is_array() || !pending->as_array().empty();
  if (const auto* replicas = o.if_contains("replicas"); replicas && replicas->is_array()) {
    for (const auto& r : replicas->as_array()) {
      if (r.is_object()) v.copies.push_back(copy_view(r.as_object()));
    }
  }
  judges_->truth.seen(now(), v);
  if (v.whole(options_.copies)) copy_lost_ = false;
  return v;
}

std::optional<std::uint32_t> Cluster::serving() const {
  for (std::uint32_t i = 0; i < size(); ++i) {
    if (!nodes_[i]->alive()) continue;
    const auto exports = nodes_[i]->exports().list();
    if (std::any_of(exports.begin(), exports.end(),
                    [](const engine::ExportInfo& e) { return e.name == volume; })) {
      return i;
    }
  }
  return std::nullopt;
}

std::uint32_t Cluster::primary() {
  run_until([&] { return serving().has_value(); });
  const auto who = serving();
  CHECK(who.has_value());
  return *who;
}

bool Cluster::start() {
  for (std::uint32_t i = 0; i < size(); ++i) boot(i);
  const auto connected = [&] {
    const auto reply = admin("GET", "/v1/nodes");
    std::size_t n = 0;
    for (auto at = reply.body.find("\"connected\":true"); at != std::string::npos;
         at = reply.body.find("\"connected\":true", at + 1)) {
      ++n;
    }
    return n == size();
  };
  for (int attempt = 0; attempt < 100 && !connected(); ++attempt) run_for(50 * millisecond);
  std::string places;
  for (const auto n : options_.hosts) {
    places += fmt::format("{}\"{}\"", places.empty() ? "" : ",", nodes_[n]->name());
  }
  if (!places.empty()) places = fmt::format(",\"nodes\":[{}]", places);
  const auto created = admin(
      "POST", "/v1/volumes",
      fmt::format(
          "{{\"name\":\"{}\",\"size_bytes\":{},\"copies\":{},\"mode\":\"{}\",\"ack\":\"{}\","
          "\"min_copies\":{},\"below_min_copies\":\"{}\"{}}}",
          volume, options_.blocks * engine::block_bytes, options_.copies, to_string(options_.mode),
          to_string(options_.ack), options_.min_copies, to_string(options_.below_min), places));
  if (created.status != 201 && created.status != 202) {
    fail("start", fmt::format("create answers {}: {}", created.status, created.body));
    return false;
  }
  return converge();
}

bool Cluster::converge() {
  heal();
  for (std::uint32_t i = 0; i < size(); ++i) boot(i);
  const auto end = now() + converge_max;
  std::optional<VolumeView> last;
  while (!failed() && now() < end) {
    last = view();
    if (last && !last->alone() && last->whole(options_.copies)) return true;
    if (last && last->alone() && last->serving && !last->pending &&
        std::all_of(last->copies.begin(), last->copies.end(), [&](const CopyView& c) {
          return c.node == last->primary ||
                 (c.state == "streaming" && c.durable >= last->committed);
        })) {
      return true;
    }
    run_for(100 * millisecond);
  }
  std::string why = "no status";
  if (last) {
    why = fmt::format("primary {}, {}, {}{}", last->primary, last->phase,
                      last->serving ? "serving" : "not serving",
                      last->waiting_for.empty() ? "" : ": " + last->waiting_for);
    for (const auto& c : last->copies) {
      why += fmt::format("; {} {} {}end {} durable {} {} {}", c.node, c.state,
                         c.in_set ? "in the set " : "", c.end, c.durable, c.reason, c.problem);
    }
  }
  fail("not_converged",
       fmt::format("not whole {} s after everything was healed: {}", converge_max / second, why));
  return false;
}

bool Cluster::stale_control_changes_nothing() {
  // A connection that died silently is noticed within 3 s, and its replica then recorded anew.
  run_for(5 * second);
  const auto before = view();
  if (!before || failed()) return !failed();
  world_.net.repeat_stale_control();
  run_for(2 * second);
  const auto after = view();
  const bool same = after && after->epoch == before->epoch && after->version == before->version;
  if (!same) {
    fail("stale_obeyed",
         fmt::format(
             "old assignments were heard again at rest, and epoch {} version {} became {} {}",
             before->epoch, before->version, after ? after->epoch : 0, after ? after->version : 0));
  }
  return same && !failed();
}

bool Cluster::settle() {
  const bool whole = converge();
  client_world_->read_errors_excused = rotted_;
  if (!whole || !read_all() || !stale_control_changes_nothing()) return false;
  if (!nothing_leaks() || !rot_is_mended()) return false;
  // Reads excuse what was lost by an operator's word, on one copy as on another.
  if (forced_ && !copies_equal()) return false;
  const auto seen = view();
  const bool alone = seen && seen->alone();
  for (std::uint32_t n = 0; n < size() && !alone; ++n) {
    if (serving() == n || !hosts_a_copy(n)) continue;
    // A node may just be reconnecting to the control plane.
    if (!promote_soon(n)) {
      fail("not_promoted", fmt::format("{} cannot be promoted at rest", nodes_[n]->name()));
      return false;
    }
    if (!read_all()) {
      fail("not_readable", fmt::format("{} does not answer reads at rest", nodes_[n]->name()));
      return false;
    }
  }
  return converge() && !failed();
}

}  // namespace tidemark::sim
