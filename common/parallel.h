// Many blocking calls at once.
#pragma once

#include <cstddef>
#include <thread>
#include <vector>

namespace regatta {

// Calls fn(0) ... fn(n - 1) at once, each on a thread of its own, and waits for all.
template <typename Function>
void InParallel(size_t n, const Function& fn) {
  std::vector<std::thread> threads;
  threads.reserve(n);
  for (size_t i = 0; i < n; ++i) threads.emplace_back([&fn, i] { fn(i); });
  for (std::thread& thread : threads) thread.join();
}

}  // namespace regatta
