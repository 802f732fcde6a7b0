// Files of a run; see run_directory.h.
#include "orchestrator/benchmark/run_directory.h"

#include <google/protobuf/util/json_util.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "orchestrator/benchmark/environment.h"
#include "orchestrator/report/report.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;

// A model's name as one path component.
std::string Sanitized(const std::string& name) {
  std::string result;
  for (char c : name) result += absl::ascii_isalnum(c) || c == '.' || c == '-' ? c : '_';
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

absl::Status CannotWrite(const std::string& path) {
  return absl::UnavailableError(absl::StrCat("cannot write '", path, "'"));
}

}  // namespace

absl::StatusOr<RunDirectory> RunDirectory::Create(const std::string& root, const std::string& model,
                                                  const std::string& layout) {
  std::error_code error;
  fs::create_directories(root, error);
  const std::string name =
      absl::StrCat(CompactUtcTimestamp(), "-", Sanitized(model), "-", Sanitized(layout));
  constexpr int kAttempts = 1000;
  for (int attempt = 1; attempt <= kAttempts && !error; ++attempt) {
    const fs::path path = fs::path(root) / (attempt == 1 ? name : absl::StrCat(name, "-", attempt));
    if (fs::create_directory(path, error)) return RunDirectory(path.string());
  }
  return absl::UnavailableError(absl::StrCat("--output: cannot create '", root, "/", name, "': ",
                                             error ? error.message() : "all names are taken"));
}

absl::Status RunDirectory::AppendRequests(const std::vector<RequestRecord>& records) const {
  const std::string path = path_ + "/requests.jsonl";
  std::ofstream file(path, std::ios::app | std::ios::binary);
  for (const RequestRecord& record : records) file << JsonLine(record);
  file.flush();
  return file ? absl::OkStatus() : CannotWrite(path);
}

absl::Status RunDirectory::AppendTimeline(const PointTimeline& timeline) const {
  const std::string path = path_ + "/timeline.jsonl";
  std::ofstream file(path, std::ios::app | std::ios::binary);
  file << JsonLine(timeline);
  file.flush();
  return file ? absl::OkStatus() : CannotWrite(path);
}

absl::Status RunDirectory::WriteResults(const SweepReport& sweep) const {
  const std::string path = path_ + "/results.json";
  RETURN_IF_ERROR(WriteTextFile(path + ".part", ToJson(sweep)));
  std::error_code error;
  fs::rename(path + ".part", path, error);
  return error ? CannotWrite(path) : absl::OkStatus();
}

absl::Status WriteTextFile(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::trunc | std::ios::binary);
  file << text;
  file.flush();
  return file ? absl::OkStatus() : CannotWrite(path);
}

absl::StatusOr<SweepReport> LoadResults(const std::string& path) {
  std::error_code error;
  const std::string file_path = fs::is_directory(path, error) ? path + "/results.json" : path;
  std::ifstream file(file_path, std::ios::binary);
  if (!file) return absl::NotFoundError(absl::StrCat("cannot read '", file_path, "'"));
  std::ostringstream text;
  text << file.rdbuf();
  SweepReport sweep;
  if (absl::Status status = FromJson(text.str(), sweep); !status.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(file_path, ": ", status.message()));
  }
  return sweep;
}

}  // namespace regatta
