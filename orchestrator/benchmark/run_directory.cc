// Files of a run; see run_directory.h.
#include "orchestrator/benchmark/run_directory.h"

#include <fcntl.h>
#include <google/protobuf/util/json_util.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/atomic_file.h"
#include "common/input_file.h"
#include "common/status_macros.h"
#include "common/text/utf8.h"
#include "orchestrator/benchmark/durable_file.h"
#include "orchestrator/benchmark/environment.h"
#include "orchestrator/benchmark/run_lookup.h"
#include "orchestrator/report/report.h"
#include "orchestrator/terminal/printable.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;

constexpr char kWholeName[] = "/whole.json";

// A model's name as one path component: characters of other alphabets stay, each run of what shells
// or file systems treat specially becomes one underscore.
std::string Sanitized(const std::string& name) {
  const bool utf8 = IsValidUtf8(name);
  std::string result;
  bool odd = false;  // the last character was
  for (char c : name) {
    const bool letter = absl::ascii_isalnum(c) || c == '.' || c == '-' || c == '_' ||
                        (utf8 && !absl::ascii_isascii(c));
    if (letter || !odd) result += letter ? c : '_';
    odd = !letter;
  }
  return result.empty() ? "model" : result;
}

std::string JsonLine(const google::protobuf::Message& record) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string line;
  const auto status = google::protobuf::util::MessageToJsonString(record, &line, options);
  return status.ok() ? line + "\n" : "";
}

// Held until the last copy of the pointer goes, or the process dies.
absl::StatusOr<std::shared_ptr<void>> LockDirectory(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) {
    return absl::NotFoundError(absl::StrCat("run directory '", path, "': ", std::strerror(errno)));
  }
  std::shared_ptr<void> lock(nullptr, [fd](void*) { ::close(fd); });
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return lock;
  return absl::FailedPreconditionError(
      absl::StrCat("run directory '", path, "': another process measures into it"));
}

}  // namespace

absl::StatusOr<RunDirectory> RunDirectory::Create(const std::string& root, const std::string& model,
                                                  const std::string& layout) {
  std::error_code error;
  fs::create_directories(root, error);
  const std::string name = absl::StrCat(CompactUtcTimestamp(), "-", Sanitized(model),
                                        layout.empty() ? "" : "-", Sanitized(layout));
  constexpr int kAttempts = 1000;
  for (int attempt = 1; attempt <= kAttempts && !error; ++attempt) {
    const fs::path path = fs::path(root) / (attempt == 1 ? name : absl::StrCat(name, "-", attempt));
    if (fs::create_directory(path, error)) return Open(path.string());
  }
  return absl::UnavailableError(absl::StrCat("--output: cannot create '", root, "/", name, "': ",
                                             error ? error.message() : "all names are taken"));
}

absl::StatusOr<RunDirectory> RunDirectory::CreateAt(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) {
    return absl::UnavailableError(
        absl::StrCat("run directory '", path, "': cannot be created: ", error.message()));
  }
  ASSIGN_OR_RETURN(RunDirectory directory, Open(path));
  for (const char* name : {"/results.json", "/requests.jsonl"}) {
    if (!fs::exists(path + name)) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("run directory '", path, "': holds ", name + 1, " of another run"));
  }
  return directory;
}

absl::StatusOr<RunDirectory> RunDirectory::Open(const std::string& path) {
  ASSIGN_OR_RETURN(std::shared_ptr<void> lock, LockDirectory(path));
  return RunDirectory(path, std::move(lock));
}

absl::StatusOr<uint64_t> RunDirectory::AppendRequests(
    const std::vector<RequestRecord>& records) const {
  std::string lines;
  for (const RequestRecord& record : records) lines += JsonLine(record);
  return AppendDurably(path_ + "/requests.jsonl", lines);
}

absl::Status RunDirectory::KeepRequests(uint64_t bytes) const {
  return TruncateDurably(path_ + "/requests.jsonl", bytes);
}

absl::StatusOr<uint64_t> RunDirectory::AppendTimeline(const PointTimeline& timeline) const {
  return AppendDurably(path_ + "/timeline.jsonl", JsonLine(timeline));
}

absl::Status RunDirectory::KeepTimelines(uint64_t bytes) const {
  return TruncateDurably(path_ + "/timeline.jsonl", bytes);
}

absl::Status RunDirectory::WriteResults(const SweepReport& sweep) const {
  return ReplaceDurably(path_ + "/results.json", ToJson(sweep));
}

absl::Status RunDirectory::KeepWhole(const SweepReport& sweep) const {
  return ReplaceDurably(path_ + kWholeName, ToJson(sweep));
}

absl::StatusOr<SweepReport> RunDirectory::LoadWhole() const {
  std::error_code error;
  return LoadResults(fs::exists(path_ + kWholeName, error) ? path_ + kWholeName : path_);
}

void RunDirectory::DropWhole() const {
  std::error_code ignored;
  fs::remove(path_ + kWholeName, ignored);
}

absl::Status CheckTextFilePath(const std::string& flag, const std::string& path) {
  std::error_code error;
  const fs::path parent = fs::path(path).parent_path();
  if (fs::is_directory(path, error)) {
    return absl::InvalidArgumentError(absl::StrCat(flag, ": '", path, "' is a directory"));
  }
  if (!parent.empty() && !fs::is_directory(parent, error)) {
    return absl::InvalidArgumentError(absl::StrCat(
        flag, ": '", path, "' cannot be written: there is no directory '", parent.string(), "'"));
  }
  if (path.empty()) return absl::OkStatus();
  const absl::Status status = CheckCanWriteFile(path);
  if (status.ok()) return status;
  return absl::InvalidArgumentError(absl::StrCat(flag, ": ", status.message()));
}

absl::StatusOr<SweepReport> LoadResults(const std::string& path) {
  std::error_code error;
  const std::string file_path = fs::is_directory(path, error) ? path + "/results.json" : path;
  const absl::StatusOr<std::ifstream> file = OpenInputFile(file_path);
  if (!file.ok()) {
    return absl::NotFoundError(absl::StrCat(file.status().message(), "; ", RunHint(path)));
  }
  std::ostringstream text;
  text << file->rdbuf();
  SweepReport sweep;
  if (absl::Status status = FromJson(text.str(), sweep); !status.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(file_path, ": ", status.message()));
  }
  if (sweep.schema() != kSweepSchema) {
    return absl::InvalidArgumentError(absl::StrCat(file_path, ": schema is '", sweep.schema(),
                                                   "', a sweep's results say '", kSweepSchema,
                                                   "'"));
  }
  MakePrintable(sweep);
  return sweep;
}

}  // namespace regatta
