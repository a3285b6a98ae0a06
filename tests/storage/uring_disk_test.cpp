#include "storage/uring_disk.hpp"

#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <cerrno>
#include <cstring>
#include <deque>
#include <filesystem>
#include <optional>

#include <dlfcn.h>
#include <fcntl.h>
#include <liburing.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace tidemark;
using storage::UringDisk;

namespace {

/// What becomes of the requests that are handed to the kernel next, each the only one: more than
/// zero, no more bytes than that are moved; less, nothing is done and that is the answer.
std::deque<int> fates;

// A loop, a disk on it, and a folder of its own.
struct World {
  std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("tidemark-disk-" + std::to_string(::getpid()));
  boost::asio::io_context loop;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{
      loop.get_executor()};
  std::optional<UringDisk> disk;

  World() {
    std::filesystem::remove_all(folder);
    std::filesystem::create_directory(folder);
    disk.emplace(loop);
  }
  ~World() {
    disk.reset();
    fates.clear();
    std::filesystem::remove_all(folder);
  }
  std::string in(const std::string& name) const { return (folder / name).string(); }

  template <class Result, class Start>
  Result wait(Start start) {
    std::optional<Result> result;
    start([&](Result r) { result = std::move(r); });
    BOOST_TEST(!result.has_value());  // never inside the call
    loop.restart();
    while (!result) loop.run_one();
    return std::move(*result);
  }
  engine::Result<storage::FilePtr> open(const std::string& name, storage::OpenOptions options) {
    return wait<engine::Result<storage::FilePtr>>(
        [&](auto done) { disk->open(in(name), options, done); });
  }
  engine::Status write(const storage::FilePtr& file, std::uint64_t offset,
                       std::vector<engine::Slice> data) {
    return wait<engine::Status>(
        [&](auto done) { disk->write(file, offset, std::move(data), done); });
  }
  engine::Result<engine::Buffer> read(const storage::FilePtr& file, std::uint64_t offset,
                                      std::size_t bytes) {
    std::optional<engine::Result<engine::Buffer>> result;
    disk->read(file, offset, bytes,
               [&](engine::Result<engine::Buffer> r) { result.emplace(std::move(r)); });
    loop.restart();
    while (!result) loop.run_one();
    return std::move(*result);
  }
};

/// The flags of the description through which this process has the file open.
int flags_of(const std::string& path) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    if (std::filesystem::read_symlink(entry.path(), gone) == path)
      return ::fcntl(std::stoi(entry.path().filename()), F_GETFL);
  }
  BOOST_FAIL(path + " is not open");
  return 0;
}

engine::Slice block_of(int value) {
  engine::Buffer buffer(4096);
  std::memset(buffer.data(), value, buffer.size());
  return std::move(buffer).freeze();
}

}  // namespace

/// Stands before liburing's own, which does the work: what the disk hands in comes by here.
extern "C" int io_uring_submit(io_uring* ring) {
  static const auto submit =
      reinterpret_cast<int (*)(io_uring*)>(::dlsym(RTLD_NEXT, "io_uring_submit"));
  if (fates.empty() || io_uring_sq_ready(ring) == 0) return submit(ring);
  const auto fate = fates.front();
  fates.pop_front();
  auto& request = ring->sq.sqes[(ring->sq.sqe_tail - 1) & ring->sq.ring_mask];
  static iovec part;  // The kernel reads it before this returns, or copies it.
  if (fate < 0) {
    const auto name = request.user_data;
    io_uring_prep_nop(&request);
    request.user_data = name;
  } else if (request.opcode == IORING_OP_WRITEV) {
    part = *reinterpret_cast<const iovec*>(request.addr);
    part.iov_len = std::min(part.iov_len, static_cast<std::size_t>(fate));
    request.addr = reinterpret_cast<std::uint64_t>(&part);
    request.len = 1;
  } else {
    request.len = std::min(request.len, static_cast<unsigned>(fate));
  }
  const auto submitted = submit(ring);
  io_uring_cqe* answer = nullptr;
  if (fate < 0 && io_uring_peek_cqe(ring, &answer) == 0) answer->res = fate;
  return submitted;
}

BOOST_FIXTURE_TEST_SUITE(uring_disk, World)

BOOST_AUTO_TEST_CASE(what_was_gathered_is_read_back) {
  auto file = open("f", {.create = true});
  BOOST_REQUIRE(file.has_value());
  std::vector<engine::Slice> data;
  for (int i = 0; i < 1500; ++i)
    data.push_back(block_of(i % 251));  // more than one vectored request takes
  BOOST_REQUIRE(write(*file, 8192, data).has_value());
  BOOST_REQUIRE(wait<engine::Status>([&](auto done) { disk->sync(*file, done); }).has_value());
  auto read_back = read(*file, 8192, 1500 * 4096);
  BOOST_REQUIRE(read_back.has_value());
  bool equal = true;
  for (std::size_t i = 0; i < 1500; ++i) {
    equal = equal && std::memcmp(read_back->data() + i * 4096, data[i].data(), 4096) == 0;
  }
  BOOST_TEST(equal);
}

// C23.
BOOST_AUTO_TEST_CASE(a_file_is_opened_past_the_page_cache_unless_it_is_asked_otherwise) {
  const auto direct = open("f", {.create = true});
  const auto buffered = open("g", {.create = true, .direct = false});
  BOOST_REQUIRE(direct.has_value());
  BOOST_REQUIRE(buffered.has_value());
  BOOST_TEST((flags_of(in("f")) & O_DIRECT) == O_DIRECT);
  BOOST_TEST((flags_of(in("g")) & O_DIRECT) == 0);
}

BOOST_AUTO_TEST_CASE(reading_beyond_the_end_is_an_error_not_zeros) {
  auto file = open("f", {.create = true});
  BOOST_REQUIRE(write(*file, 0, {block_of(1)}).has_value());
  const auto beyond = read(*file, 0, 8192);
  BOOST_REQUIRE(!beyond.has_value());
  BOOST_TEST((beyond.error().code == engine::Errc::not_found));
}

BOOST_AUTO_TEST_CASE(a_file_is_created_once_and_never_by_accident) {
  BOOST_TEST((open("f", {}).error().code == engine::Errc::not_found));
  BOOST_TEST(open("f", {.create = true}).has_value());
  BOOST_TEST((open("f", {.create = true}).error().code == engine::Errc::already_exists));
}

BOOST_AUTO_TEST_CASE(a_file_in_use_is_busy_until_its_last_reference_goes) {
  auto first = open("f", {.create = true});
  BOOST_REQUIRE(first.has_value());
  BOOST_TEST((open("f", {}).error().code == engine::Errc::busy));
  first.value().reset();
  BOOST_TEST(open("f", {}).has_value());
}

BOOST_AUTO_TEST_CASE(a_punched_range_reads_as_zeros) {
  auto file = open("f", {.create = true});
  BOOST_REQUIRE(write(*file, 0, {block_of(1), block_of(2), block_of(3)}).has_value());
  BOOST_REQUIRE(
      wait<engine::Status>([&](auto done) { disk->punch(*file, 4096, 4096, done); }).has_value());
  auto all = read(*file, 0, 3 * 4096);
  BOOST_REQUIRE(all.has_value());
  BOOST_TEST(std::to_integer<int>(all->data()[0]) == 1);
  BOOST_TEST(std::to_integer<int>(all->data()[4096]) == 0);
  BOOST_TEST(std::to_integer<int>(all->data()[8192]) == 3);
}

BOOST_AUTO_TEST_CASE(directories_and_names) {
  using Names = engine::Result<std::vector<std::string>>;
  BOOST_REQUIRE(
      wait<engine::Status>([&](auto done) { disk->make_directory(in("d"), done); }).has_value());
  BOOST_REQUIRE(open("d/b", {.create = true}).has_value());
  BOOST_REQUIRE(open("d/a", {.create = true}).has_value());
  BOOST_REQUIRE(wait<engine::Status>([&](auto done) {
                  disk->rename(in("d/b"), in("d/c"), done);
                }).has_value());
  BOOST_REQUIRE(
      wait<engine::Status>([&](auto done) { disk->sync_directory(in("d"), done); }).has_value());
  auto names = wait<Names>([&](auto done) { disk->list(in("d"), done); });
  BOOST_REQUIRE(names.has_value());
  BOOST_TEST(*names == (std::vector<std::string>{"a", "c"}), boost::test_tools::per_element());
  BOOST_REQUIRE(
      wait<engine::Status>([&](auto done) { disk->remove(in("d/a"), done); }).has_value());
  BOOST_TEST(
      (wait<engine::Status>([&](auto done) { disk->remove(in("d/a"), done); }).error().code ==
       engine::Errc::not_found));
}

BOOST_AUTO_TEST_CASE(many_requests_at_once_all_complete) {
  auto file = open("f", {.create = true});
  BOOST_REQUIRE(file.has_value());
  int completed = 0;
  std::string failed;
  constexpr int requests = 2000;  // more than the ring takes
  for (int i = 0; i < requests; ++i) {
    disk->write(*file, static_cast<std::uint64_t>(i) * 4096, {block_of(i % 255)},
                [&](engine::Status s) {
                  ++completed;
                  if (!s) failed = s.error().text;
                });
  }
  loop.restart();
  while (completed < requests) loop.run_one();
  BOOST_TEST(failed == "");
}

BOOST_AUTO_TEST_CASE(a_disk_that_goes_drops_completions_and_keeps_memory_until_then) {
  auto file = open("f", {.create = true});
  bool called = false;
  for (int i = 0; i < 64; ++i) {
    disk->write(*file, static_cast<std::uint64_t>(i) * 4096, {block_of(i)},
                [&](engine::Status) { called = true; });
  }
  disk.reset();
  loop.restart();
  loop.poll();
  BOOST_TEST(!called);
}

BOOST_AUTO_TEST_CASE(free_space_is_known) {
  const auto space = disk->space(folder.string());
  BOOST_REQUIRE(space.has_value());
  BOOST_TEST(space->total_bytes >= space->free_bytes);
}

BOOST_AUTO_TEST_CASE(no_descriptor_left_is_no_space_and_passes) {
  rlimit before{};
  BOOST_REQUIRE_EQUAL(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const int lowest = ::dup(0);  // the first that is free
  BOOST_REQUIRE_GE(lowest, 0);
  ::close(lowest);
  const rlimit none{static_cast<rlim_t>(lowest), before.rlim_max};
  storage::OpenOptions options;
  options.create = true;
  BOOST_REQUIRE_EQUAL(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto refused = open("late", options);
  ::setrlimit(RLIMIT_NOFILE, &before);
  BOOST_REQUIRE(!refused);
  BOOST_CHECK(refused.error().code == engine::Errc::no_space);
  BOOST_CHECK(open("late", options).has_value());
}

BOOST_AUTO_TEST_CASE(more_requests_than_the_ring_takes_all_complete) {
  storage::OpenOptions options;
  options.create = true;
  options.direct = false;
  auto file = open("many", options);
  BOOST_REQUIRE(file.has_value());
  constexpr std::size_t count = 4 * UringDisk::ring_entries + 3;
  std::size_t done = 0;
  for (std::size_t i = 0; i < count; ++i) {
    disk->write(*file, i * 4096, {block_of(static_cast<int>(i % 200))}, [&](engine::Status s) {
      BOOST_CHECK(s.has_value());
      ++done;
    });
  }
  loop.restart();
  while (done < count) loop.run_one();
  // And a disk that goes with most of them not handed in yet waits for all.
  for (std::size_t i = 0; i < count; ++i)
    disk->write(*file, i * 4096, {block_of(7)}, [](engine::Status) {});
  disk.reset();
  BOOST_CHECK_EQUAL(std::filesystem::file_size(folder / "many"), count * 4096);
}

BOOST_AUTO_TEST_CASE(what_the_kernel_did_in_part_or_not_at_all_is_gone_on_with) {
  auto file = open("f", {.create = true, .direct = false});
  BOOST_REQUIRE(file.has_value());
  const std::vector<engine::Slice> data{block_of(1), block_of(2), block_of(3)};
  fates = {1000, -EINTR, 3096, -EAGAIN, 1};  // within the first slice, to its end, into the next
  BOOST_REQUIRE(write(*file, 0, data).has_value());
  BOOST_TEST(fates.empty());
  fates = {-EAGAIN, 100, 4096, -EINTR, 7000};
  const auto all = read(*file, 0, 3 * 4096);
  BOOST_REQUIRE(all.has_value());
  BOOST_TEST(fates.empty());
  for (std::size_t i = 0; i < data.size(); ++i)
    BOOST_TEST(std::memcmp(all->data() + i * 4096, data[i].data(), 4096) == 0);
  fates = {-EINTR, -EAGAIN};
  BOOST_TEST(wait<engine::Status>([&](auto done) { disk->sync(*file, done); }).has_value());
  BOOST_TEST(fates.empty());
}

BOOST_AUTO_TEST_CASE(what_the_kernel_refuses_is_not_tried_again) {
  auto file = open("f", {.create = true, .direct = false});
  BOOST_REQUIRE(file.has_value());
  fates = {1000, -EIO};
  const auto failed = write(*file, 0, {block_of(1)});
  BOOST_REQUIRE(!failed.has_value());
  BOOST_TEST((failed.error().code == engine::Errc::io_failed));
  BOOST_TEST(failed.error().text.find("at 1000, 3096 bytes to go") != std::string::npos);
  BOOST_TEST(fates.empty());
}

// A pipe that nobody writes to: an operation that the kernel has taken and does not complete.
BOOST_AUTO_TEST_CASE(what_the_disk_does_not_give_back_is_waited_for_so_long_and_no_longer) {
  World w;
  BOOST_REQUIRE_EQUAL(::mkfifo(w.in("stuck").c_str(), 0600), 0);
  auto file = w.open("stuck", {.create = false, .direct = false, .dsync = false, .lock = false});
  BOOST_REQUIRE(file.has_value());
  bool completed = false;
  w.disk->read(*file, 0, 4096, [&](auto) { completed = true; });
  w.loop.restart();
  w.loop.poll();
  BOOST_TEST(!w.disk->settle(std::chrono::milliseconds(20)));
  const int writer = ::open(w.in("stuck").c_str(), O_WRONLY);
  BOOST_REQUIRE_EQUAL(::write(writer, std::string(4096, 'x').data(), 4096), 4096);
  ::close(writer);
  BOOST_TEST(w.disk->settle(std::chrono::hours(1)));
  BOOST_TEST(!completed);  // dropped
}

BOOST_AUTO_TEST_SUITE_END()
