// All state is under one mutex: pieces are few and long, so taking one need not be lock-free.
#include "kernels/thread_pool.h"

#include "common/check.h"

namespace regatta {

ThreadPool::ThreadPool(int num_threads) {
  CHECK_GE(num_threads, 1);
  threads_.reserve(num_threads - 1);
  for (int thread = 1; thread < num_threads; ++thread) {
    threads_.emplace_back([this, thread] { ThreadMain(thread); });
  }
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  work_or_stop_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadPool::Run(Call call, int64_t n, int64_t piece) {
  std::unique_lock<std::mutex> lock(mutex_);
  CHECK_EQ(next_, end_) << "a pool has one user and calls do not nest";
  call_ = call;
  next_ = 0;
  end_ = n;
  piece_ = piece;
  work_or_stop_.notify_all();
  TakePieces(lock, 0);
  finished_.wait(lock, [this] { return running_ == 0; });
}

void ThreadPool::ThreadMain(int thread) {
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    work_or_stop_.wait(lock, [this] { return stop_ || next_ < end_; });
    if (stop_) return;
    TakePieces(lock, thread);
  }
}

void ThreadPool::TakePieces(std::unique_lock<std::mutex>& lock, int thread) {
  while (next_ < end_) {
    const int64_t begin = next_;
    const int64_t end = std::min(begin + piece_, end_);
    next_ = end;
    ++running_;
    const Call call = call_;
    lock.unlock();
    call.invoke(call.fn, begin, end, thread);
    lock.lock();
    --running_;
  }
  if (running_ == 0) finished_.notify_one();
}

}  // namespace regatta
