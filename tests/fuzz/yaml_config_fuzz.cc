// Configuration files in YAML, as the router reads them.
#include <string>
#include <vector>

#include "common/check.h"
#include "common/config.h"
#include "tests/fuzz/fuzz_input.h"

namespace regatta {

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ServerConfig config;
  std::vector<std::string> ignored;
  absl::Status status = ParseYaml(std::string(FuzzInput(data, size).Rest()), config, ignored);
  if (status.ok()) status = CheckServerConfig(config);
  CHECK(status.ok() || !status.message().empty());
  return 0;
}

}  // namespace regatta
