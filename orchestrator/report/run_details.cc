// Lines to points; see run_details.h.
#include "orchestrator/report/run_details.h"

#include <map>

#include "common/status_macros.h"
#include "orchestrator/report/json_lines.h"
#include "orchestrator/statistics/headline_latency.h"
#include "orchestrator/statistics/request_times.h"

namespace regatta {
namespace {

void AddRequest(const RequestRecord& record, bool from_due, PointDetails& point) {
  if (!Completed(record) || record.deltas() == 0) return;
  point.ttft_ms.push_back(from_due ? ScheduledTtftMs(record) : TtftMs(record));
  if (const auto tpot_ms = TpotMs(record)) point.tpot_ms.push_back(*tpot_ms);
}

}  // namespace

absl::StatusOr<RunDetails> LoadRunDetails(const std::string& dir, const SweepReport& sweep) {
  RunDetails details;
  details.points.resize(sweep.points_size());
  std::map<uint32_t, int> by_run;  // places of points
  for (int i = 0; i < sweep.points_size(); ++i) {
    by_run[sweep.points(i).regatta().run_number()] = i;
  }
  by_run.erase(0);
  RETURN_IF_ERROR(ForEachJsonLine<RequestRecord>(dir + "/requests.jsonl", [&](RequestRecord r) {
    const auto found = by_run.find(r.run_number());
    if (found == by_run.end()) return;
    AddRequest(r, IsFromDue(sweep.points(found->second)), details.points[found->second]);
  }));
  RETURN_IF_ERROR(ForEachJsonLine<PointTimeline>(dir + "/timeline.jsonl", [&](PointTimeline t) {
    const auto found = by_run.find(t.run_number());
    if (found != by_run.end()) details.points[found->second].timeline = std::move(t);
  }));
  return details;
}

}  // namespace regatta
