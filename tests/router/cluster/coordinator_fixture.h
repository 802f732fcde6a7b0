// A coordinator over fake workers, for tests of everything above the step protocol.
#pragma once

#include <gtest/gtest.h>

#include <list>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "common/layout.h"
#include "router/cluster/coordinator.h"
#include "tests/testing/collecting_stream.h"
#include "tests/testing/fake_worker_service.h"

namespace regatta {

inline std::vector<uint32_t> PromptOf(uint64_t tag) {
  std::vector<uint32_t> prompt;
  for (uint32_t i = 0; i < 4 + tag % 37; ++i) prompt.push_back((tag * 131 + i * 17) % 1000);
  return prompt;
}
inline uint32_t LengthOf(uint64_t tag) { return 20 + tag % 41; }

class CoordinatorFixture : public testing::Test {
 protected:
  CoordinatorFixture() {
    spec_.name = "fake";
    spec_.architecture = "FakeForCausalLM";
    spec_.vocab_size = 1000;
    spec_.hidden_size = 64;
    spec_.num_layers = 4;
    spec_.num_heads = spec_.num_kv_heads = spec_.head_dim = 8;
    spec_.ffn_width = 128;
    spec_.max_position = 2048;
    options_.limits.set_max_batch_size(16);
    options_.limits.set_max_num_tokens(256);
    options_.step_timeout = absl::Seconds(20);
    options_.log = [this](const std::string& line) {
      absl::MutexLock lock(&log_mutex_);
      log_.push_back(line);
    };
  }
  ~CoordinatorFixture() override { coordinator_.reset(); }

  void AddWorkers(int count, std::chrono::microseconds step_time) {
    for (int i = 0; i < count; ++i) {
      workers_.emplace_back(FakeWorkerOptions{.step_time = step_time});
    }
  }
  FakeWorkerService& Worker(size_t index) { return *std::next(workers_.begin(), index); }

  absl::Status Start(const Layout& layout) {
    PoolOptions pool;
    for (const auto& worker : workers_) pool.addresses.push_back(worker.address());
    pool.heartbeat_timeout = absl::Seconds(2);
    pool_ = *Pool::Create(pool);
    options_.layout = layout;
    options_.former.model.set_dummy_weights(true);
    coordinator_ = std::make_unique<Coordinator>(options_, spec_, nullptr, *pool_);
    return coordinator_->Start();
  }

  static GenerateRequest RequestOf(uint64_t tag, uint32_t max_tokens) {
    GenerateRequest request;
    const std::vector<uint32_t> prompt = PromptOf(tag);
    request.mutable_token_ids()->mutable_ids()->Assign(prompt.begin(), prompt.end());
    request.set_max_tokens(max_tokens);
    request.set_return_token_ids(true);
    return request;
  }
  absl::StatusOr<uint64_t> Submit(uint64_t tag, uint32_t max_tokens) {
    return coordinator_->Submit(RequestOf(tag, max_tokens), tag, stream_);
  }
  void SubmitAll(uint64_t first, uint64_t last) {
    for (uint64_t tag = first; tag <= last; ++tag) ASSERT_TRUE(Submit(tag, LengthOf(tag)).ok());
  }
  // Every one of them has had exactly the undisturbed output.
  void ExpectExact(uint64_t first, uint64_t last) {
    for (uint64_t tag = first; tag <= last; ++tag) {
      ASSERT_TRUE(stream_->AwaitEnd(tag, absl::Seconds(60))) << tag;
      const Collected got = stream_->Get(tag);
      ASSERT_TRUE(got.status.ok()) << tag << ": " << got.status;
      ASSERT_EQ(got.tokens, FakeContinuation(PromptOf(tag), LengthOf(tag))) << tag;
      EXPECT_EQ(got.last.usage().output_tokens(), LengthOf(tag));
    }
    EXPECT_EQ(stream_->calls_after_end(), 0);
  }

  ClusterState State() {
    ClusterState state;
    absl::Notification done;
    coordinator_->State([&](ClusterState answer) {
      state = std::move(answer);
      done.Notify();
    });
    done.WaitForNotification();
    return state;
  }
  ClusterDescription Describe() {
    ClusterDescription description;
    absl::Notification done;
    coordinator_->Describe([&](ClusterDescription answer) {
      description = std::move(answer);
      done.Notify();
    });
    done.WaitForNotification();
    return description;
  }
  absl::Status Repartition(const RepartitionRequest& request,
                           std::vector<RepartitionProgress>* progress = nullptr) {
    absl::Status status;
    absl::Notification done;
    coordinator_->Repartition(
        request,
        [&](const RepartitionProgress& step) {
          if (progress != nullptr) progress->push_back(step);
        },
        [&](absl::Status result) {
          status = std::move(result);
          done.Notify();
        });
    done.WaitForNotification();
    return status;
  }
  absl::Status RepartitionTo(uint32_t tp, uint32_t pp, uint32_t dp,
                             std::vector<RepartitionProgress>* progress = nullptr) {
    RepartitionRequest request;
    *request.mutable_layout() = *MakeLayout(tp, pp, 1, dp);
    request.set_keep_limits(true);
    return Repartition(request, progress);
  }

  bool AwaitLog(const std::string& text, absl::Duration timeout = absl::Seconds(20)) {
    absl::MutexLock lock(&log_mutex_);
    const auto logged = [this, &text] {
      for (const std::string& line : log_) {
        if (absl::StrContains(line, text)) return true;
      }
      return false;
    };
    return log_mutex_.AwaitWithTimeout(absl::Condition(&logged), timeout);
  }
  bool Logged(const std::string& text) { return AwaitLog(text, absl::ZeroDuration()); }
  template <typename Predicate>
  bool Await(const Predicate& predicate, absl::Duration timeout = absl::Seconds(20)) {
    const absl::Time deadline = absl::Now() + timeout;
    while (!predicate()) {
      if (absl::Now() > deadline) return false;
      absl::SleepFor(absl::Milliseconds(5));
    }
    return true;
  }

  ModelSpec spec_;
  CoordinatorOptions options_;
  std::list<FakeWorkerService> workers_;
  std::shared_ptr<CollectingStream> stream_ = std::make_shared<CollectingStream>();
  absl::Mutex log_mutex_;
  std::vector<std::string> log_;
  std::unique_ptr<Pool> pool_;
  std::unique_ptr<Coordinator> coordinator_;
};

}  // namespace regatta
