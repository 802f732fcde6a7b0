// Bounds of histograms. Those of times and of tokens per step are vLLM's, so that dashboards and
// alerts made for it fit.
#pragma once

#include <cstdint>
#include <vector>

namespace regatta {

const std::vector<double>& FirstTokenBounds();     // seconds
const std::vector<double>& TokenTimeBounds();      // seconds, of one token
const std::vector<double>& RequestTimeBounds();    // seconds
const std::vector<double>& StepTokensBounds();     // tokens
const std::vector<double>& StepTimeBounds();       // seconds, of a step or a part of it
const std::vector<double>& StepSequencesBounds();  // sequences
// 1, 2, 5, 10, ... up to `largest`, tokens.
std::vector<double> SizeBounds(uint32_t largest);

}  // namespace regatta
