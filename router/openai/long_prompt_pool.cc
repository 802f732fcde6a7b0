// Threads over one bounded queue.
#include "router/openai/long_prompt_pool.h"

#include "absl/time/time.h"

namespace regatta {
namespace {

constexpr absl::Duration kWait = absl::Seconds(1);  // Close wakes at once; this is for certainty

}  // namespace

LongPromptPool::LongPromptPool(uint32_t threads, size_t max_waiting) : queue_(max_waiting) {
  for (uint32_t i = 0; i < threads; ++i) threads_.emplace_back([this] { Run(); });
}

LongPromptPool::~LongPromptPool() {
  queue_.Close();
  for (std::thread& thread : threads_) thread.join();
}

void LongPromptPool::Run() {
  while (!queue_.closed()) {
    auto task = queue_.Pop(kWait);
    if (task && !queue_.closed()) (*task)();
  }
}

}  // namespace regatta
