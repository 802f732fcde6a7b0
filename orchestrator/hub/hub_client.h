// The Hub's HTTP interface, as far as fetching a model needs it: what a revision holds, what a file
// is, and its bytes. Errors say what to do about them.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "orchestrator/http/http_client.h"
#include "orchestrator/hub/hub_settings.h"

namespace regatta {

struct RepositoryListing {
  std::string commit;
  std::vector<std::string> files;
};

struct RemoteFile {
  std::string name;
  std::string etag;   // a checked blob name: digest of the contents (hub/checksum.h)
  uint64_t size = 0;  // bytes
};

// Thread-safe. UNAVAILABLE and DEADLINE_EXCEEDED are worth a retry, other errors are not:
// UNAUTHENTICATED, PERMISSION_DENIED (gated), NOT_FOUND, INVALID_ARGUMENT (nonsense from the
// server), CANCELLED.
class HubClient {
 public:
  HubClient(HubSettings settings, std::string repository, const std::atomic<bool>& stop)
      : settings_(std::move(settings)), repository_(std::move(repository)), stop_(stop) {}

  absl::StatusOr<RepositoryListing> List(const std::string& revision) const;

  absl::StatusOr<RemoteFile> Describe(const std::string& commit, const std::string& name) const;

  // The bytes of a file from `first` on, piece by piece. `on_start` is told where they begin: at
  // `first`, or at 0 when the server sends the whole file all the same.
  absl::Status Fetch(const std::string& commit, const RemoteFile& file, uint64_t first,
                     const std::function<absl::Status(uint64_t)>& on_start,
                     const std::function<absl::Status(absl::string_view)>& on_bytes) const;

 private:
  HttpCall CallOf(const std::string& path) const;
  std::string FilePath(const std::string& commit, const std::string& name) const;
  // OK for 2xx; else what the answer means and what to do about it.
  absl::Status Explain(const HttpAnswer& answer) const;
  absl::Status ExplainTrouble(const HttpAnswer& answer, const std::string& what) const;
  std::string HowToBeAllowed(bool gated) const;
  std::string Page() const;  // URL where a person reads about the repository

  const HubSettings settings_;
  const std::string repository_;
  const std::atomic<bool>& stop_;
};

}  // namespace regatta
