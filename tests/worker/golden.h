// What transformers gave for the shipped models (tests/golden, made by
// tests/models/make_golden.py).
#pragma once

#include <string>
#include <vector>

#include "tests/worker/plan_driver.h"

namespace regatta {

struct Golden {
  std::string model_dir;
  std::vector<Prompt> prompts;
  std::vector<std::vector<uint32_t>> tokens;  // greedy, in float32
  std::vector<std::vector<float>> logits;     // at the last prompt position; empty where not stored
};

// `model` is a folder of tests/models.
Golden LoadGolden(const std::string& model);

}  // namespace regatta
