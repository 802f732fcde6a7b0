// A run to export and import.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "orchestrator/formats/formats.h"
#include "orchestrator/statistics/statistics.h"

namespace regatta {

// Forty requests of four users, of which one failed and, where it is asked for, one was cancelled;
// times that differ from request to request.
inline StoredRun SmallRun(int cancelled = -1) {
  StoredRun run;
  for (uint32_t i = 0; i < 40; ++i) {
    RequestRecord& r = run.requests.emplace_back();
    r.set_run_number(1);
    r.set_index(i);
    r.set_concurrency(4);
    r.set_task_id(absl::StrCat("t", i));
    r.set_input_tokens(100 + i);
    r.set_output_tokens(10 + i % 7);
    r.set_asked_output_tokens(r.output_tokens());
    r.set_sent_ms(25.0 * i);
    r.set_scheduled_ms(r.sent_ms());
    r.set_first_token_ms(r.sent_ms() + 12 + i % 5);
    r.set_last_token_ms(r.first_token_ms() + (7 + i % 3) * r.output_tokens());
    if (i == 13) r.set_error("UNAVAILABLE: lost \xff");
    r.set_cancelled(static_cast<int>(i) == cancelled);
  }
  PointReport point;
  point.mutable_engine()->set_model("model-a");
  point.mutable_engine()->set_backend("regatta");
  point.mutable_engine()->set_dtype("bfloat16");
  point.mutable_machine()->set_name("GPU X");
  point.mutable_world_info()->set_tp_size(2);
  point.mutable_world_info()->set_world_size(2);
  point.mutable_regatta()->set_run_number(1);
  point.mutable_regatta()->set_concurrency(4);
  point.mutable_regatta()->set_streaming(true);
  point.mutable_regatta()->set_layout("tp2");
  point.mutable_regatta()->set_started_utc("2026-11-25T15:34:21Z");
  *run.sweep.add_points() = CompletePoint(point, {run.requests, {}});
  return run;
}

inline std::vector<TextFile> Exported(const StoredRun& run, const std::string& format) {
  const auto files = ExportRun(run, format);
  EXPECT_TRUE(files.ok()) << files.status();
  return files.ok() ? *files : std::vector<TextFile>();
}

inline std::string Message(const absl::StatusOr<std::vector<StoredRun>>& runs) {
  return std::string(runs.status().message());
}

}  // namespace regatta
