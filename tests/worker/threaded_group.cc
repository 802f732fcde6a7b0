// One thread and one executor per rank; see threaded_group.h.
#include "tests/worker/threaded_group.h"

#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/time/clock.h"
#include "common/bounded_queue.h"
#include "common/hash.h"
#include "common/layout.h"
#include "worker/device.h"
#include "worker/executor.h"

namespace regatta {

FormRequest ToFormRequest(const GroupOptions& options, uint32_t rank,
                          const std::string& communicator_id) {
  FormRequest request;
  request.set_group_epoch(1);
  request.set_rank(rank);
  *request.mutable_layout() = options.layout;
  request.set_communicator_id(communicator_id);
  *request.mutable_model() = options.model;
  request.mutable_limits()->set_max_batch_size(options.max_batch_size);
  request.mutable_limits()->set_max_num_tokens(options.max_num_tokens);
  request.mutable_limits()->set_max_seq_len(options.max_seq_len);
  request.set_block_size(options.block_size);
  request.set_kv_cache_fraction(0.5);
  request.set_max_kv_blocks(options.max_kv_blocks);
  request.set_max_inflight(options.max_inflight);
  request.set_timeout_ms(20000);
  request.set_sampling_rows(options.sampling_rows);
  *request.mutable_graphs() = options.graphs;
  return request;
}

class ThreadedGroup::Impl {
 public:
  explicit Impl(const GroupOptions& options)
      : options(options), num_ranks(RanksPerCopy(options.layout)), formed_ranks(num_ranks) {}

  ~Impl() {
    for (auto& rank : ranks) {
      rank->plans.Close();
      rank->inputs.Close();
    }
    for (auto& rank : ranks) {
      if (rank->thread.joinable()) rank->thread.join();
    }
  }

  absl::Status Form() {
    for (uint32_t i = 0; i < num_ranks; ++i) {
      ranks.push_back(std::make_unique<Rank>());
      const std::string name =
          options.device == "cpu" ? options.device : absl::StrCat(options.device, ":", i);
      auto device = OpenDevice(name, 1);
      if (!device.ok()) return device.status();
      ranks.back()->device = *std::move(device);
    }
    auto offer = ranks[0]->device->Offer(static_cast<int>(num_ranks));
    if (!offer.ok()) return offer.status();
    for (uint32_t i = 0; i < num_ranks; ++i) {
      Rank& rank = *ranks[i];
      rank.thread = std::thread([this, i, &rank, id = (*offer)->id()] { RunRank(i, id, rank); });
    }
    formed_ranks.Wait();
    absl::Status first;
    for (auto& rank : ranks) {
      const absl::Status& status = rank->executor.status();
      // The rank that was at fault, rather than those that were told.
      if (first.ok() || absl::IsUnavailable(first)) first.Update(absl::OkStatus());
      if (!status.ok() && (first.ok() || absl::IsUnavailable(first))) first = status;
    }
    return first;
  }

  struct Rank {
    std::unique_ptr<Device> device;
    std::thread thread;
    absl::StatusOr<std::unique_ptr<Executor>> executor = absl::UnknownError("not formed");
    BoundedQueue<std::string> plans{1024};
    SampleInputs inputs;
    BoundedQueue<absl::StatusOr<StepResult>> results{1024};
  };

  void RunRank(uint32_t index, const std::string& id, Rank& rank) {
    rank.executor =
        Executor::Form(ToFormRequest(options, index, id), *rank.device, stop, [](auto&) {});
    formed_ranks.DecrementCount();
    if (!rank.executor.ok()) return;
    LaunchAndCollect(**rank.executor, rank);
    rank.executor = absl::UnknownError("dissolved");  // in this rank's thread, as in a process
  }

  // On two threads, as a worker does.
  void LaunchAndCollect(Executor& executor, Rank& rank) {
    std::atomic<bool> failed = false;
    const auto fail = [&](const absl::Status& status) {
      if (failed.exchange(true)) return;
      CHECK(rank.results.TryPush(status));
      rank.plans.Close();
      executor.Abort("a rank failed");
    };
    BoundedQueue<bool> launched{1024};
    std::thread collector([&] {
      while (launched.Pop(absl::Minutes(5)).has_value()) {
        absl::StatusOr<StepResult> result = executor.Collect();
        if (!result.ok()) return fail(result.status());
        CHECK(rank.results.TryPush(std::move(result)));
      }
    });
    while (std::optional<std::string> plan = rank.plans.Pop(absl::Minutes(5))) {
      const absl::Status status = failed ? absl::OkStatus() : executor.Launch(*plan, rank.inputs);
      if (!status.ok()) fail(status);
      if (failed) break;
      CHECK(launched.TryPush(true));
    }
    launched.Close();
    collector.join();
  }

  const GroupOptions options;
  const uint32_t num_ranks;
  absl::BlockingCounter formed_ranks;
  std::atomic<bool> stop = false;
  std::vector<std::unique_ptr<Rank>> ranks;
  Formed formed;
  uint32_t sampling_rank = 0;
};

ThreadedGroup::ThreadedGroup(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ThreadedGroup::~ThreadedGroup() = default;

absl::StatusOr<std::unique_ptr<ThreadedGroup>> ThreadedGroup::Form(const GroupOptions& options) {
  auto impl = std::make_unique<Impl>(options);
  if (absl::Status status = impl->Form(); !status.ok()) return status;
  for (uint32_t i = 0; i < impl->num_ranks; ++i) {
    const Executor& executor = **impl->ranks[i]->executor;
    if (executor.samples()) impl->sampling_rank = i;
    if (i > 0) CHECK_EQ(executor.formed().kv_blocks(), impl->formed.kv_blocks());
    impl->formed = executor.formed();
  }
  return std::unique_ptr<ThreadedGroup>(new ThreadedGroup(std::move(impl)));
}

const GroupOptions& ThreadedGroup::options() const { return impl_->options; }
const Formed& ThreadedGroup::formed() const { return impl_->formed; }

void ThreadedGroup::Dispatch(const StepPlan& plan) {
  const std::string bytes = plan.SerializeAsString();
  for (auto& rank : impl_->ranks) CHECK(rank->plans.TryPush(std::string(bytes)));
}

void ThreadedGroup::SendMasks(const SampleInput& input) {
  for (auto& rank : impl_->ranks) {
    const absl::Status status = rank->inputs.Put(input);
    CHECK(status.ok()) << status;
  }
}

bool ThreadedGroup::Idle(absl::Duration time) {
  absl::SleepFor(time);
  for (auto& rank : impl_->ranks) {
    if (rank->results.size() > 0) return false;
  }
  return true;
}

absl::StatusOr<StepResult> ThreadedGroup::Next(absl::Duration timeout) {
  std::vector<StepResult> results;
  absl::Status error;
  for (auto& rank : impl_->ranks) {
    auto result = rank->results.Pop(timeout);
    if (!result.has_value()) return absl::DeadlineExceededError("a rank did not answer");
    if (!result->ok() && (error.ok() || absl::IsUnavailable(error))) error = result->status();
    results.push_back(result->value_or(StepResult()));
  }
  if (!error.ok()) return error;
  for (const StepResult& result : results) {
    CHECK_EQ(result.step_id(), results[0].step_id());
    CHECK_EQ(result.plan_hash(), results[0].plan_hash());
  }
  return results[impl_->sampling_rank];
}

}  // namespace regatta
