// A control actor or a node actor between a catalog that commits when told and links whose other
// ends the test holds. One thread, CAF's testing scheduler, a clock that moves when told.
#pragma once

#include <boost/json.hpp>
#include <caf/all.hpp>
#include <caf/scheduler/test_coordinator.hpp>

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "actors/spawn.hpp"
#include "engine/chunk.hpp"
#include "tests/actors/volume_world.hpp"
#include "tests/support/print_strong.hpp"

namespace tidemark::actors {

struct ManualKv final : storage::Kv {
  std::optional<std::string> get(const std::string& key) const override {
    const auto found = all.find(key);
    return found == all.end() ? std::nullopt : std::optional(found->second);
  }
  std::vector<std::pair<std::string, std::string>> scan(const std::string& prefix) const override {
    std::vector<std::pair<std::string, std::string>> found;
    for (const auto& [key, value] : all) {
      if (key.starts_with(prefix)) found.emplace_back(key, value);
    }
    return found;
  }
  void commit(storage::KvBatch batch, OnStatus done) override {
    pending.emplace_back(std::move(batch), std::move(done));
  }
  void check(OnCheck done) override { done(storage::KvCheck()); }
  /// The oldest commit becomes durable.
  void complete() {
    auto [batch, done] = std::move(pending.front());
    pending.pop_front();
    for (auto& [key, value] : batch.changes) {
      if (value)
        all[key] = *value;
      else
        all.erase(key);
    }
    done(engine::Done{});
  }
  void fail() {
    auto done = std::move(pending.front().second);
    pending.pop_front();
    done(engine::Error{engine::Errc::io_failed, "EIO"});
  }
  std::map<std::string, std::string> all;
  std::deque<std::pair<storage::KvBatch, OnStatus>> pending;
};

/// The actor's end of a link; the test reads what was sent and plays the other end.
struct ManualLink final : transport::Link {
  void send(engine::Message message) override {
    if (!closed) sent.push_back(std::move(message));
  }
  std::size_t queued_bytes() const override { return 0; }
  void close() override { closed = true; }
  void attach(std::weak_ptr<transport::LinkEvents> events) override { owner = std::move(events); }
  const std::string& peer() const override { return name; }

  void say(engine::Message message) {
    if (const auto to = owner.lock()) to->on_message(std::move(message));
  }
  /// Names of what was sent since the last look, heartbeats left out.
  std::string heard() {
    std::string names;
    for (; looked < sent.size(); ++looked) {
      if (std::holds_alternative<engine::Heartbeat>(sent[looked])) continue;
      names += (names.empty() ? "" : " ") + std::string(engine::name(sent[looked]));
    }
    return names;
  }
  template <class M>
  const M* last() const {
    for (auto at = sent.rbegin(); at != sent.rend(); ++at) {
      if (const auto* m = std::get_if<M>(&*at)) return m;
    }
    return nullptr;
  }
  std::vector<engine::Message> sent;
  std::size_t looked = 0;
  bool closed = false;
  std::weak_ptr<transport::LinkEvents> owner;
  std::string name = "test";
};
using ManualLinkPtr = std::shared_ptr<ManualLink>;

struct ManualNetwork final : transport::Network {
  struct Attempt {
    engine::Endpoint to;
    engine::Hello hello;
    std::function<void(Outcome)> done;
  };
  void connect(const engine::Endpoint& to, engine::Hello hello,
               std::function<void(Outcome)> done) override {
    attempts.push_back({to, std::move(hello), std::move(done)});
  }
  void on_incoming(std::function<void(transport::Incoming)>) override {}
  std::deque<Attempt> attempts;
};

/// For function actors that need none: CAF 0.17 binds a reference to nothing where there is none.
inline constexpr int no_argument = 0;

/// What both worlds have.
struct PlainWorld {
  struct Config : caf::actor_system_config {
    Config() { set("scheduler.policy", caf::atom("testing")); }
  };
  EnvironmentPtr env(const std::string& name, std::uint64_t uuid) {
    const engine::NodeId id{name, engine::make_uuid(uuid, uuid)};
    return std::make_shared<Environment>(Environment{time,
                                                     time,
                                                     random,
                                                     disk,
                                                     kv,
                                                     network,
                                                     events,
                                                     {},
                                                     engine::make_uuid(99, 99),
                                                     id,
                                                     engine::Incarnation(1),
                                                     "/data",
                                                     name + ":9101",
                                                     name + ":10809",
                                                     "node1:9101",
                                                     name == "node1",
                                                     {}});
  }
  void run() { dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler()).run(); }
  void pass(std::uint64_t milliseconds) {
    time.pass(milliseconds);
    run();
  }
  /// Everything the actor wants durable becomes so.
  void sync() {
    while (!kv.pending.empty()) {
      kv.complete();
      run();
    }
  }
  /// Asks `actor`; the answer comes when it comes.
  template <class Actor>
  std::shared_ptr<std::optional<engine::AdminReply>> ask(const Actor& actor,
                                                         const std::string& method,
                                                         const std::string& path,
                                                         const std::string& body = "") {
    auto answer = std::make_shared<std::optional<engine::AdminReply>>();
    system.spawn(
        [actor, answer, message = AdminRequest{{7, "", method, path, body}}](
            caf::event_based_actor* self, int) {
          self->request(actor, caf::infinite, message)
              .then([answer](const AdminAnswered& m) { *answer = m.reply; },
                    [](const caf::error&) {});
        },
        no_argument);
    run();
    return answer;
  }

  ManualTime time;
  NoRandom random;
  NoDisk disk;
  ManualKv kv;
  ManualNetwork network;
  Events events;
  Config config;
  caf::actor_system system{config};
};

struct ControlWorld : PlainWorld {
  ControlWorld() { boot(); }
  ~ControlWorld() { crash(); }

  void boot() {
    control = spawn_control(system, env("node1", 1));
    run();
  }
  /// Kill -9: what was not committed is lost.
  void crash() {
    caf::anon_send_exit(control, caf::exit_reason::kill);
    kv.pending.clear();
    run();
  }
  /// A node connects and says who it is.
  ManualLinkPtr node(int n, std::uint64_t incarnation = 1) {
    const auto link = hello(n, incarnation);
    registers(link, n, incarnation);
    return link;
  }
  /// A link on which a node said hello and nothing else.
  ManualLinkPtr hello(int n, std::uint64_t incarnation = 1) {
    auto link = std::make_shared<ManualLink>();
    engine::Hello hello;
    hello.purpose = engine::Purpose::control;
    hello.node = id_of(n);
    hello.incarnation = engine::Incarnation(incarnation);
    caf::anon_send(
        control,
        ControlLinked{std::make_shared<transport::Incoming>(transport::Incoming{hello, link})});
    run();
    return link;
  }
  void registers(const ManualLinkPtr& link, int n, std::uint64_t incarnation = 1) {
    link->say(engine::Register{id_of(n), engine::Incarnation(incarnation),
                               fmt::format("node{}:9101", n), fmt::format("node{}:10809", n),
                               false});
    run();
  }
  static engine::NodeId id_of(int n) {
    const auto id = static_cast<std::uint64_t>(n);
    return {fmt::format("node{}", n), engine::make_uuid(id, id)};
  }
  std::vector<ManualLinkPtr> three_nodes() {
    std::vector<ManualLinkPtr> links;
    for (int n = 1; n <= 3; ++n) links.push_back(node(n));
    sync();
    return links;
  }
  /// The node takes the assignment that it was sent last.
  void take(const ManualLinkPtr& link) {
    const auto* m = link->last<engine::Assign>();
    link->say(engine::AssignAck{m->assignment.spec.id, m->assignment.epoch, m->assignment.version});
    run();
  }
  /// The node answers the question it was asked last.
  void reply(const ManualLinkPtr& link, std::uint16_t status, const std::string& body) {
    const auto* m = link->last<engine::AdminAsk>();
    link->say(engine::AdminReply{m->id, status, body});
    run();
  }

  Control control;
};

/// A field of a JSON answer, as text.
inline std::string field(const engine::AdminReply& reply, const std::string& key) {
  boost::json::error_code failed;
  const auto value = boost::json::parse(reply.body, failed);
  if (failed || !value.is_object() || !value.as_object().contains(key)) return "(nothing)";
  const auto& found = value.as_object().at(key);
  return found.is_string() ? std::string(found.as_string()) : boost::json::serialize(found);
}

}  // namespace tidemark::actors
