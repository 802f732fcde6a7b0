// The compiler's threads, cache and queue: every call is answered once.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "tests/router/grammar/grammar_fixture.h"

namespace regatta {
namespace {

using Result = absl::StatusOr<std::unique_ptr<OutputConstraint>>;

Constraint SchemaConstraint(const std::string& schema) {
  Constraint constraint;
  constraint.set_json_schema(schema);
  return constraint;
}

// A schema of its own for every `i`, which takes some milliseconds.
std::string SlowSchema(int i) {
  return absl::StrCat(R"({"type":"string","pattern":"^.{)", 1000 + i % 1000, "}", i, "$\"}");
}

class ConstraintCompilerTest : public testing::Test {
 protected:
  std::unique_ptr<ConstraintCompiler> New(JsonConstraintOptions options = {}) {
    return MakeJsonConstraintCompiler(*tokenizer_, {EndTokenOf(*tokenizer_)}, options);
  }

  std::unique_ptr<Tokenizer> tokenizer_ = MakeVocabulary(JsonTokens());
};

TEST_F(ConstraintCompilerTest, ManyThreadsCompileAndWalkTheSameGrammars) {
  std::unique_ptr<ConstraintCompiler> compiler = New();
  std::vector<std::thread> threads;
  for (int t = 0; t < 6; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(static_cast<uint32_t>(t));
      for (int i = 0; i < 40; ++i) {
        const SchemaCase& schema_case = SchemaCases()[random() % SchemaCases().size()];
        Result constraint = Compile(*compiler, schema_case.schema.dump());
        ASSERT_TRUE(constraint.ok()) << constraint.status();
        const std::string text = RandomWalk(**constraint, *tokenizer_, 30, random);
        EXPECT_TRUE(OrderedJson::accept(text)) << text;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(ConstraintCompilerTest, ConstraintsOfOneGrammarDoNotDisturbEachOther) {
  std::unique_ptr<ConstraintCompiler> compiler = New();
  std::mt19937 random(4);
  const std::string schema = R"({"type":"array","items":{"type":"integer"},"maxItems":3})";
  Result first = Compile(*compiler, schema), second = Compile(*compiler, schema);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_TRUE((*first)->Accept('['));
  EXPECT_FALSE((*second)->Accept('1'));
  EXPECT_TRUE((*first)->Accept('1'));
  EXPECT_TRUE(Accepts(**second, *tokenizer_, "[1,2,3]", random));
  EXPECT_TRUE(Accepts(**first, *tokenizer_, ",2]", random));
}

TEST_F(ConstraintCompilerTest, KnownSchemasAreAnsweredAtOnce) {
  std::unique_ptr<ConstraintCompiler> compiler = New();
  ASSERT_TRUE(Compile(*compiler, SlowSchema(1)).ok());
  bool answered = false;
  compiler->Compile(SchemaConstraint(SlowSchema(1)), [&](Result result) {
    EXPECT_TRUE(result.ok());
    answered = true;
  });
  EXPECT_TRUE(answered);
}

TEST_F(ConstraintCompilerTest, TheCacheLetsGoOfWhatWasUsedLongestAgo) {
  JsonConstraintOptions options;
  options.max_grammars = 2;
  std::unique_ptr<ConstraintCompiler> compiler = New(options);
  auto is_known = [&](int i) {
    auto answered = std::make_shared<std::atomic<bool>>(false);
    absl::Notification done;
    compiler->Compile(SchemaConstraint(SlowSchema(i)), [&, answered](Result) {
      *answered = true;
      done.Notify();
    });
    const bool at_once = *answered;
    done.WaitForNotification();
    return at_once;
  };
  for (int i : {1, 2, 1, 3}) ASSERT_TRUE(Compile(*compiler, SlowSchema(i)).ok());
  EXPECT_TRUE(is_known(1));
  EXPECT_TRUE(is_known(3));
  EXPECT_FALSE(is_known(2));
  options.max_grammar_bytes = 1;
  compiler = New(options);
  ASSERT_TRUE(Compile(*compiler, SlowSchema(1)).ok());
  EXPECT_FALSE(is_known(1));
}

TEST_F(ConstraintCompilerTest, AFullQueueIsAnsweredAtOnceAndADestroyedCompilerAnswersAll) {
  JsonConstraintOptions options;
  options.threads = 1;
  options.max_waiting = 8;
  std::unique_ptr<ConstraintCompiler> compiler = New(options);
  std::atomic<int> ok = 0, full = 0, cancelled = 0, other = 0;
  for (int i = 0; i < 100; ++i) {
    // Some ask for the same schema.
    compiler->Compile(SchemaConstraint(SlowSchema(i / 2)), [&](Result result) {
      const absl::StatusCode code = result.status().code();
      ++(code == absl::StatusCode::kOk                  ? ok
         : code == absl::StatusCode::kResourceExhausted ? full
         : code == absl::StatusCode::kCancelled         ? cancelled
                                                        : other);
    });
  }
  EXPECT_GE(full, 80);
  compiler.reset();
  EXPECT_EQ(ok + full + cancelled, 100);
  EXPECT_GT(ok + cancelled, 7);
  EXPECT_EQ(other, 0);
}

// 63,000 edges.
std::string CostlyPattern(int i) {
  return absl::StrCat(R"({"type":"string","pattern":"^([ -~]?){355})", i, R"(x8"})");
}

TEST_F(ConstraintCompilerTest, CostlySchemasGiveWayAndTheirQueueIsShort) {
  JsonConstraintOptions options;
  options.threads = 1;
  options.max_costly = 2;
  options.quick_time = absl::Microseconds(1);  // All take longer.
  options.compile_time = absl::Minutes(2);
  std::atomic<int> ok = 0, full = 0, other = 0;
  absl::Mutex mutex;
  int answered = 0;
  std::unique_ptr<ConstraintCompiler> compiler = New(options);
  for (int i = 0; i < 12; ++i) {
    compiler->Compile(SchemaConstraint(CostlyPattern(i)), [&](Result result) {
      const absl::StatusCode code = result.status().code();
      ++(result.ok() ? ok : code == absl::StatusCode::kResourceExhausted ? full : other);
      absl::MutexLock lock(&mutex);
      ++answered;
    });
  }
  const auto all = [&] { return answered == 12; };
  absl::MutexLock lock(&mutex);
  ASSERT_TRUE(mutex.AwaitWithTimeout(absl::Condition(&all), absl::Minutes(2)));
  EXPECT_GE(ok, 2);
  EXPECT_EQ(ok + full, 12);
  EXPECT_EQ(other, 0);
}

TEST_F(ConstraintCompilerTest, FailuresAreKeptAndAnsweredAtOnce) {
  JsonConstraintOptions options;
  options.compile_time = absl::Minutes(2);
  std::unique_ptr<ConstraintCompiler> compiler = New(options);
  std::string list;
  for (int i = 0; i < 8; ++i) absl::StrAppend(&list, i ? "," : "", CostlyPattern(i));
  const std::string schema = absl::StrCat(R"({"anyOf":[)", list, "]}");
  const absl::Status failure = Compile(*compiler, schema).status();
  EXPECT_EQ(failure.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(failure.message().find("more than 300000 edges"), std::string::npos) << failure;
  bool at_once = false;
  absl::Status again;
  absl::Notification answered;
  const std::thread::id self = std::this_thread::get_id();
  compiler->Compile(SchemaConstraint(schema), [&](Result result) {
    at_once = std::this_thread::get_id() == self;
    again = result.status();
    answered.Notify();
  });
  ASSERT_TRUE(answered.WaitForNotificationWithTimeout(absl::Minutes(2)));
  EXPECT_TRUE(at_once);
  EXPECT_EQ(again, failure);
}

TEST_F(ConstraintCompilerTest, ConstraintsOutliveTheCompiler) {
  std::unique_ptr<ConstraintCompiler> compiler = New();
  Result constraint = CompileAnyObject(*compiler);
  ASSERT_TRUE(constraint.ok());
  compiler.reset();
  std::mt19937 random(5);
  EXPECT_TRUE(Accepts(**constraint, *tokenizer_, R"({"a": [1, {"b": null}]})", random));
}

TEST_F(ConstraintCompilerTest, ACallbackMayCompile) {
  std::unique_ptr<ConstraintCompiler> compiler = New();
  absl::Notification done;
  compiler->Compile(SchemaConstraint(SlowSchema(1)), [&](Result) {
    compiler->Compile(SchemaConstraint(SlowSchema(2)), [&](Result result) {
      EXPECT_TRUE(result.ok());
      done.Notify();
    });
  });
  EXPECT_TRUE(done.WaitForNotificationWithTimeout(absl::Seconds(30)));
}

TEST_F(ConstraintCompilerTest, AConstraintWithoutKindIsRefused) {
  std::unique_ptr<ConstraintCompiler> compiler = New();
  absl::Status status;
  compiler->Compile(Constraint(), [&](Result result) { status = result.status(); });
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace regatta
