// Counting of connections; see connection_gate.h.
#include "router/http/connection_gate.h"

#include "common/check.h"

namespace regatta {
namespace {

// Refused connections beyond the limits that may wait to read their answer.
constexpr size_t kMaxRefused = 128;

}  // namespace

ConnectionGate::Verdict ConnectionGate::Enter(const std::string& peer) {
  absl::MutexLock lock(&mutex_);
  if (count_ >= total_ + kMaxRefused) return Verdict::kDrop;
  size_t* const of_peer = per_peer_ > 0 ? &by_peer_[peer] : nullptr;
  if (of_peer != nullptr && *of_peer >= per_peer_ + kMaxRefused) return Verdict::kDrop;
  ++count_;
  const bool peer_fits = of_peer == nullptr || ++*of_peer <= per_peer_;
  return count_ <= total_ && peer_fits ? Verdict::kServe : Verdict::kRefuse;
}

void ConnectionGate::Leave(const std::string& peer) {
  absl::MutexLock lock(&mutex_);
  CHECK_GT(count_, 0u);
  --count_;
  if (per_peer_ == 0) return;
  const auto it = by_peer_.find(peer);
  CHECK(it != by_peer_.end()) << peer;
  if (--it->second == 0) by_peer_.erase(it);
}

size_t ConnectionGate::count() const {
  absl::MutexLock lock(&mutex_);
  return count_;
}

bool ConnectionGate::AwaitNone(absl::Duration timeout) {
  absl::MutexLock lock(&mutex_);
  auto none = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return count_ == 0; };
  return mutex_.AwaitWithTimeout(absl::Condition(&none), timeout);
}

}  // namespace regatta
