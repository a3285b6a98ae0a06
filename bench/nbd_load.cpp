// The benchmark's client: keeps a number of requests under way on an NBD server for some seconds,
// and reports rate, latencies and bytes as one JSON object. It knows nothing of Tidemark, so that
// any server is measured alike.
//
//   nbd_load URI --op write|fua|read [--block 4096] [--depth 32] [--seconds 5] [--connections 1]
//            [--pattern random|sequential] [--span BYTES] [--seed N]
#include <libnbd.h>
#include <poll.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  std::string uri;
  std::string op = "write";
  std::uint64_t block = 4096;
  unsigned depth = 32;
  unsigned connections = 1;
  double seconds = 5;
  bool sequential = false;
  std::uint64_t span = 0;  // 0: the whole export
  std::uint64_t seed = 1;
};

[[noreturn]] void usage(const std::string& why) {
  std::fprintf(
      stderr,
      "nbd_load: %s\nusage: nbd_load URI --op write|fua|read [--block N] [--depth N] [--seconds S] "
      "[--connections N] [--pattern random|sequential] [--span BYTES] [--seed N]\n",
      why.c_str());
  std::exit(2);
}

Options parse(int argc, char** argv) {
  Options o;
  if (argc < 2) usage("the URI is missing");
  o.uri = argv[1];
  for (int i = 2; i < argc; i += 2) {
    const std::string key = argv[i];
    if (i + 1 == argc) usage(key + " needs a value");
    const std::string value = argv[i + 1];
    if (key == "--op")
      o.op = value;
    else if (key == "--block")
      o.block = std::stoull(value);
    else if (key == "--depth")
      o.depth = static_cast<unsigned>(std::stoul(value));
    else if (key == "--seconds")
      o.seconds = std::stod(value);
    else if (key == "--connections")
      o.connections = static_cast<unsigned>(std::stoul(value));
    else if (key == "--pattern")
      o.sequential = value == "sequential";
    else if (key == "--span")
      o.span = std::stoull(value);
    else if (key == "--seed")
      o.seed = std::stoull(value);
    else
      usage("unknown option " + key);
  }
  if (o.op != "write" && o.op != "fua" && o.op != "read") usage("--op must be write, fua or read");
  return o;
}

class Connection;

struct Slot {
  Connection* connection = nullptr;
  std::vector<char> memory;
  Clock::time_point began;
};

class Connection {
 public:
  Connection(const Options& options, std::uint64_t seed, std::vector<float>& latencies)
      : options_(options), state_(seed), latencies_(latencies), handle_(nbd_create(), nbd_close) {
    if (!handle_ || nbd_connect_uri(handle_.get(), options.uri.c_str()) == -1) fail();
    const auto size = static_cast<std::uint64_t>(nbd_get_size(handle_.get()));
    span_ = options.span == 0 ? size : std::min(size, options.span);
    slots_.resize(options.depth);
    for (auto& slot : slots_) {
      slot.connection = this;
      slot.memory.resize(options.block);
      for (auto& byte : slot.memory) byte = static_cast<char>(next());
    }
  }

  void fill(Clock::time_point until) {
    until_ = until;
    for (auto& slot : slots_) issue(slot);
  }
  nbd_handle* handle() { return handle_.get(); }
  unsigned under_way() const { return under_way_; }
  void flush() {
    if (nbd_flush(handle_.get(), 0) == -1) fail();
  }

  [[noreturn]] static void fail() {
    std::fprintf(stderr, "nbd_load: %s\n", nbd_get_error());
    std::exit(1);
  }

 private:
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }

  void issue(Slot& slot) {
    const std::uint64_t places = span_ / options_.block;
    const std::uint64_t place = options_.sequential ? cursor_++ % places : next() % places;
    slot.began = Clock::now();
    const nbd_completion_callback done{&Connection::completed, &slot, nullptr};
    const auto offset = place * options_.block;
    ++under_way_;
    const auto cookie =
        options_.op == "read"
            ? nbd_aio_pread(handle_.get(), slot.memory.data(), options_.block, offset, done, 0)
            : nbd_aio_pwrite(handle_.get(), slot.memory.data(), options_.block, offset, done,
                             options_.op == "fua" ? LIBNBD_CMD_FLAG_FUA : 0);
    if (cookie == -1) fail();
  }

  // Returning 1 retires the command; the next one is issued after the callback, by refill().
  static int completed(void* user, int* error) {
    auto& slot = *static_cast<Slot*>(user);
    if (*error != 0) {
      std::fprintf(stderr, "nbd_load: a request failed with errno %d\n", *error);
      std::exit(1);
    }
    auto& self = *slot.connection;
    self.latencies_.push_back(
        std::chrono::duration<float, std::micro>(Clock::now() - slot.began).count());
    --self.under_way_;
    self.idle_.push_back(&slot);
    return 1;
  }

 public:
  void refill() {
    auto idle = std::move(idle_);
    idle_.clear();
    if (Clock::now() >= until_) return;
    for (auto* slot : idle) issue(*slot);
  }

 private:
  const Options& options_;
  std::uint64_t state_;
  std::vector<float>& latencies_;
  std::unique_ptr<nbd_handle, decltype(&nbd_close)> handle_;
  std::uint64_t span_ = 0;
  std::uint64_t cursor_ = 0;
  unsigned under_way_ = 0;
  std::vector<Slot> slots_;
  std::vector<Slot*> idle_;
  Clock::time_point until_;
};

void drive(std::vector<std::unique_ptr<Connection>>& connections) {
  std::vector<pollfd> polls(connections.size());
  for (;;) {
    unsigned under_way = 0;
    for (std::size_t i = 0; i < connections.size(); ++i) {
      connections[i]->refill();
      under_way += connections[i]->under_way();
      auto* handle = connections[i]->handle();
      const auto direction = nbd_aio_get_direction(handle);
      short events = 0;
      if ((direction & LIBNBD_AIO_DIRECTION_READ) != 0) events = POLLIN;
      if ((direction & LIBNBD_AIO_DIRECTION_WRITE) != 0)
        events = static_cast<short>(events | POLLOUT);
      polls[i] = {nbd_aio_get_fd(handle), events, 0};
    }
    if (under_way == 0) return;
    if (poll(polls.data(), polls.size(), 10'000) <= 0) {
      std::fprintf(stderr, "nbd_load: nothing was answered for 10 s\n");
      std::exit(1);
    }
    for (std::size_t i = 0; i < connections.size(); ++i) {
      auto* handle = connections[i]->handle();
      if ((polls[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0 &&
          nbd_aio_notify_read(handle) == -1)
        Connection::fail();
      else if ((polls[i].revents & POLLOUT) != 0 && nbd_aio_notify_write(handle) == -1)
        Connection::fail();
    }
  }
}

float percentile(std::vector<float>& sorted, double p) {
  if (sorted.empty()) return 0;
  return sorted[std::min(sorted.size() - 1,
                         static_cast<std::size_t>(p * static_cast<double>(sorted.size())))];
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = parse(argc, argv);
  std::vector<float> latencies;
  latencies.reserve(4'000'000);
  std::vector<std::unique_ptr<Connection>> connections;
  for (unsigned i = 0; i < options.connections; ++i) {
    connections.push_back(std::make_unique<Connection>(options, options.seed + i, latencies));
  }
  const auto began = Clock::now();
  const auto until = began + std::chrono::duration_cast<Clock::duration>(
                                 std::chrono::duration<double>(options.seconds));
  for (auto& connection : connections) connection->fill(until);
  drive(connections);
  const double seconds = std::chrono::duration<double>(Clock::now() - began).count();
  std::sort(latencies.begin(), latencies.end());
  const auto count = static_cast<double>(latencies.size());
  std::printf(
      "{\"op\":\"%s\",\"block\":%llu,\"depth\":%u,\"connections\":%u,\"requests\":%.0f,\"seconds\":"
      "%.3f,\"iops\":%.1f,"
      "\"bytes_per_second\":%.0f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"max_us\":%.1f}"
      "\n",
      options.op.c_str(), static_cast<unsigned long long>(options.block), options.depth,
      options.connections, count, seconds, count / seconds,
      count * static_cast<double>(options.block) / seconds, percentile(latencies, 0.5),
      percentile(latencies, 0.99), percentile(latencies, 0.999),
      latencies.empty() ? 0 : latencies.back());
  return 0;
}
