// What a person reads of a comparison. Renders; computes no figure.
#pragma once

#include <string>

#include "proto/comparison.pb.h"

namespace regatta {

// Warnings, a table per load, gates. `all_metrics`: else the headline figures only.
std::string ComparisonText(const Comparison& comparison, bool all_metrics);

// The same as GitHub's Markdown.
std::string ComparisonMarkdown(const Comparison& comparison, bool all_metrics);

}  // namespace regatta
