// What constrained requests do to the steps that others share with them: a group that decodes as
// the router does (scheduler, ledger, mask threads), whose workers take no time, so that a step
// lasts as long as its masks. One request follows an ordinary schema, one has no constraint;
// range(0) others each have a grammar of their own that was made to be slow. With range(1) costly
// masks take turns, as they do in the router; else every step has the masks of all.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/check.h"
#include "common/clock.h"
#include "router/grammar/grammar.h"
#include "router/grammar/schema_compiler.h"
#include "router/mask_pool.h"
#include "router/scheduler/mask_ledger.h"
#include "router/scheduler/scheduler.h"
#include "tests/bench/made_vocabulary.h"

namespace regatta {
namespace {

constexpr char kOrdinary[] = R"({"type":"object","properties":{
  "id":{"type":"string","format":"uuid"},"name":{"type":"string","maxLength":80},
  "kind":{"enum":["new","paid","shipped"]},"lines":{"type":"array","items":{"type":"object",
    "properties":{"sku":{"type":"string","pattern":"^[A-Z]{2,4}-[0-9]{3,8}$"},
      "count":{"type":"integer","minimum":1,"maximum":999}},
    "required":["sku","count"],"additionalProperties":false}}},
  "required":["id","name","kind","lines"],"additionalProperties":false})";

// Each is slow in a way of its own: many edges a state, a new set of states at every character,
// the whole vocabulary walked for every mask.
std::string Hostile(int number) {
  switch (number % 3) {
    case 0:
      return absl::StrCat(R"({"type":"string","pattern":"^([ -~]?){200})", number, R"(x8"})");
    case 1:
      return absl::StrCat(R"({"type":"string","pattern":"^[ -~]*a[ -~]{)", 200 + number,
                          R"(}b$"})");
    default:
      return absl::StrCat(R"({"type":"string","pattern":"^[a-z ]{1,)", 1000 + number, R"(}$"})");
  }
}

const Tokenizer& Vocabulary() {
  static const std::unique_ptr<Tokenizer> vocabulary = MakeLargeVocabulary();
  return *vocabulary;
}

std::shared_ptr<const grammar::TokenTable> Tokens() {
  static const auto tokens = std::make_shared<const grammar::TokenTable>(
      Vocabulary(), std::vector<uint32_t>{static_cast<uint32_t>(*Vocabulary().TokenId("<|end|>"))});
  return tokens;
}

std::shared_ptr<grammar::Grammar> CompileGrammar(const std::string& schema) {
  auto document = grammar::SchemaDocument::Parse(schema);
  CHECK(document.ok()) << document.status();
  grammar::Budget budget(200'000, absl::Seconds(60));
  auto nfa = grammar::CompileSchema(*document, budget);
  CHECK(nfa.ok()) << nfa.status();
  auto grammar = std::make_shared<grammar::Grammar>(*std::move(nfa), Tokens());
  CHECK(grammar->PrepareFirstMask().ok());
  return grammar;
}

class Group {
 public:
  explicit Group(bool turns)
      : scheduler_(Options(turns)), pool_(4, Tokens()->vocab_size(), [this](StepMasks masks) {
          absl::MutexLock lock(&mutex_);
          sent_.push_back(std::move(masks));
        }) {}

  // `schema` empty: without a constraint.
  void Add(const std::string& schema) {
    SequenceSpec spec{.id = ++last_id_, .tokens = {1, 2, 3}, .prompt_length = 3};
    spec.constrained = !schema.empty();
    schemas_[last_id_] = schema;
    if (spec.constrained) ledger_.Add(last_id_, grammar::NewConstraint(CompileGrammar(schema)));
    CHECK(scheduler_.Add(std::move(spec)).ok());
  }

  // Runs one step; how long its sampling waited for masks, in ms.
  double Step() {
    for (const std::string& schema : ended_) Add(schema);
    ended_.clear();
    const auto plan = scheduler_.NextStep();
    CHECK(plan.has_value());
    const std::vector<uint64_t> awaiting = scheduler_.awaiting();
    const int64_t begin_ns = clock_.NowNs();
    StepMasks masks;
    if (!awaiting.empty()) masks = ComputeMasks(plan->step_id(), awaiting);
    const double waited_ms = 1e-6 * static_cast<double>(clock_.NowNs() - begin_ns);
    uint64_t work = 0;
    for (const MaskWork& mask : masks.work) {
      scheduler_.NoteMaskWork(mask.id, mask.work);
      work += mask.work;
    }
    most_work_ = std::max(most_work_, work);
    Commit(*plan, masks.input.masks());
    return waited_ms;
  }
  uint64_t tokens(const std::string& schema) const {
    return tokens_.contains(schema) ? tokens_.at(schema) : 0;
  }
  uint64_t failed() const { return failed_; }
  // Of the masks of one step.
  uint64_t most_work() const { return most_work_; }

 private:
  static SchedulerOptions Options(bool turns) {
    SchedulerOptions options{.num_blocks = 1 << 20, .max_inflight = 1, .sampling_rows = 256};
    if (!turns) options.mask_work = UINT64_MAX;
    options.limits.set_max_batch_size(256);
    options.limits.set_max_num_tokens(8192);
    options.limits.set_max_seq_len(1 << 16);
    return options;
  }

  StepMasks ComputeMasks(uint64_t step_id, const std::vector<uint64_t>& awaiting) {
    ledger_.Planned(step_id, awaiting);
    pool_.Compute(*ledger_.TakeDue());
    absl::MutexLock lock(&mutex_);
    const auto sent = [this] { return !sent_.empty(); };
    CHECK(mutex_.AwaitWithTimeout(absl::Condition(&sent), absl::Seconds(60)));
    StepMasks masks = std::move(sent_.back());
    sent_.clear();
    return masks;
  }

  void Commit(const StepPlan& plan, const std::string& masks) {
    StepResult result;
    result.set_step_id(plan.step_id());
    size_t mask = 0;
    for (int i = 0; i < plan.slot_size(); ++i) {
      if ((plan.flags(i) & STEP_FLAG_SAMPLE) == 0) continue;
      result.add_slot(plan.slot(i));
      const bool masked = (plan.flags(i) & STEP_FLAG_AWAITS_MASK) != 0;
      result.add_token(masked ? Draw(masks, mask++) : 7);
    }
    std::vector<SequenceEvent> events;
    CHECK(scheduler_.Commit(result, events).ok());
    for (const SequenceEvent& event : events) Take(event);
    ledger_.Committed(plan.step_id());
  }

  // A random token of the mask, closers more often than their number.
  uint32_t Draw(const std::string& masks, size_t index) {
    const size_t words = Tokens()->mask_words();
    const auto* mask = reinterpret_cast<const uint32_t*>(masks.data()) + index * words;
    for (int tries = 0; tries < 2000; ++tries) {
      uint32_t token = random_() % Tokens()->vocab_size();
      if (random_() % 64 == 0)
        token = static_cast<uint32_t>(std::string_view("\"}],")[random_() % 4]);
      if (mask[token / 32] >> token % 32 & 1) return token;
    }
    for (uint32_t token = 0; token < Tokens()->vocab_size(); ++token) {
      if (mask[token / 32] >> token % 32 & 1) return token;
    }
    return 0;
  }

  // Whoever ends or fails is followed by another with the same schema, newly compiled.
  void Take(const SequenceEvent& event) {
    tokens_[schemas_[event.id]] += event.tokens.size();
    const bool failed = !ledger_.Check(event.id).ok();
    failed_ += failed;
    if (event.finish == FINISH_REASON_NONE && !failed &&
        event.tokens[0] != Tokens()->end_tokens()[0] && ledger_.Accept(event.id, event.tokens)) {
      return;
    }
    scheduler_.Cancel(event.id);
    ledger_.Remove(event.id);
    ended_.push_back(schemas_[event.id]);
  }

  const RealClock clock_;
  Scheduler scheduler_;
  MaskLedger ledger_;
  absl::Mutex mutex_;
  std::vector<StepMasks> sent_ ABSL_GUARDED_BY(mutex_);
  MaskPool pool_;
  std::mt19937 random_{5};
  uint64_t last_id_ = 0;
  uint64_t failed_ = 0, most_work_ = 0;
  std::map<uint64_t, std::string> schemas_;  // by sequence
  std::map<std::string, uint64_t> tokens_;   // by schema
  std::vector<std::string> ended_;           // schemas to begin again
};

void BM_BesideHostileGrammars(benchmark::State& state) {
  const int steps_to_run = state.range(1) != 0 ? 300 : 40;  // The latter last long.
  std::vector<double> waited_ms;
  uint64_t constrained = 0, plain = 0, failed = 0, most_work = 0;
  for (auto _ : state) {
    Group group(state.range(1) != 0);
    group.Add("");
    group.Add(kOrdinary);
    for (int i = 0; i < state.range(0); ++i) group.Add(Hostile(i));
    for (int step = 0; step < steps_to_run; ++step) waited_ms.push_back(group.Step());
    plain += group.tokens("");
    constrained += group.tokens(kOrdinary);
    failed += group.failed();
    most_work = std::max(most_work, group.most_work());
  }
  std::sort(waited_ms.begin(), waited_ms.end());
  const auto steps = static_cast<double>(waited_ms.size());
  state.counters["plain_tokens/step"] = static_cast<double>(plain) / steps;
  state.counters["constrained_tokens/step"] = static_cast<double>(constrained) / steps;
  state.counters["failed"] = static_cast<double>(failed);
  state.counters["median_wait_ms"] = waited_ms[waited_ms.size() / 2];
  state.counters["p99_wait_ms"] = waited_ms[waited_ms.size() * 99 / 100];
  state.counters["longest_wait_ms"] = waited_ms.back();
  state.counters["most_work"] = static_cast<double>(most_work);
}
BENCHMARK(BM_BesideHostileGrammars)
    ->ArgNames({"hostile", "turns"})
    ->Args({0, 1})
    ->Args({1, 1})
    ->Args({64, 1})
    ->Args({64, 0})
    ->Iterations(1)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace regatta
