// Lines to points; see run_details.h.
#include "orchestrator/report/run_details.h"

#include <fstream>
#include <optional>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "orchestrator/report/report.h"

namespace regatta {
namespace {

// Points by what a line says of them. Of several that fit, the k-th stretch of lines is the k-th's;
// stretches beyond are the last one's (a point that was measured again).
class PointFinder {
 public:
  explicit PointFinder(const SweepReport& sweep) : sweep_(sweep), used_(sweep.points_size()) {}

  // Begins a stretch. No layout: any one's.
  std::optional<size_t> Next(const std::string& layout, uint32_t concurrency) {
    std::optional<size_t> found;
    for (int i = 0; i < sweep_.points_size(); ++i) {
      const RegattaInfo& info = sweep_.points(i).regatta();
      // 0 is a point without limit, of which requests tell how many there were.
      if (info.concurrency() != 0 && info.concurrency() != concurrency) continue;
      if (!layout.empty() && info.layout() != layout) continue;
      found = i;
      if (!used_[i]) break;
    }
    if (found.has_value()) used_[*found] = true;
    return found;
  }

 private:
  const SweepReport& sweep_;
  std::vector<bool> used_;
};

// Calls `take` for each line's message; nothing without the file.
template <typename Message, typename Take>
absl::Status ForEachLine(const std::string& path, const Take& take) {
  std::ifstream file(path, std::ios::binary);
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    Message message;
    const absl::Status status = FromJson(line, message);
    if (!status.ok() && file.eof()) return absl::OkStatus();
    if (!status.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(path, ":", number, ": ", status.message()));
    }
    take(std::move(message));
  }
  return absl::OkStatus();
}

void AddRequest(const RequestRecord& record, PointDetails& point) {
  if (!record.error().empty() || record.deltas() == 0) return;
  point.ttft_ms.push_back(record.first_token_ms() - record.sent_ms());
  if (record.output_tokens() < 2) return;
  point.tpot_ms.push_back((record.last_token_ms() - record.first_token_ms()) /
                          (record.output_tokens() - 1));
}

}  // namespace

absl::StatusOr<RunDetails> LoadRunDetails(const std::string& dir, const SweepReport& sweep) {
  RunDetails details;
  details.points.resize(sweep.points_size());
  PointFinder finder(sweep);
  std::optional<uint32_t> stretch;  // its concurrency
  std::optional<size_t> point;
  RETURN_IF_ERROR(ForEachLine<RequestRecord>(dir + "/requests.jsonl", [&](RequestRecord record) {
    // A new point begins with another load, or with the first request again.
    if (stretch != record.concurrency() || record.index() == 0) {
      point = finder.Next("", record.concurrency());
      stretch = record.concurrency();
    }
    if (point.has_value()) AddRequest(record, details.points[*point]);
  }));
  PointFinder timelines(sweep);
  RETURN_IF_ERROR(ForEachLine<PointTimeline>(dir + "/timeline.jsonl", [&](PointTimeline timeline) {
    const auto found = timelines.Next(timeline.layout(), timeline.concurrency());
    if (found.has_value()) details.points[*found].timeline = std::move(timeline);
  }));
  return details;
}

}  // namespace regatta
