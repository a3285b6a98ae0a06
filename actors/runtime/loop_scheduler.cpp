#include "actors/runtime/loop_scheduler.hpp"

#include <boost/asio/post.hpp>
#include <utility>

namespace tidemark::actors {

LoopScheduler::LoopScheduler(caf::actor_system& system, boost::asio::io_context& io, OnPrint print)
    : abstract_coordinator(system), io_(io), print_(std::move(print)), unit_(system, *this) {}

void LoopScheduler::install(caf::actor_system_config& config, boost::asio::io_context& io,
                            OnPrint print) {
  config.module_factories.emplace_back(
      [&io, print](caf::actor_system& system) -> caf::actor_system::module* {
        return new LoopScheduler(system, io, print);
      });
}

// abstract_coordinator::start() would spawn a printer on its own thread, so it is not called.
void LoopScheduler::start() {
  caf::actor_config config{&unit_};
  auto& sys = system();
  utility_actors_[printer_id] = caf::make_actor<PrinterActor, caf::actor>(
      sys.next_actor_id(), sys.node(), &sys, config, print_);
}

void LoopScheduler::stop() {
  stopping_ = std::this_thread::get_id();
  while (!ready_.empty()) {
    auto* job = ready_.back();
    ready_.pop_back();
    end(job);
  }
}

void LoopScheduler::push(caf::resumable* job) {
  if (io_.get_executor().running_in_this_thread()) {
    take(job);
  } else if (stopping_.load() == std::this_thread::get_id()) {
    ready_.push_back(job);
  } else {
    boost::asio::post(io_, [this, job] { take(job); });
  }
}

void LoopScheduler::take(caf::resumable* job) {
  ready_.push_back(job);
  schedule_drain();
}

void LoopScheduler::schedule_drain() {
  if (draining_ || drain_posted_ || ready_.empty()) return;
  drain_posted_ = true;
  boost::asio::post(io_, [this] {
    drain_posted_ = false;
    drain();
  });
}

void LoopScheduler::drain() {
  draining_ = true;
  for (std::size_t n = 0; n < turns_per_drain_max && !ready_.empty(); ++n) {
    auto* job = ready_.front();
    ready_.pop_front();
    if (ending_) {
      end(job);
    } else {
      run(job);
    }
  }
  draining_ = false;
  schedule_drain();
}

void LoopScheduler::run(caf::resumable* job) {
  switch (job->resume(&unit_, messages_per_turn_max)) {
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
}

// quit + finalize runs on_exit, which destroys an actor's state;
// CAF's cleanup_and_release skips it.
void LoopScheduler::end(caf::resumable* job) {
  if (job->subtype() == caf::resumable::scheduled_actor) {
    auto& actor = *static_cast<caf::scheduled_actor*>(job);
    if (!actor.getf(caf::abstract_actor::is_terminated_flag)) {
      actor.context(&unit_);
      actor.quit(caf::exit_reason::user_shutdown);
      actor.finalize();
    }
  }
  caf::intrusive_ptr_release(job);
}

}  // namespace tidemark::actors
