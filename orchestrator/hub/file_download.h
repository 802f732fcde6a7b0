// One file of a repository into its blob: resumed, checked, and never seen half written.
#pragma once

#include <atomic>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "orchestrator/hub/hub_cache.h"
#include "orchestrator/hub/hub_client.h"
#include "orchestrator/hub/retry.h"

namespace regatta {

struct DownloadOptions {
  RetryPolicy retry;
  absl::Duration lock_timeout = absl::Minutes(5);  // without progress of who downloads it already
};

// Bytes of `file` that the cache has: all of a blob, or those of an interrupted download.
uint64_t BytesPresent(const HubCache& cache, const RemoteFile& file);

// Makes the blob of `file`, unless it is there. Bytes go to <blob>.incomplete, from where an
// earlier download left off; only when they have the right size and digest does it become the blob.
// `done` is kept at the number of bytes that are there. Holds the blob's lock: another process that
// downloads it is waited for. Errors as HubClient's, and DATA_LOSS for a wrong digest (the bytes
// are thrown away).
absl::Status DownloadFile(const HubClient& client, const HubCache& cache, const std::string& commit,
                          const RemoteFile& file, const DownloadOptions& options,
                          const std::atomic<bool>& stop, std::atomic<uint64_t>& done);

}  // namespace regatta
