#include "sim/exhaust_crash.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <sstream>
#include <utility>

#include "sim/exhaust_child.hpp"
#include "sim/exhaust_walk.hpp"

namespace tidemark::sim {
namespace {

using engine::millisecond;

/// A moment of a workload at which a crash of the victim leaves something else than one just before.
struct Point {
  std::uint32_t victim = 0;
  bool in_flight = false;  ///< Writes to the victim's disk are.
  std::string name;        ///< p4: the 4th of the primary; r2: the 2nd of the replica.
};

struct CrashCase {
  Point point;
  Loss loss = Loss::lost;
  Sequel sequel = Sequel::back;
};

/// Plays a word in the base order of Walk and calls `at` for each of its points, until it says to stop.
class Performance {
 public:
  Performance(Cluster& cluster, Company company, std::string word)
      : cluster_(cluster), word_(std::move(word)), walk_(cluster, tail) {
    victims_.push_back({primary_node, 'p'});
    if (company == Company::pair) victims_.push_back({replica_node, 'r'});
  }

  using AtPoint = std::function<bool(const Point&)>;

  void play(const AtPoint& at) {
    for (std::size_t i = 0; i < word_.size(); ++i) {
      auto over = std::make_shared<bool>(false);
      cluster_.send(request_of(word_[i]), [over](const auto&) { *over = true; });
      walk_.over_in(answer_max);
      const bool last = i + 1 == word_.size();
      while (!*over && step(last ? at : nullptr)) {
      }
    }
    walk_.over_in(tail);
    while (step(at)) {
    }
  }

 private:
  static constexpr std::uint64_t answer_max = 500 * millisecond;
  /// Until what was written is in the extents and checkpointed.
  static constexpr std::uint64_t tail = 8 * millisecond;

  struct Victim {
    std::uint32_t node = 0;
    char letter = 'p';
    std::uint64_t points = 0;
    std::uint64_t left = 0;  ///< By a crash at the last point.
  };

  bool step(const AtPoint& at) {
    if (stopped_ || cluster_.failed()) return false;
    for (auto& v : victims_) {
      const auto left = walk_.left_by(v.node);
      if (!at || (v.points > 0 && v.left == left)) continue;
      v.left = left;
      ++v.points;
      if (at({v.node, walk_.in_flight(v.node), fmt::format("{}{}", v.letter, v.points)})) continue;
      stopped_ = true;
      return false;
    }
    const auto next = walk_.next();
    if (next) walk_.perform(*next);
    return next.has_value();
  }

  Cluster& cluster_;
  std::string word_;
  Walk walk_;
  std::vector<Victim> victims_;
  bool stopped_ = false;
};

/// What is played at one point. Where nothing is in flight nothing lands, and little is torn; where nobody else has the
/// volume nobody goes on with it.
std::vector<CrashCase> cases_at(const Point& point, Company company) {
  std::vector<Loss> losses{Loss::lost, Loss::power};
  if (point.in_flight) losses.insert(losses.end(), {Loss::lands, Loss::power2});
  std::vector<CrashCase> cases;
  for (const auto loss : losses) {
    cases.push_back({point, loss, Sequel::back});
    if (company == Company::pair) cases.push_back({point, loss, Sequel::heir});
  }
  return cases;
}

std::string id_of(Company company, const std::string& word, const CrashCase& c) {
  return fmt::format("crash/{}/{}/{}/{}/{}", to_string(company), word, c.point.name,
                     to_string(c.loss), to_string(c.sequel));
}

void play_crash(Cluster& cluster, const CrashCase& c) {
  crash(cluster, c.point.victim, c.loss);
  if (c.sequel == Sequel::heir) other_goes_on(cluster, c.point.victim);
  judge_case(cluster, Judgement::twice);
}

constexpr unsigned case_seconds_max = 60;
constexpr unsigned word_seconds_max = 1200;

std::string failure_line(const std::string& id, const std::string& cls, std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return fmt::format("fail {} {} {}\n", id, cls, text);
}

/// One case in a child, from the point at which the cluster is. What is wrong, or nothing.
std::string case_in_child(Cluster& cluster, const std::string& id, const CrashCase& c) {
  const auto end = in_child(
      [&] {
        play_crash(cluster, c);
        const auto& failure = cluster.failure();
        return failure ? failure_line(id, failure->cls, failure->text) : std::string();
      },
      case_seconds_max);
  return end.died.empty() ? end.said : failure_line(id, "died", end.died);
}

/// All cases of a word, from the quiet cluster on: "points N", "cases N" and a line for each that fails.
std::string play_word(Cluster& quiet, Company company, const std::string& word,
                      std::size_t failures_max) {
  std::uint64_t points = 0;
  std::uint64_t cases = 0;
  std::size_t failed = 0;
  std::string failures;
  Performance(quiet, company, word).play([&](const Point& point) {
    ++points;
    for (const auto& c : cases_at(point, company)) {
      if (failed == failures_max) return false;
      ++cases;
      const auto line = case_in_child(quiet, id_of(company, word, c), c);
      if (!line.empty()) ++failed;
      failures += line;
    }
    return true;
  });
  if (const auto& failure = quiet.failure(); failure && failed == 0) {
    failures += failure_line(fmt::format("crash/{}/{}", to_string(company), word), failure->cls,
                             failure->text);
  }
  return fmt::format("points {}\ncases {}\n{}", points, cases, failures);
}

struct Sums {
  std::uint64_t workloads = 0;
  std::uint64_t points = 0;
  std::uint64_t cases = 0;
};

void take_word(const std::string& said, Sums& sums, std::vector<CaseFailure>& failures) {
  std::istringstream lines(said);
  std::string line;
  ++sums.workloads;
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::string kind;
    words >> kind;
    std::uint64_t n = 0;
    if (kind == "points" && words >> n) sums.points += n;
    if (kind == "cases" && words >> n) sums.cases += n;
    if (kind != "fail" || failures.size() == PartResult::failures_max) continue;
    CaseFailure f;
    words >> f.id >> f.cls;
    std::getline(words >> std::ws, f.text);
    failures.push_back(f);
  }
}

/// All words in one company. False: it ended before.
bool play_company(const ExhaustOptions& options, Company company,
                  const std::vector<std::string>& words, Sums& sums, PartResult& part) {
  std::string why;
  const auto quiet = quiet_cluster(company, why);
  if (!quiet) {
    part.failures.push_back({fmt::format("crash/{}", to_string(company)), "start", why});
    return false;
  }
  const auto most = options.stop_at_failure ? 1 : PartResult::failures_max;
  return run_in_order(
      words.size(), options.jobs, word_seconds_max,
      [&](std::size_t i) { return play_word(*quiet, company, words[i], most); },
      [&](std::size_t i, const ChildEnd& end) {
        if (!end.died.empty()) {
          part.failures.push_back(
              {fmt::format("crash/{}/{}", to_string(company), words[i]), "died", end.died});
        }
        take_word(end.said, sums, part.failures);
        if (options.progress)
          options.progress("crash", sums.workloads, 2 * words.size(), part.failures.size());
        return part.failures.size() < most;
      });
}

}  // namespace

bool is_workload(std::string_view word) {
  if (word.empty() || word.find_first_not_of(request_letters) != std::string_view::npos)
    return false;
  if (word.front() == 'f' || word.front() == 'r') return false;
  for (std::size_t i = 1; i < word.size(); ++i) {
    if (word[i] == word[i - 1] && (word[i] == 'f' || word[i] == 'r')) return false;
  }
  // Exchanging the blocks makes x of w; u and t are of block 0.
  const auto x = word.find('x');
  return x == std::string_view::npos || word.find_first_of("wut") < x;
}

std::vector<std::string> workloads(std::uint64_t requests) {
  std::vector<std::string> found;
  std::vector<std::string> longest{""};
  for (std::uint64_t n = 1; n <= requests; ++n) {
    std::vector<std::string> longer;
    for (const auto& word : longest) {
      for (const char letter : request_letters) {
        if (is_workload(word + letter)) longer.push_back(word + letter);
      }
    }
    found.insert(found.end(), longer.begin(), longer.end());
    longest = std::move(longer);
  }
  return found;
}

PartResult every_crash(const ExhaustOptions& options) {
  PartResult part;
  part.name = "crash";
  part.bound = options.workload.empty()
                   ? fmt::format("workloads of at most {} requests, one crash", options.requests)
                   : fmt::format("workload {}, one crash", options.workload);
  const auto words = options.workload.empty() ? workloads(options.requests)
                                              : std::vector<std::string>{options.workload};
  Sums sums;
  bool all = true;
  for (const auto company : {Company::pair, Company::alone}) {
    all = all && play_company(options, company, words, sums, part);
  }
  part.counts = {{"workloads", sums.workloads}, {"points", sums.points}, {"cases", sums.cases}};
  part.complete = all;
  if (!all) part.why_not = interrupted() ? "interrupted" : "failing cases ended it";
  return part;
}

namespace {

/// "pair" or "alone".
std::optional<Company> company_of(const std::string& text) {
  for (const auto company : {Company::pair, Company::alone}) {
    if (text == to_string(company)) return company;
  }
  return std::nullopt;
}

CaseFailure outcome_of(const std::string& id, const Cluster& cluster) {
  const auto& failure = cluster.failure();
  return failure ? CaseFailure{id, failure->cls, failure->text} : CaseFailure{id, "", ""};
}

}  // namespace

// Besides a case, the beginning that all of a company or of a word share may fail, and has an id for that.
std::optional<CaseFailure> play_crash_case(const std::string& id, bool verbose) {
  std::vector<std::string> parts;
  std::istringstream in(id);
  for (std::string piece; std::getline(in, piece, '/');) parts.push_back(piece);
  const auto company =
      parts.size() > 1 && parts[0] == "crash" ? company_of(parts[1]) : std::nullopt;
  if (!company) return std::nullopt;
  if (parts.size() > 2 && !is_workload(parts[2])) return std::nullopt;
  std::string why;
  const auto quiet = quiet_cluster(*company, why);
  if (!quiet) return CaseFailure{id, "start", why};
  quiet->world().trace.verbose = verbose;
  if (parts.size() == 2) return outcome_of(id, *quiet);
  bool played = parts.size() == 3;
  Performance(*quiet, *company, parts[2]).play([&](const Point& point) {
    for (const auto& c : cases_at(point, *company)) {
      if (id_of(*company, parts[2], c) != id) continue;
      played = true;
      play_crash(*quiet, c);
      return false;
    }
    return true;
  });
  // A word that fails by itself never comes to its later points.
  return played || quiet->failed() ? std::optional(outcome_of(id, *quiet)) : std::nullopt;
}

}  // namespace tidemark::sim
