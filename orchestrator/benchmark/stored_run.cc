// Directories of finished runs; see stored_run.h.
#include "orchestrator/benchmark/stored_run.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "common/atomic_file.h"
#include "common/input_file.h"
#include "common/status_macros.h"
#include "orchestrator/benchmark/run_directory.h"
#include "orchestrator/formats/json_fields.h"
#include "orchestrator/report/json_lines.h"
#include "orchestrator/report/report.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;

absl::Status CannotRead(const std::string& path) {
  return absl::NotFoundError(absl::StrCat("cannot read '", path, "'"));
}

absl::StatusOr<std::string> ReadTextFile(const std::string& path) {
  ASSIGN_OR_RETURN(std::ifstream file, OpenInputFile(path));
  std::error_code error;
  const uintmax_t bytes = fs::file_size(path, error);
  if (error) return CannotRead(path);
  if (bytes > kMaxImportBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": has ", bytes, " bytes, must have at most ", kMaxImportBytes));
  }
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) return CannotRead(path);
  return text.str();
}

// Sorted, so that an import does not depend on the file system.
absl::StatusOr<std::vector<std::string>> KnownFilesIn(const std::string& dir,
                                                      const std::string& format) {
  std::vector<std::string> files;
  std::error_code error;
  for (fs::recursive_directory_iterator at(dir, error), end; !error && at != end;
       at.increment(error)) {
    std::error_code unreadable;
    const bool known = HasKnownName(at->path().filename().string(), format);
    if (!known || !at->is_regular_file(unreadable)) continue;
    files.push_back(at->path().string());
    if (files.size() > kMaxImportPoints) {
      return absl::InvalidArgumentError(
          absl::StrCat(dir, ": has more than ", kMaxImportPoints, " files"));
    }
  }
  if (error) return CannotRead(dir);
  if (files.empty()) {
    return absl::NotFoundError(absl::StrCat(dir, ": has no file that is named as those of format ",
                                            format, ": give the files themselves"));
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

absl::StatusOr<StoredRun> LoadStoredRun(const std::string& path) {
  StoredRun run;
  ASSIGN_OR_RETURN(run.sweep, LoadResults(path));
  std::error_code error;
  const fs::path folder =
      fs::is_directory(path, error) ? fs::path(path) : fs::path(path).parent_path();
  ASSIGN_OR_RETURN(run.requests, LoadRequests(folder.string()));
  return run;
}

absl::StatusOr<std::vector<RequestRecord>> LoadRequests(const std::string& dir) {
  std::vector<RequestRecord> requests;
  RETURN_IF_ERROR(ForEachJsonLine<RequestRecord>(
      (fs::path(dir) / "requests.jsonl").string(),
      [&requests](RequestRecord record) { requests.push_back(std::move(record)); }));
  return requests;
}

absl::StatusOr<std::string> SaveStoredRun(const StoredRun& run, const std::string& root) {
  const PointReport& first = run.sweep.points(0);
  const std::string subject = absl::StrCat(run.sweep.imported().format(), "-",
                                           first.engine().model(), "-", first.machine().name());
  ASSIGN_OR_RETURN(const RunDirectory directory,
                   RunDirectory::Create(root, subject, first.regatta().layout()));
  if (!run.requests.empty()) {
    RETURN_IF_ERROR(directory.AppendRequests(run.requests).status());
  }
  RETURN_IF_ERROR(directory.WriteResults(run.sweep));
  RETURN_IF_ERROR(WriteReports(run.sweep, directory.path(), /*markdown=*/false));
  return directory.path();
}

absl::StatusOr<std::vector<TextFile>> ReadTextFiles(absl::Span<const std::string> paths,
                                                    const std::string& format) {
  std::vector<TextFile> files;
  for (const std::string& path : paths) {
    std::error_code error;
    std::vector<std::string> found = {path};
    if (fs::is_directory(path, error)) {
      ASSIGN_OR_RETURN(found, KnownFilesIn(path, format));
    }
    for (const std::string& file : found) {
      ASSIGN_OR_RETURN(std::string text, ReadTextFile(file));
      files.push_back({file, std::move(text)});
    }
  }
  return files;
}

absl::StatusOr<std::vector<std::string>> ExportTo(const StoredRun& run,
                                                  absl::Span<const std::string> formats,
                                                  const std::string& dir) {
  std::vector<std::string> paths;
  for (const std::string& format : formats) {
    ASSIGN_OR_RETURN(const std::vector<TextFile> files, ExportRun(run, format));
    for (const TextFile& file : files) {
      const fs::path path = fs::path(dir) / file.name;
      std::error_code error;
      fs::create_directories(path.parent_path(), error);
      RETURN_IF_ERROR(WriteFileAtomically(path.string(), file.text));
      paths.push_back(path.string());
    }
  }
  return paths;
}

}  // namespace regatta
