// Threads, their supervision and the merging of what they recorded; see load_generator.h.
#include "orchestrator/load/load_generator.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "common/check.h"
#include "common/clock.h"
#include "orchestrator/load/cgroup_throttling.h"
#include "orchestrator/load/latency_window.h"

namespace regatta {
namespace {

using Ending = RequestRecorder::Ending;

constexpr auto kLookEvery = std::chrono::milliseconds(50);
constexpr int64_t kProgressEveryNs = 200'000'000;

// What the calling thread does while the client threads run: ends the load when it is told to or
// when nothing comes any more, and reports progress.
class Supervisor {
 public:
  Supervisor(SharedLoad& load, const std::vector<std::unique_ptr<ClientThread>>& threads,
             const LoadGenerator::OnProgress& progress)
      : load_(load),
        threads_(threads),
        progress_(progress),
        marks_{{load.start_ns, 0}},
        ttft_(threads.size()),
        tpot_(threads.size()) {}

  void ThreadEnded() {
    std::lock_guard<std::mutex> lock(mutex_);
    ++ended_;
    changed_.notify_one();
  }

  void Watch(const std::atomic<bool>& stop) {
    const RealClock clock;
    std::unique_lock<std::mutex> lock(mutex_);
    while (ended_ < threads_.size()) {
      changed_.wait_for(lock, kLookEvery);
      const int64_t now_ns = clock.NowNs();
      if (stop.load(std::memory_order_relaxed)) {
        load_.ending.store(Ending::kInterrupted);
      } else if (Stalled(now_ns) && load_.ending.load() == Ending::kNone) {
        load_.ending.store(Ending::kStalled);
      }
      if (now_ns - marks_.back().time_ns < kProgressEveryNs) continue;
      lock.unlock();
      Report(now_ns);
      lock.lock();
    }
    lock.unlock();
    Report(clock.NowNs());
  }

 private:
  struct Mark {
    int64_t time_ns;
    uint64_t tokens;
  };

  bool Stalled(int64_t now_ns) const {
    if (load_.in_flight.load(std::memory_order_relaxed) == 0) return false;
    int64_t last_ns = load_.start_ns;
    for (const auto& thread : threads_) {
      last_ns = std::max(last_ns, thread->counters().last_event_ns.load());
    }
    return now_ns - last_ns > absl::ToInt64Nanoseconds(load_.options.stall_timeout);
  }

  void Report(int64_t now_ns) {
    LoadProgress now;
    now.total = load_.batch.requests();
    now.in_flight = load_.in_flight.load();
    for (size_t i = 0; i < threads_.size(); ++i) {
      ttft_.Look(i, threads_[i]->recent().ttft, now_ns);
      tpot_.Look(i, threads_[i]->recent().tpot, now_ns);
      const ClientCounters& counters = threads_[i]->counters();
      now.issued += counters.issued.load();
      now.completed += counters.completed.load();
      now.failed += counters.failed.load();
      now.output_tokens += counters.output_tokens.load();
    }
    marks_.push_back({now_ns, now.output_tokens});
    while (marks_.size() > 2 && now_ns - marks_.front().time_ns > kRecentNs) {
      marks_.pop_front();
    }
    const double window_s = (now_ns - marks_.front().time_ns) / 1e9;
    now.elapsed_s = (now_ns - load_.start_ns) / 1e9;
    if (window_s > 0) now.tokens_per_s = (now.output_tokens - marks_.front().tokens) / window_s;
    now.ttft = ttft_.Summary(now_ns);
    now.tpot = tpot_.Summary(now_ns);
    if (progress_) progress_(now);
  }

  SharedLoad& load_;
  const std::vector<std::unique_ptr<ClientThread>>& threads_;
  const LoadGenerator::OnProgress& progress_;
  std::mutex mutex_;
  std::condition_variable changed_;
  size_t ended_ = 0;
  std::deque<Mark> marks_;  // of the last two seconds
  LatencyWindow ttft_, tpot_;
};

}  // namespace

LoadGenerator::LoadGenerator(const std::vector<Target*>& targets) {
  CHECK(!targets.empty());
  for (Target* target : targets) clients_.push_back({target});
}

uint32_t LoadGenerator::ThreadsFor(const Batch& batch, const LoadOptions& options) const {
  const uint32_t most = options.concurrency > 0 ? options.concurrency : batch.size();
  uint32_t threads = static_cast<uint32_t>(clients_.size());
  if (options.threads > 0) threads = std::min(threads, options.threads);
  return std::clamp(most, 1u, threads);
}

LoadResult LoadGenerator::Run(const Batch& batch, const LoadOptions& options,
                              const std::atomic<bool>& stop, const OnProgress& progress) {
  CHECK(options.due_ns.empty() || options.due_ns.size() == batch.size());
  SharedLoad load(batch, options, ThreadsFor(batch, options), RealClock().NowNs());
  Threads threads;
  for (uint32_t i = 0; i < load.threads; ++i) {
    threads.push_back(
        std::make_unique<ClientThread>(load, i, *clients_[i].target, clients_[i].next_tag));
  }
  const std::optional<uint64_t> throttled_before = ThrottledPeriods();
  Supervisor supervisor(load, threads, progress);
  std::vector<std::jthread> running;
  for (const auto& thread : threads) {
    running.emplace_back([&supervisor, &client = *thread] {
      client.Run();
      supervisor.ThreadEnded();
    });
  }
  supervisor.Watch(stop);
  running.clear();  // joins
  LoadResult result = Collect(threads, load);
  if (const auto throttled = ThrottledPeriods(); throttled && throttled_before) {
    result.client.set_throttled_periods(*throttled - *throttled_before);
  }
  return result;
}

LoadResult LoadGenerator::Collect(const Threads& threads, const SharedLoad& load) {
  LoadResult result;
  result.start_ns = load.start_ns;
  result.peak_in_flight = load.peak_in_flight.load();
  result.interrupted = load.ending.load() == Ending::kInterrupted;
  result.stalled = load.ending.load() == Ending::kStalled;
  result.cut_short = result.interrupted || load.next_session.load() < load.batch.size();
  ClientReport& client = result.client;
  client.set_threads(load.threads);
  for (size_t i = 0; i < threads.size(); ++i) {
    result.samples.Merge(threads[i]->TakeSamples());
    result.cut_short |= threads[i]->dropped();
    client.set_longest_stall_ms(
        std::max(client.longest_stall_ms(), threads[i]->longest_stall_ms()));
    client.set_busiest_thread(std::max(client.busiest_thread(), threads[i]->busy()));
    clients_[i].next_tag = threads[i]->next_tag();
  }
  std::vector<RequestRecord>& records = result.samples.requests;
  std::sort(records.begin(), records.end(),
            [](const auto& a, const auto& b) { return a.index() < b.index(); });
  std::vector<double> lags;
  double messages = 0, last_ms = 0;
  for (const RequestRecord& record : records) {
    lags.push_back(record.send_lag_ms());
    messages += record.deltas();
    last_ms = std::max(last_ms, record.last_token_ms());
  }
  *client.mutable_send_lag_ms() = Summarize(std::move(lags));
  if (last_ms > 0) client.set_events_per_s(messages / (last_ms / 1e3));
  return result;
}

}  // namespace regatta
