#include "apps/daemon/daemon.hpp"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <caf/all.hpp>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <optional>

#include "actors/front_desk.hpp"
#include "actors/runtime/log_events.hpp"
#include "actors/runtime/loop.hpp"
#include "actors/spawn.hpp"
#include "apps/descriptor_limit.hpp"
#include "engine/catalog_codec.hpp"
#include "engine/control/records.hpp"
#include "engine/node_roles.hpp"
#include "engine/volume.hpp"
#include "storage/owner_lock.hpp"
#include "storage/rocks_kv.hpp"
#include "storage/uring_disk.hpp"
#include "transport/http/server.hpp"
#include "transport/nbd/server.hpp"
#include "transport/replication/tcp_network.hpp"

namespace tidemark::daemon {

using engine::Done;
using engine::Errc;
using engine::Error;
using engine::Status;

namespace {

// Operators' requests, from the HTTP server to the node actor and back.
class AdminDesk final : public engine::AdminPort {
 public:
  explicit AdminDesk(caf::actor_system& system) : system_(system) {}

  void serve(actors::Node node) { node_ = std::move(node); }

  void ask(engine::AdminAsk ask, std::function<void(engine::AdminReply)> done) override {
    const auto asker = [ask = std::move(ask), done = std::move(done)](caf::event_based_actor* self,
                                                                      const actors::Node& node) {
      self->request(node, caf::infinite, actors::AdminRequest{ask})
          .then([done](const actors::AdminAnswered& answered) { done(answered.reply); },
                [done](const caf::error&) {
                  done({0, 503, R"({"error":"the node is shutting down","code":"unavailable"})"});
                });
    };
    system_.spawn(asker, node_);  // CAF 0.17 wants an argument, see actors/node_actor.cpp.
  }

 private:
  caf::actor_system& system_;
  actors::Node node_;
};

std::shared_ptr<spdlog::logger> make_logger(const std::string& level) {
  auto logger = std::make_shared<spdlog::logger>("tidemark",
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");
  logger->set_level(spdlog::level::from_str(level));
  logger->flush_on(spdlog::level::info);
  return logger;
}

// A stopping server answers what is in flight for so long; then clients send it again elsewhere.
constexpr std::chrono::seconds drain_max{5};
// All stores have ended: what a disk holds by then is of one that was given up as stuck.
constexpr std::chrono::seconds disk_wait_max{5};

// What NBD clients may have in flight fits into a volume's queue: load alone is never refused.
static_assert(engine::VolumeLimits{}.waiting_requests_max >=
              std::size_t{nbd::connections_max} * nbd::in_flight_max);
static_assert(engine::VolumeLimits{}.waiting_bytes_max >=
              nbd::connections_max * nbd::in_flight_bytes_max);

std::string catalog_path(const std::string& directory) { return directory + "/catalog"; }

enum class Shape { gauge, counter };
struct DoorMetric {
  std::string_view name;
  Shape shape;
  std::string_view help;
  std::uint64_t value;
};
std::string door_metrics(const std::string& node, std::initializer_list<DoorMetric> metrics) {
  std::string text;
  for (const auto& m : metrics) {
    text += fmt::format("# HELP tidemark_{0} {1}\n# TYPE tidemark_{0} {2}\n", m.name, m.help,
                        m.shape == Shape::gauge ? "gauge" : "counter");
    text += fmt::format("tidemark_{}{{node=\"{}\"}} {}\n", m.name, node, m.value);
  }
  return text;
}

class Daemon {
 public:
  explicit Daemon(const Config& config)
      : config_(config),
        logger_(make_logger(config.log_level)),
        loop_([this](const std::string& line) { logger_->error("actor_said text={}", line); }),
        events_(logger_, loop_.clock()) {
    loop_.busy_poll_for(config_.busy_poll);
  }
  ~Daemon() { end(); }
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  Status start() {
    const auto identity = read_identity(config_.directory);
    if (!identity) return identity.error();
    identity_ = *identity;
    for (auto step : {&Daemon::bind, &Daemon::lock, &Daemon::bind_admin, &Daemon::open_catalog,
                      &Daemon::bump}) {
      if (auto done = (this->*step)(); !done) return done;
    }
    listen();  // Nothing fails any more: actors that were spawned are never taken back.
    return Done{};
  }

  int serve() {
    signals_.async_wait([this](boost::system::error_code failed, int) {
      if (failed) return;
      signals_.async_wait([](boost::system::error_code again, int) {
        if (!again) ::_exit(130);
      });
      stop();
    });
    loop_.run();
    signals_.clear();  // From here on a signal ends the process at once.
    end();
    if (disk_ && !disk_->settle(disk_wait_max)) {
      logger_->error("node_stopped_without_its_disk node={}", identity_.node.name);
      ::_exit(1);  // As after a crash: the locks go, and what lands later is nobody's (0018).
    }
    logger_->info("node_stopped node={}", identity_.node.name);
    return lost_ ? 1 : 0;
  }

 private:
  Status bind() {
    network_ = std::make_unique<transport::TcpNetwork>(
        loop_.io(), transport::TcpOptions{config_.replication, identity_.cluster, {}});
    if (auto bound = network_->bind(); !bound) return bound;
    desk_ = std::make_shared<actors::FrontDesk>();
    nbd::ServerOptions options;
    options.listen = config_.nbd;
    options.observe = [this](const nbd::ConnectionEvent& e) { observe(e); };
    nbd_ = std::make_unique<nbd::Server>(loop_.io(), *desk_, options);
    return nbd_->bind();
  }

  Status lock() {
    auto lock = storage::OwnerLock::take(config_.directory);
    if (!lock) return lock.error();
    lock_ = std::move(*lock);
    return Done{};
  }

  // Behind the lock: a socket that a killed process left is replaced by its directory's owner only.
  Status bind_admin() {
    admin_ = std::make_unique<AdminDesk>(loop_.actors());
    http_ = std::make_unique<http::Server>(loop_.io(), *admin_, admin_options());
    return http_->bind();
  }

  Status open_catalog() {
    const auto post = [this](std::function<void()> f) {
      boost::asio::post(loop_.io(), std::move(f));
    };
    auto kv =
        storage::RocksKv::open(catalog_path(config_.directory), storage::RocksKv::existing, post);
    if (!kv) return kv.error();
    kv_ = std::move(*kv);
    for (const auto prefix : {engine::roles::local_prefix, engine::roles::promise_prefix,
                              engine::roles::removed_prefix, engine::control::key_prefix}) {
      for (const auto& [key, value] : kv_->scan(std::string(prefix))) {
        const auto known = engine::check_catalog_format(key, value);
        if (known) continue;
        return Error{known.error().code,
                     fmt::format("{}: {}. Nothing was changed", catalog_path(config_.directory),
                                 known.error().text)};
      }
    }
    const auto pinned = kv_->get(identity_key).value_or("nothing");
    if (pinned == identity_text(identity_)) return Done{};
    return Error{Errc::corrupt, fmt::format("{}: identity.json says {}, the catalog says {}; one "
                                            "of them belongs to another node. Nothing was changed",
                                            config_.directory, identity_text(identity_), pinned)};
  }

  // The incarnation is durable before anybody can hear of it.
  Status bump() {
    const auto last = kv_->get(incarnation_key);
    incarnation_ = engine::Incarnation(last ? std::strtoull(last->c_str(), nullptr, 10) + 1 : 1);
    storage::KvBatch batch;
    batch.put(incarnation_key, fmt::format("{}", incarnation_.value));
    std::optional<Status> result;
    kv_->commit(std::move(batch), [&](Status status) {
      result = std::move(status);
      loop_.stop();
    });
    loop_.run();
    if (!result) return Error{Errc::io_failed, "raising the incarnation in the catalog: no answer"};
    return std::move(*result);
  }

  void listen() {
    disk_ = std::make_unique<storage::UringDisk>(loop_.io());
    env_ = std::make_shared<actors::Environment>(actors::Environment{
        loop_.clock(), loop_.timers(), loop_.rng(), *disk_, *kv_, *network_, events_,
        config_.settings, identity_.cluster, identity_.node, incarnation_, config_.directory,
        config_.replication, config_.nbd, config_.control, identity_.hosts_control,
        [this] { return metrics(); }});
    if (identity_.hosts_control) control_ = actors::spawn_control(loop_.actors(), env_);
    node_ = actors::spawn_node(loop_.actors(), {env_, desk_, control_});
    network_->on_incoming([node = node_](transport::Incoming incoming) {
      caf::anon_send(
          node, actors::LinkAccepted{std::make_shared<transport::Incoming>(std::move(incoming))});
    });
    watch(caf::actor_cast<caf::actor>(node_), "node");
    if (control_) watch(caf::actor_cast<caf::actor>(*control_), "control");
    desk_->when_ready([this] { nbd_->start(); });
    admin_->serve(node_);
    http_->start();
    logger_->info(
        "node_started node={} uuid={} incarnation={} cluster={} replication={} nbd={} admin={}",
        identity_.node.name, to_string(identity_.node.uuid), incarnation_.value,
        to_string(identity_.cluster), config_.replication, config_.nbd, config_.admin);
  }

  // An actor that ends unasked (an exception left it) leaves a process that only looks alive.
  void watch(const caf::actor& actor, const char* name) {
    actor->attach_functor([this, name](const caf::error& why) {
      if (stopping_) return;
      stopping_ = lost_ = true;
      logger_->error("actor_ended_unexpectedly actor={} reason=\"{}\"", name, caf::to_string(why));
      loop_.stop();
    });
  }

  // Doors and actors go while the seams that they use are there; what is posted then finds nobody.
  void end() {
    stopping_ = true;
    http_.reset();
    admin_.reset();
    nbd_.reset();
    node_ = nullptr;
    control_.reset();
    if (network_ && env_) network_->on_incoming(nullptr);
    loop_.settle();
  }

  http::ServerOptions admin_options() const {
    http::ServerOptions options;
    options.socket_path = config_.admin;
    // A compare of a large volume takes as long as reading it does.
    options.answer_wait = std::chrono::hours(1);
    return options;
  }

  void stop() {
    if (std::exchange(stopping_, true)) return;
    logger_->info("node_stopping node={}", identity_.node.name);
    nbd_->drain(drain_max, [this] { stop_node(); });
  }

  void stop_node() {
    network_->stop();
    actors::stop_node(loop_.actors(), node_, [this] { loop_.stop(); });
  }

  // What the doors counted, beside what the actors tell.
  std::string metrics() const {
    if (!nbd_ || !network_) return {};
    const auto& clients = nbd_->counters();
    const auto& links = network_->counters();
    return door_metrics(
        identity_.node.name,
        {{"nbd_connections", Shape::gauge, "Clients connected.", clients.connections},
         {"nbd_connections_total", Shape::counter, "Clients accepted.",
          clients.connections_accepted},
         {"nbd_connections_refused_total", Shape::counter, "Clients closed for want of a place.",
          clients.connections_refused},
         {"nbd_negotiations_failed_total", Shape::counter,
          "Connections that ended before transmission.", clients.negotiations_failed},
         {"nbd_requests_total", Shape::counter, "Requests given to volumes.", clients.requests},
         {"nbd_requests_refused_total", Shape::counter,
          "Requests that the front end answered with an error.", clients.requests_refused},
         {"nbd_read_bytes_total", Shape::counter, "Payload of answered reads.", clients.bytes_read},
         {"nbd_written_bytes_total", Shape::counter, "Payload of received writes.",
          clients.bytes_written},
         {"links_accepted_total", Shape::counter, "Connections of peers.",
          links.connections_accepted},
         {"links_made_total", Shape::counter, "Connections to peers.", links.connections_made},
         {"links_greetings_dropped_total", Shape::counter,
          "Connections without a greeting in time.", links.handshakes_dropped},
         {"links_sent_bytes_total", Shape::counter, "Bytes sent to peers.", links.bytes_sent},
         {"links_received_bytes_total", Shape::counter, "Bytes from peers.",
          links.bytes_received}});
  }

  void observe(const nbd::ConnectionEvent& e) {
    using Kind = nbd::ConnectionEvent::Kind;
    const auto tell = [&](engine::Event event) {
      events_.event(std::move(event)
                        .with("peer", e.peer)
                        .with("export", e.export_name)
                        .with("reason", e.reason));
    };
    using engine::Event;
    using engine::Level;
    switch (e.kind) {
      case Kind::accepted:
        return tell(Event(Level::info, "client_connected"));
      case Kind::refused:
        return tell(Event(Level::warning, "client_refused"));
      case Kind::ended:
        return tell(Event(Level::info, "client_ended"));
      case Kind::accept_failed:
        return tell(Event(Level::info, "client_accept_failed"));
    }
  }

  // In this order of destruction, last to first:
  // actors and doors end before the seams that they use.
  Config config_;
  Identity identity_;
  engine::Incarnation incarnation_;
  std::shared_ptr<spdlog::logger> logger_;
  std::optional<storage::OwnerLock> lock_;
  actors::Loop loop_;
  /// From the start: a signal that comes before serve() waits for it.
  boost::asio::signal_set signals_{loop_.io(), SIGTERM, SIGINT};
  actors::LogEvents events_;
  std::unique_ptr<storage::RocksKv> kv_;
  std::unique_ptr<storage::UringDisk> disk_;
  std::unique_ptr<transport::TcpNetwork> network_;
  std::shared_ptr<actors::FrontDesk> desk_;
  std::unique_ptr<nbd::Server> nbd_;
  actors::EnvironmentPtr env_;
  std::optional<actors::Control> control_;
  actors::Node node_;
  std::unique_ptr<AdminDesk> admin_;
  std::unique_ptr<http::Server> http_;
  bool stopping_ = false;
  bool lost_ = false;  ///< An actor ended that must not.
};

int complain(const Error& error) {
  fmt::print(stderr, "tidemarkd: {}\n", error.text);
  return 1;
}

}  // namespace

int run(const Config& config) {
  raise_descriptor_limit();
  Daemon daemon(config);
  if (auto started = daemon.start(); !started) return complain(started.error());
  return daemon.serve();
}

}  // namespace tidemark::daemon
