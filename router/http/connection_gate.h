// ConnectionGate: counts connections, in all and by peer, and refuses those that are too many.
#pragma once

#include <cstddef>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace regatta {

class ConnectionGate {
 public:
  enum class Verdict {
    kServe,
    kRefuse,  // counted, to be told so
    kDrop,    // not counted: too many are being told so already
  };

  // `per_peer` 0 = no limit.
  ConnectionGate(size_t total, size_t per_peer) : total_(total), per_peer_(per_peer) {}

  // `peer` is an address without port.
  Verdict Enter(const std::string& peer) ABSL_LOCKS_EXCLUDED(mutex_);
  // Of one that was counted.
  void Leave(const std::string& peer) ABSL_LOCKS_EXCLUDED(mutex_);

  size_t count() const ABSL_LOCKS_EXCLUDED(mutex_);
  // Waits until no connection is left; false when `timeout` passed before.
  bool AwaitNone(absl::Duration timeout) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  const size_t total_;
  const size_t per_peer_;
  mutable absl::Mutex mutex_;
  size_t count_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::flat_hash_map<std::string, size_t> by_peer_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace regatta
