// Coverage, exclusivity, overlap and idleness of the pool.
#include "kernels/thread_pool.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace regatta {
namespace {

TEST(ThreadPool, CoversEveryIndexOnce) {
  for (const int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.num_threads(), threads);
    for (const int64_t n : {0, 1, 2, 7, 100, 1001}) {
      for (const int64_t grain : {1, 3, 50, 5000}) {
        std::vector<int> visits(n);
        pool.ParallelFor(n, grain, [&](int64_t begin, int64_t end, int) {
          for (int64_t i = begin; i < end; ++i) ++visits[i];
        });
        EXPECT_EQ(visits, std::vector<int>(n, 1)) << n << " by " << grain;
      }
    }
  }
}

TEST(ThreadPool, AThreadNumberIsHeldByOneCallAtATime) {
  ThreadPool pool(4);
  std::vector<std::atomic<int>> held(4);
  std::atomic<int> collisions = 0;
  for (int round = 0; round < 200; ++round) {
    pool.ParallelFor(64, 1, [&](int64_t, int64_t, int thread) {
      if (held.at(thread).fetch_add(1) != 0) ++collisions;
      std::this_thread::yield();
      held.at(thread).fetch_sub(1);
    });
  }
  EXPECT_EQ(collisions, 0);
}

TEST(ThreadPool, RunsPiecesAtTheSameTime) {
  ThreadPool pool(2);
  // Each piece waits for the other to have begun: one thread alone would wait for ever.
  std::atomic<int> begun = 0;
  std::atomic<bool> together = true;
  pool.ParallelFor(2, 1, [&](int64_t, int64_t, int) {
    ++begun;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (begun < 2 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    if (begun < 2) together = false;
  });
  EXPECT_TRUE(together);
}

TEST(ThreadPool, WorkOfOneGrainStaysOnTheCaller) {
  ThreadPool pool(3);
  pool.ParallelFor(
      10, 10, [&, caller = std::this_thread::get_id()](int64_t begin, int64_t end, int thread) {
        EXPECT_EQ(std::this_thread::get_id(), caller);
        EXPECT_EQ(begin, 0);
        EXPECT_EQ(end, 10);
        EXPECT_EQ(thread, 0);
      });
}

double CpuSeconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         1e-6 * static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

TEST(ThreadPool, IdleThreadsDoNotSpin) {
  ThreadPool pool(8);
  pool.ParallelFor(100, 1, [](int64_t, int64_t, int) {});
  const double before = CpuSeconds();
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_LT(CpuSeconds() - before, 0.05);
}

TEST(ThreadPool, ManyShortCalls) {
  ThreadPool pool(3);
  std::atomic<int64_t> sum = 0;
  for (int round = 0; round < 5000; ++round) {
    pool.ParallelFor(4, 1, [&](int64_t begin, int64_t end, int) { sum += end - begin; });
  }
  EXPECT_EQ(sum, 20000);
}

}  // namespace
}  // namespace regatta
