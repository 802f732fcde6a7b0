// One repository in the Hugging Face cache on this host, laid out as huggingface_hub lays it out,
// so that both share every file:
//   models--org--name/blobs/<etag>                  contents
//   models--org--name/snapshots/<commit>/<file>     links to blobs
//   models--org--name/refs/<revision>               the commit that a branch or tag stands for
//   .locks/models--org--name/<etag>.lock            held while a blob is written
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace regatta {

// "org/name", as the Hub spells repositories.
bool IsRepositoryId(absl::string_view text);
// 40 hexadecimal digits.
bool IsCommit(absl::string_view text);
// A branch, tag or commit that is a safe path too: "main", "refs/pr/7".
bool IsRevision(absl::string_view text);
// A name that a server gave a blob and that is one path component.
bool IsBlobName(absl::string_view text);

class HubCache {
 public:
  // `cache_dir` is the parent of all repositories; it need not exist. `repository` is an id.
  HubCache(const std::string& cache_dir, const std::string& repository);

  std::string BlobPath(const std::string& etag) const;
  std::string LockPath(const std::string& etag) const;
  std::string SnapshotPath(const std::string& commit) const;

  // The commit that `revision` (a branch, tag or commit) stood for when it was last pulled.
  // NOT_FOUND when that is not known.
  absl::StatusOr<std::string> CommitOf(const std::string& revision) const;

  // Makes the directories that hold blobs and locks. Errors name the path.
  absl::Status Prepare() const;
  // Remembers what `revision` stands for; nothing for a commit, which stands for itself.
  absl::Status SetCommit(const std::string& revision, const std::string& commit) const;
  // Puts `file` (a checked relative path) into the snapshot as a link to the blob.
  absl::Status Link(const std::string& commit, const std::string& file,
                    const std::string& etag) const;

 private:
  const std::string folder_;  // models--org--name
  const std::string cache_dir_;
};

}  // namespace regatta
