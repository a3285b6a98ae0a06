#include "sim/scheduler.hpp"

#include <algorithm>
#include <string_view>
#include <typeinfo>
#include <utility>

#include "engine/check.hpp"

namespace tidemark::sim {
namespace {

/// Null: the job is something else. A step asks often; a dynamic_cast walks a long hierarchy.
caf::scheduled_actor* actor_of(caf::resumable* job) {
  return job->subtype() == caf::resumable::scheduled_actor ? static_cast<caf::scheduled_actor*>(job)
                                                           : nullptr;
}

}  // namespace

SimScheduler::SimScheduler(caf::actor_system& system, Random& random, Events& events, Trace& trace)
    : abstract_coordinator(system),
      random_(random),
      events_(events),
      trace_(trace),
      unit_(system, *this) {}

void SimScheduler::install(caf::actor_system_config& config, Random& random, Events& events,
                           Trace& trace) {
  config.module_factories.emplace_back(
      [&](caf::actor_system& system) -> caf::actor_system::module* {
        return new SimScheduler(system, random, events, trace);
      });
}

SimScheduler& SimScheduler::of(caf::actor_system& system) {
  return dynamic_cast<SimScheduler&>(system.scheduler());
}

void SimScheduler::start() {
  caf::actor_config config{&unit_};
  auto& sys = system();
  utility_actors_[printer_id] = caf::make_actor<actors::PrinterActor, caf::actor>(
      sys.next_actor_id(), sys.node(), &sys, config, [this](const std::string& line) {
        if (on_print) on_print(line);
      });
}

void SimScheduler::stop() {
  ready_.insert(ready_.end(), waiting_.begin(), waiting_.end());
  waiting_.clear();
  while (!ready_.empty()) {
    auto* job = ready_.back();
    ready_.pop_back();
    if (auto* actor = actor_of(job)) {
      end(*actor, caf::exit_reason::user_shutdown);
    }
    caf::intrusive_ptr_release(job);
  }
}

bool SimScheduler::step(engine::MonoTime limit) {
  const bool timed = !events_.empty() && events_.next_due() <= limit;
  if (ready_.empty() && !timed) return false;
  ++steps_;
  const bool jumps = timed && time_jump_one_in != 0;
  if (ready_.empty() || (jumps && random_.chance(1, time_jump_one_in))) {
    // Actors spawned by a callback belong to the life whose callback it is (push looks there).
    events_.fire();
    return true;
  }
  resume(draw());
  return true;
}

void SimScheduler::fire(EventId id) {
  ++steps_;
  events_.fire(id);
}

void SimScheduler::handle(std::size_t i) {
  CHECK(i < ready_.size());
  ++steps_;
  auto* job = ready_[i];
  ready_.erase(ready_.begin() + static_cast<std::ptrdiff_t>(i));
  resume(job);
}

void SimScheduler::resume(caf::resumable* job) {
  if (auto* actor = actor_of(job)) {
    current_ = life_of(actor->id());
    observe(*actor);
  }
  switch (job->resume(&unit_, 1)) {
    case caf::resumable::resume_later:
      ready_.push_back(job);
      break;
    case caf::resumable::done:
    case caf::resumable::awaiting_message:
      caf::intrusive_ptr_release(job);
      break;
    case caf::resumable::shutdown_execution_unit:
      break;
  }
  current_ = nullptr;
}

std::vector<SimScheduler::Ready> SimScheduler::ready_actors() {
  std::vector<Ready> found;
  for (auto* job : ready_) {
    Ready r;
    if (auto* actor = actor_of(job)) {
      const auto& life = life_of(actor->id());
      r.actor = actor->id();
      r.life = life ? life->id : 0;
      const auto* first = actor->peek_at_next_mailbox_element();
      if (first != nullptr) r.next = identity(*first);
      Trace all;
      actor->mailbox().queue().peek_all(
          [&](const caf::mailbox_element& element) { all.mix(identity(element)); });
      r.waiting = all.hash();
    }
    found.push_back(r);
  }
  return found;
}

std::uint64_t SimScheduler::identity(const caf::mailbox_element& element) {
  Trace hash;
  hash.mix(element.sender ? element.sender->id() : 0);
  const auto& content = element.content();
  for (std::size_t i = 0; i < content.size(); ++i) hash.mix(type_hash(content.type(i)));
  return hash.hash();
}

caf::resumable* SimScheduler::draw() {
  const auto i = static_cast<std::size_t>(random_.below(ready_.size()));
  auto* job = ready_[i];
  ready_[i] = ready_.back();
  ready_.pop_back();
  return job;
}

void SimScheduler::observe(caf::scheduled_actor& actor) {
  const auto* element = actor.peek_at_next_mailbox_element();
  trace_.mix(actor.id());
  if (element == nullptr) return;  // its first activation
  const auto sender = element->sender ? element->sender->id() : 0;
  trace_.mix(sender);
  const auto& content = element->content();
  trace_.mix(content.size());
  const char* type = "message";
  for (std::size_t i = 0; i < content.size(); ++i) {
    const auto rtti = content.type(i);
    trace_.mix(type_hash(rtti));
    if (rtti.second != nullptr && i == 0) type = rtti.second->name();
  }
  trace_.handled(events_.now(), actor.id(), actor.name(), sender, type);
  if (!on_step) return;
  on_step(Step{current_, actor.id(), sender, content, actor.name(),
               static_cast<std::uint64_t>(actor.mailbox().queue().total_task_size())});
}

// Types of ours by the name they have in the source (equal for all compilers of the Itanium ABI),
// CAF's own by their number in CAF's list.
std::uint64_t SimScheduler::type_hash(const caf::rtti_pair& type) {
  if (type.second == nullptr) return type.first;
  auto [entry, added] = type_hashes_.try_emplace(type.second, 0);
  if (added) {
    const std::string_view name = type.second->name();
    entry->second = content_hash(std::as_bytes(std::span(name)));
  }
  return entry->second;
}

void SimScheduler::push(caf::resumable* job) {
  if (auto* actor = actor_of(job)) {
    adopt(*actor);
    const auto& life = life_of(actor->id());
    if (life && !life->alive) {
      caf::intrusive_ptr_release(job);
      return;
    }
    if (life && life->paused) {
      waiting_.push_back(job);
      return;
    }
  }
  ready_.push_back(job);
}

void SimScheduler::pause(Life& life) {
  CHECK(life.alive);
  life.paused = true;
  const auto jobs = take(ready_, life);
  waiting_.insert(waiting_.end(), jobs.begin(), jobs.end());
}

void SimScheduler::go_on(Life& life) {
  life.paused = false;
  const auto jobs = take(waiting_, life);
  ready_.insert(ready_.end(), jobs.begin(), jobs.end());
  events_.go_on(life);
}

const LifePtr& SimScheduler::life_of(caf::resumable* job) const {
  static const LifePtr none;
  auto* actor = actor_of(job);
  return actor == nullptr ? none : life_of(actor->id());
}

std::vector<caf::resumable*> SimScheduler::take(std::vector<caf::resumable*>& jobs,
                                                const Life& life) const {
  const auto rest = std::stable_partition(
      jobs.begin(), jobs.end(), [&](caf::resumable* job) { return life_of(job).get() != &life; });
  std::vector<caf::resumable*> taken(rest, jobs.end());
  jobs.erase(rest, jobs.end());
  return taken;
}

// A new actor is first heard of when it is spawned, and belongs to whoever spawned it.
void SimScheduler::adopt(caf::scheduled_actor& actor) {
  if (owned_.contains(actor.id())) return;
  const auto& owner = current_ ? current_ : events_.current();
  owned_.emplace(actor.id(), Owned{owner, caf::weak_actor_ptr(actor.ctrl())});
}

const LifePtr& SimScheduler::life_of(caf::actor_id id) const {
  static const LifePtr none;
  const auto found = owned_.find(id);
  return found == owned_.end() ? none : found->second.life;
}

void SimScheduler::as(const LifePtr& life, const std::function<void()>& f) {
  const auto before = std::exchange(current_, life);
  f();
  current_ = before;
}

std::size_t SimScheduler::actors_of(const Life& life) const {
  std::size_t n = 0;
  for (const auto& [id, owned] : owned_) {
    if (owned.life.get() != &life) continue;
    const auto actor = owned.actor.lock();
    if (actor && !actor->get()->getf(caf::abstract_actor::is_terminated_flag)) ++n;
  }
  return n;
}

void SimScheduler::crash(const Life& life) {
  CHECK(!life.alive);
  std::vector<caf::strong_actor_ptr> ending;
  for (auto it = owned_.begin(); it != owned_.end();) {
    if (it->second.life.get() != &life) {
      ++it;
      continue;
    }
    if (auto actor = it->second.actor.lock()) ending.push_back(std::move(actor));
    ++it;
  }
  auto jobs = take(ready_, life);
  for (auto* job : take(waiting_, life)) jobs.push_back(job);
  for (const auto& pointer : ending) {
    if (auto* actor = dynamic_cast<caf::scheduled_actor*>(pointer->get())) {
      end(*actor, caf::exit_reason::kill);
    }
  }
  for (auto* job : jobs) caf::intrusive_ptr_release(job);
}

// quit + finalize runs on_exit, which destroys an actor's state; cleanup alone leaks it.
void SimScheduler::end(caf::scheduled_actor& actor, caf::error why) {
  if (actor.getf(caf::abstract_actor::is_terminated_flag)) return;
  actor.context(&unit_);
  actor.quit(std::move(why));
  actor.finalize();
}

}  // namespace tidemark::sim
