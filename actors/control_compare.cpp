// `volume compare`: every copy's log digest and block checksums at one LSN,
// while the volume goes on.
//
//   hold every copy's flusher
//     -> X = the highest LSN that any copy's extents hold or could be flushed to
//     -> bring every copy to X -> compare log digests -> compare checksums of groups of blocks
//     -> drill into groups that differ -> release
#include <algorithm>
#include <deque>

#include "actors/admin_json.hpp"
#include "actors/control_admin.hpp"

namespace tidemark::actors {
namespace {

using engine::AdminReply;

constexpr std::uint64_t step_max = 30 * engine::second;  ///< Hold, or come to X.
constexpr std::uint64_t hash_max = 300 * engine::second;
constexpr std::uint64_t groups_max = 4096;  ///< Per question.
/// 1 GiB of blocks per question: done well before a silent hold is released.
constexpr std::uint64_t blocks_per_question = 262144;
constexpr std::size_t differences_max = 64;

std::string text_in(const json::object& body, std::string_view key) {
  const auto* value = body.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string();
}

std::vector<std::uint64_t> numbers_in(const json::object& body, std::string_view key) {
  std::vector<std::uint64_t> numbers;
  const auto* value = body.if_contains(key);
  if (value == nullptr || !value->is_array()) return numbers;
  for (const auto& entry : value->as_array()) {
    if (const auto number = whole_number(&entry)) numbers.push_back(*number);
  }
  return numbers;
}

/// Blocks [first, first + count) in groups of `group`.
struct Question {
  std::uint64_t first = 0;
  std::uint64_t count = 0;
  std::uint64_t group = 1;
};

std::uint64_t group_for(std::uint64_t blocks) {
  return std::max<std::uint64_t>(1, (blocks + groups_max - 1) / groups_max);
}

struct Copy {
  std::string node;
  bool held = false;  ///< Is to be released.
  bool compared = false;
  std::string away;  ///< Why it is not compared.
  std::uint64_t limit = 0;
  std::string log;
  std::string log_damage;
};

/// Lives as long as a question of it is open.
class Comparison : public std::enable_shared_from_this<Comparison> {
 public:
  Comparison(ControlShell& shell, const engine::control::VolumeRecord& record,
             std::function<void(AdminReply)> done)
      : shell_(shell),
        id_(record.spec.id),
        name_(record.spec.name),
        blocks_(record.spec.blocks()),
        done_(std::move(done)) {
    for (const auto& member : record.members) copies_.emplace_back().node = member.node.name;
  }

  void begin() {
    for (auto& copy : copies_) copy.compared = true;
    ask_all(
        "hold", {}, step_max,
        [](Comparison& self, Copy& copy, const json::object& body) {
          copy.held = true;
          const auto damage = text_in(body, "damage");
          const auto limit = whole_number(body.if_contains("limit"));
          copy.limit = limit.value_or(0);
          if (damage.empty() && !limit) self.leave_out(copy, "it did not say up to where it is");
          if (damage.empty()) return;
          copy.log_damage = damage;
          copy.compared = false;
          self.log_differences_.push_back(fmt::format("{}: {}", copy.node, damage));
        },
        &Comparison::align);
  }

 private:
  using Take = std::function<void(Comparison&, Copy&, const json::object&)>;

  /// The same question to every copy that takes part; then the next step.
  void ask_all(const std::string& step, const Question& q, std::uint64_t budget, Take take,
               void (Comparison::*then)()) {
    json::object body{{"volume", engine::to_string(id_)}};
    if (step == "hash") {
      body["at"] = at_;
      body["first"] = q.first;
      body["count"] = q.count;
      body["group_blocks"] = q.group;
    }
    const auto text = json::serialize(body);
    auto open = std::make_shared<std::size_t>(1);
    const auto less = [self = shared_from_this(), open, then] {
      if (--*open == 0) ((*self).*then)();
    };
    for (auto& copy : copies_) {
      if (!copy.compared) continue;
      ++*open;
      shell_.ask_node(
          copy.node, engine::AdminAsk{0, copy.node, "POST", "/v1/local/compare/" + step, text},
          budget, [self = shared_from_this(), &copy, take, less](const AdminReply& reply) {
            const auto answer = body_of(reply);
            if (reply.status == 200) {
              take(*self, copy, answer);
            } else {
              self->leave_out(copy, text_in(answer, "error"));
            }
            less();
          });
    }
    less();
  }

  /// Every copy comes to the highest LSN that any copy's extents hold or could be flushed to; the
  /// logs are re-read up to there.
  void align() {
    for (const auto& copy : copies_) {
      if (copy.compared) at_ = std::max(at_, copy.limit);
    }
    ask_all(
        "hash", {0, 0, 1}, step_max,
        [](Comparison& self, Copy& copy, const json::object& body) {
          copy.log = text_in(body, "log");
          const auto error = text_in(body, "log_error");
          if (error.empty() && copy.log.empty())
            self.leave_out(copy, "it gave no digest of its log");
          if (error.empty()) return;
          const bool corrupt = text_in(body, "log_error_code") == "corrupt";
          if (corrupt) {
            copy.log_damage = error;
            self.log_differences_.push_back(fmt::format("{}: {}", copy.node, error));
          } else {
            self.leave_out(copy, error);
          }
        },
        &Comparison::compare_logs);
  }

  void compare_logs() {
    std::string all;
    bool differ = false;
    const Copy* first = nullptr;
    for (const auto& copy : copies_) {
      if (!copy.compared || copy.log.empty()) continue;
      if (first == nullptr) first = &copy;
      differ = differ || copy.log != first->log;
      all += fmt::format("{}{}: digest {}", all.empty() ? "" : ", ", copy.node, copy.log);
    }
    if (differ) log_differences_.push_back(all);
    const auto group = group_for(blocks_);
    const auto whole = std::max<std::uint64_t>(1, blocks_per_question / group) * group;
    for (std::uint64_t at = 0; at < blocks_; at += whole)
      questions_.push_back({at, std::min(whole, blocks_ - at), group});
    next();
  }

  void next() {
    const bool anyone =
        std::any_of(copies_.begin(), copies_.end(), [](const Copy& c) { return c.compared; });
    if (questions_.empty() || blocks_differ_.size() >= differences_max || !anyone) return finish();
    question_ = questions_.front();
    questions_.pop_front();
    hashes_.clear();
    ask_all(
        "hash", question_, hash_max,
        [](Comparison& self, Copy& copy, const json::object& body) {
          self.hashes_[copy.node] = numbers_in(body, "groups");
          for (const auto block : numbers_in(body, "damaged"))
            self.name(block, copy.node, "damaged");
        },
        &Comparison::compare_groups);
  }

  void compare_groups() {
    const auto groups = (question_.count + question_.group - 1) / question_.group;
    // A copy whose disk failed meanwhile has answered with fewer groups:
    // it is not compared any further.
    for (auto& copy : copies_) {
      const auto found = hashes_.find(copy.node);
      if (!copy.compared || (found != hashes_.end() && found->second.size() == groups)) continue;
      leave_out(copy, "its blocks could not all be read");
      hashes_.erase(copy.node);
    }
    std::deque<Question> deeper;
    for (std::uint64_t g = 0; g < groups && !hashes_.empty(); ++g) {
      const auto value = hashes_.begin()->second[g];
      const bool same = std::all_of(hashes_.begin(), hashes_.end(),
                                    [&](const auto& h) { return h.second[g] == value; });
      if (same) continue;
      const auto first = question_.first + g * question_.group;
      const auto count = std::min(question_.group, question_.first + question_.count - first);
      if (count == 1) {
        for (const auto& [node, hash] : hashes_) name(first, node, fmt::format("{:016x}", hash[g]));
      } else if (deeper.size() < differences_max) {
        deeper.push_back({first, count, group_for(count)});
      }
    }
    questions_.insert(questions_.begin(), deeper.begin(), deeper.end());
    next();
  }

  static void leave_out(Copy& copy, const std::string& why) {
    copy.compared = false;
    copy.away = why.empty() ? "its node gave no reason" : why;
  }

  /// Damage, once found, says more than the checksum it leads to.
  void name(std::uint64_t block, const std::string& node, const std::string& what) {
    if (!blocks_differ_.contains(block) && blocks_differ_.size() >= differences_max) return;
    auto& said = blocks_differ_[block][node];
    if (said != "damaged") said = what;
  }

  void finish() {
    const auto body = json::serialize(json::object{{"volume", engine::to_string(id_)}});
    for (const auto& copy : copies_) {
      if (!copy.held) continue;
      shell_.ask_node(copy.node,
                      engine::AdminAsk{0, copy.node, "POST", "/v1/local/compare/release", body},
                      step_max, [](const AdminReply&) {});
    }
    json::array copies, differences, unreachable, compared;
    for (const auto& copy : copies_) {
      json::object entry{{"node", copy.node}};
      if (!copy.log.empty()) entry["log_digest"] = copy.log;
      if (!copy.log_damage.empty()) entry["log_damage"] = copy.log_damage;
      if (!copy.away.empty()) entry["not_compared"] = copy.away;
      copies.push_back(std::move(entry));
      if (copy.compared) compared.emplace_back(copy.node);
      if (!copy.away.empty()) unreachable.emplace_back(copy.node);
    }
    for (const auto& text : log_differences_) {
      differences.push_back(
          json::object{{"kind", "log"}, {"copies", json::array{json::string(text)}}});
    }
    for (const auto& [block, said] : blocks_differ_) {
      json::array list;
      for (const auto& [node, what] : said) list.emplace_back(node + ": " + what);
      differences.push_back(
          json::object{{"kind", "block"}, {"block", block}, {"copies", std::move(list)}});
    }
    const bool equal = differences.empty();
    const bool complete = compared.size() == copies_.size();
    const auto summary =
        fmt::format("volume {} at lsn {}: {} of {} copies compared over {} blocks, {}", name_, at_,
                    compared.size(), copies_.size(), blocks_,
                    !equal             ? fmt::format("{} differences", differences.size())
                    : compared.empty() ? "nothing was compared"
                                       : "no difference found");
    done_(answer_json(200, json::object{{"equal", equal},
                                        {"complete", complete},
                                        {"lsn", at_},
                                        {"blocks", blocks_},
                                        {"copies", std::move(copies)},
                                        {"compared", std::move(compared)},
                                        {"differences", std::move(differences)},
                                        {"unreachable", std::move(unreachable)},
                                        {"summary", summary}}));
  }

  ControlShell& shell_;
  engine::VolumeId id_;
  std::string name_;
  std::uint64_t blocks_;
  std::function<void(AdminReply)> done_;
  std::vector<Copy> copies_;
  std::uint64_t at_ = 0;
  std::deque<Question> questions_;
  Question question_;
  std::map<std::string, std::vector<std::uint64_t>> hashes_;
  std::map<std::uint64_t, std::map<std::string, std::string>> blocks_differ_;
  std::vector<std::string> log_differences_;
};

}  // namespace

void ControlAdmin::compare() {
  const auto body = parse_body(ask.body, {});
  if (!body) return answer(answer_error(body.error()));
  const auto* record = shell.plane_.volume(parts[2]);
  if (record == nullptr) {
    return answer(
        answer_error({engine::Errc::not_found, fmt::format("there is no volume {}", parts[2])}));
  }
  const auto id = record->spec.id;
  if (!shell.comparing_.insert(id).second) {
    return answer(answer_error(
        {engine::Errc::busy, fmt::format("volume {} is being compared already", parts[2])}));
  }
  std::make_shared<Comparison>(shell, *record, [self = *this, id](AdminReply reply) {
    self.shell.comparing_.erase(id);
    self.answer(std::move(reply));
  })->begin();
}

}  // namespace tidemark::actors
