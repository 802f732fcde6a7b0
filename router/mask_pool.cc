// Threads over the entries of steps; see mask_pool.h.
#include "router/mask_pool.h"

#include <algorithm>
#include <utility>

#include "absl/types/span.h"

namespace regatta {

MaskPool::MaskPool(uint32_t num_threads, uint32_t vocab_size, Send send)
    : num_threads_(num_threads), words_((vocab_size + 31) / 32), send_(std::move(send)) {}

void MaskPool::Compute(MaskLedger::Due due) {
  auto step = std::make_unique<Step>();
  step->masks.resize(due.constraints.size() * words_);
  step->due = std::move(due);
  absl::MutexLock lock(&mutex_);
  if (stopping_) return;
  steps_.push_back(std::move(step));
  while (threads_.size() < num_threads_) threads_.emplace_back([this] { Work(); });
}

bool MaskPool::Computing(uint64_t step_id) const {
  absl::MutexLock lock(&mutex_);
  return std::any_of(steps_.begin(), steps_.end(),
                     [&](const auto& step) { return step->due.step_id == step_id; });
}

void MaskPool::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void MaskPool::Work() {
  absl::MutexLock lock(&mutex_);
  const auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return stopping_ || Unbegun() != nullptr;
  };
  while (true) {
    mutex_.Await(absl::Condition(&ready));
    if (stopping_) return;
    Step& step = *Unbegun();
    const size_t entry = step.begun++;
    mutex_.Unlock();
    Fill(step, entry);
    mutex_.Lock();
    ++step.done;
    SendComplete();
  }
}

MaskPool::Step* MaskPool::Unbegun() {
  for (const auto& step : steps_) {
    if (step->begun < step->due.constraints.size()) return step.get();
  }
  return nullptr;
}

void MaskPool::Fill(Step& step, size_t entry) const {
  const absl::Span<uint32_t> mask(step.masks.data() + entry * words_, words_);
  OutputConstraint* const constraint = step.due.constraints[entry].get();
  if (constraint == nullptr) {
    std::fill(mask.begin(), mask.end(), ~0u);
  } else {
    constraint->FillMask(mask);
  }
}

void MaskPool::SendComplete() {
  if (sending_) return;  // That thread looks again before it goes on.
  sending_ = true;
  while (!stopping_ && !steps_.empty() &&
         steps_.front()->done == steps_.front()->due.constraints.size()) {
    const std::unique_ptr<Step> step = std::move(steps_.front());
    steps_.pop_front();
    mutex_.Unlock();
    SampleInput input;
    input.set_step_id(step->due.step_id);
    input.mutable_masks()->assign(reinterpret_cast<const char*>(step->masks.data()),
                                  step->masks.size() * sizeof(uint32_t));
    send_(std::move(input));
    mutex_.Lock();
  }
  sending_ = false;
}

}  // namespace regatta
