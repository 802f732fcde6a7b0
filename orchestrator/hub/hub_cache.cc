// Paths and links; see hub_cache.h.
#include "orchestrator/hub/hub_cache.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;

bool IsNamePart(absl::string_view part) {
  return !part.empty() && part.size() <= 96 && part.front() != '.' && part.front() != '-' &&
         part.back() != '.' && !absl::StrContains(part, "--") && !absl::StrContains(part, "..") &&
         std::all_of(part.begin(), part.end(), [](char c) {
           return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.';
         });
}

absl::Status MakeDirectory(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (!error) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("cannot create '", path.string(), "': ", error.message()));
}

}  // namespace

bool IsRepositoryId(absl::string_view text) {
  const size_t slash = text.find('/');
  return slash != text.npos && IsNamePart(text.substr(0, slash)) &&
         IsNamePart(text.substr(slash + 1));
}

bool IsCommit(absl::string_view text) {
  return text.size() == 40 && std::all_of(text.begin(), text.end(), absl::ascii_isxdigit);
}

bool IsBlobName(absl::string_view text) {
  return !text.empty() && text.size() <= 128 && text.front() != '.' &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.';
         });
}

bool IsRevision(absl::string_view text) {
  const std::vector<absl::string_view> parts = absl::StrSplit(text, '/');
  return std::all_of(parts.begin(), parts.end(), IsBlobName);
}

HubCache::HubCache(const std::string& cache_dir, const std::string& repository)
    : folder_(absl::StrCat("models--", absl::StrReplaceAll(repository, {{"/", "--"}}))),
      cache_dir_(cache_dir) {}

std::string HubCache::BlobPath(const std::string& etag) const {
  return absl::StrCat(cache_dir_, "/", folder_, "/blobs/", etag);
}

std::string HubCache::LockPath(const std::string& etag) const {
  return absl::StrCat(cache_dir_, "/.locks/", folder_, "/", etag, ".lock");
}

std::string HubCache::SnapshotPath(const std::string& commit) const {
  return absl::StrCat(cache_dir_, "/", folder_, "/snapshots/", commit);
}

absl::StatusOr<std::string> HubCache::CommitOf(const std::string& revision) const {
  if (IsCommit(revision)) return revision;
  std::ifstream file(absl::StrCat(cache_dir_, "/", folder_, "/refs/", revision));
  std::string commit;
  std::getline(file, commit);
  absl::StripAsciiWhitespace(&commit);
  if (IsCommit(commit)) return commit;
  return absl::NotFoundError(
      absl::StrCat("revision '", revision, "' is not in the cache ", cache_dir_));
}

absl::Status HubCache::Prepare() const {
  RETURN_IF_ERROR(MakeDirectory(fs::path(BlobPath("x")).parent_path()));
  return MakeDirectory(fs::path(LockPath("x")).parent_path());
}

absl::Status HubCache::SetCommit(const std::string& revision, const std::string& commit) const {
  if (revision == commit) return absl::OkStatus();
  const fs::path path = fs::path(cache_dir_) / folder_ / "refs" / revision;
  RETURN_IF_ERROR(MakeDirectory(path.parent_path()));
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << commit;  // without a line end, as huggingface_hub writes it
  file.close();
  if (file) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("cannot write '", path.string(), "'"));
}

absl::Status HubCache::Link(const std::string& commit, const std::string& file,
                            const std::string& etag) const {
  const fs::path link = fs::path(SnapshotPath(commit)) / file;
  const fs::path target = fs::path(BlobPath(etag)).lexically_relative(link.parent_path());
  RETURN_IF_ERROR(MakeDirectory(link.parent_path()));
  std::error_code error;
  if (fs::read_symlink(link, error) == target) return absl::OkStatus();
  // Aside and renamed, so that another pull, or a reader, never finds it missing.
  const fs::path aside = absl::StrCat(link.string(), ".", etag.substr(0, 8), ".link");
  fs::remove(aside, error);
  fs::create_symlink(target, aside, error);
  if (!error) fs::rename(aside, link, error);
  if (!error) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("cannot link '", link.string(), "': ", error.message()));
}

}  // namespace regatta
