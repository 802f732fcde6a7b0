// Configurations of published models for tests: plain facts, no weights.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "common/model_spec.h"

namespace regatta {

// Directory of tests/testing/configs/<name>, e.g. "llama-3.1-8b".
inline std::string PublishedModelDir(const std::string& name) {
  return std::string(REGATTA_SOURCE_DIR) + "/tests/testing/configs/" + name;
}

inline ModelSpec PublishedModel(const std::string& name) {
  auto spec = LoadModelSpec(PublishedModelDir(name));
  EXPECT_TRUE(spec.ok()) << spec.status();
  return spec.value_or(ModelSpec());
}

}  // namespace regatta
