// What one format of another tool can do; formats.cc has the table of them.
#pragma once

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "orchestrator/formats/formats.h"
#include "orchestrator/formats/json_fields.h"

namespace regatta {

struct Format;

// One JSON value of a file: the whole of it, a line of JSON Lines, an element of an array, or what
// a format's `split` makes of its text.
struct Document {
  std::string file;    // as given
  std::string source;  // names it in errors: "agg.json[3]"
  nlohmann::json value;
  const Format* format = nullptr;  // known by the text it was split from; else its value tells
};

struct ImportedPoint {
  PointReport report;
  std::vector<RequestRecord> requests;  // empty when the format has none
  uint32_t likely_users = 0;            // of a closed loop, where neither file nor caller says
  std::string source;                   // names what it was read from in errors
};

// What has been read so far.
struct ImportDraft {
  std::vector<ImportedPoint> points;
  std::set<std::string> notes;
  std::string tool;
};

struct Format {
  const char* name;
  const char* what;
  const char* files;  // patterns of its files' names (fnmatch), separated by blanks
  // Null where files are JSON. Adds the documents of a text of this format; false where it is none.
  // INVALID_ARGUMENT names the file, the line and what is wrong there.
  absl::StatusOr<bool> (*split)(const TextFile& file, std::vector<Document>& documents);
  // Null where files are text: whether a document looks like it; all documents that do.
  bool (*recognizes)(const nlohmann::json& value);
  absl::Status (*read)(const std::vector<Document>& documents, ImportDraft& draft);
  std::vector<TextFile> (*write)(const StoredRun& run);
};

const Format& VllmFormat();
const Format& AiperfFormat();
const Format& InferencexFormat();
const Format& TrtllmFormat();
const Format& CsvFormat();
const Format& MarkdownFormat();

// JSON as files have it: indented by two; ill-formed UTF-8 of others replaced.
std::string JsonText(const nlohmann::ordered_json& value);

// "c8", "20rps", "20rps-c8", "all" (at once) or "trace": distinguishes the files of a run's points.
// A second point of that load is "c8-2".
std::string PointName(const SweepReport& sweep, int index);

// How a format names the ends and the mean of a distribution; percentiles are p50, p90, p95, p99.
struct PercentileNames {
  absl::string_view minimum, maximum, average;
};
// Zero where `fields` has none.
void ReadPercentiles(const JsonFields& fields, const PercentileNames& names, Percentiles& out);

// GPUs of a deployment that gives `all` tokens a second, `per_gpu` on each; 0 = it cannot be told.
uint32_t GpusOf(double all, double per_gpu);

// Tokens of both lengths, known from means only.
void SetMeanLengths(double input, double output, PointReport& point);

}  // namespace regatta
