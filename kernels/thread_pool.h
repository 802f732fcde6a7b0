// One pool of threads for one rank's operations. Idle threads sleep on a condition variable and
// never spin: many ranks may share a few cores. One thread uses a pool; calls do not nest.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace regatta {

class ThreadPool {
 public:
  // `num_threads` counts the caller; 1 starts no thread and runs everything inline.
  explicit ThreadPool(int num_threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int num_threads() const { return static_cast<int>(threads_.size()) + 1; }

  // Calls fn(begin, end, thread) on disjoint ranges that cover [0, n), each at least `grain` long
  // (but the last), and waits. `thread` is in [0, num_threads()) and held by one call at a time.
  // Work of at most one grain runs inline.
  template <typename Fn>
  void ParallelFor(int64_t n, int64_t grain, const Fn& fn) {
    if (n <= 0) return;
    if (threads_.empty() || n <= grain) return fn(int64_t{0}, n, 0);
    // A few pieces per thread even out unequal ones without much locking.
    const int64_t even = (n + num_threads() * 4 - 1) / (num_threads() * 4);
    Run({&fn, [](const void* f, int64_t begin, int64_t end,
                 int thread) { (*static_cast<const Fn*>(f))(begin, end, thread); }},
        n, std::max(grain, even));
  }

 private:
  struct Call {
    const void* fn = nullptr;
    void (*invoke)(const void* fn, int64_t begin, int64_t end, int thread) = nullptr;
  };

  void Run(Call call, int64_t n, int64_t piece);
  void ThreadMain(int thread);
  // Takes pieces until none is left. `lock` is held on entry and exit.
  void TakePieces(std::unique_lock<std::mutex>& lock, int thread);

  std::mutex mutex_;
  std::condition_variable work_or_stop_;
  std::condition_variable finished_;
  Call call_;
  int64_t next_ = 0;  // first index not taken yet
  int64_t end_ = 0;
  int64_t piece_ = 1;
  int running_ = 0;  // pieces being executed
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace regatta
