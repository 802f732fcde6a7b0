// trtllm-bench's report as it stands on a terminal or in a log, of which there may be several.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "orchestrator/formats/format.h"

namespace regatta {

// A Format::split: adds each report with the fields of --report_json. What is around the reports is
// passed over; a figure that is "-" or "None" there is 0. A text without a PERFORMANCE OVERVIEW is
// none.
absl::StatusOr<bool> SplitTrtllmText(const TextFile& file, std::vector<Document>& documents);

}  // namespace regatta
