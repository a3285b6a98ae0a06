// Calls that block, on one thread, in order; answers come back to the loop, unless the worker is gone by
// then.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include <chrono>
#include <future>
#include <memory>
#include <utility>

namespace tidemark::storage {

class DiskWorker {
 public:
  explicit DiskWorker(boost::asio::io_context& loop) : loop_(loop), pool_(1) {}
  ~DiskWorker() {
    alive_.reset();
    pool_.join();
  }

  DiskWorker(const DiskWorker&) = delete;
  DiskWorker& operator=(const DiskWorker&) = delete;

  /// Waits for the calls under way, but no longer than that; whether they ended.
  bool settle(std::chrono::milliseconds wait_max) {
    const auto reached = std::make_shared<std::promise<void>>();
    boost::asio::post(pool_, [reached] { reached->set_value(); });
    return reached->get_future().wait_for(wait_max) == std::future_status::ready;
  }

  template <class Call, class Done>
  void run(Call call, Done done) {
    boost::asio::post(pool_, [this, alive = std::weak_ptr<char>(alive_), call = std::move(call),
                              done = std::move(done)]() mutable {
      boost::asio::post(loop_, [alive, result = call(), done = std::move(done)]() mutable {
        if (!alive.expired()) done(std::move(result));
      });
    });
  }

 private:
  boost::asio::io_context& loop_;
  boost::asio::thread_pool pool_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();
};

}  // namespace tidemark::storage
