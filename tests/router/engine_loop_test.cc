// One group from inbox to deltas: batching, cancellation within a step, stalls, fencing, handing
// back.
#include "router/engine_loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>

#include "absl/synchronization/notification.h"
#include "tests/common/text/tiny_tokenizer.h"
#include "tests/sim/fake_constraint.h"
#include "tests/sim/fake_worker.h"
#include "tests/testing/collecting_stream.h"
#include "tests/testing/fake_worker_service.h"
#include "tests/testing/local_group.h"

namespace regatta {
namespace {

using testing::HasSubstr;

// Records what the loop tells its owner.
class Owner final : public EngineOwner {
 public:
  void OnFinished(uint64_t epoch, std::vector<uint64_t> ids) override {
    absl::MutexLock lock(&mutex_);
    finished_.insert(finished_.end(), ids.begin(), ids.end());
  }
  void OnStopped(uint64_t epoch, absl::Status cause,
                 std::vector<std::unique_ptr<Request>> live) override {
    absl::MutexLock lock(&mutex_);
    cause_ = std::move(cause);
    live_ = std::move(live);
    stopped_ = true;
  }
  bool AwaitStopped(absl::Duration timeout = absl::Seconds(20)) {
    absl::MutexLock lock(&mutex_);
    return mutex_.AwaitWithTimeout(absl::Condition(&stopped_), timeout);
  }
  absl::Status cause() {
    absl::MutexLock lock(&mutex_);
    return cause_;
  }
  std::vector<std::unique_ptr<Request>> TakeLive() {
    absl::MutexLock lock(&mutex_);
    return std::move(live_);
  }
  std::vector<uint64_t> finished() {
    absl::MutexLock lock(&mutex_);
    return finished_;
  }

 private:
  absl::Mutex mutex_;
  std::vector<uint64_t> finished_;
  bool stopped_ = false;
  absl::Status cause_;
  std::vector<std::unique_ptr<Request>> live_;
};

std::vector<uint32_t> Prompt(uint64_t id) {
  std::vector<uint32_t> prompt;
  for (uint32_t i = 0; i < 5 + id % 23; ++i) prompt.push_back((id * 31 + i * 7) % 1000);
  return prompt;
}

bool Add(EngineLoop& loop, std::unique_ptr<Request> request) {
  return loop.Add(std::move(request)) == AddOutcome::kTaken;
}

// A group that keeps the loop's thread in Dispatch until it is let go; then it works.
class BlockingGroup final : public WorkerGroup {
 public:
  explicit BlockingGroup(PlanRunner run) : run_(std::move(run)) {}
  void Start(OnResult on_result) override { on_result_ = std::move(on_result); }
  void Dispatch(const StepPlan& plan) override {
    blocked_.store(true);
    go_on_.WaitForNotification();
    Answer(plan);
  }
  void SendMasks(SampleInput input) override {}
  std::string Laggard() const override { return ""; }
  void Stop() override {}

  void AwaitBlocked() const {
    while (!blocked_) absl::SleepFor(absl::Milliseconds(1));
  }
  void GoOn() { go_on_.Notify(); }

 private:
  void Answer(const StepPlan& plan) {
    StepResult result;
    const absl::Status status = run_(plan, SampleInput(), result);
    on_result_(status.ok() ? absl::StatusOr<StepResult>(std::move(result)) : status);
  }

  const PlanRunner run_;
  OnResult on_result_;
  std::atomic<bool> blocked_ = false;
  absl::Notification go_on_;
};

thread_local bool accepts_tokens = false;  // This is the loop's thread.

// Can hold up the loop's thread, which then finds the results of several steps at once.
class HoldingClock final : public Clock {
 public:
  int64_t NowNs() const override {
    if (accepts_tokens) absl::SleepFor(hold);
    return real_.NowNs();
  }
  absl::Duration hold = absl::ZeroDuration();

 private:
  const RealClock real_;
};

class EngineLoopTest : public testing::Test {
 protected:
  EngineLoopTest() {
    options_.epoch = 1;
    options_.scheduler.limits.set_max_batch_size(8);
    options_.scheduler.limits.set_max_num_tokens(64);
    options_.scheduler.limits.set_max_seq_len(4096);
    options_.scheduler.num_blocks = 256;
  }

  std::unique_ptr<EngineLoop> Start(const LocalGroup::Faults& faults = {}) {
    auto worker = std::make_shared<sim::FakeWorker>(options_.scheduler);
    return Start(faults, [worker](const StepPlan& plan, const SampleInput& masks,
                                  StepResult& result) { return worker->Run(plan, masks, result); });
  }
  std::unique_ptr<EngineLoop> Start(const LocalGroup::Faults& faults, PlanRunner run) {
    return std::make_unique<EngineLoop>(
        options_, std::make_unique<LocalGroup>(std::move(run), faults), clock_, owner_);
  }

  std::unique_ptr<Request> MakeRequest(uint64_t id, uint32_t max_tokens,
                                       OutputOptions output = {}) {
    output.return_token_ids = true;
    auto request = std::make_unique<Request>(Request{
        .id = id,
        .output = OutputProcessor(std::move(output), tokenizer_.get()),
        .stream = stream_,
        .tag = id,
    });
    request->spec.tokens = Prompt(id);
    request->spec.prompt_length = request->spec.tokens.size();
    request->spec.max_output_tokens = max_tokens;
    return request;
  }

  // Under the simulation's constraint of seed `id`.
  std::unique_ptr<Request> MakeConstrained(uint64_t id, uint32_t max_tokens) {
    auto request = MakeRequest(id, max_tokens);
    request->spec.constrained = true;
    request->constraint = std::make_shared<sim::FakeConstraint>(id);
    return request;
  }

  std::unique_ptr<Tokenizer> tokenizer_ = LoadTiny();
  HoldingClock clock_;
  Owner owner_;
  std::shared_ptr<CollectingStream> stream_ = std::make_shared<CollectingStream>();
  EngineOptions options_;
};

TEST_F(EngineLoopTest, EveryRequestGetsItsTokensOnce) {
  auto loop = Start();
  constexpr uint64_t kRequests = 60;  // far more than slots
  for (uint64_t id = 1; id <= kRequests; ++id) ASSERT_TRUE(Add(*loop, MakeRequest(id, 20 + id)));
  for (uint64_t id = 1; id <= kRequests; ++id) {
    ASSERT_TRUE(stream_->AwaitEnd(id)) << id;
    const Collected got = stream_->Get(id);
    EXPECT_EQ(got.tokens, FakeContinuation(Prompt(id), 20 + id)) << id;
    EXPECT_EQ(got.count, 20 + id);
    EXPECT_EQ(got.last.finish_reason(), FINISH_REASON_LENGTH);
    const EngineTimes& times = got.last.times();
    EXPECT_GT(times.scheduled_ns(), 0);
    EXPECT_GE(times.first_token_ns(), times.scheduled_ns());
    EXPECT_GE(times.last_token_ns(), times.first_token_ns());
  }
  EXPECT_EQ(stream_->calls_after_end(), 0);
  loop->Stop();
  ASSERT_TRUE(owner_.AwaitStopped());
  EXPECT_TRUE(owner_.cause().ok());
  EXPECT_EQ(owner_.finished().size(), kRequests);
  EXPECT_EQ(loop->state().running, 0);
}

// Draws of constrained sequences follow their masks; the others do not notice.
TEST_F(EngineLoopTest, ConstraintsHoldWhateverRunsAhead) {
  options_.vocab_size = sim::kMaskedVocab;
  options_.scheduler.sampling_rows = 4;
  for (const uint32_t stages : {1u, 2u}) {
    for (uint32_t inflight = 1; inflight <= 3; ++inflight) {
      SCOPED_TRACE(absl::StrCat(stages, " stages, ", inflight, " in flight"));
      options_.scheduler.stages = stages;
      options_.scheduler.max_inflight = inflight;
      stream_ = std::make_shared<CollectingStream>();
      auto loop = Start({.step_time = std::chrono::microseconds(200)});
      constexpr uint64_t kRequests = 24;
      for (uint64_t id = 1; id <= kRequests; ++id) {
        ASSERT_TRUE(Add(*loop, id % 2 == 0 ? MakeRequest(id, 30) : MakeConstrained(id, 30)));
      }
      for (uint64_t id = 1; id <= kRequests; ++id) {
        ASSERT_TRUE(stream_->AwaitEnd(id)) << id;
        const auto seed = id % 2 == 0 ? std::nullopt : std::optional<uint64_t>(id);
        EXPECT_EQ(stream_->Get(id).tokens, FakeContinuation(Prompt(id), 30, seed)) << id;
      }
    }
  }
}

TEST_F(EngineLoopTest, ACancelledConstraintHoldsNobodyUp) {
  options_.vocab_size = sim::kMaskedVocab;
  options_.scheduler.sampling_rows = 8;
  options_.scheduler.max_inflight = 3;
  auto loop = Start({.step_time = std::chrono::milliseconds(1)});
  for (uint64_t id = 1; id <= 8; ++id) ASSERT_TRUE(Add(*loop, MakeConstrained(id, 200)));
  ASSERT_TRUE(stream_->AwaitCount(1, 10));
  for (uint64_t id = 1; id < 8; ++id) loop->Cancel(id, absl::OkStatus());
  for (uint64_t id = 1; id < 8; ++id) {
    ASSERT_TRUE(stream_->AwaitEnd(id));
    const Collected got = stream_->Get(id);
    EXPECT_EQ(got.last.finish_reason(), FINISH_REASON_CANCELLED);
    EXPECT_EQ(got.tokens, FakeContinuation(Prompt(id), got.count, id));
  }
  ASSERT_TRUE(stream_->AwaitEnd(8));
  EXPECT_EQ(stream_->Get(8).tokens, FakeContinuation(Prompt(8), 200, 8));
}

TEST_F(EngineLoopTest, ATokenThatTheConstraintRefusesFailsItsRequestAlone) {
  options_.vocab_size = sim::kMaskedVocab;
  options_.scheduler.sampling_rows = 8;
  auto worker = std::make_shared<sim::FakeWorker>(options_.scheduler);
  auto loop =
      Start({}, [worker](const StepPlan& plan, const SampleInput& masks, StepResult& result) {
        const absl::Status status = worker->Run(plan, masks, result);
        for (int i = 0; i < result.slot_size() && plan.step_id() == 5; ++i) {
          if (result.slot(i) == 0) result.set_token(i, sim::kMaskedVocab);
        }
        return status;
      });
  ASSERT_TRUE(Add(*loop, MakeConstrained(1, 50)));
  ASSERT_TRUE(stream_->AwaitCount(1, 1));  // It has slot 0.
  ASSERT_TRUE(Add(*loop, MakeConstrained(2, 50)));
  ASSERT_TRUE(stream_->AwaitEnd(1));
  EXPECT_EQ(stream_->Get(1).status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(stream_->Get(1).status.message(), HasSubstr("token 64 was drawn"));
  ASSERT_TRUE(stream_->AwaitEnd(2));
  EXPECT_EQ(stream_->Get(2).tokens, FakeContinuation(Prompt(2), 50, 2));
  EXPECT_EQ(stream_->calls_after_end(), 0);
}

// Gives up at its mask number `last`.
class OverrunConstraint final : public OutputConstraint {
 public:
  explicit OverrunConstraint(uint32_t last) : last_(last) {}
  MaskCost FillMask(absl::Span<uint32_t> mask, uint64_t) override {
    std::fill(mask.begin(), mask.end(), ++masks_ < last_ ? ~0u : 1u);
    return {};
  }
  bool Accept(uint32_t) override { return accepts_tokens = true; }
  absl::Status status() const override {
    return masks_ < last_ ? absl::OkStatus()
                          : absl::InvalidArgumentError("constraint: too much work");
  }

 private:
  const uint32_t last_;
  uint32_t masks_ = 0;
};

// Each after the tokens before, though the loop, held up, meets the results of two steps together.
TEST_F(EngineLoopTest, AConstraintThatOverrunsFailsItsRequestAlone) {
  options_.vocab_size = sim::kMaskedVocab;
  options_.scheduler.sampling_rows = 8;
  clock_.hold = absl::Milliseconds(2);
  auto loop = Start();
  const auto last = [](uint64_t id) -> uint32_t { return id <= 3 ? 3 : 4; };
  // That token is the last of the even ones: it ends the request no better.
  for (uint64_t id = 1; id <= 6; ++id) {
    auto request = MakeConstrained(id, id % 2 == 0 ? last(id) : 50);
    request->constraint = std::make_shared<OverrunConstraint>(last(id));
    ASSERT_TRUE(Add(*loop, std::move(request)));
  }
  ASSERT_TRUE(Add(*loop, MakeConstrained(7, 50)));
  for (uint64_t id = 1; id <= 6; ++id) {
    ASSERT_TRUE(stream_->AwaitEnd(id)) << id;
    EXPECT_EQ(stream_->Get(id).status.code(), absl::StatusCode::kInvalidArgument) << id;
    EXPECT_EQ(stream_->Get(id).count, last(id) - 1) << id;
  }
  EXPECT_EQ(stream_->calls_after_end(), 0);
  ASSERT_TRUE(stream_->AwaitEnd(7));
  EXPECT_EQ(stream_->Get(7).tokens, FakeContinuation(Prompt(7), 50, 7));
}

// Takes its time over every mask.
class SlowConstraint final : public OutputConstraint {
 public:
  MaskCost FillMask(absl::Span<uint32_t> mask, uint64_t) override {
    absl::SleepFor(absl::Milliseconds(400));
    mask[0] = 1;
    return {};
  }
  bool Accept(uint32_t token) override { return token == 0; }
};

TEST_F(EngineLoopTest, AStepWhoseMasksTakeTooLongIsNamed) {
  options_.vocab_size = sim::kMaskedVocab;
  options_.scheduler.sampling_rows = 8;
  options_.step_timeout = absl::Milliseconds(100);
  auto loop = Start();
  auto request = MakeConstrained(1, 50);
  request->constraint = std::make_shared<SlowConstraint>();
  ASSERT_TRUE(Add(*loop, std::move(request)));
  ASSERT_TRUE(owner_.AwaitStopped());
  EXPECT_EQ(owner_.cause().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(owner_.cause().message(), HasSubstr("its masks are not computed yet"));
  EXPECT_NE(owner_.TakeLive().at(0)->constraint, nullptr);
}

TEST_F(EngineLoopTest, OneFlushCarriesAStepOfManyRequests) {
  auto loop = Start({.step_time = std::chrono::milliseconds(1)});
  for (uint64_t id = 1; id <= 8; ++id) ASSERT_TRUE(Add(*loop, MakeRequest(id, 50)));
  uint32_t deltas = 0;
  for (uint64_t id = 1; id <= 8; ++id) {
    ASSERT_TRUE(stream_->AwaitEnd(id));
    deltas += stream_->Get(id).deltas;
  }
  EXPECT_LT(stream_->flushes() * 3, static_cast<int>(deltas));
}

TEST_F(EngineLoopTest, CancelFreesBlocksWithinOneStep) {
  options_.scheduler.prefix_cache = false;
  auto loop = Start({.step_time = std::chrono::milliseconds(5)});
  ASSERT_TRUE(Add(*loop, MakeRequest(1, 4000)));
  ASSERT_TRUE(stream_->AwaitCount(1, 40));
  EXPECT_GT(loop->state().used_blocks, 0);
  loop->Cancel(1, absl::OkStatus());
  ASSERT_TRUE(stream_->AwaitEnd(1));
  const Collected got = stream_->Get(1);
  EXPECT_EQ(got.last.finish_reason(), FINISH_REASON_CANCELLED);
  EXPECT_EQ(got.last.usage().output_tokens(), got.count);
  const uint64_t steps = loop->state().steps;
  while (loop->state().used_blocks > 0) {
    ASSERT_LE(loop->state().steps, steps + 1);
    absl::SleepFor(absl::Milliseconds(1));
  }
  EXPECT_EQ(owner_.finished(), std::vector<uint64_t>{1});
  // The room is usable at once.
  ASSERT_TRUE(Add(*loop, MakeRequest(2, 3)));
  ASSERT_TRUE(stream_->AwaitEnd(2));
  EXPECT_EQ(stream_->Get(2).tokens, FakeContinuation(Prompt(2), 3));
}

TEST_F(EngineLoopTest, AQueueDeadlineSparesWhatHasStarted) {
  options_.scheduler.limits.set_max_batch_size(1);
  auto loop = Start({.step_time = std::chrono::milliseconds(2)});
  ASSERT_TRUE(Add(*loop, MakeRequest(1, 60)));
  ASSERT_TRUE(stream_->AwaitCount(1, 2));
  ASSERT_TRUE(Add(*loop, MakeRequest(2, 5)));
  loop->Cancel(1, absl::DeadlineExceededError("late"));
  loop->Cancel(2, absl::DeadlineExceededError("late"));
  ASSERT_TRUE(stream_->AwaitEnd(2));
  EXPECT_EQ(stream_->Get(2).status.code(), absl::StatusCode::kDeadlineExceeded);
  ASSERT_TRUE(stream_->AwaitEnd(1));
  EXPECT_EQ(stream_->Get(1).count, 60);
}

TEST_F(EngineLoopTest, AStopStringEndsTheSequence) {
  // Draws the text "abcabc..." whatever the context is.
  auto worker = std::make_shared<sim::FakeWorker>(options_.scheduler);
  auto drawn = std::make_shared<std::map<uint32_t, int>>();
  auto loop = Start(
      {}, [worker, drawn](const StepPlan& plan, const SampleInput& masks, StepResult& result) {
        const absl::Status status = worker->Run(plan, masks, result);
        for (int i = 0; i < result.slot_size(); ++i) {
          result.set_token(i, 'a' + (*drawn)[result.slot(i)]++ % 3);
        }
        return status;
      });
  OutputOptions output;
  output.return_text = true;
  output.stops = {"cab"};
  ASSERT_TRUE(Add(*loop, MakeRequest(1, 1000, output)));
  ASSERT_TRUE(stream_->AwaitEnd(1));
  const Collected got = stream_->Get(1);
  EXPECT_EQ(got.text, "ab");
  EXPECT_EQ(got.last.finish_reason(), FINISH_REASON_STOP);
  EXPECT_EQ(got.count, 5);
  EXPECT_EQ(got.last.usage().output_tokens(), 5);
  loop->Stop();
  ASSERT_TRUE(owner_.AwaitStopped());
  EXPECT_EQ(loop->state().used_blocks - loop->state().cached_blocks, 0);
  EXPECT_EQ(stream_->calls_after_end(), 0);
}

TEST_F(EngineLoopTest, WhatCanNeverRunFailsAlone) {
  auto loop = Start();
  auto too_long = MakeRequest(1, 10);
  too_long->spec.tokens.resize(5000);
  too_long->spec.prompt_length = 5000;
  ASSERT_TRUE(Add(*loop, std::move(too_long)));
  ASSERT_TRUE(Add(*loop, MakeRequest(2, 3)));
  ASSERT_TRUE(stream_->AwaitEnd(1));
  EXPECT_EQ(stream_->Get(1).status.code(), absl::StatusCode::kInvalidArgument);
  ASSERT_TRUE(stream_->AwaitEnd(2));
  EXPECT_TRUE(stream_->Get(2).status.ok());
}

// Runs six requests on a group that breaks, then what is handed back on a second one.
void ExpectMovedSequencesGoOn(EngineOptions options, const LocalGroup::Faults& faults,
                              absl::StatusCode code, const std::string& message) {
  SCOPED_TRACE(message);
  RealClock clock;
  auto stream = std::make_shared<CollectingStream>();
  const auto start = [&](Owner& owner, const LocalGroup::Faults& faults) {
    auto worker = std::make_shared<sim::FakeWorker>(options.scheduler);
    return std::make_unique<EngineLoop>(
        options,
        std::make_unique<LocalGroup>(
            [worker](const StepPlan& plan, const SampleInput& masks, StepResult& result) {
              return worker->Run(plan, masks, result);
            },
            faults),
        clock, owner);
  };
  Owner first, second;
  auto broken = start(first, faults);
  constexpr uint64_t kRequests = 12;  // more than slots
  for (uint64_t id = 1; id <= kRequests; ++id) {
    OutputOptions output;
    output.return_token_ids = true;
    auto request = std::make_unique<Request>(
        Request{.id = id, .output = OutputProcessor(output, nullptr), .stream = stream, .tag = id});
    request->spec.tokens = Prompt(id);
    request->spec.prompt_length = request->spec.tokens.size();
    request->spec.max_output_tokens = 30 + id;
    ASSERT_TRUE(Add(*broken, std::move(request)));
  }
  ASSERT_TRUE(first.AwaitStopped());
  EXPECT_EQ(first.cause().code(), code);
  EXPECT_THAT(std::string(first.cause().message()), HasSubstr(message));
  auto live = first.TakeLive();
  ASSERT_EQ(live.size() + first.finished().size(), kRequests);
  EXPECT_FALSE(live.empty());
  auto refused = std::move(live.back());
  EXPECT_EQ(broken->Add(std::move(refused)), AddOutcome::kStopped);
  ASSERT_NE(refused, nullptr);
  live.back() = std::move(refused);
  auto healthy = start(second, {});
  for (auto& request : live) {
    request->output.Moved();
    ASSERT_TRUE(Add(*healthy, std::move(request)));
  }
  for (uint64_t id = 1; id <= kRequests; ++id) {
    ASSERT_TRUE(stream->AwaitEnd(id));
    const Collected got = stream->Get(id);
    EXPECT_EQ(got.tokens, FakeContinuation(Prompt(id), 30 + id)) << id;
    EXPECT_EQ(got.last.usage().output_tokens(), 30 + id);
  }
  EXPECT_EQ(stream->calls_after_end(), 0);
}

TEST_F(EngineLoopTest, ADeadGroupHandsItsSequencesBack) {
  ExpectMovedSequencesGoOn(options_, {.fail_at_step = 20}, absl::StatusCode::kUnavailable,
                           "rank 0 (local) died");
}

TEST_F(EngineLoopTest, AStuckStepFencesTheGroup) {
  options_.step_timeout = absl::Milliseconds(150);
  ExpectMovedSequencesGoOn(options_, {.hang_at_step = 20}, absl::StatusCode::kDeadlineExceeded,
                           "step 20 took over");
}

// A loop that is busy with request 1 while its inbox of eight places fills.
class FullInboxTest : public EngineLoopTest {
 protected:
  FullInboxTest() {
    options_.inbox_capacity = 8;
    auto worker = std::make_shared<sim::FakeWorker>(options_.scheduler);
    auto group = std::make_unique<BlockingGroup>(
        [worker](const StepPlan& plan, const SampleInput& masks, StepResult& out) {
          return worker->Run(plan, masks, out);
        });
    group_ = group.get();
    loop_ = std::make_unique<EngineLoop>(options_, std::move(group), clock_, owner_);
    EXPECT_TRUE(Add(*loop_, MakeRequest(1, 20)));
    group_->AwaitBlocked();
  }

  BlockingGroup* group_ = nullptr;
  std::unique_ptr<EngineLoop> loop_;
};

TEST_F(FullInboxTest, RequestsAreRefusedWhileResultsAndCancelsHaveRoom) {
  for (uint64_t id = 2; id <= 5; ++id) ASSERT_TRUE(Add(*loop_, MakeRequest(id, 20)));
  auto refused = MakeRequest(6, 20);
  EXPECT_EQ(loop_->Add(std::move(refused)), AddOutcome::kFull);
  ASSERT_NE(refused, nullptr);
  loop_->Cancel(2, absl::OkStatus());
  group_->GoOn();
  for (const uint64_t id : {1, 3, 4, 5}) {
    ASSERT_TRUE(stream_->AwaitEnd(id)) << id;
    EXPECT_EQ(stream_->Get(id).tokens, FakeContinuation(Prompt(id), 20)) << id;
  }
  ASSERT_TRUE(stream_->AwaitEnd(2));
  EXPECT_EQ(stream_->Get(2).last.finish_reason(), FINISH_REASON_CANCELLED);
  ASSERT_TRUE(Add(*loop_, std::move(refused)));
  ASSERT_TRUE(stream_->AwaitEnd(6));
  EXPECT_EQ(stream_->Get(6).tokens, FakeContinuation(Prompt(6), 20));
}

TEST_F(FullInboxTest, AResultWithoutRoomFencesTheGroup) {
  for (uint64_t id = 0; id < 8; ++id) loop_->Cancel(100 + id, absl::OkStatus());
  group_->GoOn();  // The result of request 1 finds no place.
  ASSERT_TRUE(owner_.AwaitStopped());
  EXPECT_EQ(owner_.cause().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(owner_.cause().message()), HasSubstr("8 commands wait"));
  const auto live = owner_.TakeLive();
  ASSERT_EQ(live.size(), 1);
  EXPECT_EQ(live[0]->spec.tokens, Prompt(1));
  EXPECT_EQ(loop_->Add(MakeRequest(2, 1)), AddOutcome::kStopped);
}

TEST_F(EngineLoopTest, StopLetsPlansInFlightCommit) {
  auto loop = Start({.step_time = std::chrono::milliseconds(3)});
  ASSERT_TRUE(Add(*loop, MakeRequest(1, 4000)));
  ASSERT_TRUE(stream_->AwaitCount(1, 10));
  loop->Stop();
  ASSERT_TRUE(owner_.AwaitStopped());
  EXPECT_TRUE(owner_.cause().ok());
  const auto live = owner_.TakeLive();
  ASSERT_EQ(live.size(), 1);
  // What was streamed is exactly what the sequence has.
  const std::vector<uint32_t>& tokens = live[0]->spec.tokens;
  EXPECT_EQ(stream_->Get(1).count, tokens.size() - live[0]->spec.prompt_length);
  EXPECT_EQ(stream_->Get(1).tokens,
            std::vector<uint32_t>(tokens.begin() + live[0]->spec.prompt_length, tokens.end()));
}

}  // namespace
}  // namespace regatta
