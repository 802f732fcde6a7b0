// Lines to points; see run_details.h.
#include "orchestrator/report/run_details.h"

#include <map>

#include "common/status_macros.h"
#include "orchestrator/report/json_lines.h"
#include "orchestrator/statistics/request_times.h"

namespace regatta {
namespace {

void AddRequest(const RequestRecord& record, PointDetails& point) {
  if (!Completed(record) || record.deltas() == 0) return;
  point.ttft_ms.push_back(TtftMs(record));
  if (const auto tpot_ms = TpotMs(record)) point.tpot_ms.push_back(*tpot_ms);
}

}  // namespace

absl::StatusOr<RunDetails> LoadRunDetails(const std::string& dir, const SweepReport& sweep) {
  RunDetails details;
  details.points.resize(sweep.points_size());
  std::map<uint32_t, PointDetails*> by_run;
  for (int i = 0; i < sweep.points_size(); ++i) {
    by_run[sweep.points(i).regatta().run_number()] = &details.points[i];
  }
  by_run.erase(0);
  const auto of_run = [&](uint32_t number) {
    const auto found = by_run.find(number);
    return found == by_run.end() ? nullptr : found->second;
  };
  RETURN_IF_ERROR(ForEachJsonLine<RequestRecord>(dir + "/requests.jsonl", [&](RequestRecord r) {
    if (PointDetails* point = of_run(r.run_number())) AddRequest(r, *point);
  }));
  RETURN_IF_ERROR(ForEachJsonLine<PointTimeline>(dir + "/timeline.jsonl", [&](PointTimeline t) {
    if (PointDetails* point = of_run(t.run_number())) point->timeline = std::move(t);
  }));
  return details;
}

}  // namespace regatta
