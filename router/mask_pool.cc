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
  step->work.resize(due.constraints.size());
  for (size_t entry = 0; entry < due.constraints.size(); ++entry) {
    step->unfinished.push_back(entry);
  }
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
    return stopping_ || Unfinished() != nullptr;
  };
  while (true) {
    mutex_.Await(absl::Condition(&ready));
    if (stopping_) return;
    ComputeOne(*Unfinished());
    SendComplete();
  }
}

MaskPool::Step* MaskPool::Unfinished() {
  for (const auto& step : steps_) {
    if (!step->unfinished.empty()) return step.get();
  }
  return nullptr;
}

void MaskPool::ComputeOne(Step& step) {
  const uint64_t share = step.work_left / step.unfinished.size();
  const size_t entry = step.unfinished.front();
  step.unfinished.pop_front();
  step.work_left -= share;
  ++step.working;
  mutex_.Unlock();
  const int64_t begin_ns = clock_.NowNs();
  const MaskCost cost = Fill(step, entry, share);
  const int64_t took_ns = clock_.NowNs() - begin_ns;
  mutex_.Lock();
  --step.working;
  step.work[entry] += cost.work;
  step.work_left += share - std::min(share, cost.work);
  step.computing_ns += took_ns;
  if (cost.cut) step.cut.push_back(entry);
  // What the others leave over goes to those that lack some.
  if (step.complete() && !step.cut.empty() && step.work_left / step.cut.size() >= kLeastMaskWork) {
    step.unfinished.swap(step.cut);
  }
}

MaskCost MaskPool::Fill(Step& step, size_t entry, uint64_t work) const {
  const absl::Span<uint32_t> mask(step.masks.data() + entry * words_, words_);
  OutputConstraint* const constraint = step.due.constraints[entry].get();
  if (constraint == nullptr) {
    std::fill(mask.begin(), mask.end(), ~0u);
    return {};
  }
  return constraint->FillMask(mask, work);
}

void MaskPool::SendComplete() {
  if (sending_) return;  // That thread looks again before it goes on.
  sending_ = true;
  while (!stopping_ && !steps_.empty() && steps_.front()->complete()) {
    const std::unique_ptr<Step> step = std::move(steps_.front());
    steps_.pop_front();
    mutex_.Unlock();
    send_(Collect(*step));
    mutex_.Lock();
  }
  sending_ = false;
}

StepMasks MaskPool::Collect(Step& step) {
  StepMasks masks{.computing_ns = step.computing_ns};
  masks.input.set_step_id(step.due.step_id);
  masks.input.mutable_masks()->assign(reinterpret_cast<const char*>(step.masks.data()),
                                      step.masks.size() * sizeof(uint32_t));
  for (size_t entry = 0; entry < step.work.size(); ++entry) {
    if (step.due.constraints[entry] == nullptr) continue;
    masks.work.push_back({step.due.ids[entry], step.work[entry]});
  }
  return masks;
}

}  // namespace regatta
