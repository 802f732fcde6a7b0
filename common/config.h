// YAML configuration files, parsed strictly into protobuf messages: one schema per fact.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "proto/config.pb.h"

namespace regatta {

// Fills `message` from YAML text. Keys are field names (dash = underscore). Errors
// (INVALID_ARGUMENT, with line): an unknown key names the nearest known one; a wrong type or a
// number out of range names key, value and what is expected. TensorRT-LLM keys that we know and
// ignore are listed in `ignored`, for the caller to warn about by name.
absl::Status ParseYaml(const std::string& text, google::protobuf::Message& message,
                       std::vector<std::string>& ignored);

inline constexpr uint32_t kMaxInflight = 64;  // plans; more could not hide any latency

// Refuses values that no key may have whatever the machine: numbers outside their range
// (config_numbers.h), unknown dtypes and policies, graphs of batches over the limit.
// INVALID_ARGUMENT names key, value and what is expected. For use after flags have been merged in.
absl::Status CheckServerConfig(const ServerConfig& config);

// ParseYaml and CheckServerConfig of a file. NOT_FOUND names the path.
absl::Status LoadServerConfig(const std::string& path, ServerConfig& config,
                              std::vector<std::string>& ignored);

// The candidate with the smallest edit distance to `word`; empty when none is near (more than half
// of the word differs).
std::string Nearest(absl::string_view word, const std::vector<std::string>& candidates);

}  // namespace regatta
