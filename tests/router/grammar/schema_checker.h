// An independent, slow and simple validator of JSON Schema for the keywords that constrained output
// understands. Checks values, where the code under test builds automata.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace regatta {

// "" when `value` matches `schema`, part of `root`; else what does not.
std::string CheckSchema(const nlohmann::ordered_json& root, const nlohmann::ordered_json& schema,
                        const nlohmann::ordered_json& value);

}  // namespace regatta
