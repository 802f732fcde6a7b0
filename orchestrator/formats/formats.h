// Results in the formats of other tools: written from a run of ours, and read into one that reports
// can draw. Text in, text out; knows no file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "orchestrator/formats/request_columns.h"
#include "proto/results.pb.h"

namespace regatta {

struct TextFile {
  std::string name;  // a relative path when written; as given when read
  std::string text;
};

// "aiperf: profile_export_aiperf.json and ..." one line a format; each can be written and read.
std::string FormatsHelp();

// Whether a file called `name` is read where its folder is imported: `format` ("auto": any) calls
// its files so.
bool HasKnownName(const std::string& name, const std::string& format);

// INVALID_ARGUMENT unless --export knows a format of that name.
absl::Status CheckExportFormat(const std::string& format);

// `run` in the format called `format`, some files per point for formats of single points. Figures
// that the run does not have are left out, never made up. INVALID_ARGUMENT for an unknown name or a
// run without a completed request.
absl::StatusOr<std::vector<TextFile>> ExportRun(const StoredRun& run, const std::string& format);

struct ImportOptions {
  std::string format = "auto";  // or a name of FormatsHelp()
  std::string published_by;     // who measured
  std::string model, device;    // where the files do not say, or say it otherwise
  uint32_t gpus = 0;            // of the deployment; 0 = as the files say, else one
  uint32_t concurrency = 0;     // of points whose load is not told; 0 = it must be there
};

// One run per model, device, software and lengths (within a tenth) found, points in order of their
// load, with `imported` set and a note for every figure that the files lack or that was
// derived. Nothing in `files` is trusted: INVALID_ARGUMENT names the file, the field, its value and
// the limit.
absl::StatusOr<std::vector<StoredRun>> ImportFiles(absl::Span<const TextFile> files,
                                                   const ImportOptions& options);

}  // namespace regatta
