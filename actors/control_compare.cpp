// `volume compare`: every copy's log digest and block checksums at one LSN,
// while the volume goes on.
//
//   hold every copy's flusher
//     -> X = the highest LSN that any copy's extents hold or could be flushed to
//     -> bring every copy to X -> compare log digests -> compare checksums of groups of blocks
//     -> drill into groups that differ -> ask the logs which copy is wrong -> release
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
  std::string trouble;  ///< What it last said of its log, or of reading its blocks.
};

/// Lives as long as a question of it is open.
class Comparison : public std::enable_shared_from_this<Comparison> {
 public:
  Comparison(ControlShell& shell, const engine::control::VolumeRecord& record, CompareWish wish,
             std::function<void(AdminReply)> done)
      : shell_(shell),
        wish_(wish),
        id_(record.spec.id),
        name_(record.spec.name),
        range_(wish.range.empty() ? engine::BlockRange{{}, record.spec.blocks()} : wish.range),
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
    // Of no blocks, the whole retained log is read.
    const auto first = range_.first.value;
    ask_all(
        "hash", {first, wish_.logs ? std::uint64_t{0} : 1, 1}, step_max,
        [](Comparison& self, Copy& copy, const json::object& body) {
          copy.log = text_in(body, "log");
          const auto error = text_in(body, "log_error");
          if (error.empty() && copy.log.empty())
            self.leave_out(copy, "it gave no digest of its log");
          if (error.empty()) return;
          const auto code = text_in(body, "log_error_code");
          if (code == "corrupt" || code == "io_failed") {
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
    const auto group = group_for(range_.count);
    const auto whole = std::max<std::uint64_t>(1, blocks_per_question / group) * group;
    const auto end = range_.end().value;
    for (auto at = range_.first.value; at < end; at += whole)
      questions_.push_back({at, std::min(whole, end - at), group});
    next();
  }

  void next() {
    const bool anyone =
        std::any_of(copies_.begin(), copies_.end(), [](const Copy& c) { return c.compared; });
    if (questions_.empty() || blocks_differ_.size() >= differences_max || !anyone) return look_up();
    question_ = questions_.front();
    questions_.pop_front();
    hashes_.clear();
    ask_all(
        "hash", question_, hash_max,
        [](Comparison& self, Copy& copy, const json::object& body) {
          self.hashes_[copy.node] = numbers_in(body, "groups");
          copy.trouble = text_in(body, "log_error");
          self.name_damaged(copy.node, body);
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
      leave_out(copy, fmt::format("its blocks could not all be read{}{}",
                                  copy.trouble.empty() ? "" : ": ", copy.trouble));
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
        for (const auto& [node, hash] : hashes_) name(first, node, hash[g], false);
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

  void name_damaged(const std::string& node, const json::object& body) {
    const auto damaged = numbers_in(body, "damaged");
    const auto* causes = body.if_contains("causes");
    for (std::size_t i = 0; i < damaged.size(); ++i) {
      const bool known = causes != nullptr && causes->is_array() && i < causes->as_array().size() &&
                         causes->as_array()[i].is_string();
      name(damaged[i], node, engine::no_block, true,
           known ? std::string(causes->as_array()[i].as_string()) : std::string());
    }
  }

  /// Damage, once found, says more than the checksum it leads to.
  void name(std::uint64_t block, const std::string& node, engine::BlockSum sum, bool damaged,
            const std::string& cause = "") {
    if (!blocks_differ_.contains(block) && blocks_differ_.size() >= differences_max) return;
    const auto said = blocks_differ_[block].try_emplace(node, engine::CopySays{node, sum});
    if (!damaged) return;
    said.first->second.damaged = true;
    if (said.first->second.cause.empty()) said.first->second.cause = cause;
  }

  /// Copies that differ although each fits its checksum: their logs, equal up to here, say what is right.
  void look_up() {
    json::array blocks;
    for (const auto& [block, said] : blocks_differ_) {
      const bool open = std::any_of(said.begin(), said.end(),
                                    [](const auto& one) { return !one.second.damaged; });
      if (open && said.size() > 1) blocks.emplace_back(block);
    }
    if (blocks.empty() || !log_differences_.empty()) return finish();
    ask_each(
        "written", json::object{{"at", at_}, {"blocks", std::move(blocks)}},
        [](Comparison& self, const json::object& body) { self.take_proofs(body); },
        &Comparison::decide);
  }

  void take_proofs(const json::object& body) {
    const auto* list = body.if_contains("written");
    if (list == nullptr || !list->is_array()) return;
    for (const auto& entry : list->as_array()) {
      if (!entry.is_object()) continue;
      const auto block = whole_number(entry.as_object().if_contains("block"));
      const auto lsn = whole_number(entry.as_object().if_contains("lsn"));
      const auto sum = whole_number(entry.as_object().if_contains("sum"));
      if (block && lsn && sum)
        proofs_[*block].push_back({engine::BlockIndex(*block), engine::Lsn(*lsn), *sum});
    }
  }

  void decide() {
    std::vector<std::pair<std::string, engine::LastWritten>> wrong;
    for (const auto& [block, said] : blocks_differ_) {
      std::vector<engine::CopySays> all;
      for (const auto& [node, one] : said) all.push_back(one);
      const auto disproof = engine::disprove(all, proofs_[block]);
      if (!disproof && differ(all)) undecided_.emplace_back(block);
      if (!disproof) continue;
      for (const auto& node : disproof->wrong) {
        wrong_copies_.emplace_back(
            json::object{{"block", block}, {"node", node}, {"record", disproof->proof.lsn.value}});
        wrong.emplace_back(node, disproof->proof);
      }
    }
    if (!wish_.repair || wrong.empty()) return finish();
    // Before the copies are released: behind this LSN the proofs say nothing.
    auto open = std::make_shared<std::size_t>(wrong.size());
    for (const auto& [node, proof] : wrong) {
      const auto body = json::serialize(json::object{{"volume", engine::to_string(id_)},
                                                     {"at", at_},
                                                     {"block", proof.block.value},
                                                     {"lsn", proof.lsn.value},
                                                     {"sum", proof.sum}});
      shell_.ask_node(node, engine::AdminAsk{0, node, "POST", "/v1/local/compare/disprove", body},
                      step_max, [self = shared_from_this(), open](const AdminReply&) {
                        if (--*open == 0) self->finish();
                      });
    }
  }

  static bool differ(const std::vector<engine::CopySays>& all) {
    const engine::CopySays* first = nullptr;
    for (const auto& one : all) {
      if (one.damaged) continue;
      if (first != nullptr && one.sum != first->sum) return true;
      first = &one;
    }
    return false;
  }

  /// The same question to every copy that takes part; whoever does not answer changes nothing.
  void ask_each(const std::string& step, json::object body,
                void (*take)(Comparison&, const json::object&), void (Comparison::*then)()) {
    body["volume"] = engine::to_string(id_);
    const auto text = json::serialize(body);
    auto open = std::make_shared<std::size_t>(1);
    const auto less = [self = shared_from_this(), open, then] {
      if (--*open == 0) ((*self).*then)();
    };
    for (const auto& copy : copies_) {
      if (!copy.compared) continue;
      ++*open;
      shell_.ask_node(copy.node,
                      engine::AdminAsk{0, copy.node, "POST", "/v1/local/compare/" + step, text},
                      hash_max, [self = shared_from_this(), take, less](const AdminReply& reply) {
                        if (reply.status == 200) take(*self, body_of(reply));
                        less();
                      });
    }
    less();
  }

  void finish() {
    const auto body = json::serialize(json::object{{"volume", engine::to_string(id_)}});
    for (const auto& copy : copies_) {
      if (!copy.held) continue;
      shell_.ask_node(copy.node,
                      engine::AdminAsk{0, copy.node, "POST", "/v1/local/compare/release", body},
                      step_max, [](const AdminReply&) {});
    }
    json::array copies, differences, unreachable, compared, damaged;
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
      for (const auto& [node, one] : said) {
        list.emplace_back(one.damaged ? node + ": damaged"
                                      : fmt::format("{}: {:016x}", node, one.sum));
        if (!one.damaged) continue;
        damaged.emplace_back(json::object{{"node", node}, {"block", block}, {"cause", one.cause}});
      }
      differences.push_back(
          json::object{{"kind", "block"}, {"block", block}, {"copies", std::move(list)}});
    }
    const bool equal = differences.empty();
    const bool complete = compared.size() == copies_.size();
    const auto summary =
        fmt::format("volume {} at lsn {}: {} of {} copies compared over {} blocks, {}", name_, at_,
                    compared.size(), copies_.size(), range_.count,
                    !equal             ? fmt::format("{} differences", differences.size())
                    : compared.empty() ? "nothing was compared"
                                       : "no difference found");
    done_(answer_json(200, json::object{{"equal", equal},
                                        {"complete", complete},
                                        {"lsn", at_},
                                        {"blocks", range_.count},
                                        {"copies", std::move(copies)},
                                        {"compared", std::move(compared)},
                                        {"differences", std::move(differences)},
                                        {"damaged", std::move(damaged)},
                                        {"wrong_copies", std::move(wrong_copies_)},
                                        {"undecided_blocks", std::move(undecided_)},
                                        {"unreachable", std::move(unreachable)},
                                        {"summary", summary}}));
  }

  ControlShell& shell_;
  CompareWish wish_;
  engine::VolumeId id_;
  std::string name_;
  engine::BlockRange range_;
  std::function<void(AdminReply)> done_;
  std::vector<Copy> copies_;
  std::uint64_t at_ = 0;
  std::deque<Question> questions_;
  Question question_;
  std::map<std::string, std::vector<std::uint64_t>> hashes_;
  std::map<std::uint64_t, std::map<std::string, engine::CopySays>> blocks_differ_;
  std::map<std::uint64_t, std::vector<engine::LastWritten>> proofs_;
  std::vector<std::string> log_differences_;
  json::array wrong_copies_;  ///< That a record contradicts.
  json::array undecided_;     ///< Blocks that no retained record says anything of.
};

}  // namespace

void ControlAdmin::compare() {
  const auto body = parse_body(ask.body, {"repair"});
  if (!body) return answer(answer_error(body.error()));
  const auto repair = flag_field(*body, "repair");
  if (!repair) return answer(answer_error(repair.error()));
  const auto* record = shell.plane_.volume(parts[2]);
  if (record == nullptr) {
    return answer(
        answer_error({engine::Errc::not_found, fmt::format("there is no volume {}", parts[2])}));
  }
  CompareWish wish;
  wish.repair = *repair;
  shell.compare(*record, wish, answer);
}

void ControlShell::compare(const engine::control::VolumeRecord& record, CompareWish wish,
                           AdminAnswer answer) {
  const auto id = record.spec.id;
  if (!comparing_.insert(id).second) {
    return answer(
        answer_error({engine::Errc::busy,
                      fmt::format("volume {} is being compared already", record.spec.name)}));
  }
  std::make_shared<Comparison>(*this, record, wish,
                               [this, id, answer = std::move(answer)](AdminReply reply) {
                                 comparing_.erase(id);
                                 answer(std::move(reply));
                               })
      ->begin();
}

}  // namespace tidemark::actors
