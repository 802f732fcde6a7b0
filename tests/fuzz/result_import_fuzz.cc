// Results of other tools, of whatever format: an import is refused with a message, or every figure
// of it is finite and can be exported again.
#include <cmath>
#include <string>
#include <vector>

#include "common/check.h"
#include "orchestrator/formats/formats.h"
#include "tests/fuzz/fuzz_input.h"

namespace regatta {

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzInput input(data, size);
  std::vector<TextFile> files;
  while (!input.empty()) {
    files.push_back({"a/f.json", std::string(input.Until(kNextPart))});
  }
  ImportOptions options;
  options.concurrency = 1;
  const auto runs = ImportFiles(files, options);
  if (!runs.ok()) {
    CHECK(!runs.status().message().empty());
    return 0;
  }
  for (const StoredRun& run : *runs) {
    for (const PointReport& point : run.sweep.points()) {
      CHECK(std::isfinite(point.performance().output_throughput_per_gpu_tok_s()));
      CHECK(std::isfinite(point.streaming_metrics().token_output_speed_tok_s()));
    }
    for (const char* format : {"vllm", "aiperf", "inferencex", "trtllm-bench", "csv", "markdown"}) {
      const auto written = ExportRun(run, format);
      CHECK(written.ok() || !written.status().message().empty());
    }
  }
  return 0;
}

}  // namespace regatta
