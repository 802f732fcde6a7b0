// The compiler's threads, its queue and its cache; see json_constraint.h.
#include "router/grammar/json_constraint.h"

#include <string>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/bounded_queue.h"
#include "common/check.h"
#include "common/status_macros.h"
#include "router/grammar/grammar.h"
#include "router/grammar/grammar_cache.h"
#include "router/grammar/schema_compiler.h"

namespace regatta {
namespace {

using grammar::Grammar;
using grammar::GrammarCache;
using grammar::TokenTable;

using Queue = BoundedQueue<std::string>;

constexpr char kAnyObject[] = R"({"type":"object"})";

class JsonConstraintCompiler final : public ConstraintCompiler {
 public:
  JsonConstraintCompiler(const Tokenizer& tokenizer, std::vector<uint32_t> end_tokens,
                         const JsonConstraintOptions& options)
      : options_(options),
        tokens_(std::make_shared<const TokenTable>(tokenizer, std::move(end_tokens))),
        queue_(options.max_waiting),
        costly_(options.max_costly),
        cache_(options.max_grammars, options.max_grammar_bytes) {
    CHECK_GE(options.threads, 1);
    for (int i = 0; i < options.threads; ++i) threads_.emplace_back([this] { Work(queue_); });
    threads_.emplace_back([this] { Work(costly_); });
  }

  ~JsonConstraintCompiler() override {
    for (Queue* queue : {&queue_, &costly_}) {
      queue->Close();
      while (std::optional<std::string> schema = queue->TryPop()) {
        Answer(*schema, absl::CancelledError("the router is shutting down"));
      }
    }
    for (std::thread& thread : threads_) thread.join();
  }

  void Compile(const Constraint& constraint, Done done) override {
    const std::string schema =
        constraint.kind_case() == Constraint::kJsonSchema ? constraint.json_schema() : kAnyObject;
    if (constraint.kind_case() == Constraint::KIND_NOT_SET) {
      return done(absl::InvalidArgumentError("constraint has no kind"));
    }
    std::shared_ptr<Grammar> known;
    absl::Status failure = absl::ResourceExhaustedError(
        absl::StrCat("more than ", options_.max_waiting, " schemas wait to be compiled"));
    {
      absl::MutexLock lock(&mutex_);
      known = cache_.Find(schema);
      const auto failed = failures_.find(schema);
      if (failed != failures_.end()) {
        failure = failed->second;
      } else if (known == nullptr && Enqueue(schema, done)) {
        return;
      }
    }
    if (known != nullptr) return done(grammar::NewConstraint(std::move(known)));
    done(std::move(failure));
  }

 private:
  // False when too many wait; `done` is taken otherwise.
  bool Enqueue(const std::string& schema, Done& done) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (waiting_count_ >= options_.max_waiting) return false;
    std::vector<Done>& waiting = waiting_[schema];
    if (waiting.empty() && !queue_.TryPush(std::string(schema))) {
      waiting_.erase(schema);
      return false;
    }
    waiting.push_back(std::move(done));
    ++waiting_count_;
    return true;
  }

  // A schema gets little time at first, so that costly ones do not hold others up, and all of it
  // once its turn among the costly comes.
  void Work(Queue& queue) {
    const bool quick = &queue == &queue_ && options_.quick_time < options_.compile_time;
    while (!queue.closed()) {
      const std::optional<std::string> schema = queue.Pop(absl::Seconds(1));
      if (!schema) continue;
      grammar::Budget budget(options_.max_states,
                             quick ? options_.quick_time : options_.compile_time);
      auto grammar = CompileNow(*schema, budget);
      if (quick && budget.timed_out()) {
        PutOff(*schema);
        continue;
      }
      if (!grammar.ok() && !budget.timed_out()) KeepFailure(*schema, grammar.status());
      Answer(*schema, grammar);
      // While nobody waits. The pauses let sequences have the grammar.
      while (grammar.ok() && queue.size() == 0 && !queue.closed() && (*grammar)->WorkAhead()) {
        std::this_thread::yield();
      }
    }
  }

  void PutOff(const std::string& schema) {
    if (costly_.TryPush(std::string(schema))) return;
    Answer(schema, costly_.closed()
                       ? absl::CancelledError("the router is shutting down")
                       : absl::ResourceExhaustedError(absl::StrCat(
                             "more than ", options_.max_costly, " schemas that take longer than ",
                             absl::FormatDuration(options_.quick_time), " wait to be compiled")));
  }

  void KeepFailure(const std::string& schema, const absl::Status& failure) {
    absl::MutexLock lock(&mutex_);
    if (failures_.size() >= options_.max_failures) failures_.clear();
    failures_.emplace(schema, failure);
  }

  absl::StatusOr<std::shared_ptr<Grammar>> CompileNow(const std::string& schema,
                                                      grammar::Budget& budget) const {
    ASSIGN_OR_RETURN(grammar::SchemaDocument document, grammar::SchemaDocument::Parse(schema));
    ASSIGN_OR_RETURN(grammar::Nfa nfa, grammar::CompileSchema(document, budget));
    auto grammar = std::make_shared<Grammar>(std::move(nfa), tokens_);
    RETURN_IF_ERROR(grammar->PrepareFirstMask());
    return grammar;
  }

  void Answer(const std::string& schema, const absl::StatusOr<std::shared_ptr<Grammar>>& result) {
    std::vector<Done> waiting;
    {
      absl::MutexLock lock(&mutex_);
      if (result.ok()) cache_.Insert(schema, *result);
      auto found = waiting_.find(schema);
      waiting = std::move(found->second);
      waiting_.erase(found);
      waiting_count_ -= waiting.size();
    }
    for (Done& done : waiting) {
      if (result.ok()) {
        done(grammar::NewConstraint(*result));
      } else {
        done(result.status());
      }
    }
  }

  const JsonConstraintOptions options_;
  const std::shared_ptr<const TokenTable> tokens_;
  Queue queue_;
  Queue costly_;  // Took longer than quick_time.
  absl::Mutex mutex_;
  GrammarCache cache_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, absl::Status> failures_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, std::vector<Done>> waiting_ ABSL_GUARDED_BY(mutex_);
  size_t waiting_count_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<std::thread> threads_;
};

}  // namespace

std::unique_ptr<ConstraintCompiler> MakeJsonConstraintCompiler(const Tokenizer& tokenizer,
                                                               std::vector<uint32_t> end_tokens,
                                                               JsonConstraintOptions options) {
  return std::make_unique<JsonConstraintCompiler>(tokenizer, std::move(end_tokens), options);
}

}  // namespace regatta
