#define BOOST_TEST_DYN_LINK
#include "tests/cluster/stage.hpp"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <csignal>
#include <string_view>

namespace tidemark::cluster_tests {
namespace {

void play(Stage& stage, const Story& story) {
  if (stage.start()) story(stage);
}

/// In a process of its own: a mistake may end in a failed CHECK.
std::string class_of(Bug bug, const Story& story, const sim::ClusterOptions& options) {
  int ends[2];
  BOOST_REQUIRE(pipe(ends) == 0);
  const auto child = fork();
  BOOST_REQUIRE(child >= 0);
  if (child == 0) {
    close(ends[0]);
    std::signal(SIGABRT,
                SIG_DFL);  // The test program's own handler would go on with the next test.
    engine::plant(bug);
    Stage stage(options);
    play(stage, story);
    const auto cls = stage.failure() ? stage.failure()->cls : std::string("held");
    const auto written = write(ends[1], cls.data(), cls.size());
    _exit(written == static_cast<ssize_t>(cls.size()) ? 0 : 1);
  }
  close(ends[1]);
  std::string cls;
  char bytes[64];
  for (ssize_t n = 0; (n = read(ends[0], bytes, sizeof bytes)) > 0;) {
    cls.append(bytes, static_cast<std::size_t>(n));
  }
  close(ends[0]);
  int status = 0;
  BOOST_REQUIRE(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? cls : "check";
}

/// What a read would show, the judge of reigns sees in the log before, or where nobody reads it.
bool noticed(const std::vector<std::string>& classes, const std::string& cls) {
  const auto has = [&](std::string_view one) {
    return std::find(classes.begin(), classes.end(), one) != classes.end();
  };
  const bool loss = has("lost_answered") || has("lost_flushed") || has("committed_fork");
  return has(cls) || (loss && (cls == "answer_lost" || cls == "answered_when_fenced"));
}

}  // namespace

void Stage::hold_log(std::uint32_t n) {
  auto& disk = node(n).disk();
  disk.late_writes = sim::LateWrites::all_lost;
  disk.holds = [](sim::DiskOp op, const std::string& path) {
    return op == sim::DiskOp::write && path.ends_with(".seg");
  };
}

void Stage::hold_extents(std::uint32_t n) {
  auto& disk = node(n).disk();
  disk.late_writes = sim::LateWrites::all_lost;
  disk.holds = [](sim::DiskOp op, const std::string& path) {
    return op == sim::DiskOp::write && path.find("/extents/") != std::string::npos;
  };
}

void Stage::hold_reads(std::uint32_t n) {
  node(n).disk().holds = [](sim::DiskOp op, const std::string&) { return op == sim::DiskOp::read; };
}

void Stage::rule(std::function<Fate(const Passage&)> decide) {
  auto& filter = world().net.filter;
  filter = [before = std::move(filter), decide = std::move(decide)](const Passage& p) {
    const auto fate = before ? before(p) : Fate::pass;
    return fate == Fate::pass ? decide(p) : fate;
  };
}

void Stage::hold_records(std::uint32_t from, std::uint32_t to) {
  rule([from, to](const Passage& p) {
    const bool records = std::holds_alternative<engine::Records>(p.message);
    return records && p.from == from && p.to == to ? Fate::hold : Fate::pass;
  });
}

void Stage::pass_all() { world().net.filter = nullptr; }

void Stage::part_from_control(std::uint32_t n) {
  block(0, n);
  block(n, 0);
}

std::shared_ptr<bool> Stage::later(engine::FrontOp op, std::uint64_t block, bool fua,
                                   std::uint64_t blocks) {
  auto answered = std::make_shared<bool>(false);
  send({op, {block * sim::cells_per_block, blocks * sim::cells_per_block}, fua, false},
       [answered](const auto& error) { *answered = !error; });
  return answered;
}

void Stage::wish(std::uint32_t n, bool force) {
  admin_later("POST", fmt::format("/v1/volumes/{}/promote", volume),
              fmt::format("{{\"node\":\"{}\",\"force\":{}}}", node(n).name(), force),
              [](engine::AdminReply) {});
}

bool Stage::serves(std::uint32_t n) {
  if (!alive(n)) return false;
  const auto all = node(n).exports().list();
  return std::any_of(all.begin(), all.end(), [](const auto& e) { return e.name == volume; });
}

std::optional<sim::CopyView> Stage::copy(std::uint32_t n) {
  const auto v = view();
  if (!v) return std::nullopt;
  const auto found = std::find_if(v->copies.begin(), v->copies.end(),
                                  [&](const auto& c) { return c.node == node(n).name(); });
  return found == v->copies.end() ? std::nullopt : std::optional(*found);
}

bool Stage::in_set(std::uint32_t n) {
  const auto v = view();
  return v && std::any_of(v->copies.begin(), v->copies.end(),
                          [&](const auto& c) { return c.node == node(n).name() && c.in_set; });
}

void Stage::flood() {
  for (int round = 0; round < 30 && !failed(); ++round) write(0, 190);
  flush();
  run_for(2 * second);
}

sim::ClusterOptions apart() {
  sim::ClusterOptions options;
  options.nodes = 4;
  options.hosts = {1, 2, 3};
  return options;
}

sim::ClusterOptions pair() {
  sim::ClusterOptions options;
  options.hosts = {1, 2};
  options.copies = 2;
  options.min_copies = 1;
  return options;
}

sim::ClusterOptions lazy(sim::ClusterOptions options) {
  options.tune = [](actors::Settings& s) { s.flush_after = 3600 * second; };
  return options;
}

void must_hold(const Story& story, const sim::ClusterOptions& options, std::uint64_t seeds) {
  engine::plant(Bug::none);
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    auto own = options;
    own.seed = seed;
    Stage stage(own);
    play(stage, story);
    if (stage.failure()) {
      BOOST_ERROR(
          fmt::format("seed {}: {}: {}", seed, stage.failure()->cls, stage.failure()->text));
    }
  }
}

void must_break(Bug bug, const std::vector<std::string>& classes, const Story& story,
                const sim::ClusterOptions& options, std::uint64_t seeds) {
  std::string seen;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    auto own = options;
    own.seed = seed;
    const auto cls = class_of(bug, story, own);
    if (noticed(classes, cls)) {
      BOOST_TEST_MESSAGE(fmt::format("{} shows as {} with seed {}", to_string(bug), cls, seed));
      return;
    }
    seen += " " + cls;
  }
  BOOST_ERROR(fmt::format("{} was not noticed as it should be:{}", to_string(bug), seen));
}

}  // namespace tidemark::cluster_tests
